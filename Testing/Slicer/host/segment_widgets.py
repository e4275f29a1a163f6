"""Widgets of Slicer's Segmentations module: the table of segments and the Segment Editor's frame, without effects."""

from __future__ import annotations

import slicer
from PySide6 import QtCore, QtGui, QtWidgets

from host.members import SLICER
from host.mrml_widgets import qMRMLWidget
from host.offering import offered

EFFECTS = (
    "Threshold",
    "Paint",
    "Draw",
    "Erase",
    "Level tracing",
    "Grow from seeds",
    "Fill between slices",
    "Margin",
    "Hollow",
    "Smoothing",
    "Scissors",
    "Islands",
    "Logical operators",
    "Mask volume",
)


@offered(SLICER)
class qMRMLSegmentsTableView(qMRMLWidget):
    def __init__(self, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        self._hNode, self._hTags, self._hHidden = None, [], ()
        self._hTable = QtWidgets.QTableWidget(0, 2, self)
        self._hTable.setHorizontalHeaderLabels(["Color", "Name"])
        self._hTable.horizontalHeader().setStretchLastSection(True)
        self._hTable.setSelectionBehavior(QtWidgets.QAbstractItemView.SelectRows)
        self._hTable.itemSelectionChanged.connect(self._hSelectionChanged)
        QtWidgets.QVBoxLayout(self).addWidget(self._hTable)

    segmentCount = property(lambda self: len(self._hAll()))

    def _hAll(self) -> list[str]:
        return [] if self._hNode is None else list(self._hNode.GetSegmentation().GetSegmentIDs())

    def _hSelectionChanged(self) -> None:
        empty = QtCore.QItemSelection()
        self.selectionChanged.emit(empty, empty)

    def _hTextFilterChanged(self, _text: str) -> None:
        self._hRefresh()

    def _hRefresh(self) -> None:
        selected = self.selectedSegmentIDs()
        self._hTable.blockSignals(True)
        shown = self.displayedSegmentIDs()
        self._hTable.setRowCount(len(shown))
        for row, segmentId in enumerate(shown):
            segment = self._hNode.GetSegmentation().GetSegment(segmentId)
            color = QtWidgets.QTableWidgetItem()
            color.setBackground(QtGui.QColor.fromRgbF(*segment.GetColor()))
            name = QtWidgets.QTableWidgetItem(segment.GetName())
            name.setData(QtCore.Qt.UserRole, segmentId)
            self._hTable.setItem(row, 0, color)
            self._hTable.setItem(row, 1, name)
        self.setSelectedSegmentIDs(selected)
        self._hTable.blockSignals(False)

    def segmentationNode(self):
        return self._hNode

    def setSegmentationNode(self, node) -> None:
        for tag in self._hTags:
            self._hNode.GetSegmentation().RemoveObserver(tag)
        self._hNode, self._hTags = node, []
        if node is not None:
            kind = slicer.vtkSegmentation
            events = (kind.SegmentAdded, kind.SegmentRemoved, kind.SegmentModified)
            self._hTags = [
                node.GetSegmentation().AddObserver(event, lambda _caller, _event: self._hRefresh()) for event in events
            ]
        self._hRefresh()

    def displayedSegmentIDs(self) -> tuple[str, ...]:
        text = self.textFilter.lower()
        names = {key: self._hNode.GetSegmentation().GetSegment(key).GetName().lower() for key in self._hAll()}
        return tuple(key for key, name in names.items() if key not in self._hHidden and text in name)

    def setHideSegments(self, segmentIds) -> None:
        self._hHidden = tuple(segmentIds)
        self._hRefresh()

    def hideSegments(self) -> tuple[str, ...]:
        return self._hHidden

    def selectedSegmentIDs(self) -> tuple[str, ...]:
        rows = sorted({index.row() for index in self._hTable.selectedIndexes()})
        return tuple(self.segmentIDForRow(row) for row in rows)

    def setSelectedSegmentIDs(self, segmentIds) -> None:
        self._hTable.clearSelection()
        mode = QtCore.QItemSelectionModel
        for segmentId in segmentIds:
            row = self.rowForSegmentID(segmentId)
            if row >= 0:
                index = self._hTable.model().index(row, 0)
                self._hTable.selectionModel().select(index, mode.Select | mode.Rows)

    def clearSelection(self) -> None:
        self._hTable.clearSelection()

    def rowForSegmentID(self, segmentId: str) -> int:
        rows = range(self._hTable.rowCount)
        return next((row for row in rows if self.segmentIDForRow(row) == segmentId), -1)

    def segmentIDForRow(self, row: int) -> str:
        return self._hTable.item(row, 1).data(QtCore.Qt.UserRole)


class SegmentEditorEffect:
    """Name and parameters of an effect; it does nothing to an image."""

    def __init__(self, editor, name: str) -> None:
        self._editor, self.name = editor, name

    def parameter(self, name: str) -> str:
        return self._editor.mrmlSegmentEditorNode().GetAttribute(f"{self.name}.{name}") or ""

    def setParameter(self, name: str, value) -> None:
        self._editor.mrmlSegmentEditorNode().SetAttribute(f"{self.name}.{name}", str(value))


@offered(SLICER)
class qMRMLSegmentEditorWidget(qMRMLWidget):
    """Keeps the choices in the vtkMRMLSegmentEditorNode, as the real one; paints its buttons, not on images."""

    def __init__(self, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        self._hEditorNode = None
        self._hSegments = qMRMLSegmentsTableView(self)
        self._hSegments._hTable.itemSelectionChanged.connect(self._hSelected)
        self._hOrder: tuple[str, ...] = ()
        self._hButtons = {name: QtWidgets.QPushButton(name, self) for name in EFFECTS}
        for name, button in self._hButtons.items():
            button.connect("clicked()", lambda name=name: self.setActiveEffectByName(name))
        self._hGrid = QtWidgets.QGridLayout()
        column = QtWidgets.QVBoxLayout(self)
        column.addWidget(self._hSegments)
        column.addLayout(self._hGrid)
        self._hArrange()

    def _hSelected(self) -> None:
        selected = self._hSegments.selectedSegmentIDs()
        if self._hEditorNode is not None and selected:
            self._hEditorNode.SetSelectedSegmentID(selected[0])

    def mrmlSegmentEditorNode(self):
        return self._hEditorNode

    def setMRMLSegmentEditorNode(self, node) -> None:
        self._hEditorNode = node
        self.updateWidgetFromMRML()

    def updateWidgetFromMRML(self) -> None:
        self._hSegments.setSegmentationNode(self.segmentationNode())
        if self.currentSegmentID():
            self._hSegments.setSelectedSegmentIDs([self.currentSegmentID()])

    def segmentationNode(self):
        return None if self._hEditorNode is None else self._hEditorNode.GetSegmentationNode()

    def segmentationNodeID(self) -> str:
        return self.segmentationNode().GetID() if self.segmentationNode() is not None else ""

    def setSegmentationNode(self, node) -> None:
        if node is None and self._hEditorNode is None:
            return
        self._hNeeded().SetAndObserveSegmentationNode(node)
        ids = list(node.GetSegmentation().GetSegmentIDs()) if node is not None else []
        if self.currentSegmentID() not in ids:
            self._hEditorNode.SetSelectedSegmentID(ids[0] if ids else "")
        self.updateWidgetFromMRML()

    def setSegmentationNodeID(self, nodeId: str) -> None:
        self.setSegmentationNode(slicer.mrmlScene.GetNodeByID(nodeId))

    def sourceVolumeNode(self):
        return None if self._hEditorNode is None else self._hEditorNode.GetSourceVolumeNode()

    def sourceVolumeNodeID(self) -> str:
        return self.sourceVolumeNode().GetID() if self.sourceVolumeNode() is not None else ""

    def setSourceVolumeNode(self, node) -> None:
        self._hNeeded().SetAndObserveSourceVolumeNode(node)

    def setSourceVolumeNodeID(self, nodeId: str) -> None:
        self.setSourceVolumeNode(slicer.mrmlScene.GetNodeByID(nodeId))

    def _hNeeded(self):
        if self._hEditorNode is None:
            raise RuntimeError("Slicer needs setMRMLSegmentEditorNode before this")
        return self._hEditorNode

    def currentSegmentID(self) -> str:
        return "" if self._hEditorNode is None else self._hEditorNode.GetSelectedSegmentID() or ""

    def setCurrentSegmentID(self, segmentId: str) -> None:
        self._hNeeded().SetSelectedSegmentID(segmentId)
        self.updateWidgetFromMRML()

    def effectByName(self, name: str):
        return SegmentEditorEffect(self, name) if name in EFFECTS else None

    def activeEffect(self):
        name = "" if self._hEditorNode is None else self._hEditorNode.GetActiveEffectName() or ""
        return self.effectByName(name)

    def setActiveEffect(self, effect) -> None:
        if effect is None and self._hEditorNode is None:
            return
        self._hNeeded().SetActiveEffectName(effect.name if effect is not None else "")

    def setActiveEffectByName(self, name: str) -> None:
        self.setActiveEffect(self.effectByName(name))

    def availableEffectNames(self) -> tuple[str, ...]:
        return EFFECTS

    def effectNameOrder(self) -> tuple[str, ...]:
        return self._hOrder

    def setEffectNameOrder(self, names) -> None:
        self._hOrder = tuple(names)
        self._hArrange()

    def _hUnorderedEffectsVisibleChanged(self, _visible: bool) -> None:
        self._hArrange()

    def _hArrange(self) -> None:
        rest = [name for name in EFFECTS if name not in self._hOrder] if self.unorderedEffectsVisible else []
        shown = [*(name for name in self._hOrder if name in EFFECTS), *rest]
        for button in self._hButtons.values():
            button.setVisible(False)
        for number, name in enumerate(shown):
            self._hGrid.addWidget(self._hButtons[name], number // 3, number % 3)
            self._hButtons[name].setVisible(True)

    def _hNothing(self, _parent=None) -> None:
        """The real one does this to views and history, which the host has not."""

    setupViewObservations = removeViewObservations = _hNothing
    installKeyboardShortcuts = uninstallKeyboardShortcuts = _hNothing
    saveStateForUndo = undo = redo = _hNothing
