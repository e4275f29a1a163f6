"""Comparing with the prior CT: paired rows, the side-by-side layout, the growth plot, what to doubt."""

import qt
import vtk

from LungNoduleCADSlicer import GrowthWords
from LungNoduleCADSlicer.ComparisonRows import ComparisonRow, headers, rowsOf
from LungNoduleCADSlicer.GrowthPlot import showGrowth
from LungNoduleCADSlicer.Layouts import ComparisonLayout, layoutNodeOfApplication
from LungNoduleCADSlicer.Reading import Change
from LungNoduleCADSlicer.Signals import connect
from LungNoduleCADSlicer.Study import PRIOR_SCAN, PRIOR_SEGMENTATION
from LungNoduleCADSlicer.Views import lpsToRas

# pixels: the frame with a horizontal scroll bar, and the most that the table takes of the panel
TABLE_FRAME, TABLE_HEIGHT = 20, 420


class ComparisonPanel:
    """Follows the reading; a nodule that is gone is chosen here only, for the reading knows the current ones."""

    def __init__(self, ui, reading, views) -> None:
        self.ui, self.reading, self.views = ui, reading, views
        self.layout = ComparisonLayout()
        self.rows: list[ComparisonRow] = []
        self._chosen: ComparisonRow | None = None
        self._study = None
        ui.comparisonTable.setColumnCount(len(headers()))
        ui.comparisonTable.setHorizontalHeaderLabels(headers())
        ui.comparisonTable.verticalHeader().setVisible(False)
        ui.comparisonTable.horizontalHeader().setStretchLastSection(True)
        connect(ui.comparisonTable, "itemSelectionChanged()", self.onRowChosen)
        connect(ui.layoutButton, "toggled(bool)", self.onLayoutButton)
        self._layoutNode = layoutNodeOfApplication()
        if self._layoutNode is not None:
            self._layoutTag = self._layoutNode.AddObserver(vtk.vtkCommand.ModifiedEvent, self.onLayoutChanged)
        ui.layoutButton.enabled = self._layoutNode is not None
        reading.observe(self.onReadingChanged)

    def setParameters(self, parameters) -> None:
        """Nothing of this panel is kept in the parameters."""

    def close(self) -> None:
        if self._layoutNode is not None:
            self._layoutNode.RemoveObserver(self._layoutTag)
            self._layoutNode = None

    # ---- what the reader does

    def onRowChosen(self) -> None:
        line = self.ui.comparisonTable.currentRow()
        if 0 <= line < len(self.rows):
            self.choose(self.rows[line])

    def choose(self, row: ComparisonRow) -> None:
        """Show a row's nodule, at its registered place where the current CT does not have it."""
        self._chosen = row
        self.reading.select(row.current["id"] if row.current is not None else "")
        place = self._place(row)
        if place is not None:
            self.views.jumpTo(place)
        self.showChosen()

    def onLayoutButton(self, checked: bool) -> None:
        if not checked:
            self.layout.leave()
            return
        self.layout.enter()
        qt.QTimer.singleShot(0, self.onViewsReady)

    def onViewsReady(self) -> None:
        """The views of the layout are made and have their size."""
        self.arrange()
        place = self._place(self._chosen)
        if self.layout.shown and place is not None:
            self.layout.zoomTo(lpsToRas(place))

    def onLayoutChanged(self, caller=None, event=None) -> None:
        """The layout was entered or left, by the button, Slicer's toolbar or a scene that was loaded."""
        shown = self.layout.shown
        if self.ui.layoutButton.checked != shown:
            wasBlocked = self.ui.layoutButton.blockSignals(True)
            self.ui.layoutButton.checked = shown
            self.ui.layoutButton.blockSignals(wasBlocked)
        self.arrange()

    # ---- what the reading says

    def onReadingChanged(self, change: Change) -> None:
        study = self.reading.study
        if change is Change.SELECTION:
            if self.reading.selectedId:
                self._chosen = self._rowOf(self.reading.selectedId)
            self.showChosen()
            return
        if change is Change.STUDY:
            self._chosen = None
        self.rows = rowsOf(study) if study is not None else []
        if self._chosen is not None:  # the same nodule with corrected values
            match = self._chosen.match
            self._chosen = next((row for row in self.rows if _ids(row.match) == _ids(match)), None)
        self.showRows()
        self.showWords()
        if self.layout.shown and not self.rows:
            self.layout.leave()
        self.arrange()
        self.showChosen()

    def registeredPlace(self, nodule: dict) -> tuple[float, float, float]:
        """Where a nodule of the prior CT would be in the current one (LPS mm)."""
        ras = [0.0, 0.0, 0.0]
        scan = self.reading.study.get(PRIOR_SCAN)
        if scan is None:
            return tuple(nodule["centroid_lps_mm"])
        scan.TransformPointToWorld(lpsToRas(nodule["centroid_lps_mm"]), ras)
        return lpsToRas(ras)  # the two differ by signs only, so this is also the way back

    # ---- showing

    def arrange(self) -> None:
        """Scans, outlines and plot of the study in the side-by-side views; the one shown before in all views again."""
        study = self.reading.study if self.rows and self.layout.shown else None
        if self._study is not None and self._study != study:
            self.layout.release(self._study)
        self._study = study
        if study is not None:
            self.layout.show(study, showGrowth(study, self._chosen))

    def showRows(self) -> None:
        table = self.ui.comparisonTable
        wasBlocked = table.blockSignals(True)
        table.clearContents()
        table.setRowCount(len(self.rows))
        for line, row in enumerate(self.rows):
            for column, text in enumerate(row.texts):
                item = qt.QTableWidgetItem(text)
                item.setToolTip(row.remark)
                table.setItem(line, column, item)
        table.resizeColumnsToContents()
        table.resizeRowsToContents()
        rows = sum(table.rowHeight(line) for line in range(len(self.rows)))
        table.setFixedHeight(min(table.horizontalHeader().height + rows + TABLE_FRAME, TABLE_HEIGHT))
        table.blockSignals(wasBlocked)

    def showWords(self) -> None:
        findings = self.reading.study.findings if self.rows else None
        comparison = findings["comparison"] if findings else None
        self.ui.summaryLabel.text = GrowthWords.summary(findings) if findings else ""
        lines = [GrowthWords.registration(comparison), GrowthWords.flags(comparison["flags"])] if comparison else []
        self.ui.registrationLabel.text = "\n".join(filter(None, lines))

    def showChosen(self) -> None:
        """The chosen row: marked in the table, drawn as a plot, said in words, its partner marked in the prior CT."""
        row, study = self._chosen, self.reading.study
        table = self.ui.comparisonTable
        wasBlocked = table.blockSignals(True)
        if row in self.rows:
            table.selectRow(self.rows.index(row))
        else:
            table.clearSelection()
        table.blockSignals(wasBlocked)
        self.ui.growthLabel.text = row.remark if row is not None else ""
        if self.rows:
            showGrowth(study, row)
            if study.get(PRIOR_SEGMENTATION) is not None:
                self.views.selectSegment(study.get(PRIOR_SEGMENTATION), row.match["prior_id"] or "" if row else "")

    def _place(self, row: ComparisonRow | None) -> tuple[float, float, float] | None:
        if row is None or (row.current is None and row.prior is None):
            return None
        return row.current["centroid_lps_mm"] if row.current is not None else self.registeredPlace(row.prior)

    def _rowOf(self, noduleId: str) -> ComparisonRow | None:
        return next((row for row in self.rows if row.match["current_id"] == noduleId), None)


def _ids(match: dict) -> tuple:
    return match["prior_id"], match["current_id"]
