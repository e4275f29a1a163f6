"""``slicer.app``."""

from __future__ import annotations

import tempfile
from pathlib import Path

import slicer
from PySide6 import QtCore, QtWidgets

from host.io_manager import qSlicerCoreIOManager
from host.layout_manager import qSlicerLayoutManager
from host.module_manager import qSlicerModuleManager
from host.signals import HostSignal


class CommandOptions:
    runPythonAndExit = True


class qSlicerApplication(QtWidgets.QApplication):
    startupCompleted = HostSignal("startupCompleted", ["startupCompleted()"])

    def __init__(self, arguments: list[str], testing: bool) -> None:
        super().__init__(arguments)
        self._hTesting, self._hStatus, self._hOptions = testing, None, CommandOptions()
        self._hFolder = tempfile.TemporaryDirectory(prefix="slicer-host-", ignore_cleanup_errors=True)
        self._hIni = str(Path(self._hFolder.name) / "settings.ini")
        QtCore.QSettings.setDefaultFormat(QtCore.QSettings.IniFormat)
        QtCore.QSettings.setPath(QtCore.QSettings.IniFormat, QtCore.QSettings.UserScope, self._hFolder.name)
        self.setOrganizationName("NA-MIC")
        self.setApplicationName("Slicer")
        self.setApplicationVersion("5.12.4")
        self.setQuitOnLastWindowClosed(False)
        self._hScene = slicer.vtkMRMLScene()
        self._hLogic = slicer.vtkSlicerApplicationLogic()
        self._hLogic.SetTemporaryPath(self.temporaryPath)
        self._hLogic.SetHomeDirectory(self._hFolder.name)
        (Path(self._hFolder.name) / "share" / "ColorFiles").mkdir(parents=True)
        self._hLogic.SetShareDirectory("share")
        self._hLogic.SetMRMLScene(self._hScene)
        self._hModules = qSlicerModuleManager()
        self._hIo = qSlicerCoreIOManager(self)
        self._hLayout = None

    # ---- properties

    temporaryPath = property(lambda self: str(Path(self._hFolder.name) / "temp"))
    slicerHome = property(lambda self: str(Path(slicer.__file__).parent))
    majorVersion = property(lambda self: 5)
    minorVersion = property(lambda self: 12)
    mainApplicationName = property(lambda self: "Slicer")

    # ---- methods

    def mrmlScene(self):
        return self._hScene

    def applicationLogic(self):
        return self._hLogic

    def moduleManager(self) -> qSlicerModuleManager:
        return self._hModules

    def coreIOManager(self) -> qSlicerCoreIOManager:
        return self._hIo

    ioManager = coreIOManager

    def layoutManager(self):
        return self._hLayout

    def commandOptions(self) -> CommandOptions:
        return self._hOptions

    def testingEnabled(self) -> bool:
        return self._hTesting

    def userSettings(self) -> QtCore.QSettings:
        return QtCore.QSettings()

    settings = userSettings

    def translate(self, _context: str, text: str) -> str:
        return text

    def exit(self, status: int = 0) -> None:
        """Leaves once the script that is running is through, with this status."""
        self._hStatus = status
        QtWidgets.QApplication.exit(status)

    def setRenderPaused(self, paused: bool) -> None:
        (self.pauseRender if paused else self.resumeRender)()

    def pauseRender(self) -> None:
        self._hLogic.PauseRender()

    def resumeRender(self) -> None:
        self._hLogic.ResumeRender()

    def _hSetUp(self) -> None:
        Path(self.temporaryPath).mkdir()
        self._hLayout = qSlicerLayoutManager(self)
        self._hLayout.setMRMLScene(self._hScene)
