# Overlay port: builds the library with cargo from the repository that contains this file.
#
#   vcpkg install camunda-admin --overlay-ports=packaging/vcpkg
#
# The environment variable LIBRARY_DIR is a folder of a library that is built already; without it, cargo
# builds it, for the Rust target in the variable CARGO_BUILD_TARGET (default: the host).
get_filename_component(SOURCE_PATH "${CMAKE_CURRENT_LIST_DIR}/../.." ABSOLUTE)

set(library_dir "$ENV{LIBRARY_DIR}")
if(library_dir STREQUAL "")
  find_program(CARGO cargo REQUIRED)
  vcpkg_execute_required_process(
    COMMAND "${CARGO}" build --release --locked --lib --features capi
      --target-dir "${CURRENT_BUILDTREES_DIR}/target"
    WORKING_DIRECTORY "${SOURCE_PATH}"
    LOGNAME build-${TARGET_TRIPLET})
  # Cargo reads the variable too; it may be empty.
  set(library_dir "${CURRENT_BUILDTREES_DIR}/target/$ENV{CARGO_BUILD_TARGET}/release")
endif()

# vcpkg searches CMake files in `share`.
vcpkg_execute_required_process(
  COMMAND "${CMAKE_COMMAND}" -E env "LIBRARY_DIR=${library_dir}"
    sh bindings/c/install.sh --docdir "share/${PORT}/licenses" --cmakedir share/camunda_admin
      "${CURRENT_PACKAGES_DIR}"
  WORKING_DIRECTORY "${SOURCE_PATH}"
  LOGNAME install-${TARGET_TRIPLET})

if(VCPKG_LIBRARY_LINKAGE STREQUAL "static")
  file(GLOB shared "${CURRENT_PACKAGES_DIR}/lib/libcamunda_admin.so*")
  file(REMOVE ${shared})
else()
  file(REMOVE "${CURRENT_PACKAGES_DIR}/lib/libcamunda_admin.a"
    "${CURRENT_PACKAGES_DIR}/lib/pkgconfig/camunda_admin-static.pc")
endif()

# There is no debug variant of the library: debug builds of users link the same one.
set(VCPKG_BUILD_TYPE release)
set(VCPKG_POLICY_MISMATCHED_NUMBER_OF_BINARIES enabled)
vcpkg_fixup_pkgconfig()
vcpkg_install_copyright(FILE_LIST
  "${CURRENT_PACKAGES_DIR}/share/${PORT}/licenses/LICENSE"
  "${CURRENT_PACKAGES_DIR}/share/${PORT}/licenses/THIRD-PARTY-LICENSES.txt")
file(REMOVE_RECURSE "${CURRENT_PACKAGES_DIR}/share/${PORT}/licenses")
