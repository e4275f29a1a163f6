"""Puts the stand-in together: ``qt`` and ``ctk``, ``slicer`` with application, scene, modules and window."""

from __future__ import annotations

import logging
import os
import sys
from pathlib import Path
from types import ModuleType

LOGICS = {  # module: its logic in slicer-core
    "Colors": "vtkSlicerColorLogic",
    "Models": "vtkSlicerModelsLogic",
    "Segmentations": "vtkSlicerSegmentationsModuleLogic",
    "SubjectHierarchy": "vtkSlicerSubjectHierarchyModuleLogic",
    "Tables": "vtkSlicerTablesLogic",
    "Texts": "vtkSlicerTextsLogic",
    "Transforms": "vtkSlicerTransformLogic",
    "Units": "vtkSlicerUnitsLogic",
    "Volumes": "vtkSlicerVolumesLogic",
}


def startHost(arguments: list[str], modulePaths: list[Path], testing: bool, mainWindow: bool):
    """``slicer.app``; from then on ``import slicer, qt, ctk, vtk`` work as in the application's own Python."""
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    os.environ["PYSIDE6_OPTION_PYTHON_ENUM"] = "2"  # enums are ints, as PythonQt's are
    logging.basicConfig(level=logging.INFO, format="%(message)s")

    from host import failures, pythonqt

    failures.install()
    pythonqt.install()
    import slicer

    _removeLeaks(slicer)
    _installWidgets(slicer)
    from host.application import qSlicerApplication

    app = qSlicerApplication(arguments, testing)
    slicer.app = app
    slicer.mrmlScene = app.mrmlScene()
    slicer.modules = _module("slicer.modules")
    slicer.moduleNames = _module("slicer.moduleNames")
    slicer.selfTests = {}
    _installModules(slicer)
    app._hSetUp()
    for name, logic in LOGICS.items():
        app.moduleManager()._hAddLogic(name, getattr(slicer, logic)())
    if mainWindow:
        from host.main_window import qSlicerMainWindow

        app._hWindow = qSlicerMainWindow()
        app._hWindow.show()
    for folder in modulePaths:
        for file in sorted(folder.glob("*.py")):
            app.moduleManager()._hAddScripted(file)
    app.startupCompleted.emit()
    app.processEvents()
    return app


def _module(name: str) -> ModuleType:
    module = ModuleType(name)
    sys.modules[name] = module
    return module


def _removeLeaks(slicer) -> None:
    """slicer-core's package puts all of slicer.util beside the classes; Slicer does not."""
    for name in [name for name in vars(slicer) if not name.startswith(("_", "vtk")) and name != "util"]:
        delattr(slicer, name)


def _installWidgets(slicer) -> None:
    import qt

    from host import ctk_values, ctk_widgets, members, mrml_widgets, ui_loader

    ctk = _module("ctk")
    for name in members.CTK:
        setattr(ctk, name, getattr(ctk_widgets, name, None) or getattr(ctk_values, name))
    for name in members.SLICER:
        if hasattr(mrml_widgets, name):
            setattr(slicer, name, getattr(mrml_widgets, name))
    ui_loader.QUiLoader.classes = {
        name: getattr(holder, name)
        for holder, table in ((ctk, members.CTK), (slicer, members.SLICER))
        for name in table
        if hasattr(holder, name)
    }
    qt.QUiLoader = ui_loader.QUiLoader


def _installModules(slicer) -> None:
    from host import i18n, module_manager, packaging, scripted_module

    slicer.qSlicerScriptedLoadableModule = module_manager.qSlicerScriptedLoadableModule
    slicer.qSlicerScriptedLoadableModuleWidget = module_manager.qSlicerScriptedLoadableModuleWidget
    for name, module in (("ScriptedLoadableModule", scripted_module), ("i18n", i18n), ("packaging", packaging)):
        setattr(slicer, name, module)
        sys.modules[f"slicer.{name}"] = module
    from host import parameter_node

    slicer.parameterNodeWrapper = parameter_node
    sys.modules["slicer.parameterNodeWrapper"] = parameter_node
