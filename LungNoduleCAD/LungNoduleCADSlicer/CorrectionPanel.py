"""Correcting: add a missed nodule, delete, redraw, change the type; and the list of what was changed and when."""

import tempfile
from datetime import datetime
from pathlib import Path

import qt
import slicer
from slicer.i18n import tr as _

from LungNoduleCADSlicer.OutlineEditing import OutlineEditing
from LungNoduleCADSlicer.Outlines import setKnown
from LungNoduleCADSlicer.PointPlacement import PointPlacement
from LungNoduleCADSlicer.Reading import Change
from LungNoduleCADSlicer.Signals import connect
from LungNoduleCADSlicer.Study import SCAN, SEGMENTATION

TYPES = ("solid", "part-solid", "ground-glass")


class CorrectionPanel:
    """``ui`` holds the widgets of CorrectionPanel.ui; every change goes through ``corrections``, which queues them."""

    def __init__(self, ui, reading, corrections, views) -> None:
        self.ui, self.reading, self.corrections, self.views = ui, reading, corrections, views
        self.placement = PointPlacement(self.onPointPlaced, self.onPlacementEnded)
        self.editing = OutlineEditing(self.onOutlineChanged)
        self._folder = tempfile.TemporaryDirectory(prefix="LungNoduleCAD-outlines-", ignore_cleanup_errors=True)
        self._files = 0
        self.confirm = slicer.util.confirmOkCancelDisplay
        for name, text in zip(TYPES, (_("solid"), _("part-solid"), _("ground-glass")), strict=True):
            ui.typeSelector.addItem(text, name)
        ui.auditTable.setColumnCount(3)
        ui.auditTable.setHorizontalHeaderLabels([_("When"), _("What"), _("Before → after")])
        ui.auditTable.verticalHeader().setVisible(False)
        ui.auditTable.horizontalHeader().setSectionResizeMode(qt.QHeaderView.ResizeToContents)
        ui.auditTable.horizontalHeader().setStretchLastSection(True)
        connect(ui.addButton, "toggled(bool)", self.onAdd)
        connect(ui.deleteButton, "clicked(bool)", self.onDelete)
        connect(ui.editButton, "clicked(bool)", self.onEdit)
        connect(ui.typeSelector, "activated(int)", self.onTypeChosen)
        reading.observe(self.onReadingChanged)
        self.update()

    def setParameters(self, parameters) -> None:
        """The module was entered: what was redrawn meanwhile is sent. None: it was left."""
        if parameters is None:
            self.placement.cancel()
        else:
            self.editing.lookForChanges()

    def close(self) -> None:
        self.placement.cancel()
        self.editing.watch(None, list)
        self._folder.cleanup()

    # ---- what the reader does

    def onAdd(self, checked: bool) -> None:
        if checked:
            self.placement.start()
        else:
            self.placement.cancel()

    def onPlacementEnded(self) -> None:
        self.ui.addButton.checked = False

    def onPointPlaced(self, pointLps) -> None:
        self._send("add", self._selectAdded, point_lps_mm=list(pointLps))

    def onDelete(self, _checked=False) -> None:
        nodule = self.reading.selected
        if nodule is not None and self.confirm(
            _("Delete {nodule}? Rejecting keeps it on the list.").format(nodule=nodule["id"]), _("Lung Nodule CAD")
        ):
            self._send("delete", nodule=nodule["id"])

    def onTypeChosen(self, index: int) -> None:
        nodule, name = self.reading.selected, self.ui.typeSelector.itemData(index)
        if nodule is not None and nodule["type"] != name:
            self._send("type", nodule=nodule["id"], type=name)

    def onEdit(self, _checked=False) -> None:
        with slicer.util.tryWithErrorDisplay(_("Segment Editor could not be opened.")):
            self.editing.openEditor(self.reading.study.get(SCAN), self.reading.selectedId)

    def onOutlineChanged(self, noduleId: str, outline) -> None:
        """Sent as a small file; from then on the outline counts as known."""
        if self.corrections.whyNotPossible():
            return
        self._files += 1
        file = Path(self._folder.name) / f"{self._files}.nrrd"
        if outline.voxels.size == 0:
            self.corrections.onError(
                _("The outline of {nodule} is empty. Undo it, or delete the nodule.").format(nodule=noduleId)
            )
            return
        outline.write(file)
        setKnown(self.reading.study.get(SEGMENTATION), noduleId)
        self._send("outline", lambda _answer: file.unlink(missing_ok=True), nodule=noduleId, file=str(file))

    def _send(self, do: str, onAnswer=None, **arguments) -> None:
        with slicer.util.tryWithErrorDisplay(_("The correction could not be made.")):
            self.corrections.send(do, onAnswer, **arguments)

    def _selectAdded(self, answer: dict) -> None:
        if answer.get("added"):
            self.reading.select(answer["added"][-1])

    # ---- what the reading says

    def onReadingChanged(self, change: Change) -> None:
        if change is Change.STUDY:
            self.placement.cancel()
            study = self.reading.study
            self.editing.watch(study.get(SEGMENTATION) if study is not None else None, self._noduleIds)
        if change is not Change.SELECTION:
            self.showEdits()
        self.update()

    def _noduleIds(self) -> list[str]:
        return [nodule["id"] for nodule in self.reading.study.nodules] if self.reading.study is not None else []

    def update(self) -> None:
        """Enabled state and tooltips follow the chosen nodule, and whether the study can be corrected."""
        nodule, reason = self.reading.selected, self.corrections.whyNotPossible()
        missing = reason or ("" if nodule is not None else _("Choose a nodule first"))
        for widget, obstacle, toolTip in (
            (
                self.ui.addButton,
                reason,
                _("Then click into a slice view, amid the nodule (M); Esc cancels"),
            ),
            (self.ui.deleteButton, missing, _("Take the chosen nodule off the list")),
            (self.ui.editButton, missing, _("Redraw it in Segment Editor; choose this module again to come back")),
            (self.ui.typeSelector, missing, _("Type of the chosen nodule; Lung-RADS and malignancy follow")),
        ):
            widget.enabled = not obstacle
            widget.toolTip = obstacle or toolTip
        type_ = nodule["type"] if nodule is not None else None
        self.ui.typeSelector.currentIndex = TYPES.index(type_) if type_ in TYPES else -1

    def showEdits(self) -> None:
        """What and when, the newest first."""
        edits = self.reading.study.findings["edits"] if self.reading.study is not None else []
        table = self.ui.auditTable
        table.clearContents()
        table.setRowCount(len(edits))
        for line, edit in enumerate(reversed(edits)):
            change = " → ".join((edit["before"] or "–", edit["after"] or "–"))
            at = datetime.fromisoformat(edit["at"].replace("Z", "+00:00")).astimezone()
            what = " ".join(filter(None, [edit["nodule_id"], _actionText(edit["action"])]))
            texts = (f"{at:%Y-%m-%d %H:%M}", what, change)
            for column, text in enumerate(texts):
                item = qt.QTableWidgetItem(text)
                item.setToolTip(f"{at:%Y-%m-%d %H:%M:%S}\n{text}")
                table.setItem(line, column, item)
        self.ui.auditButton.text = _("Changes ({count})").format(count=len(edits)) if edits else _("Changes: none")


def _actionText(action: str) -> str:
    return {
        "accept": _("accepted"),
        "reject": _("rejected"),
        "unreview": _("review taken back"),
        "delete": _("deleted"),
        "add": _("added"),
        "outline": _("outline redrawn"),
        "type": _("type changed"),
        "facts": _("facts stated"),
        "clinical": _("clinical facts"),
        "threshold": _("operating point"),
        "exam_category": _("exam category"),
    }.get(action, action)
