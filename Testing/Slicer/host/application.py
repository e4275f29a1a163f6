"""``slicer.app``."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import slicer
from PySide6 import QtCore, QtWidgets

from host.io_manager import qSlicerCoreIOManager
from host.layout_manager import qSlicerLayoutManager
from host.members import SLICER
from host.module_manager import qSlicerModuleManager
from host.offering import offered


class CommandOptions:
    """qSlicerCoreCommandOptions: the two options that slicer.util asks for."""

    runPythonAndExit = True

    def __init__(self, mainWindow: bool, testing: bool) -> None:
        self.noMainWindow, self.testingEnabled = not mainWindow, testing


@offered(SLICER)
class qSlicerApplication(QtWidgets.QApplication):
    def __init__(self, arguments: list[str], testing: bool, mainWindow: bool) -> None:
        super().__init__(arguments)
        self._hTesting, self._hStatus, self._hOptions = testing, None, CommandOptions(mainWindow, testing)
        self._hWindow = None
        self._hFolder = tempfile.TemporaryDirectory(prefix="slicer-host-", ignore_cleanup_errors=True)
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
        self._hScene.SetDataIOManager(self._hDataIo())
        self._hModules = qSlicerModuleManager()
        self._hIo = qSlicerCoreIOManager(self)
        self._hLayout = None

    # ---- properties

    temporaryPath = property(lambda self: str(Path(self._hFolder.name) / "temp"))
    cachePath = property(lambda self: str(Path(self._hFolder.name) / "cache"))
    extensionsInstallPath = property(lambda self: str(Path(self._hFolder.name) / "extensions"))
    slicerHome = property(lambda self: str(Path(slicer.__file__).parent))
    startupWorkingPath = property(lambda self: str(Path.cwd()))
    os = property(lambda self: {"win32": "win", "darwin": "macosx"}.get(sys.platform, "linux"))
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
        """None without a main window, as in Slicer."""
        return self._hLayout if self._hWindow is not None else None

    def commandOptions(self) -> CommandOptions:
        return self._hOptions

    def testingEnabled(self) -> bool:
        return self._hTesting

    def userSettings(self) -> QtCore.QSettings:
        return QtCore.QSettings()

    settings = revisionUserSettings = userSettings

    def moduleLogic(self, name: str):
        return self._hLogic.GetModuleLogic(name)

    def dicomDatabase(self):
        return slicer.dicomDatabase

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

    def _hDocuments(self) -> str:
        return str(Path(self._hFolder.name) / "documents")

    def _hDataIo(self):
        cache = slicer.vtkCacheManager()
        cache.SetRemoteCacheDirectory(self.cachePath)
        self._hScene.SetCacheManager(cache)
        manager = slicer.vtkDataIOManager()
        manager.SetCacheManager(cache)
        return manager

    def _hSetUp(self) -> None:
        for folder in (self.temporaryPath, self.cachePath, self.extensionsInstallPath, self._hDocuments()):
            Path(folder).mkdir(exist_ok=True)
        self.defaultScenePath = self._hDocuments()
        self._hLayout = qSlicerLayoutManager(self)
        self._hLayout.setMRMLScene(self._hScene)
