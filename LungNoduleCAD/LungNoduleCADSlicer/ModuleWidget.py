"""The panel: what the reader chooses, one button, and the table of what was found."""

import tempfile
import time
from pathlib import Path

import qt
import slicer
from slicer.i18n import tr as _

from LungNoduleCADSlicer.AnalysisRunner import analysisArguments
from LungNoduleCADSlicer.Parameters import whyNotReady
from LungNoduleCADSlicer.Signals import connect

RESEARCH_USE_ONLY = "Research use only. Not a medical device; not for diagnosis or treatment decisions."


class ModuleWidget:
    """Wires the widgets of LungNoduleCAD.ui to runner, scene, table and installer."""

    def __init__(self, ui, runner, scene, table, installer) -> None:
        self.ui, self.runner, self.scene, self.table, self.installer = ui, runner, scene, table, installer
        self.parameters = None
        self.results = None
        self._guiTag = None
        self._scanNode = None
        self._workFolder: tempfile.TemporaryDirectory | None = None
        runner.listener = self
        table.onSelected = self.onNoduleSelected
        ui.researchLabel.text = _(RESEARCH_USE_ONLY)
        ui.progressBar.setRange(0, 100)
        for widget, signal, slot in (
            (ui.scanSelector, "currentNodeChanged(vtkMRMLNode*)", self.onScanChosen),
            (ui.scanFolderEdit, "currentPathChanged(QString)", self.onScanFolderChosen),
            (ui.priorFolderEdit, "currentPathChanged(QString)", self.onPriorFolderChosen),
            (ui.resultsFolderEdit, "currentPathChanged(QString)", self.onResultsFolderChosen),
            (ui.analyzeButton, "clicked(bool)", self.onAnalyze),
            (ui.cancelButton, "clicked(bool)", self.onCancel),
            (ui.installButton, "clicked(bool)", self.onInstall),
            (ui.openResultsButton, "clicked(bool)", self.onOpenResults),
            (ui.reportButton, "clicked(bool)", self.onOpenReport),
            (ui.saliencyCheckBox, "toggled(bool)", self.onSaliencyToggled),
            (ui.surfacesCheckBox, "toggled(bool)", self.onSurfacesToggled),
        ):
            connect(widget, signal, slot)
        ui.installButton.visible = False
        self.clearResults()

    # ---- state

    def setParameters(self, parameters) -> None:
        """Show the scene's parameters; None lets go of them."""
        if self.parameters is not None:
            self.parameters.disconnectGui(self._guiTag)
        self.parameters = parameters
        if parameters is not None:
            self._guiTag = parameters.connectGui(self.ui)
            for edit, path in (
                (self.ui.scanFolderEdit, parameters.scanFolder),
                (self.ui.priorFolderEdit, parameters.priorFolder),
                (self.ui.resultsFolderEdit, parameters.resultsFolder),
            ):
                edit.currentPath = path
        self.updateButtons()

    def updateButtons(self) -> None:
        running = self.runner.running
        reason = _("An analysis is running") if running else whyNotReady(self.parameters)
        self.ui.analyzeButton.enabled = not reason
        self.ui.analyzeButton.toolTip = reason or _("Find, measure and characterize the nodules of this scan")
        self.ui.cancelButton.enabled = running
        self.ui.progressBar.visible = running
        self.ui.reportButton.enabled = self.results is not None and self.results.report.is_file()
        self.ui.saliencyCheckBox.enabled = self.results is not None and bool(self.results.saliency)
        self.ui.surfacesCheckBox.enabled = self.results is not None

    def clearResults(self) -> None:
        self.results = None
        self.table.show(None)
        self.ui.categoryLabel.text = _("No results yet")
        self.ui.flagsLabel.text = ""
        self.updateButtons()

    def close(self) -> None:
        self.runner.cancel()
        self.setParameters(None)

    # ---- choosing: a scan is a volume or a folder, the one chosen last

    def onScanChosen(self, node) -> None:
        if self.parameters is not None and node is not None:
            self.ui.scanFolderEdit.currentPath = ""
        self.updateButtons()

    def onScanFolderChosen(self, path) -> None:
        if self.parameters is not None:
            self.parameters.scanFolder = path
            if path:
                self.ui.scanSelector.setCurrentNode(None)
        self.updateButtons()

    def onPriorFolderChosen(self, path) -> None:
        if self.parameters is not None:
            self.parameters.priorFolder = path

    def onResultsFolderChosen(self, path) -> None:
        if self.parameters is not None:
            self.parameters.resultsFolder = path

    # ---- analyzing

    def onAnalyze(self, _clicked=False) -> None:
        with slicer.util.tryWithErrorDisplay(_("The analysis could not be started."), waitCursor=True):
            missing = self.installer.missing()
            self.ui.installButton.visible = bool(missing)
            if missing:
                self.ui.statusLabel.text = _("Python packages are missing: {names}").format(names=", ".join(missing))
                return
            self.ui.statusLabel.text = self.installer.remark()
            parameters = self.parameters
            self._scanNode = None if parameters.scanFolder else parameters.scan
            source, results = self._scanSource(), self._newResultsFolder()
            date = self.scene.studyDate(self._scanNode) if self._scanNode is not None else ""
            self.runner.start(analysisArguments(source, results, parameters.priorFolder, parameters.device, date))
            self.ui.progressBar.setValue(0)
        self.updateButtons()

    def onCancel(self, _clicked=False) -> None:
        self.ui.statusLabel.text = _("Stopping …")
        self.runner.cancel()

    def onInstall(self, _clicked=False) -> None:
        with slicer.util.tryWithErrorDisplay(_("The packages could not be installed.")):
            self.installer.install()
            self.ui.installButton.visible = bool(self.installer.missing())
            self.ui.statusLabel.text = ""

    def _scanSource(self) -> Path:
        if self._scanNode is None:
            return Path(self.parameters.scanFolder)
        self._workFolder = tempfile.TemporaryDirectory(prefix="LungNoduleCAD-")
        return self.scene.exportScan(self._scanNode, Path(self._workFolder.name))

    def _newResultsFolder(self) -> Path:
        parent = Path(self.parameters.resultsFolder or slicer.app.temporaryPath)
        return parent / time.strftime("LungNoduleCAD-%Y%m%d-%H%M%S")

    # ---- what the runner says

    def onProgress(self, stage: str, fraction: float, message: str) -> None:
        self.ui.progressBar.setValue(round(100 * fraction))
        self.ui.statusLabel.text = message or stage

    def onResult(self, folder: Path) -> None:
        self._endRun("")
        with slicer.util.tryWithErrorDisplay(_("The results could not be shown."), waitCursor=True):
            scan = self._scanNode
            results = self.scene.loadResults(folder)
            if scan is None and self.parameters is not None and self.parameters.scanFolder:
                scan = self.scene.loadDicomSeries(self.parameters.scanFolder, results.findings["series"]["series_uid"])
            if scan is not None:
                self.scene.showScan(scan)
            self.showResults(results)

    def onError(self, message: str, details: str) -> None:
        self._endRun(message)
        slicer.util.errorDisplay(message, windowTitle=_("Lung Nodule CAD"), detailedText=details)

    def onCancelled(self) -> None:
        self._endRun(_("Cancelled; nothing was written"))

    def _endRun(self, status: str) -> None:
        self.ui.statusLabel.text = status
        if self._workFolder is not None:
            self._workFolder.cleanup()
            self._workFolder = None
        self.updateButtons()

    # ---- reading

    def onOpenResults(self, _clicked=False) -> None:
        folder = qt.QFileDialog.getExistingDirectory(None, _("Results of an analysis"))
        if folder:
            with slicer.util.tryWithErrorDisplay(_("The results could not be shown."), waitCursor=True):
                self.showResults(self.scene.loadResults(Path(folder)))

    def showResults(self, results) -> None:
        self.results = results
        exam = results.findings["lung_rads"]
        self.ui.categoryLabel.text = (
            _("Lung-RADS {category}: {reason}").format(category=exam["category"], reason=exam["reason"])
            if exam
            else _("Lung-RADS was not assessed")
        )
        self.ui.flagsLabel.text = "\n".join(flag["message"] for flag in results.findings["quality_flags"])
        self.table.show(results.findings)
        self.ui.resultsButton.collapsed = False
        self.updateButtons()
        if self.table.rows:
            self.table.select(0)

    def onNoduleSelected(self, row) -> None:
        if row is not None:
            self.scene.jumpTo(row.centroidLps)
            self._showSaliency()

    def onSaliencyToggled(self, _checked) -> None:
        self._showSaliency()

    def _showSaliency(self) -> None:
        row = self.table.selected
        wanted = self.results is not None and self.ui.saliencyCheckBox.checked and row is not None
        self.scene.showSaliency(self.results.saliency.get(row.noduleId) if wanted else None)

    def onSurfacesToggled(self, checked) -> None:
        if self.results is not None:
            with slicer.util.tryWithErrorDisplay(_("The surfaces could not be made."), waitCursor=True):
                self.scene.showSurfaces(self.results.segmentation, checked)

    def onOpenReport(self, _clicked=False) -> None:
        qt.QDesktopServices.openUrl(qt.QUrl.fromLocalFile(str(self.results.report)))
