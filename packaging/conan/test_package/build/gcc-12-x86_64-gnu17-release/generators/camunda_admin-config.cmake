########## MACROS ###########################################################################
#############################################################################################

# Requires CMake > 3.15
if(${CMAKE_VERSION} VERSION_LESS "3.15")
    message(FATAL_ERROR "The 'CMakeDeps' generator only works with CMake >= 3.15")
endif()

if(camunda_admin_FIND_QUIETLY)
    set(camunda_admin_MESSAGE_MODE VERBOSE)
else()
    set(camunda_admin_MESSAGE_MODE STATUS)
endif()

include(${CMAKE_CURRENT_LIST_DIR}/cmakedeps_macros.cmake)
include(${CMAKE_CURRENT_LIST_DIR}/camunda_adminTargets.cmake)
include(CMakeFindDependencyMacro)

check_build_type_defined()

foreach(_DEPENDENCY ${camunda_admin_FIND_DEPENDENCY_NAMES} )
    # Check that we have not already called a find_package with the transitive dependency
    if(NOT ${_DEPENDENCY}_FOUND)
        find_dependency(${_DEPENDENCY} REQUIRED ${${_DEPENDENCY}_FIND_MODE})
    endif()
endforeach()

set(camunda_admin_VERSION_STRING "0.1.0")
set(camunda_admin_INCLUDE_DIRS ${camunda_admin_INCLUDE_DIRS_RELEASE} )
set(camunda_admin_INCLUDE_DIR ${camunda_admin_INCLUDE_DIRS_RELEASE} )
set(camunda_admin_LIBRARIES ${camunda_admin_LIBRARIES_RELEASE} )
set(camunda_admin_DEFINITIONS ${camunda_admin_DEFINITIONS_RELEASE} )


# Definition of extra CMake variables from cmake_extra_variables


# Only the last installed configuration BUILD_MODULES are included to avoid the collision
foreach(_BUILD_MODULE ${camunda_admin_BUILD_MODULES_PATHS_RELEASE} )
    message(${camunda_admin_MESSAGE_MODE} "Conan: Including build module from '${_BUILD_MODULE}'")
    include(${_BUILD_MODULE})
endforeach()


