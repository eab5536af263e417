# Defines the targets of the libraries that exist, or that a rule of the build creates. Parameters:
# _camunda_admin_shared, _camunda_admin_archive, _camunda_admin_include; _camunda_admin_implib (Windows);
# _camunda_admin_is_built (true if a rule creates the libraries).

set(_camunda_admin_features)
get_property(_camunda_admin_languages GLOBAL PROPERTY ENABLED_LANGUAGES)
if("CXX" IN_LIST _camunda_admin_languages)
  set(_camunda_admin_features cxx_std_17)
endif()

if(NOT TARGET camunda_admin::shared
    AND (_camunda_admin_is_built OR EXISTS "${_camunda_admin_shared}"))
  add_library(camunda_admin::shared SHARED IMPORTED GLOBAL)
  set_target_properties(camunda_admin::shared PROPERTIES
    IMPORTED_LOCATION "${_camunda_admin_shared}"
    INTERFACE_INCLUDE_DIRECTORIES "${_camunda_admin_include}"
    INTERFACE_COMPILE_FEATURES "${_camunda_admin_features}")
  if(WIN32)
    set_target_properties(camunda_admin::shared PROPERTIES IMPORTED_IMPLIB "${_camunda_admin_implib}")
  endif()
endif()

if(NOT TARGET camunda_admin::static
    AND (_camunda_admin_is_built OR EXISTS "${_camunda_admin_archive}"))
  if(WIN32)
    set(_camunda_admin_system
      advapi32 bcrypt crypt32 dbghelp kernel32 ntdll secur32 userenv ws2_32)
  elseif(APPLE)
    set(_camunda_admin_system "-framework CoreFoundation" "-framework Security")
  else()
    set(_camunda_admin_system pthread ${CMAKE_DL_LIBS} m)
  endif()
  add_library(camunda_admin::static STATIC IMPORTED GLOBAL)
  set_target_properties(camunda_admin::static PROPERTIES
    IMPORTED_LOCATION "${_camunda_admin_archive}"
    INTERFACE_INCLUDE_DIRECTORIES "${_camunda_admin_include}"
    INTERFACE_COMPILE_FEATURES "${_camunda_admin_features}"
    INTERFACE_LINK_LIBRARIES "${_camunda_admin_system}")
  if(APPLE)
    set_target_properties(camunda_admin::static PROPERTIES INTERFACE_LINK_OPTIONS "-Wl,-dead_strip")
  elseif(NOT WIN32)
    # Drops the functions that the program does not use, and keeps those of the archive out of the
    # exported symbols of a plugin.
    set_target_properties(camunda_admin::static PROPERTIES INTERFACE_LINK_OPTIONS
      "-Wl,--gc-sections;-Wl,--exclude-libs,libcamunda_admin.a")
  endif()
endif()

if(NOT TARGET camunda_admin::camunda_admin)
  if(TARGET camunda_admin::static AND (CAMUNDA_ADMIN_STATIC OR NOT TARGET camunda_admin::shared
      OR "${camunda_admin_FIND_COMPONENTS}" STREQUAL "static"))
    set(_camunda_admin_linked camunda_admin::static)
  else()
    set(_camunda_admin_linked camunda_admin::shared)
  endif()
  if(TARGET ${_camunda_admin_linked})
    add_library(camunda_admin::camunda_admin INTERFACE IMPORTED GLOBAL)
    set_target_properties(camunda_admin::camunda_admin PROPERTIES
      INTERFACE_LINK_LIBRARIES ${_camunda_admin_linked})
  else()
    set(camunda_admin_FOUND FALSE)
    set(camunda_admin_NOT_FOUND_MESSAGE "neither ${_camunda_admin_shared} nor ${_camunda_admin_archive} exists")
  endif()
  unset(_camunda_admin_linked)
endif()

unset(_camunda_admin_archive)
unset(_camunda_admin_features)
unset(_camunda_admin_implib)
unset(_camunda_admin_include)
unset(_camunda_admin_is_built)
unset(_camunda_admin_languages)
unset(_camunda_admin_shared)
unset(_camunda_admin_system)
