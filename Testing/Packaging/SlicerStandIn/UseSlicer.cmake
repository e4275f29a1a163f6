# The functions that a scripted extension calls.
include(CTest)
set(EXTENSION_NAME ${PROJECT_NAME})

# Scripts and resources go to qt-scripted-modules (WITH_SUBDIR: to a folder there, named as the source folder), in the
# build tree at build time, and that whole folder is installed.
function(slicerMacroBuildScriptedModule)
  cmake_parse_arguments(PARSE_ARGV 0 MY "WITH_GENERIC_TESTS;WITH_SUBDIR" "NAME" "SCRIPTS;RESOURCES")
  if(MY_UNPARSED_ARGUMENTS OR NOT MY_NAME OR NOT MY_SCRIPTS)
    message(FATAL_ERROR "slicerMacroBuildScriptedModule needs NAME and SCRIPTS, not: ${MY_UNPARSED_ARGUMENTS}")
  endif()
  set(folder "${CMAKE_BINARY_DIR}/${Slicer_QTSCRIPTEDMODULES_LIB_DIR}")
  set(destination "${Slicer_INSTALL_QTSCRIPTEDMODULES_LIB_DIR}")
  if(MY_WITH_SUBDIR)
    get_filename_component(name "${CMAKE_CURRENT_SOURCE_DIR}" NAME)
    string(APPEND folder "/${name}")
    string(APPEND destination "/${name}")
  endif()
  set(copies)
  foreach(file IN LISTS MY_SCRIPTS MY_RESOURCES)
    set(source "${CMAKE_CURRENT_SOURCE_DIR}/${file}")
    if(NOT EXISTS "${source}")
      message(FATAL_ERROR "${MY_NAME} names a file that does not exist: ${source}")
    endif()
    add_custom_command(
      OUTPUT "${folder}/${file}"
      DEPENDS "${source}"
      COMMAND "${CMAKE_COMMAND}" -E copy "${source}" "${folder}/${file}"
      )
    list(APPEND copies "${folder}/${file}")
  endforeach()
  add_custom_target(Copy${MY_NAME} ALL DEPENDS ${copies})
  install(DIRECTORY "${folder}/" DESTINATION "${destination}")
endfunction()

# Runs the script's test class in ctest.
function(slicer_add_python_unittest)
  cmake_parse_arguments(PARSE_ARGV 0 MY "" "SCRIPT" "")
  get_filename_component(name "${MY_SCRIPT}" NAME_WE)
  add_test(
    NAME py_${name}
    COMMAND ${Slicer_LAUNCHER_EXECUTABLE} --no-splash --testing
      --additional-module-paths "${CMAKE_BINARY_DIR}/${Slicer_QTSCRIPTEDMODULES_LIB_DIR}"
      --python-code "import slicer.testing; slicer.testing.runUnitTest(['${CMAKE_CURRENT_SOURCE_DIR}'], '${name}')"
    )
endfunction()
