"""The table of nodules: what a reader wants to see of each, most suspicious first."""

from collections.abc import Callable
from dataclasses import dataclass

import qt
from slicer.i18n import tr as _

from LungNoduleCADSlicer.Signals import connect

NOT_COMPUTED = "–"
VDT_COLUMN = 7


@dataclass(frozen=True)
class NoduleRow:
    """One row: the nodule's id, where it is, a text for each column, and a remark shown as tooltip."""

    noduleId: str
    centroidLps: tuple[float, float, float]
    texts: tuple[str, ...]
    remark: str


def headers() -> list[str]:
    return [
        _("Nodule"),
        _("Lung-RADS"),
        _("Location"),
        _("Mean Ø mm"),
        _("mm³"),
        _("Type"),
        _("Malignancy"),
        _("VDT days"),
    ]


def rowsOf(findings: dict) -> list[NoduleRow]:
    """Rows in the order of findings.json, which is by suspicion."""
    matches = (findings["comparison"] or {}).get("matches", [])
    doublingTimes = {match["current_id"]: match["vdt_days"] for match in matches}
    return [_rowOf(nodule, doublingTimes.get(nodule["id"])) for nodule in findings["nodules"]]


def _rowOf(nodule: dict, doublingTime: float | None) -> NoduleRow:
    place = " ".join(part for part in (nodule["side"], nodule["lobe"] or nodule["zone"]) if part)
    malignancy = nodule["malignancy"]["probability"]
    remarks = [nodule["malignancy"]["not_available"] or "", *(flag["message"] for flag in nodule["flags"])]
    if nodule["lung_rads_assessment"]:
        remarks.insert(0, nodule["lung_rads_assessment"]["reason"])
    texts = (
        nodule["id"],
        nodule["lung_rads"] or NOT_COMPUTED,
        place or NOT_COMPUTED,
        _number(nodule["mean_diameter_mm"], ".1f"),
        _number(nodule["volume_mm3"], ".0f"),
        nodule["type"] or NOT_COMPUTED,
        _number(malignancy, ".0%"),
        _number(doublingTime, ".0f"),
    )
    return NoduleRow(nodule["id"], tuple(nodule["centroid_lps_mm"]), texts, "\n".join(filter(None, remarks)))


def _number(value: float | None, form: str) -> str:
    return NOT_COMPUTED if value is None else format(value, form)


class NoduleTable:
    """Fills a QTableWidget; ``onSelected`` is called with the chosen row, or None."""

    def __init__(self, widget) -> None:
        self.onSelected: Callable[[NoduleRow | None], None] = lambda _row: None
        self.rows: list[NoduleRow] = []
        self._widget = widget
        widget.setColumnCount(len(headers()))
        widget.setHorizontalHeaderLabels(headers())
        widget.verticalHeader().setVisible(False)
        widget.horizontalHeader().setStretchLastSection(True)
        connect(widget, "itemSelectionChanged()", self._onSelectionChanged)

    def show(self, findings: dict | None) -> None:
        self.rows = rowsOf(findings) if findings else []
        wasBlocked = self._widget.blockSignals(True)
        self._widget.clearContents()
        self._widget.setRowCount(len(self.rows))
        for line, row in enumerate(self.rows):
            for column, text in enumerate(row.texts):
                item = qt.QTableWidgetItem(text)
                item.setToolTip(row.remark)
                self._widget.setItem(line, column, item)
        self._widget.setColumnHidden(VDT_COLUMN, not (findings and findings["comparison"]))
        self._widget.resizeColumnsToContents()
        self._widget.clearSelection()
        self._widget.blockSignals(wasBlocked)

    def select(self, line: int) -> None:
        self._widget.selectRow(line)

    @property
    def selected(self) -> NoduleRow | None:
        line = self._widget.currentRow()
        return self.rows[line] if 0 <= line < len(self.rows) else None

    def _onSelectionChanged(self) -> None:
        self.onSelected(self.selected)
