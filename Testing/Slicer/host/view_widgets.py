"""The widgets of the views: real nodes and logics, nothing drawn on screen; ``_hPicture`` renders off screen."""

from __future__ import annotations

from PySide6 import QtWidgets

from host import plotting, rendering
from host.members import SLICER
from host.offering import offered


class _View(QtWidgets.QWidget):
    """The part of a view widget that shows the pictures."""

    def __init__(self, node) -> None:
        super().__init__()
        self._hNode = node


class _RenderView(_View):
    def forceRender(self) -> None:
        """The host renders only when a picture is asked for."""

    scheduleRender = forceRender


@offered(SLICER)
class qMRMLSliceView(_RenderView):
    def mrmlSliceNode(self):
        return self._hNode


@offered(SLICER)
class qMRMLSliceControllerWidget(QtWidgets.QWidget):
    def __init__(self, logic) -> None:
        super().__init__()
        self._hLogic = logic

    def setSliceOrientation(self, name: str) -> None:
        self._hLogic.GetSliceNode().SetOrientation(name)

    def setSliceVisible(self, visible: bool) -> None:
        self._hLogic.GetSliceNode().SetSliceVisible(int(visible))

    def setSliceLink(self, linked: bool) -> None:
        self._hLogic.GetSliceCompositeNode().SetLinkedControl(int(linked))

    def setHotLinked(self, linked: bool) -> None:
        self._hLogic.GetSliceCompositeNode().SetHotLinkedControl(int(linked))

    def setSliceOffsetValue(self, offset: float) -> None:
        self._hLogic.SetSliceOffset(offset)

    def fitSliceToBackground(self) -> None:
        self._hLogic.FitSliceToBackground()


@offered(SLICER)
class qMRMLSliceWidget(QtWidgets.QWidget):
    def __init__(self, node, logic) -> None:
        super().__init__()
        self._hNode, self._hLogic = node, logic
        self._hView, self._hController = qMRMLSliceView(node), qMRMLSliceControllerWidget(logic)

    sliceOrientation = property(
        lambda self: self._hNode.GetOrientation(), lambda self, name: self.setSliceOrientation(name)
    )

    def setSliceOrientation(self, name: str) -> None:
        self._hNode.SetOrientation(name)

    def mrmlSliceNode(self):
        return self._hNode

    def mrmlSliceCompositeNode(self):
        return self._hLogic.GetSliceCompositeNode()

    def sliceLogic(self):
        return self._hLogic

    def sliceView(self) -> qMRMLSliceView:
        return self._hView

    def sliceController(self) -> qMRMLSliceControllerWidget:
        return self._hController

    def fitSliceToBackground(self) -> None:
        self._hLogic.FitSliceToBackground()

    def _hPicture(self, width: int, height: int):
        return rendering.renderSlice(self._hLogic, width, height)


@offered(SLICER)
class qMRMLThreeDView(_RenderView):
    def mrmlViewNode(self):
        return self._hNode

    def cameraNode(self):
        return rendering.cameraOf(self._hNode)

    def resetFocalPoint(self) -> None:
        rendering.fitCamera(self._hNode)

    def resetCamera(self, _rotation: bool = True, _translation: bool = True, _distance: bool = True) -> None:
        rendering.fitCamera(self._hNode)


@offered(SLICER)
class qMRMLThreeDWidget(QtWidgets.QWidget):
    def __init__(self, node, logic) -> None:
        super().__init__()
        self._hNode, self._hLogic, self._hView = node, logic, qMRMLThreeDView(node)
        self._hController = QtWidgets.QWidget(self)

    def mrmlViewNode(self):
        return self._hNode

    def viewLogic(self):
        return self._hLogic

    def threeDView(self) -> qMRMLThreeDView:
        return self._hView

    def threeDController(self) -> QtWidgets.QWidget:
        return self._hController

    def _hPicture(self, width: int, height: int):
        return rendering.renderThreeD(self._hNode, width, height)


@offered(SLICER)
class qMRMLPlotView(_View):
    def fitToContent(self) -> None:
        """The axes are fitted whenever the plot is drawn."""


@offered(SLICER)
class qMRMLPlotWidget(QtWidgets.QWidget):
    def __init__(self, node, _logic) -> None:
        super().__init__()
        self._hNode, self._hView = node, qMRMLPlotView(node)
        self._hController = QtWidgets.QWidget(self)

    def mrmlPlotViewNode(self):
        return self._hNode

    def plotView(self) -> qMRMLPlotView:
        return self._hView

    def plotController(self) -> QtWidgets.QWidget:
        return self._hController

    def _hPicture(self, width: int, height: int):
        return plotting.renderPlot(self._hNode, width, height)


@offered(SLICER)
class qMRMLTableView(_View):
    def mrmlTableViewNode(self):
        return self._hNode

    def mrmlTableNode(self):
        return self._hNode.GetTableNode()


@offered(SLICER)
class qMRMLTableWidget(QtWidgets.QWidget):
    def __init__(self, node, _logic) -> None:
        super().__init__()
        self._hNode, self._hView = node, qMRMLTableView(node)
        self._hController = QtWidgets.QWidget(self)

    def tableView(self) -> qMRMLTableView:
        return self._hView

    def tableController(self) -> QtWidgets.QWidget:
        return self._hController

    def _hPicture(self, _width: int, _height: int):
        return None


VIEW_WIDGETS = {
    "vtkMRMLSliceNode": qMRMLSliceWidget,
    "vtkMRMLViewNode": qMRMLThreeDWidget,
    "vtkMRMLPlotViewNode": qMRMLPlotWidget,
    "vtkMRMLTableViewNode": qMRMLTableWidget,
}
