"""The heat map in 3D: the small cropped volume, rendered with transfer functions of its own."""

import slicer
import vtk

from LungNoduleCADSlicer.Saliency import FLOOR, maximum

MARK = "LungNoduleCAD.Rendering"
COLORS = 16


class SaliencyRendering:
    """At most one map is rendered; what was made for it is removed with it."""

    def show(self, volume, opacity: float) -> None:
        """``volume`` None: nothing is rendered."""
        logic = slicer.modules.volumerendering.logic()
        display = logic.GetFirstVolumeRenderingDisplayNode(volume) if volume is not None else None
        for other in slicer.util.getNodesByClass("vtkMRMLVolumeRenderingDisplayNode"):
            if other.GetAttribute(MARK) and other is not display:
                _remove(other)
        if volume is None:
            return
        if display is None:
            display = logic.CreateDefaultVolumeRenderingNodes(volume)
            display.SetAttribute(MARK, "1")
            _color(display.GetVolumePropertyNode(), volume)
        _fade(display.GetVolumePropertyNode(), volume, opacity)
        display.SetVisibility(True)


def _remove(display) -> None:
    for node in (display.GetVolumePropertyNode(), display.GetROINode(), display.GetShaderPropertyNode(), display):
        if node is not None:
            slicer.mrmlScene.RemoveNode(node)


def _color(propertyNode, volume) -> None:
    """The colors of the overlay in the slices."""
    table = volume.GetDisplayNode().GetColorNode()
    top = maximum(volume)
    colors = vtk.vtkColorTransferFunction()
    rgba = [0.0] * 4
    for step in range(COLORS):
        table.GetColor(round(step / (COLORS - 1) * (table.GetNumberOfColors() - 1)), rgba)
        colors.AddRGBPoint(step / (COLORS - 1) * top, *rgba[:3])
    propertyNode.SetColor(colors)
    propertyNode.GetVolumeProperty().ShadeOff()
    propertyNode.GetVolumeProperty().SetInterpolationTypeToLinear()


def _fade(propertyNode, volume, opacity: float) -> None:
    """Cool voxels are transparent, the hottest have the opacity of the overlay."""
    top = maximum(volume)
    curve = vtk.vtkPiecewiseFunction()
    for share, height in ((0.0, 0.0), (FLOOR, 0.0), (0.6, 0.3 * opacity), (1.0, opacity)):
        curve.AddPoint(share * top, height)
    propertyNode.SetScalarOpacity(curve)
