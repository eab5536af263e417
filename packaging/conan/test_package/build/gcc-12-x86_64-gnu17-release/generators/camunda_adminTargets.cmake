# Load the debug and release variables
file(GLOB DATA_FILES "${CMAKE_CURRENT_LIST_DIR}/camunda_admin-*-data.cmake")

foreach(f ${DATA_FILES})
    include(${f})
endforeach()

# Create the targets for all the components
foreach(_COMPONENT ${camunda_admin_COMPONENT_NAMES} )
    if(NOT TARGET ${_COMPONENT})
        add_library(${_COMPONENT} INTERFACE IMPORTED)
        message(${camunda_admin_MESSAGE_MODE} "Conan: Component target declared '${_COMPONENT}'")
    endif()
endforeach()

if(NOT TARGET camunda_admin::camunda_admin)
    add_library(camunda_admin::camunda_admin INTERFACE IMPORTED)
    message(${camunda_admin_MESSAGE_MODE} "Conan: Target declared 'camunda_admin::camunda_admin'")
endif()
# Load the debug and release library finders
file(GLOB CONFIG_FILES "${CMAKE_CURRENT_LIST_DIR}/camunda_admin-Target-*.cmake")

foreach(f ${CONFIG_FILES})
    include(${f})
endforeach()