"""Slicer's widgets that show what is in the MRML scene."""

from __future__ import annotations

from collections.abc import Callable

import slicer
import vtk
from PySide6 import QtWidgets

from host.ctk_values import ctkSliderWidget
from host.ctk_widgets import ctkDoubleSpinBox
from host.members import SLICER
from host.offering import offered


class SceneObserver:
    """Calls back when nodes come and go, or are renamed; until its widget is deleted."""

    def __init__(self, widget: QtWidgets.QWidget, changed: Callable, renamed: Callable) -> None:
        self._changed, self._renamed = changed, renamed
        self._scene, self._tags, self._nodes = None, [], []
        widget.connect("destroyed(QObject*)", self.stop)

    def stop(self) -> None:
        self.observe(None)
        self.watch(())
        self._changed = self._renamed = None

    def observe(self, scene) -> None:
        for tag in self._tags:
            self._scene.RemoveObserver(tag)
        self._scene, self._tags = scene, []
        if scene is None:
            return
        kind = slicer.vtkMRMLScene
        for event in (kind.NodeAddedEvent, kind.NodeRemovedEvent):
            self._tags.append(scene.AddObserver(event, self._onNode))
        for event in (kind.EndBatchProcessEvent, kind.EndCloseEvent):
            self._tags.append(scene.AddObserver(event, lambda _caller, _event: self._changed(None)))

    def watch(self, nodes) -> None:
        """The nodes whose names matter."""
        wanted, watched = set(nodes), {node for node, _tag in self._nodes}
        for node, tag in [entry for entry in self._nodes if entry[0] not in wanted]:
            node.RemoveObserver(tag)
        kept = [entry for entry in self._nodes if entry[0] in wanted]
        event = vtk.vtkCommand.ModifiedEvent
        self._nodes = kept + [(node, node.AddObserver(event, self._onModified)) for node in wanted - watched]

    def _onModified(self, _node, _event) -> None:
        self._renamed()

    @vtk.calldata_type(vtk.VTK_OBJECT)
    def _onNode(self, _scene, _event, node) -> None:
        self._changed(node)


@offered(SLICER)
class qMRMLWidget(QtWidgets.QWidget):
    def __init__(self, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        self._hScene = None

    def mrmlScene(self):
        return self._hScene

    def setMRMLScene(self, scene) -> None:
        if scene is not self._hScene:
            self._hScene = scene
            self.mrmlSceneChanged.emit(scene)


class _UnitAware:
    """Knows a scene; units are left alone."""

    _hScene = None

    def mrmlScene(self):
        return self._hScene

    def setMRMLScene(self, scene) -> None:
        self._hScene = scene


@offered(SLICER)
class qMRMLSliderWidget(_UnitAware, ctkSliderWidget):
    """ctkSliderWidget with units."""


@offered(SLICER)
class qMRMLSpinBox(_UnitAware, ctkDoubleSpinBox):
    """ctkDoubleSpinBox with units."""


@offered(SLICER)
class qMRMLNodeComboBox(QtWidgets.QWidget):
    def __init__(self, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        self._hScene = None
        self._hCurrent = None
        self._hNodes: list = []
        self._hShown: list[str] = []
        self._hAttributes: dict[tuple[str, str], object] = {}
        self._hLabels: dict[str, str] = {}
        self._hObserver = SceneObserver(self, self._hSceneChanged, self._hRenamed)
        self._hBox = QtWidgets.QComboBox(self)
        self._hBox.setSizePolicy(QtWidgets.QSizePolicy.Expanding, QtWidgets.QSizePolicy.Fixed)
        self._hBox.setMinimumContentsLength(8)
        row = QtWidgets.QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self._hBox)
        self._hBox.activated.connect(self._hActivated)
        self.setEnabled(False)

    # ---- properties

    currentNodeID = currentNodeId = property(
        lambda self: self._hCurrent.GetID() if self._hCurrent is not None else "",
        lambda self, nodeId: self.setCurrentNodeID(nodeId),
    )

    def _hNodeTypesChanged(self, _types) -> None:
        self._hRefresh()

    _hShowHiddenChanged = _hShowChildNodeTypesChanged = _hHideChildNodeTypesChanged = _hNodeTypesChanged
    _hNoneEnabledChanged = _hNoneDisplayChanged = _hNodeTypesChanged

    # ---- the scene

    def mrmlScene(self):
        return self._hScene

    def setMRMLScene(self, scene) -> None:
        if scene is self._hScene:
            return
        self._hScene = scene
        self._hObserver.observe(scene)
        self.setEnabled(scene is not None)
        self._hRefresh()

    def _hSceneChanged(self, node) -> None:
        if self._hScene is None or self._hScene.IsBatchProcessing():
            return
        if node is not None and not any(node.IsA(kind) for kind in self.nodeTypes):
            return
        known = len(self._hNodes)
        removing = node is not None and self._hScene.GetNodeByID(node.GetID() or "") is None
        if removing and node in self._hNodes:
            self.nodeAboutToBeRemoved.emit(node)
        self._hRefresh()
        if node is not None and len(self._hNodes) > known and self._hShows(node):
            self.nodeAdded.emit(node)
            self.nodeAddedByUser.emit(node)

    def _hShows(self, node) -> bool:
        """Of a node of one of the types."""
        if node.GetHideFromEditors() and not self.showHidden:
            return False
        if not self.showChildNodeTypes and node.GetClassName() not in self.nodeTypes:
            return False
        if any(node.IsA(kind) for kind in self.hideChildNodeTypes):
            return False
        for (kind, name), value in self._hAttributes.items():
            if node.IsA(kind) and (node.GetAttribute(name) is None or value not in (None, node.GetAttribute(name))):
                return False
        return True

    def _hRefresh(self) -> None:
        kinds = self.nodeTypes if self._hScene is not None else ()
        nodes = dict.fromkeys(node for kind in kinds for node in slicer.util.getNodesByClass(kind, self._hScene))
        self._hNodes = [node for node in nodes if self._hShows(node)]
        self._hObserver.watch(self._hNodes)
        self._hFill()
        if self._hCurrent not in self._hNodes:
            first = self._hNodes[0] if self._hNodes and not self.noneEnabled else None
            self._hSetCurrent(first)
        else:
            self._hShowCurrent()

    def _hRenamed(self) -> None:
        if self._hShown != self._hTexts():
            self._hFill()
            self._hShowCurrent()

    def _hTexts(self) -> list[str]:
        return [*([self.noneDisplay] if self.noneEnabled else []), *(node.GetName() or "" for node in self._hNodes)]

    def _hFill(self) -> None:
        self._hBox.blockSignals(True)
        self._hBox.clear()
        self._hShown = self._hTexts()
        self._hBox.addItems(self._hShown)
        self._hBox.blockSignals(False)

    def _hShowCurrent(self) -> None:
        offset = 1 if self.noneEnabled else 0
        row = offset + self._hNodes.index(self._hCurrent) if self._hCurrent in self._hNodes else offset - 1
        self._hBox.blockSignals(True)
        self._hBox.setCurrentIndex(row)
        self._hBox.blockSignals(False)

    def _hActivated(self, row: int) -> None:
        index = row - (1 if self.noneEnabled else 0)
        self._hSetCurrent(self._hNodes[index] if index >= 0 else None)
        self.nodeActivated.emit(self._hCurrent)

    def _hSetCurrent(self, node) -> None:
        changed = node is not self._hCurrent
        self._hCurrent = node
        self._hShowCurrent()
        if changed:
            self.currentNodeChanged.emit(node)
            self.currentNodeChanged.emit(node is not None, signature="currentNodeChanged(bool)")
            self.currentNodeIDChanged.emit(self.currentNodeID)

    # ---- slots and invokable methods

    def currentNode(self):
        return self._hCurrent

    def setCurrentNode(self, node) -> None:
        if isinstance(node, str):
            self.setCurrentNodeID(node)
            return
        if node is not None and node not in self._hNodes:
            self._hRefresh()  # the real one's list is always up to date, in a batch too
        self._hSetCurrent(node if node in self._hNodes else None)

    def setCurrentNodeID(self, nodeId: str) -> None:
        self.setCurrentNode(next((node for node in self._hNodes if node.GetID() == nodeId), None))

    def setCurrentNodeIndex(self, index: int) -> None:
        self.setCurrentNode(self.nodeFromIndex(index))

    def nodeCount(self) -> int:
        return len(self._hNodes)

    def nodeFromIndex(self, index: int):
        return self._hNodes[index] if 0 <= index < len(self._hNodes) else None

    def addAttribute(self, nodeType: str, name: str, value=None) -> None:
        self._hAttributes[nodeType, name] = None if value is None else str(value)
        self._hRefresh()

    def removeAttribute(self, nodeType: str, name: str) -> None:
        self._hAttributes.pop((nodeType, name), None)
        self._hRefresh()

    def setNodeTypeLabel(self, label: str, nodeType: str) -> None:
        self._hLabels[nodeType] = label

    def nodeTypeLabel(self, nodeType: str) -> str:
        return self._hLabels.get(nodeType, nodeType.removeprefix("vtkMRML").removesuffix("Node"))

    def addNode(self, nodeType: str = ""):
        kind = nodeType or self.nodeTypes[0]
        if kind not in self.nodeTypes:
            return None
        name = self._hScene.GenerateUniqueName(self.baseName or self.nodeTypeLabel(kind))
        node = self._hScene.CreateNodeByClass(kind)
        node.UnRegister(None)
        node.SetName(name)
        for (attributeKind, attribute), value in self._hAttributes.items():
            if node.IsA(attributeKind):
                node.SetAttribute(attribute, value or "")
        self._hScene.AddNode(node)
        if self.selectNodeUponCreation:
            self.setCurrentNode(node)
        self.nodeAddedByUserAction.emit(node)
        return node

    def removeCurrentNode(self) -> None:
        if self._hCurrent is not None:
            self._hScene.RemoveNode(self._hCurrent)

    def editCurrentNode(self) -> None:
        self.nodeAboutToBeEdited.emit(self._hCurrent)

    def renameCurrentNode(self) -> None:
        answer, accepted = QtWidgets.QInputDialog.getText(self, "Rename", "New name:", text=self._hCurrent.GetName())
        if accepted:
            self._hCurrent.SetName(answer)


@offered(SLICER)
class qMRMLColorTableComboBox(qMRMLNodeComboBox):
    def __init__(self, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        self.nodeTypes = ("vtkMRMLColorNode",)
        self.addEnabled = self.removeEnabled = False
