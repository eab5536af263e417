########### AGGREGATED COMPONENTS AND DEPENDENCIES FOR THE MULTI CONFIG #####################
#############################################################################################

set(camunda_admin_COMPONENT_NAMES "")
if(DEFINED camunda_admin_FIND_DEPENDENCY_NAMES)
  list(APPEND camunda_admin_FIND_DEPENDENCY_NAMES )
  list(REMOVE_DUPLICATES camunda_admin_FIND_DEPENDENCY_NAMES)
else()
  set(camunda_admin_FIND_DEPENDENCY_NAMES )
endif()

########### VARIABLES #######################################################################
#############################################################################################
set(camunda_admin_PACKAGE_FOLDER_RELEASE "/tmp/g/conan-home/p/b/camun98b629c38a1a1/p")
set(camunda_admin_BUILD_MODULES_PATHS_RELEASE )


set(camunda_admin_INCLUDE_DIRS_RELEASE "${camunda_admin_PACKAGE_FOLDER_RELEASE}/include")
set(camunda_admin_RES_DIRS_RELEASE )
set(camunda_admin_DEFINITIONS_RELEASE )
set(camunda_admin_SHARED_LINK_FLAGS_RELEASE )
set(camunda_admin_EXE_LINK_FLAGS_RELEASE )
set(camunda_admin_OBJECTS_RELEASE )
set(camunda_admin_COMPILE_DEFINITIONS_RELEASE )
set(camunda_admin_COMPILE_OPTIONS_C_RELEASE )
set(camunda_admin_COMPILE_OPTIONS_CXX_RELEASE )
set(camunda_admin_LIB_DIRS_RELEASE "${camunda_admin_PACKAGE_FOLDER_RELEASE}/lib")
set(camunda_admin_BIN_DIRS_RELEASE "${camunda_admin_PACKAGE_FOLDER_RELEASE}/bin")
set(camunda_admin_LIBRARY_TYPE_RELEASE SHARED)
set(camunda_admin_IS_HOST_WINDOWS_RELEASE 0)
set(camunda_admin_LIBS_RELEASE camunda_admin)
set(camunda_admin_SYSTEM_LIBS_RELEASE )
set(camunda_admin_FRAMEWORK_DIRS_RELEASE )
set(camunda_admin_FRAMEWORKS_RELEASE )
set(camunda_admin_BUILD_DIRS_RELEASE )
set(camunda_admin_NO_SONAME_MODE_RELEASE FALSE)


# COMPOUND VARIABLES
set(camunda_admin_COMPILE_OPTIONS_RELEASE)
if (NOT "${camunda_admin_COMPILE_OPTIONS_CXX_RELEASE}" STREQUAL "")
    list(APPEND camunda_admin_COMPILE_OPTIONS_RELEASE
        "$<$<COMPILE_LANGUAGE:CXX>:${camunda_admin_COMPILE_OPTIONS_CXX_RELEASE}>")
endif ()
if (NOT "${camunda_admin_COMPILE_OPTIONS_C_RELEASE}" STREQUAL "")
    list(APPEND camunda_admin_COMPILE_OPTIONS_RELEASE
        "$<$<COMPILE_LANGUAGE:C>:${camunda_admin_COMPILE_OPTIONS_C_RELEASE}>")
endif ()
set(camunda_admin_LINKER_FLAGS_RELEASE)
if (NOT "${camunda_admin_SHARED_LINK_FLAGS_RELEASE}" STREQUAL "")
    list(APPEND camunda_admin_LINKER_FLAGS_RELEASE
        "$<$<OR:$<STREQUAL:$<TARGET_PROPERTY:TYPE>,SHARED_LIBRARY>,$<STREQUAL:$<TARGET_PROPERTY:TYPE>,MODULE_LIBRARY>>:${camunda_admin_SHARED_LINK_FLAGS_RELEASE}>")
endif ()
if (NOT "${camunda_admin_EXE_LINK_FLAGS_RELEASE}" STREQUAL "")
    list(APPEND camunda_admin_LINKER_FLAGS_RELEASE
        "$<$<STREQUAL:$<TARGET_PROPERTY:TYPE>,EXECUTABLE>:${camunda_admin_EXE_LINK_FLAGS_RELEASE}>")
endif ()


set(camunda_admin_COMPONENTS_RELEASE )