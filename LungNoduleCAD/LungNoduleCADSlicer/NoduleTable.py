"""The table of nodules: what a reader wants to see of each, most suspicious first."""

from collections.abc import Callable
from dataclasses import dataclass

import qt
from slicer.i18n import tr as _

from LungNoduleCADSlicer import NoduleWords
from LungNoduleCADSlicer.NoduleWords import NONE
from LungNoduleCADSlicer.Segments import categoryColor, textColor
from LungNoduleCADSlicer.Signals import connect

REVIEW_COLUMN, CATEGORY_COLUMN, LOCATION_COLUMN, VDT_COLUMN = 0, 2, 3, 8
ROW_HEIGHT = 24  # pixels
_CATEGORIES = ("0", "1", "2", "3", "4A", "4B", "4X")
_REVIEW_MARKS = {"unreviewed": "", "accepted": "✓", "rejected": "✗"}
_CHIP = "background-color: rgb({rgb}); color: {text}; border-radius: 4px; margin: 2px; font-weight: bold;"


@dataclass(frozen=True)
class Cell:
    """``key`` orders the column (None, not computed: always last)."""

    text: str
    key: object
    tip: str


def headers() -> list[tuple[str, str]]:
    """Title and tooltip of each column."""
    return [
        ("", _("Review: ✓ accepted, ✗ rejected")),
        (_("ID"), _("Nodule")),
        (_("RADS"), _("Lung-RADS v2022 category of the nodule")),
        (_("Location"), _("Side, and lobe or third of the lung")),
        (_("Ø"), _("Mean diameter in mm: mean of long and short axis")),
        (_("mm³"), _("Volume in mm³")),
        (_("Type"), _("Solid, part-solid or ground-glass")),
        (_("Mal."), _("Malignancy: {opinion}").format(opinion=_(NoduleWords.OPINION))),
        (_("VDT"), _("Volume-doubling time in days, where the growth exceeds the measurement error")),
    ]


def cellsOf(nodule: dict, match: dict | None) -> list[Cell]:
    """One row; what was not computed is – with the reason as tooltip."""
    remarks, place = NoduleWords.flags(nodule), NoduleWords.location(nodule)
    unmeasured = remarks or _("Not measured")
    category, diameter, volume = nodule["lung_rads"], nodule["mean_diameter_mm"], nodule["volume_mm3"]
    doubling = NoduleWords.doublingDays(match)
    return [
        Cell(_REVIEW_MARKS[nodule["review"]], nodule["review"], NoduleWords.review(nodule)),
        Cell(nodule["id"], _natural(nodule["id"]), "\n".join(filter(None, [NoduleWords.detection(nodule), remarks]))),
        Cell(category or NONE, _CATEGORIES.index(category) if category else None, NoduleWords.category(nodule)),
        Cell(place, place if place != NONE else None, NoduleWords.locationInFull(nodule)),
        Cell(_number(diameter, ".1f"), diameter, _measure(diameter, _("{value:.1f} mm mean diameter"), unmeasured)),
        Cell(_number(volume, ".0f"), volume, _measure(volume, _("{value:.1f} mm³"), unmeasured)),
        Cell(NoduleWords.typeShort(nodule["type"]), nodule["type"], NoduleWords.typeInFull(nodule)),
        Cell(
            _number(nodule["malignancy"]["probability"], ".0%"),
            nodule["malignancy"]["probability"],
            NoduleWords.malignancy(nodule),
        ),
        Cell(doubling, match["vdt_days"] if doubling != NONE else None, NoduleWords.change(match)),
    ]


class NoduleTable:
    """Fills a QTableWidget; ``onSelected`` is called with the id of the row that the reader chose."""

    def __init__(self, widget) -> None:
        self.onSelected: Callable[[str], None] = lambda _noduleId: None
        self.order: list[str] = []  # ids as shown
        self._widget, self._study = widget, None
        self._column, self._descending = -1, True  # by suspicion
        self._places: dict[str, int] = {}
        widget.setColumnCount(len(headers()))
        for column, (title, tip) in enumerate(headers()):
            item = qt.QTableWidgetItem(title)
            item.setToolTip(_("{tip}. Click: sort; third click: by suspicion again.").format(tip=tip))
            widget.setHorizontalHeaderItem(column, item)
        widget.verticalHeader().setVisible(False)
        widget.verticalHeader().setDefaultSectionSize(ROW_HEIGHT)
        header = widget.horizontalHeader()
        header.setHighlightSections(False)  # bold titles would not fit
        header.setMinimumSectionSize(22)
        header.setSectionResizeMode(qt.QHeaderView.ResizeToContents)
        header.setSectionResizeMode(LOCATION_COLUMN, qt.QHeaderView.Stretch)
        connect(header, "sectionClicked(int)", self.sortBy)
        connect(widget, "itemSelectionChanged()", self._onSelectionChanged)

    def show(self, study) -> None:
        """Every nodule of a study, or nothing; the selection is kept by ``select``."""
        if study != self._study:
            self._places = {}  # while a study is read its rows keep theirs, whatever is corrected
        self._study = study
        nodules = study.bySuspicion() if study is not None else []
        for nodule in nodules:
            self._places.setdefault(nodule["id"], len(self._places))
        nodules.sort(key=lambda nodule: self._places[nodule["id"]])
        rows = self._sorted([(nodule, cellsOf(nodule, study.matchOf(nodule["id"]))) for nodule in nodules])
        self.order = [nodule["id"] for nodule, _cells in rows]
        wasBlocked = self._widget.blockSignals(True)
        self._widget.clearContents()
        self._widget.setRowCount(len(rows))
        for line, (nodule, cells) in enumerate(rows):
            self._fill(line, nodule, cells)
        self._widget.setColumnHidden(VDT_COLUMN, not (study is not None and study.matches))
        self._widget.blockSignals(wasBlocked)

    def select(self, noduleId: str) -> None:
        """Mark a row without telling ``onSelected``."""
        wasBlocked = self._widget.blockSignals(True)
        if noduleId in self.order:
            self._widget.selectRow(self.order.index(noduleId))
        else:
            self._widget.clearSelection()
        self._widget.blockSignals(wasBlocked)

    def sortBy(self, column: int) -> None:
        """First click: descending; second: ascending; third: by suspicion again."""
        chosen = self.selected
        if column != self._column:
            self._column, self._descending = column, True
        elif self._descending:
            self._descending = False
        else:
            self._column = -1
        header = self._widget.horizontalHeader()
        header.setSortIndicatorShown(self._column >= 0)
        if self._column >= 0:
            header.setSortIndicator(column, qt.Qt.DescendingOrder if self._descending else qt.Qt.AscendingOrder)
        self.show(self._study)
        self.select(chosen)

    @property
    def selected(self) -> str:
        """The id of the marked row, or empty."""
        lines = [index.row() for index in self._widget.selectionModel().selectedRows()]
        return self.order[lines[0]] if lines else ""

    def _sorted(self, rows: list) -> list:
        if self._column < 0:
            return rows
        known = [row for row in rows if row[1][self._column].key is not None]
        known.sort(key=lambda row: row[1][self._column].key, reverse=self._descending)
        return known + [row for row in rows if row[1][self._column].key is None]

    def _fill(self, line: int, nodule: dict, cells: list[Cell]) -> None:
        rejected = nodule["review"] == "rejected"
        for column, cell in enumerate(cells):
            chip = column == CATEGORY_COLUMN and nodule["lung_rads"] is not None
            item = qt.QTableWidgetItem("" if chip else cell.text)
            item.setToolTip(cell.tip)
            if rejected:
                font = item.font()
                font.setStrikeOut(column != REVIEW_COLUMN)
                item.setFont(font)
            self._widget.setItem(line, column, item)
        self._widget.removeCellWidget(line, CATEGORY_COLUMN)
        if nodule["lung_rads"] is not None:
            self._widget.setCellWidget(line, CATEGORY_COLUMN, _chip(nodule["lung_rads"]))

    def _onSelectionChanged(self) -> None:
        if self.selected:
            self.onSelected(self.selected)


def _chip(category: str):
    """The category on its color: it carries both colors itself, so that it is read on a dark and on a light theme."""
    color = categoryColor(category)
    label = qt.QLabel(category)
    label.setAlignment(qt.Qt.AlignCenter)
    rgb = ", ".join(str(round(255 * channel)) for channel in color)
    label.setStyleSheet(_CHIP.format(rgb=rgb, text=textColor(color)))
    label.setAttribute(qt.Qt.WA_TransparentForMouseEvents)
    return label


def _number(value: float | None, form: str) -> str:
    return NONE if value is None else format(value, form)


def _measure(value: float | None, text: str, reason: str) -> str:
    return reason if value is None else text.format(value=value)


def _natural(name: str) -> tuple:
    """N2 before N10."""
    digits = "".join(character for character in name if character.isdigit())
    return name.rstrip("0123456789"), int(digits or 0)
