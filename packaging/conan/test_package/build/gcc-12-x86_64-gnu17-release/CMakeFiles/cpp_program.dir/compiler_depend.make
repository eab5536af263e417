# Empty compiler generated dependencies file for cpp_program.
# This may be replaced when dependencies are built.
