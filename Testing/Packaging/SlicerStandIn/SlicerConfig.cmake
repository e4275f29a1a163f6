# Stands in for Slicer's build system where Slicer is not installed: configure with -DSlicer_DIR=<this folder>.
#
# Written for this project from Slicer's documentation, of what our CMake lists call and no more. The tree that it
# installs is the one that Slicer installs on Linux and Windows, but for byte code and the extension's description file.
set(Slicer_USE_FILE "${CMAKE_CURRENT_LIST_DIR}/UseSlicer.cmake")
set(Slicer_EXTENSION_GENERATE_CONFIG "${CMAKE_CURRENT_LIST_DIR}/ExtensionConfig.cmake")
set(Slicer_EXTENSION_CPACK "${CMAKE_CURRENT_LIST_DIR}/ExtensionCPack.cmake")

set(Slicer_QTSCRIPTEDMODULES_LIB_DIR "lib/Slicer-5.12/qt-scripted-modules")
set(Slicer_INSTALL_QTSCRIPTEDMODULES_LIB_DIR "${Slicer_QTSCRIPTEDMODULES_LIB_DIR}")

# What runs the module's tests in ctest: the host of Testing/Slicer takes Slicer's own command line.
find_package(Python3 REQUIRED COMPONENTS Interpreter)
set(Slicer_LAUNCHER_EXECUTABLE ${Python3_EXECUTABLE} "${CMAKE_SOURCE_DIR}/Testing/Slicer/run_in_host.py")
