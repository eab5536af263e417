//! The C library. `include/camunda_admin.h` declares its functions, which `src/ffi` defines.

extern crate library as _;
