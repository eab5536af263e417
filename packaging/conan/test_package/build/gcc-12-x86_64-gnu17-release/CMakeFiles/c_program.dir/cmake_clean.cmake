file(REMOVE_RECURSE
  "CMakeFiles/c_program.dir/program.c.o"
  "CMakeFiles/c_program.dir/program.c.o.d"
  "c_program"
  "c_program.pdb"
)

# Per-language clean rules from dependency scanning.
foreach(lang C)
  include(CMakeFiles/c_program.dir/cmake_clean_${lang}.cmake OPTIONAL)
endforeach()
