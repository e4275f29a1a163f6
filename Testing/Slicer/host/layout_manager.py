"""``slicer.app.layoutManager()``: view nodes from layout descriptions, by slicer-core's own layout and slice logics."""

from __future__ import annotations

import slicer
import vtk
from PySide6 import QtCore, QtWidgets


class qMRMLSliceWidget(QtWidgets.QWidget):
    """One slice view: its node and logic are real, the widget itself shows nothing."""

    def __init__(self, node, logic) -> None:
        super().__init__()
        self._hNode, self._hLogic = node, logic

    def mrmlSliceNode(self):
        return self._hNode

    def sliceLogic(self):
        return self._hLogic

    def mrmlSliceCompositeNode(self):
        return self._hLogic.GetSliceCompositeNode()


class qSlicerLayoutManager(QtCore.QObject):
    def __init__(self, application) -> None:
        super().__init__()
        self._hApp = application
        self._hScene = None
        self._hLogic = slicer.vtkMRMLLayoutLogic()
        self._hSliceLogics = vtk.vtkCollection()
        self._hViewLogics = vtk.vtkCollection()
        self._hSlices: dict[str, qMRMLSliceWidget] = {}
        application.applicationLogic().SetSliceLogics(self._hSliceLogics)
        application.applicationLogic().SetViewLogics(self._hViewLogics)

    def setMRMLScene(self, scene) -> None:
        self._hScene = scene
        self._hLogic.SetMRMLScene(scene)
        for event in (slicer.vtkMRMLScene.NodeAddedEvent, slicer.vtkMRMLScene.NodeRemovedEvent):
            scene.AddObserver(event, self._hOnNode)
        self._hUpdate()

    def mrmlScene(self):
        return self._hScene

    @vtk.calldata_type(vtk.VTK_OBJECT)
    def _hOnNode(self, _scene, _event, node) -> None:
        if node.IsA("vtkMRMLAbstractViewNode"):
            self._hUpdate()

    def _hUpdate(self) -> None:
        nodes = {node.GetLayoutName(): node for node in slicer.util.getNodesByClass("vtkMRMLSliceNode", self._hScene)}
        for name in [name for name, widget in self._hSlices.items() if nodes.get(name) is not widget.mrmlSliceNode()]:
            self._hSliceLogics.RemoveItem(self._hSlices.pop(name).sliceLogic())
        for name, node in nodes.items():
            if name not in self._hSlices:
                logic = slicer.vtkMRMLSliceLogic()
                logic.SetMRMLApplicationLogic(self._hApp.applicationLogic())
                logic.SetMRMLScene(self._hScene)
                logic.SetSliceNode(node)
                self._hSliceLogics.AddItem(logic)
                self._hSlices[name] = qMRMLSliceWidget(node, logic)

    def layoutLogic(self):
        return self._hLogic

    layout = property(
        lambda self: self._hLogic.GetLayoutNode().GetViewArrangement(), lambda self, layout: self.setLayout(layout)
    )

    def setLayout(self, layout: int) -> None:
        self._hLogic.GetLayoutNode().SetViewArrangement(layout)

    def sliceViewNames(self) -> tuple[str, ...]:
        return tuple(self._hSlices)

    def sliceWidget(self, name: str):
        return self._hSlices.get(name)

    def mrmlSliceLogics(self):
        return self._hSliceLogics

    def resetSliceViews(self) -> None:
        for widget in self._hSlices.values():
            widget.sliceLogic().FitSliceToBackground()
