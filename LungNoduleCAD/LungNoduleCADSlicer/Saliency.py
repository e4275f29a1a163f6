"""How a Grad-CAM map is shown: in its own colors, cool voxels transparent."""

COLORS = "vtkMRMLColorTableNodeIron"
# of a map's maximum: cooler voxels are transparent
FLOOR = 0.2


def styleSaliency(volume) -> None:
    """A volume of a map; its scale is kept, its colors span zero to its maximum."""
    volume.CreateDefaultDisplayNodes()
    display = volume.GetDisplayNode()
    top = maximum(volume)
    display.SetAndObserveColorNodeID(COLORS)
    display.SetAutoWindowLevel(False)
    display.SetWindowLevelMinMax(0.0, top)
    display.SetThreshold(FLOOR * top, top)
    display.SetApplyThreshold(True)


def maximum(volume) -> float:
    """Of the map; above zero."""
    return max(volume.GetImageData().GetScalarRange()[1], 1e-6)
