"""The synthetic patient: two scans, made on this computer by the library; in Slicer's Sample Data and by "Try it"."""

from collections.abc import Callable
from pathlib import Path

import qt
import slicer
from slicer.i18n import tr as _

from LungNoduleCADSlicer.AnalysisRunner import AnalysisRunner
from LungNoduleCADSlicer.DependencyInstaller import DependencyInstaller, explain
from LungNoduleCADSlicer.ScanSources import ScanSources
from LungNoduleCADSlicer.Signals import connect

CATEGORY = "Lung Nodule CAD"
BASELINE, FOLLOW_UP = "baseline", "follow-up"


def cacheFolder() -> Path:
    return Path(slicer.app.cachePath)


def phantomFolder() -> Path:
    """Where the scans are kept once made."""
    return cacheFolder() / "LungNoduleCAD" / "phantom"


def phantomArguments() -> list[str]:
    """The command line after ``LungNoduleCADLib``; where the scans are there already it ends at once."""
    return ["phantom", "-o", str(phantomFolder()), "--progress", "jsonl"]


def register(icons: Path) -> None:
    """Put both scans into Slicer's Sample Data; ``icons`` is the folder of the thumbnails."""
    try:
        from SampleData import SampleDataLogic
    except ImportError:
        return  # that module of Slicer can be switched off

    downloader = SampleDownloader()
    for name, scan in ((_("Phantom baseline"), BASELINE), (_("Phantom follow-up"), FOLLOW_UP)):
        SampleDataLogic.registerCustomSampleDataSource(
            category=CATEGORY,
            sampleName=name,
            uris=f"generated:{scan}",  # no address: there is nothing to download
            fileNames=scan,
            nodeNames=name,
            customDownloader=downloader.onSampleChosen,
            thumbnailFileName=str(icons / f"phantom-{scan}.png"),
        )


class SampleDownloader:
    """Makes a scan when it is chosen in Sample Data, and loads it; Slicer stays alive meanwhile."""

    def __init__(self, runner=None, sources: ScanSources | None = None, installer=None) -> None:
        self._runner, self._sources = runner or AnalysisRunner(), sources or ScanSources()
        self._installer = installer
        self._wanted: list[str] = []
        self._dialog = None
        self._stop: Callable[[], None] = lambda: None

    def onSampleChosen(self, source) -> None:
        """``source`` is Sample Data's record of the scan."""
        missing = (self._installer or DependencyInstaller()).missing()
        if missing:
            slicer.util.infoDisplay(explain(missing), windowTitle=CATEGORY)
            slicer.util.selectModule("LungNoduleCAD")
            return
        self._wanted.append(source.fileNames[0])
        if len(self._wanted) == 1:
            self._openDialog()
            self._stop = self._runner.cancel
            self._runner.listener = self
            self._runner.start(phantomArguments())

    # ---- what the runner says

    def onProgress(self, stage: str, fraction: float, message: str) -> None:
        self._dialog.labelText = message or stage
        self._dialog.setValue(round(100 * fraction))

    def onResult(self, folder: Path) -> None:
        self._stop = self._sources.loadFolder(folder / self._wanted[0], self._onLoaded, self.onError)

    def onError(self, message: str, details: str) -> None:
        self._end()
        slicer.util.errorDisplay(message, windowTitle=CATEGORY, detailedText=details)

    def onCancelled(self) -> None:
        self._end()

    def _onLoaded(self, node) -> None:
        slicer.util.setSliceViewerLayers(background=node, fit=True)
        self._wanted.pop(0)
        if self._wanted:
            self.onResult(phantomFolder())
        else:
            self._end()

    def _onCancel(self) -> None:
        self._wanted.clear()
        self._stop()
        if not self._runner.running:
            self._end()

    def _openDialog(self) -> None:
        parent = slicer.util.mainWindow()
        self._dialog = qt.QProgressDialog(_("Making the synthetic patient …"), _("Cancel"), 0, 100, parent)
        self._dialog.windowTitle = CATEGORY
        self._dialog.minimumDuration = 0
        self._dialog.autoReset = self._dialog.autoClose = False
        connect(self._dialog, "canceled()", self._onCancel)
        self._dialog.show()

    def _end(self) -> None:
        self._wanted.clear()
        if self._dialog is not None:
            self._dialog.blockSignals(True)  # closing it would cancel
            self._dialog.close()
            self._dialog.deleteLater()
            self._dialog = None
