# Overlay port: builds the library with cargo from the repository that contains this file.
#
#   vcpkg install camunda-admin --overlay-ports=packaging/vcpkg
#
# Not run: vcpkg was not available where it was written.
get_filename_component(SOURCE_PATH "${CMAKE_CURRENT_LIST_DIR}/../.." ABSOLUTE)
find_program(CARGO cargo REQUIRED)

vcpkg_execute_required_process(
  COMMAND "${CARGO}" build --release --locked --lib --features capi
    --target-dir "${CURRENT_BUILDTREES_DIR}/target"
  WORKING_DIRECTORY "${SOURCE_PATH}"
  LOGNAME build-${TARGET_TRIPLET})

vcpkg_execute_required_process(
  COMMAND "${CMAKE_COMMAND}" -E env "LIBRARY_DIR=${CURRENT_BUILDTREES_DIR}/target/release"
    sh bindings/c/install.sh --docdir "share/${PORT}" "${CURRENT_PACKAGES_DIR}"
  WORKING_DIRECTORY "${SOURCE_PATH}"
  LOGNAME install-${TARGET_TRIPLET})

if(VCPKG_LIBRARY_LINKAGE STREQUAL "static")
  file(GLOB shared "${CURRENT_PACKAGES_DIR}/lib/libcamunda_admin.so*")
  file(REMOVE ${shared})
else()
  file(REMOVE "${CURRENT_PACKAGES_DIR}/lib/libcamunda_admin.a"
    "${CURRENT_PACKAGES_DIR}/lib/pkgconfig/camunda_admin-static.pc")
endif()

# The library is built without debug information; debug builds of users link the same one.
set(VCPKG_BUILD_TYPE release)
vcpkg_cmake_config_fixup(PACKAGE_NAME camunda_admin CONFIG_PATH lib/cmake/camunda_admin)
vcpkg_fixup_pkgconfig()
file(RENAME "${CURRENT_PACKAGES_DIR}/share/${PORT}/LICENSE" "${CURRENT_PACKAGES_DIR}/share/${PORT}/copyright")
