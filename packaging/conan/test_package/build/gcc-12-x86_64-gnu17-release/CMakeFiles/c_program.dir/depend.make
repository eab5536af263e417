# Empty dependencies file for c_program.
# This may be replaced when dependencies are built.
