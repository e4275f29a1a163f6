"""Reading: the table of nodules, review by button and key, what is known of the chosen one, and what the views show."""

import slicer
from slicer.i18n import tr as _

from LungNoduleCADSlicer import NoduleWords
from LungNoduleCADSlicer.NoduleTable import NoduleTable
from LungNoduleCADSlicer.OperatingPoint import OperatingPoint
from LungNoduleCADSlicer.Parameters import Binding
from LungNoduleCADSlicer.Reading import Change
from LungNoduleCADSlicer.Saliency import whatItShows, whyNoMap
from LungNoduleCADSlicer.Signals import connect
from LungNoduleCADSlicer.Study import PRIOR_SEGMENTATION, SCAN, SEGMENTATION, Study


class ReadingPanel:
    """``ui`` holds the widgets of ReadingPanel.ui; the keys are the buttons', so they work while these are seen."""

    def __init__(self, ui, reading, corrections, views) -> None:
        self.ui, self.reading, self.corrections, self.views = ui, reading, corrections, views
        self._underway: set[str] = set()
        self.binding = Binding(
            {
                "showSaliency": ui.saliencyCheckBox,
                "saliencyOpacity": ui.saliencyOpacitySlider,
                "showSaliency3D": ui.saliency3DCheckBox,
                "showSurfaces": ui.surfacesCheckBox,
                "showLungs": ui.lungsCheckBox,
            }
        )
        self.table = NoduleTable(ui.noduleTable)
        self.table.onSelected = reading.select
        self.operatingPoint = OperatingPoint(ui, reading, corrections)
        for button, signal, slot in (
            (ui.previousButton, "clicked(bool)", lambda _checked: self.step(-1)),
            (ui.nextButton, "clicked(bool)", lambda _checked: self.step(1)),
            (ui.acceptButton, "clicked(bool)", lambda checked: self.review("accepted", checked)),
            (ui.rejectButton, "clicked(bool)", lambda checked: self.review("rejected", checked)),
            (ui.saliencyCheckBox, "toggled(bool)", self.showSaliency),
            (ui.saliency3DCheckBox, "toggled(bool)", self.showSaliency),
            (ui.saliencyOpacitySlider, "valueChanged(double)", self.showSaliency),
            (ui.surfacesCheckBox, "toggled(bool)", self.showSurfaces),
            (ui.lungsCheckBox, "toggled(bool)", self.showSurfaces),
        ):
            connect(button, signal, slot)
        reading.observe(self.onReadingChanged)
        self.update()

    def setParameters(self, parameters) -> None:
        """Show the scene's parameters; None lets go of them."""
        self.binding.setParameters(parameters)

    def close(self) -> None:
        self.operatingPoint.close()

    # ---- what the reader does

    def step(self, by: int) -> None:
        """The next (1) or previous (-1) nodule as the table shows them; it stops at the ends."""
        order = self.table.order
        if not order:
            return
        here = order.index(self.reading.selectedId) if self.reading.selectedId in order else -by
        self.reading.select(order[min(max(here + by, 0), len(order) - 1)])

    def review(self, mark: str, checked: bool) -> None:
        """Accept or reject the chosen nodule, or take that back; the next one that is not reviewed is chosen."""
        nodule = self.reading.selected
        if nodule is None:
            return
        noduleId = nodule["id"]
        if not self.corrections.busy:
            self._underway.clear()
        self._underway.add(noduleId)
        with slicer.util.tryWithErrorDisplay(_("The review could not be kept.")):
            self.corrections.send("review", nodule=noduleId, review=mark if checked else "unreviewed")
            if checked:
                self._selectNextUnreviewed(noduleId)
        self.showReview()

    def _selectNextUnreviewed(self, after: str) -> None:
        """Downward from a nodule and on from the top; where all are reviewed it stays chosen."""
        order = self.table.order
        here = order.index(after) + 1 if after in order else 0
        for noduleId in order[here:] + order[:here]:
            if self.reading.study.nodule(noduleId)["review"] == "unreviewed" and noduleId not in self._underway:
                self.reading.select(noduleId)
                return

    # ---- what the reading says

    def onReadingChanged(self, change: Change) -> None:
        if change is Change.STUDY:
            self.showStudy()
        if change is not Change.SELECTION:
            self.table.show(self.reading.study)
            self.operatingPoint.update()
            self.showSurfaces()
        nodule = self.reading.selected
        if change is Change.SELECTION and nodule is not None:
            self.views.jumpTo(nodule["centroid_lps_mm"])
        self.update()

    def update(self) -> None:
        """What follows the chosen nodule."""
        study, nodule = self.reading.study, self.reading.selected
        self.table.select(self.reading.selectedId)
        match = study.matchOf(nodule["id"]) if nodule is not None else None
        self.ui.detailLabel.text = NoduleWords.detail(nodule, match)
        self.showReview()
        self.showSaliency()

    # ---- showing

    def showStudy(self) -> None:
        """The scan in the views, and the outlines of no other study."""
        self._underway.clear()
        study = self.reading.study
        self.views.showOutlines(
            _segmentations([study] if study is not None else []),
            _segmentations(one for one in Study.inScene() if one != study),
        )
        if study is not None and study.get(SCAN) is not None:
            self.views.showScan(study.get(SCAN))

    def showReview(self) -> None:
        """Buttons follow the chosen nodule."""
        nodule = self.reading.selected
        reason = self.corrections.whyNotPossible()
        for button, mark, toolTip in (
            (self.ui.acceptButton, "accepted", _("Accept the nodule (A); again: take it back")),
            (
                self.ui.rejectButton,
                "rejected",
                _("Reject it: listed, but it does not count (X); again: take it back"),
            ),
        ):
            button.enabled = nodule is not None and not reason
            button.checked = nodule is not None and nodule["review"] == mark
            button.toolTip = reason or toolTip
        self.ui.previousButton.enabled = self.ui.nextButton.enabled = bool(self.table.order)

    def showSurfaces(self, _checked=None) -> None:
        segmentation = self.reading.study.get(SEGMENTATION) if self.reading.study is not None else None
        if segmentation is not None:
            with slicer.util.tryWithErrorDisplay(_("The surfaces could not be shown."), waitCursor=True):
                self.views.showSurfaces(segmentation, self.ui.surfacesCheckBox.checked, self.ui.lungsCheckBox.checked)

    def showSaliency(self, _value=None) -> None:
        """The chosen nodule stands out, with its map where it has one and the reader wants it."""
        study, nodule = self.reading.study, self.reading.selected
        heat = study.saliency(nodule["id"]) if nodule is not None else None
        why = whyNoMap(nodule, heat)
        heat = None if why else heat
        self.ui.saliencyCheckBox.enabled = heat is not None
        self.ui.saliencyCheckBox.toolTip = why or whatItShows(heat)
        shown = heat if self.ui.saliencyCheckBox.checked else None
        for widget in (self.ui.saliencyOpacitySlider, self.ui.saliency3DCheckBox):
            widget.enabled = shown is not None
        in3D, scan = self.ui.saliency3DCheckBox.checked, study.get(SCAN) if study is not None else None
        self.views.showSaliency(shown, self.ui.saliencyOpacitySlider.value, in3D, scan)
        if study is not None and study.get(SEGMENTATION) is not None:
            self.views.selectSegment(study.get(SEGMENTATION), self.reading.selectedId, shown is not None and in3D)


def _segmentations(studies) -> list:
    return [study.get(role) for study in studies for role in (SEGMENTATION, PRIOR_SEGMENTATION)]
