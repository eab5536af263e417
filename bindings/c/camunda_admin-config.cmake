# Defines the imported target camunda_admin::camunda_admin: headers and library of the installation that
# contains this file (PREFIX/lib/cmake/camunda_admin). C++ programs require C++17.
#
# Links the shared library if it is installed, else or with CAMUNDA_ADMIN_STATIC the static library.

if(TARGET camunda_admin::camunda_admin)
  return()
endif()

get_filename_component(_camunda_admin_prefix "${CMAKE_CURRENT_LIST_DIR}/../../.." ABSOLUTE)
set(_camunda_admin_archive "${_camunda_admin_prefix}/lib/${CMAKE_STATIC_LIBRARY_PREFIX}camunda_admin${CMAKE_STATIC_LIBRARY_SUFFIX}")
set(_camunda_admin_shared "${_camunda_admin_prefix}/lib/${CMAKE_SHARED_LIBRARY_PREFIX}camunda_admin${CMAKE_SHARED_LIBRARY_SUFFIX}")

if(CAMUNDA_ADMIN_STATIC OR NOT EXISTS "${_camunda_admin_shared}")
  find_package(Threads QUIET)
  add_library(camunda_admin::camunda_admin STATIC IMPORTED)
  set_target_properties(camunda_admin::camunda_admin PROPERTIES
    IMPORTED_LOCATION "${_camunda_admin_archive}"
    INTERFACE_LINK_LIBRARIES "Threads::Threads;${CMAKE_DL_LIBS};m")
else()
  add_library(camunda_admin::camunda_admin SHARED IMPORTED)
  set_target_properties(camunda_admin::camunda_admin PROPERTIES
    IMPORTED_LOCATION "${_camunda_admin_shared}")
endif()
set_target_properties(camunda_admin::camunda_admin PROPERTIES
  INTERFACE_INCLUDE_DIRECTORIES "${_camunda_admin_prefix}/include")

unset(_camunda_admin_prefix)
unset(_camunda_admin_archive)
unset(_camunda_admin_shared)
