"""The tab for opening and analyzing: scan and prior, device, missing packages, one button, and what comes of it."""

import shutil
import tempfile
import time
import traceback
from dataclasses import dataclass
from pathlib import Path

import qt
import slicer
from slicer.i18n import tr as _
from slicer.util import VTKObservationMixin

from LungNoduleCADSlicer.Activity import Activity
from LungNoduleCADSlicer.AnalysisRunner import analysisArguments
from LungNoduleCADSlicer.DependencyInstaller import RADIOMICS, explain
from LungNoduleCADSlicer.DeviceChooser import DeviceChooser
from LungNoduleCADSlicer.Parameters import Binding
from LungNoduleCADSlicer.ScanChooser import ScanChooser
from LungNoduleCADSlicer.ScanPair import aboutThese, whyNotThese
from LungNoduleCADSlicer.Signals import connect

SETTLE_MILLISECONDS = 200  # a volume that comes into the scene gets its data and attributes in this time
MESSAGE_MILLISECONDS = 10_000


@dataclass(frozen=True)
class Results:
    """What an analysis left, and the volumes that were analyzed."""

    folder: Path
    scan: object
    prior: object


class StudyPanel(VTKObservationMixin):
    """``ui`` holds the widgets of StudyPanel.ui."""

    def __init__(self, ui, reading, collaborators) -> None:
        VTKObservationMixin.__init__(self)
        self.ui, self.reading = ui, reading
        self.installer, self.sources, self.loader = collaborators.installer, collaborators.sources, collaborators.loader
        self.parameters = None
        self.binding = Binding({"scan": ui.scanSelector, "prior": ui.priorSelector})
        self._missing: list[str] = []
        self._waiting: Results | None = None
        self.devices = DeviceChooser(ui.deviceSelector, self.sources.start, self.onDeviceChosen)
        self.activity = Activity(ui, collaborators.runner, self.update)
        self.chooser = ScanChooser(ui, self.sources, collaborators.views, self.activity, self.update)
        self._settling = qt.QTimer()
        self._settling.setSingleShot(True)
        self._settling.setInterval(SETTLE_MILLISECONDS)
        connect(self._settling, "timeout()", self.chooser.chooseByItself)
        for widget, signal, slot in (
            (ui.resultsFolderEdit, "currentPathChanged(QString)", self.onResultsFolderChanged),
            (ui.installButton, "clicked(bool)", self.onInstall),
            (ui.radiomicsButton, "clicked(bool)", self.onInstallRadiomics),
            (ui.analyzeButton, "clicked(bool)", self.onAnalyze),
            (ui.openResultsButton, "clicked(bool)", self.onOpenResults),
        ):
            connect(widget, signal, slot)
        ui.missingFrame.visible = False
        self.update()

    # ---- state

    def setParameters(self, parameters) -> None:
        """Show the scene's parameters; None lets go of them."""
        if self.parameters is not None:
            self.removeObservers()
            self._settling.stop()
        self.parameters = parameters
        self.binding.setParameters(parameters)
        if parameters is None:
            return
        self.devices.choose(parameters.device)
        self.ui.resultsFolderEdit.currentPath = parameters.resultsFolder or defaultResultsFolder()
        for event in (slicer.vtkMRMLScene.NodeAddedEvent, slicer.vtkMRMLScene.NodeRemovedEvent):
            self.addObserver(slicer.mrmlScene, event, self.onSceneChanged)
        self.lookForPackages()
        self.chooser.chooseByItself()
        if self._waiting is not None:
            results, self._waiting = self._waiting, None
            self.open(results)

    def close(self) -> None:
        self._settling.stop()
        self.devices.close()
        self.activity.close()

    def update(self) -> None:
        """Enabled state, tooltips and the note follow what is chosen and what is under way."""
        busy = _("Something is under way: wait, or cancel it") if self.activity.busy else ""
        obstacle = busy or (_("Install the missing packages first") if self._missing else "")
        scan, prior = self.chooser.scan, self.chooser.prior
        problem = whyNotThese(scan, prior)
        self.chooser.update(obstacle)
        self.ui.analyzeButton.enabled = not (obstacle or problem)
        self.ui.analyzeButton.toolTip = (
            obstacle or problem or _("Find, measure and characterize the nodules of this scan")
        )
        for button in (self.ui.installButton, self.ui.radiomicsButton, self.ui.openResultsButton):
            button.enabled = not busy
        self.ui.noteLabel.text = problem or aboutThese(scan, prior)
        self.ui.noteLabel.visible = bool(self.ui.noteLabel.text)

    def onSceneChanged(self, caller, event) -> None:
        self._settling.start()

    # ---- settings

    def onDeviceChosen(self, device: str) -> None:
        if self.parameters is not None:
            self.parameters.device = device

    def onResultsFolderChanged(self, path: str) -> None:
        """The usual folder is kept as nothing, so that a scene finds that of another computer."""
        if self.parameters is not None:
            self.parameters.resultsFolder = "" if path == defaultResultsFolder() else path

    # ---- packages

    def lookForPackages(self) -> None:
        """Say what is missing, or else ask the library for the devices."""
        self._missing = self.installer.missing()
        self.ui.missingLabel.text = explain(self._missing) if self._missing else ""
        self.ui.missingFrame.visible = bool(self._missing)
        remark = self.installer.remark()
        self.ui.radiomicsButton.toolTip = remark
        self.ui.radiomicsButton.visible = bool(remark) and not self._missing
        if not self._missing:
            self.devices.ask()
        self.update()

    def onInstall(self, _clicked=False) -> None:
        self._install(self.installer.install)

    def onInstallRadiomics(self, _clicked=False) -> None:
        self._install(lambda: self.installer.installExtension(RADIOMICS))

    def _install(self, install) -> None:
        self.activity.clearFailure()
        try:
            install()
        except Exception as error:  # whatever pip or an extension raises: its reason is what the reader needs
            self.activity.fail(str(error), traceback.format_exc())
        self.lookForPackages()

    # ---- analyzing

    def onAnalyze(self, _clicked=False) -> None:
        scan, prior = self.chooser.scan, self.chooser.prior
        work = tempfile.TemporaryDirectory(prefix="LungNoduleCAD-", ignore_cleanup_errors=True)
        results = newResultsFolder(Path(self.ui.resultsFolderEdit.currentPath or defaultResultsFolder()))

        def tidyUp() -> None:
            work.cleanup()
            removeUnfinished(results)

        try:
            arguments = self._arguments(scan, prior, results, Path(work.name))
        except (OSError, RuntimeError) as error:
            tidyUp()
            self.activity.fail(str(error), traceback.format_exc())
        else:
            self.activity.run(
                arguments, _("Starting …"), lambda folder: self.onAnalyzed(Results(folder, scan, prior)), tidyUp
            )

    def _arguments(self, scan, prior, results: Path, work: Path) -> list[str]:
        """The command line; ``work`` takes files made for it."""
        nodes = {"scan": scan, "prior": prior}
        files = {role: self.sources.exportScan(node, work / role) for role, node in nodes.items() if node is not None}
        # a DICOM folder says its date itself
        dates = {role: self.sources.studyDate(nodes[role]) for role, file in files.items() if file.is_file()}
        return analysisArguments(
            files["scan"],
            results,
            files.get("prior", ""),
            self.devices.chosen,
            dates.get("scan", ""),
            dates.get("prior", ""),
        )

    def onAnalyzed(self, results: Results) -> None:
        """While the module is not shown its results wait: the scene is left as the reader works with it."""
        if self.parameters is None:
            self._waiting = results
            message = _("Lung Nodule CAD has finished: its results wait in the module")
            slicer.util.showStatusMessage(message, MESSAGE_MILLISECONDS)
        else:
            self.open(results)

    def onOpenResults(self, _clicked=False) -> None:
        folder = self.chooser.askFolder(_("Results of an analysis"), self.ui.resultsFolderEdit.currentPath)
        if not folder:
            return
        if (Path(folder) / "findings.json").is_file():
            self.open(Results(Path(folder), None, None))
        else:
            self.activity.fail(_("{folder} holds no results of an analysis (no findings.json)").format(folder=folder))

    def open(self, results: Results) -> None:
        """Load results into the scene and read them; what was read before stays in the scene."""
        self.activity.clearFailure()
        nodes = (results.scan, results.prior)
        scan, prior = (node if node is not None and node.GetScene() is not None else None for node in nodes)
        try:
            with slicer.util.WaitCursor():
                study = self.loader.load(results.folder, scan, prior)
        except Exception as error:  # damaged results come in many forms
            message = _("The results in {folder} could not be shown: {reason}")
            self.activity.fail(message.format(folder=results.folder, reason=error), traceback.format_exc())
        else:
            self.reading.open(study)


def defaultResultsFolder() -> str:
    """Beside the reader's scenes, so that results last as long as these."""
    return str(Path(slicer.app.defaultScenePath) / "LungNoduleCAD")


def newResultsFolder(parent: Path) -> Path:
    """A name that is not taken; the library makes the folder when it has something to put there."""
    name = time.strftime("analysis-%Y%m%d-%H%M%S")
    taken = sum(1 for _folder in parent.glob(f"{name}*"))
    return parent / (f"{name}-{taken + 1}" if taken else name)


def removeUnfinished(results: Path) -> None:
    """What a process that had to be killed left beside the place of its results."""
    for folder in results.parent.glob(f".{results.name}.*.partial"):
        shutil.rmtree(folder, ignore_errors=True)
