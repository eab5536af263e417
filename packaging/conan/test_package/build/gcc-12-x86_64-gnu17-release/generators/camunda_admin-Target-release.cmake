# Avoid multiple calls to find_package to append duplicated properties to the targets
include_guard()########### VARIABLES #######################################################################
#############################################################################################
set(camunda_admin_FRAMEWORKS_FOUND_RELEASE "") # Will be filled later
conan_find_apple_frameworks(camunda_admin_FRAMEWORKS_FOUND_RELEASE "${camunda_admin_FRAMEWORKS_RELEASE}" "${camunda_admin_FRAMEWORK_DIRS_RELEASE}")

set(camunda_admin_LIBRARIES_TARGETS "") # Will be filled later


######## Create an interface target to contain all the dependencies (frameworks, system and conan deps)
if(NOT TARGET camunda_admin_DEPS_TARGET)
    add_library(camunda_admin_DEPS_TARGET INTERFACE IMPORTED)
endif()

set_property(TARGET camunda_admin_DEPS_TARGET
             APPEND PROPERTY INTERFACE_LINK_LIBRARIES
             $<$<CONFIG:Release>:${camunda_admin_FRAMEWORKS_FOUND_RELEASE}>
             $<$<CONFIG:Release>:${camunda_admin_SYSTEM_LIBS_RELEASE}>
             $<$<CONFIG:Release>:>)

####### Find the libraries declared in cpp_info.libs, create an IMPORTED target for each one and link the
####### camunda_admin_DEPS_TARGET to all of them
conan_package_library_targets("${camunda_admin_LIBS_RELEASE}"    # libraries
                              "${camunda_admin_LIB_DIRS_RELEASE}" # package_libdir
                              "${camunda_admin_BIN_DIRS_RELEASE}" # package_bindir
                              "${camunda_admin_LIBRARY_TYPE_RELEASE}"
                              "${camunda_admin_IS_HOST_WINDOWS_RELEASE}"
                              camunda_admin_DEPS_TARGET
                              camunda_admin_LIBRARIES_TARGETS  # out_libraries_targets
                              "_RELEASE"
                              "camunda_admin"    # package_name
                              "${camunda_admin_NO_SONAME_MODE_RELEASE}")  # soname

# FIXME: What is the result of this for multi-config? All configs adding themselves to path?
set(CMAKE_MODULE_PATH ${camunda_admin_BUILD_DIRS_RELEASE} ${CMAKE_MODULE_PATH})

########## GLOBAL TARGET PROPERTIES Release ########################################
    set_property(TARGET camunda_admin::camunda_admin
                 APPEND PROPERTY INTERFACE_LINK_LIBRARIES
                 $<$<CONFIG:Release>:${camunda_admin_OBJECTS_RELEASE}>
                 $<$<CONFIG:Release>:${camunda_admin_LIBRARIES_TARGETS}>
                 )

    if("${camunda_admin_LIBS_RELEASE}" STREQUAL "")
        # If the package is not declaring any "cpp_info.libs" the package deps, system libs,
        # frameworks etc are not linked to the imported targets and we need to do it to the
        # global target
        set_property(TARGET camunda_admin::camunda_admin
                     APPEND PROPERTY INTERFACE_LINK_LIBRARIES
                     camunda_admin_DEPS_TARGET)
    endif()

    set_property(TARGET camunda_admin::camunda_admin
                 APPEND PROPERTY INTERFACE_LINK_OPTIONS
                 $<$<CONFIG:Release>:${camunda_admin_LINKER_FLAGS_RELEASE}>)
    set_property(TARGET camunda_admin::camunda_admin
                 APPEND PROPERTY INTERFACE_INCLUDE_DIRECTORIES
                 $<$<CONFIG:Release>:${camunda_admin_INCLUDE_DIRS_RELEASE}>)
    # Necessary to find LINK shared libraries in Linux
    set_property(TARGET camunda_admin::camunda_admin
                 APPEND PROPERTY INTERFACE_LINK_DIRECTORIES
                 $<$<CONFIG:Release>:${camunda_admin_LIB_DIRS_RELEASE}>)
    set_property(TARGET camunda_admin::camunda_admin
                 APPEND PROPERTY INTERFACE_COMPILE_DEFINITIONS
                 $<$<CONFIG:Release>:${camunda_admin_COMPILE_DEFINITIONS_RELEASE}>)
    set_property(TARGET camunda_admin::camunda_admin
                 APPEND PROPERTY INTERFACE_COMPILE_OPTIONS
                 $<$<CONFIG:Release>:${camunda_admin_COMPILE_OPTIONS_RELEASE}>)

########## For the modules (FindXXX)
set(camunda_admin_LIBRARIES_RELEASE camunda_admin::camunda_admin)
