"""Modules as in Slicer: loaded from a file, their widget made when they are selected for the first time."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import slicer
from PySide6 import QtCore, QtWidgets

from host import failures
from host.members import SLICER
from host.mrml_widgets import qMRMLWidget
from host.offering import offered


@offered(SLICER)
class qSlicerScriptedLoadableModule(QtCore.QObject):
    """What ``<Name>(parent)`` gets; the texts are set by the module's constructor."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._hPath, self._hWidget = str(path), None

    name = property(lambda self: Path(self._hPath).stem)
    path = property(lambda self: self._hPath)

    def widgetRepresentation(self):
        if self._hWidget is None:
            self._hWidget = qSlicerScriptedLoadableModuleWidget(self.name, self._hPath)
            self._hWidget._hBuild()
        return self._hWidget

    def createNewWidgetRepresentation(self):
        widget = qSlicerScriptedLoadableModuleWidget(self.name, self._hPath)
        widget._hBuild()
        return widget


@offered(SLICER)
class qSlicerScriptedLoadableModuleWidget(qMRMLWidget):
    """The frame around ``<Name>Widget``."""

    def __init__(self, moduleName: str, path: str) -> None:
        super().__init__()
        self._hModule, self._hPath, self._hPython, self._hEntered = moduleName, path, None, False
        QtWidgets.QVBoxLayout(self)
        self.setMRMLScene(slicer.mrmlScene)

    isEntered = property(lambda self: self._hEntered)

    def _hBuild(self) -> None:
        kind = getattr(sys.modules[self._hModule], f"{self._hModule}Widget")
        self._hPython = kind(self)
        setattr(slicer.modules, f"{self._hModule}Widget", self._hPython)
        self._hCall("setup")

    def _hCall(self, method: str) -> None:
        """As C++ calls Python: what it raises is printed and goes no further."""
        try:
            getattr(self._hPython, method, lambda: None)()
        except Exception as error:
            failures.record(error)

    def self(self):
        return self._hPython

    def reload(self) -> None:
        self._hBuild()

    def enter(self) -> None:
        self._hEntered = True
        self._hCall("enter")

    def exit(self) -> None:
        self._hEntered = False
        self._hCall("exit")


@offered(SLICER)
class qSlicerLoadableModule(QtCore.QObject):
    """A C++ module: here only its logic."""

    def __init__(self, name: str, logic) -> None:
        super().__init__()
        self._hName, self._hLogic = name, logic

    name = title = property(lambda self: self._hName)

    def logic(self):
        return self._hLogic


class FactoryManager:
    def __init__(self, manager) -> None:
        self._manager = manager

    def loadedModuleNames(self) -> tuple[str, ...]:
        return tuple(self._manager._hModules)


@offered(SLICER)
class qSlicerModuleManager(QtCore.QObject):
    def __init__(self) -> None:
        super().__init__()
        self._hModules: dict[str, QtCore.QObject] = {}

    def factoryManager(self) -> FactoryManager:
        return FactoryManager(self)

    def module(self, name: str):
        return self._hModules.get(name)

    def _hAdd(self, name: str, module) -> None:
        self._hModules[name] = module
        setattr(slicer.modules, name.lower(), module)
        setattr(slicer.moduleNames, name, name)
        self.moduleLoaded.emit(name)

    def _hAddLogic(self, name: str, logic) -> None:
        logic.SetMRMLApplicationLogic(slicer.app.applicationLogic())
        slicer.app.applicationLogic().SetModuleLogic(name, logic)
        logic.SetMRMLScene(slicer.mrmlScene)
        self._hAdd(name, qSlicerLoadableModule(name, logic))

    def _hAddScripted(self, file: Path) -> None:
        """Register one .py of a module folder, as Slicer does for each .py directly in it."""
        name = file.stem
        if str(file.parent) not in sys.path:
            sys.path.insert(0, str(file.parent))
        spec = importlib.util.spec_from_file_location(name, file)
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)
        parent = qSlicerScriptedLoadableModule(file)
        setattr(slicer.modules, f"{name}Instance", getattr(module, name)(parent))
        self._hAdd(name, parent)

    def _hUnloadAll(self) -> None:
        for name in reversed(list(self._hModules)):
            self.moduleAboutToBeUnloaded.emit(name)
