"""Opening: a loaded volume, Slicer's DICOM browser, a folder, the synthetic patient; and the prior to compare with."""

import traceback
from collections.abc import Callable
from pathlib import Path

import qt
import slicer
from slicer.i18n import tr as _

from LungNoduleCADSlicer.Activity import Activity
from LungNoduleCADSlicer.Samples import BASELINE, FOLLOW_UP, phantomArguments
from LungNoduleCADSlicer.ScanPair import areSwapped, whyNotThese
from LungNoduleCADSlicer.ScanSources import PriorOffer, ScanSources
from LungNoduleCADSlicer.Signals import connect


class ScanChooser:
    """``ui`` holds the widgets of StudyPanel.ui; ``onChanged`` is called when another scan or prior is chosen.

    ``askFolder(title, start)`` answers a folder, or an empty text.
    """

    def __init__(self, ui, sources: ScanSources, views, activity: Activity, onChanged: Callable[[], None]) -> None:
        self.ui, self.sources, self.views, self.activity = ui, sources, views, activity
        self.askFolder = askFolder
        self._onChanged = onChanged
        self._offer: PriorOffer | None = None
        for widget, signal, slot in (
            (ui.dicomButton, "clicked(bool)", self.onDicom),
            (ui.folderButton, "clicked(bool)", self.onFolder),
            (ui.tryButton, "clicked(bool)", self.onTry),
            (ui.scanSelector, "currentNodeChanged(vtkMRMLNode*)", self.onScansChanged),
            (ui.priorSelector, "currentNodeChanged(vtkMRMLNode*)", self.onScansChanged),
            (ui.offerButton, "clicked(bool)", self.onOffer),
            (ui.swapButton, "clicked(bool)", self.onSwap),
        ):
            connect(widget, signal, slot)

    @property
    def scan(self):
        """The volume to analyze, or None."""
        return self.ui.scanSelector.currentNode()

    @property
    def prior(self):
        """The earlier volume to compare with, or None."""
        return self.ui.priorSelector.currentNode()

    def update(self, obstacle: str) -> None:
        """``obstacle`` says why nothing can be loaded now; empty where it can."""
        for button, toolTip in (
            (self.ui.folderButton, _("Load the best chest CT of a DICOM folder; the DICOM database is left alone")),
            (self.ui.tryButton, _("Make a synthetic patient's two scans on this computer and choose them")),
        ):
            button.enabled, button.toolTip = not obstacle, obstacle or toolTip
        self.ui.swapButton.visible = areSwapped(self.scan, self.prior)
        self.ui.offerButton.visible = self._offer is not None

    # ---- by itself

    def chooseByItself(self) -> None:
        """The newest chest CT where none is chosen, and the offer of a prior."""
        newest = self.sources.newestScan() if self.scan is None else None
        if newest is not None:
            self.ui.scanSelector.setCurrentNode(newest)  # calls onScansChanged
        else:
            self.onScansChanged()

    def onScansChanged(self, _node=None) -> None:
        offers = self.sources.priorOffers(self.scan) if self.scan is not None and self.prior is None else []
        self._offer = offers[0] if offers else None
        self.ui.offerButton.text = self._offer.label if self._offer is not None else ""
        self._onChanged()

    # ---- by a click

    def onOffer(self, _clicked=False) -> None:
        offer = self._offer
        if offer is None:
            return
        try:
            prior = offer.node
            if prior is None:
                with slicer.util.WaitCursor():
                    prior = self.sources.loadSeries(offer.seriesUid)
        except RuntimeError as error:
            self.activity.fail(str(error), traceback.format_exc())
        else:
            self.ui.priorSelector.setCurrentNode(prior)
            self.views.showScan(self.scan)

    def onSwap(self, _clicked=False) -> None:
        scan, prior = self.scan, self.prior
        self.ui.priorSelector.setCurrentNode(scan)
        self.ui.scanSelector.setCurrentNode(prior)

    def onDicom(self, _clicked=False) -> None:
        slicer.util.selectModule("DICOM")

    def onFolder(self, _clicked=False) -> None:
        folder = self.askFolder(_("DICOM folder with a chest CT"), "")
        if folder:
            self._load(Path(folder), self._choose)

    def onTry(self, _clicked=False) -> None:
        """Both scans of the synthetic patient, made where they are not there yet."""

        def loadBaseline(folder: Path) -> None:
            self._load(folder / BASELINE, lambda prior: loadFollowUp(folder, prior))

        def loadFollowUp(folder: Path, prior) -> None:
            self._load(folder / FOLLOW_UP, lambda scan: choose(scan, prior))

        def choose(scan, prior) -> None:
            self.ui.priorSelector.setCurrentNode(prior)
            self._choose(scan)

        self.activity.run(phantomArguments(), _("Making the synthetic patient …"), loadBaseline)

    def _choose(self, scan) -> None:
        """A scan that was just loaded; a prior that does not fit it is let go."""
        self.activity.end()
        if whyNotThese(scan, self.prior):
            self.ui.priorSelector.setCurrentNode(None)
        self.ui.scanSelector.setCurrentNode(scan)
        self.views.showScan(scan)

    def _load(self, folder: Path, onLoaded: Callable) -> None:
        def cancel() -> None:
            stop()
            self.activity.end()

        self.activity.begin(_("Looking through {folder} …").format(folder=folder.name), cancel)
        stop = self.sources.loadFolder(folder, onLoaded, self.activity.fail)


def askFolder(title: str, start: str) -> str:
    return qt.QFileDialog.getExistingDirectory(slicer.util.mainWindow(), title, start)
