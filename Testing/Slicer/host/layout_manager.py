"""``slicer.app.layoutManager()``: view nodes from layout descriptions, by slicer-core's own layout and slice logics."""

from __future__ import annotations

import slicer
import vtk
from PySide6 import QtCore, QtWidgets

from host import arrangement, rendering
from host.members import SLICER
from host.offering import offered
from host.view_widgets import VIEW_WIDGETS, qMRMLSliceWidget

VIEWPORT = (900, 760)  # pixels, of the stand-in's window
CONTROLLER = 24  # height of the bar above a view, pixels


@offered(SLICER)
class qSlicerLayoutManager(QtCore.QObject):
    def __init__(self, application) -> None:
        super().__init__()
        self._hApp = application
        self._hScene = None
        self._hLogic = slicer.vtkMRMLLayoutLogic()
        self._hSliceLogics = vtk.vtkCollection()
        self._hViewLogics = vtk.vtkCollection()
        self._hWidgets: dict[object, QtWidgets.QWidget] = {}
        self._hLayout = None
        self._hViewport = QtWidgets.QWidget()
        application.applicationLogic().SetSliceLogics(self._hSliceLogics)
        application.applicationLogic().SetViewLogics(self._hViewLogics)
        rendering.register(application.applicationLogic())

    # ---- following the scene

    def setMRMLScene(self, scene) -> None:
        self._hScene = scene
        self._hLogic.SetMRMLScene(scene)
        for event in (slicer.vtkMRMLScene.NodeAddedEvent, slicer.vtkMRMLScene.NodeRemovedEvent):
            scene.AddObserver(event, self._hOnNode)
        for event in (slicer.vtkMRMLScene.EndBatchProcessEvent, slicer.vtkMRMLScene.EndCloseEvent):
            scene.AddObserver(event, lambda _caller, _event: self._hUpdate())
        layoutNode = self._hLogic.GetLayoutNode()
        layoutNode.AddObserver(vtk.vtkCommand.ModifiedEvent, lambda _caller, _event: self._hUpdate())
        layoutNode.SetViewArrangement(slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpView)
        self._hUpdate()

    def mrmlScene(self):
        return self._hScene

    @vtk.calldata_type(vtk.VTK_OBJECT)
    def _hOnNode(self, _scene, _event, node) -> None:
        if node.IsA("vtkMRMLAbstractViewNode"):
            self._hUpdate()

    def _hUpdate(self) -> None:
        """A widget, and for slice and 3D views a logic, for each view node; mapped are those of the current layout."""
        if self._hScene.IsBatchProcessing():
            return
        nodes = slicer.util.getNodesByClass("vtkMRMLAbstractViewNode", self._hScene)
        for node in [node for node in self._hWidgets if node not in nodes]:
            widget = self._hWidgets.pop(node)
            if isinstance(widget, qMRMLSliceWidget):
                self._hSliceLogics.RemoveItem(widget.sliceLogic())
        for node in nodes:
            kind = VIEW_WIDGETS.get(node.GetClassName())
            if node not in self._hWidgets and kind is not None:
                self._hWidgets[node] = kind(node, self._hLogicOf(node))
        self._hAddCameras()
        places = {(place.viewClass, place.tag): place for place in self._hPlaces(*VIEWPORT)}
        for node, widget in self._hWidgets.items():
            place = places.get((node.GetClassName(), node.GetSingletonTag()))
            node.SetMappedInLayout(place is not None)
            if place is not None and isinstance(widget, qMRMLSliceWidget):
                widget.sliceLogic().ResizeSliceNode(place.width, max(place.height - CONTROLLER, 1))
        if self.layout != self._hLayout:
            self._hLayout = self.layout
            self.layoutChanged.emit(self._hLayout)

    def _hLogicOf(self, node):
        if node.IsA("vtkMRMLSliceNode"):
            logic = slicer.vtkMRMLSliceLogic()
            logic.SetMRMLApplicationLogic(self._hApp.applicationLogic())
            logic.SetMRMLScene(self._hScene)
            logic.SetSliceNode(node)
            self._hSliceLogics.AddItem(logic)
            return logic
        if node.IsA("vtkMRMLViewNode"):
            logic = slicer.vtkMRMLViewLogic()
            logic.SetMRMLApplicationLogic(self._hApp.applicationLogic())
            logic.SetMRMLScene(self._hScene)
            logic.AddViewNode(node.GetLayoutName())
            self._hViewLogics.AddItem(logic)
            return logic
        return None

    def _hAddCameras(self) -> None:
        """In Slicer each 3D view's camera displayable manager does this."""
        cameras = {camera.GetLayoutName() for camera in slicer.util.getNodesByClass("vtkMRMLCameraNode", self._hScene)}
        for node in self._hNodes("vtkMRMLViewNode"):
            if node.GetLayoutName() not in cameras:
                camera = self._hScene.AddNewNodeByClass("vtkMRMLCameraNode", "Camera")
                camera.SetLayoutName(node.GetLayoutName())

    def _hPlaces(self, width: int, height: int) -> list[arrangement.Place]:
        description = self._hLogic.GetLayoutNode().GetCurrentLayoutDescription()
        return arrangement.places(description, width, height) if description else []

    def _hNodes(self, viewClass: str) -> list:
        return [node for node in self._hWidgets if node.IsA(viewClass)]

    def _hWidgetsOf(self, viewClass: str) -> list:
        return [self._hWidgets[node] for node in self._hNodes(viewClass)]

    # ---- properties

    enabled = property(lambda self: True)
    layout = property(
        lambda self: self._hLogic.GetLayoutNode().GetViewArrangement(), lambda self, layout: self.setLayout(layout)
    )
    threeDViewCount = property(lambda self: len(self._hNodes("vtkMRMLViewNode")))
    plotViewCount = property(lambda self: len(self._hNodes("vtkMRMLPlotViewNode")))
    tableViewCount = property(lambda self: len(self._hNodes("vtkMRMLTableViewNode")))

    # ---- invokable methods and slots

    def layoutLogic(self):
        return self._hLogic

    def setLayout(self, layout: int) -> None:
        self._hLogic.GetLayoutNode().SetViewArrangement(layout)

    def viewport(self) -> QtWidgets.QWidget:
        return self._hViewport

    def viewWidget(self, node):
        return self._hWidgets.get(node)

    def sliceViewNames(self) -> tuple[str, ...]:
        return tuple(node.GetLayoutName() for node in self._hNodes("vtkMRMLSliceNode"))

    def sliceWidget(self, name: str):
        widgets = (self._hWidgets[node] for node in self._hNodes("vtkMRMLSliceNode") if node.GetLayoutName() == name)
        return next(widgets, None)

    def _hNth(self, viewClass: str, index: int):
        widgets = self._hWidgetsOf(viewClass)
        return widgets[index] if 0 <= index < len(widgets) else None

    def threeDWidget(self, index: int):
        return self._hNth("vtkMRMLViewNode", index)

    def plotWidget(self, index: int):
        return self._hNth("vtkMRMLPlotViewNode", index)

    def tableWidget(self, index: int):
        return self._hNth("vtkMRMLTableViewNode", index)

    def mrmlSliceLogics(self):
        return self._hSliceLogics

    def mrmlViewLogics(self):
        return self._hViewLogics

    def activeMRMLThreeDViewNode(self):
        return next(iter(self._hNodes("vtkMRMLViewNode")), None)

    def activeMRMLPlotViewNode(self):
        return next(iter(self._hNodes("vtkMRMLPlotViewNode")), None)

    def activeMRMLTableViewNode(self):
        return next(iter(self._hNodes("vtkMRMLTableViewNode")), None)

    def resetSliceViews(self) -> None:
        for widget in self._hWidgetsOf("vtkMRMLSliceNode"):
            widget.sliceLogic().FitSliceToBackground()

    def resetThreeDViews(self) -> None:
        for widget in self._hWidgetsOf("vtkMRMLViewNode"):
            widget.threeDView().resetFocalPoint()
