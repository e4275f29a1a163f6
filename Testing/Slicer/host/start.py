"""Puts the stand-in together: ``qt`` and ``ctk``, ``slicer`` with application, scene, modules and window."""

from __future__ import annotations

import logging
import os
import sys
from pathlib import Path
from types import ModuleType

SLICER_MODULES = Path(__file__).resolve().parent / "slicer_modules"
LOGICS = {  # module: its logic in slicer-core
    "Cameras": "vtkSlicerCamerasModuleLogic",
    "Colors": "vtkSlicerColorLogic",
    "CropVolume": "vtkSlicerCropVolumeLogic",
    "Data": "vtkSlicerDataModuleLogic",
    "Markups": "vtkSlicerMarkupsLogic",
    "Models": "vtkSlicerModelsLogic",
    "Plots": "vtkSlicerPlotsLogic",
    "Reformat": "vtkSlicerReformatLogic",
    "SceneViews": "vtkSlicerSceneViewsModuleLogic",
    "Segmentations": "vtkSlicerSegmentationsModuleLogic",
    "Sequences": "vtkSlicerSequencesLogic",
    "SubjectHierarchy": "vtkSlicerSubjectHierarchyModuleLogic",
    "Tables": "vtkSlicerTablesLogic",
    "Texts": "vtkSlicerTextsLogic",
    "Transforms": "vtkSlicerTransformLogic",
    "Units": "vtkSlicerUnitsLogic",
    "ViewControllers": "vtkSlicerViewControllersLogic",
    "VolumeRendering": "vtkSlicerVolumeRenderingLogic",
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
    from host import dialogs, palettes
    from host.application import qSlicerApplication
    from host.subject_hierarchy import SubjectHierarchyKeeper

    app = qSlicerApplication(arguments, testing, mainWindow)
    palettes.apply(dark=False)
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
    app._hHierarchy = SubjectHierarchyKeeper(app.mrmlScene())
    app._hModalWatch = dialogs.ModalWatch()
    _openDicomDatabase(slicer)
    for folder in (SLICER_MODULES, *modulePaths):
        for file in sorted(folder.glob("*.py")):
            app.moduleManager()._hAddScripted(file)
    app.startupCompleted.emit()
    app.processEvents()
    return app


def _openDicomDatabase(slicer) -> None:
    folder = Path(slicer.app.temporaryPath) / "SlicerDICOMDatabase"
    folder.mkdir()
    import ctk

    slicer.dicomDatabase = ctk.ctkDICOMDatabase()
    slicer.dicomDatabase.openDatabase(str(folder / "ctkDICOM.sql"))


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

    from host import (
        application,
        ctk_values,
        ctk_widgets,
        dicom_database,
        io_manager,
        layout_manager,
        main_window,
        members,
        module_manager,
        mrml_widgets,
        segment_widgets,
        ui_loader,
        view_widgets,
    )

    sources = (ctk_values, ctk_widgets, dicom_database, mrml_widgets, segment_widgets, view_widgets, layout_manager,
               application, io_manager, main_window, module_manager)  # fmt: skip
    ctk = _module("ctk")
    for holder, table in ((ctk, members.CTK), (slicer, members.SLICER)):
        for name in table:
            setattr(holder, name, next(getattr(source, name) for source in sources if hasattr(source, name)))
    widgets = {name: getattr(ctk, name) for name in members.CTK} | {
        name: getattr(slicer, name) for name in members.SLICER
    }
    ui_loader.QUiLoader.classes = {name: kind for name, kind in widgets.items() if issubclass(kind, qt.QWidget)}
    qt.QUiLoader = ui_loader.QUiLoader


def _installModules(slicer) -> None:
    from host import i18n, packaging, scripted_module

    for name, module in (("ScriptedLoadableModule", scripted_module), ("i18n", i18n), ("packaging", packaging)):
        setattr(slicer, name, module)
        sys.modules[f"slicer.{name}"] = module
    from host import parameter_node

    slicer.parameterNodeWrapper = parameter_node
    sys.modules["slicer.parameterNodeWrapper"] = parameter_node
