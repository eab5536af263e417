file(REMOVE_RECURSE
  "CMakeFiles/cpp_program.dir/program.cpp.o"
  "CMakeFiles/cpp_program.dir/program.cpp.o.d"
  "cpp_program"
  "cpp_program.pdb"
)

# Per-language clean rules from dependency scanning.
foreach(lang CXX)
  include(CMakeFiles/cpp_program.dir/cmake_clean_${lang}.cmake OPTIONAL)
endforeach()
