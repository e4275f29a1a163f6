"""What the slice and 3D views show: where they look, the scan, outlines, surfaces and the heat map."""

import slicer
from slicer.i18n import tr as _

from LungNoduleCADSlicer.SaliencyRendering import SaliencyRendering
from LungNoduleCADSlicer.Segments import idsOf, isLung
from LungNoduleCADSlicer.Study import NODULE
from LungNoduleCADSlicer.Surfaces import ensureSurface

# the chosen nodule stands out against the others; with its heat map in 3D one looks into it
CHOSEN_OPACITY, OTHER_OPACITY, GLASS_OPACITY = 1.0, 0.45, 0.25
LEGEND = "LungNoduleCAD.Legend"


def lpsToRas(point) -> tuple[float, float, float]:
    """The way back is the same."""
    return -point[0], -point[1], point[2]


class Views:
    """All views of the application; nodes come from ``StudyLoader``."""

    def __init__(self) -> None:
        self._rendering = SaliencyRendering()

    def jumpTo(self, pointLps) -> None:
        """All slice views onto a point, and the 3D views turn about it."""
        ras = lpsToRas(pointLps)
        slicer.vtkMRMLSliceNode.JumpAllSlices(slicer.mrmlScene, *ras, slicer.vtkMRMLSliceNode.CenteredJumpSlice)
        for camera in slicer.util.getNodesByClass("vtkMRMLCameraNode"):
            _lookAt(camera, ras)

    def showScan(self, volumeNode) -> None:
        slicer.util.setSliceViewerLayers(background=volumeNode, foreground=None, fit=True)

    def showOutlines(self, shown, hidden) -> None:
        """Segmentations whose segments are seen, and those whose are not; None among them is passed over."""
        for nodes, visible in ((hidden, False), (shown, True)):
            for node in nodes:
                if node is not None:
                    node.GetDisplayNode().SetVisibility(visible)

    def showSurfaces(self, segmentationNode, visible: bool, lungs: bool = False) -> None:
        """Surfaces of nodules, and of the lungs; what is shown for the first time is made now."""
        display = segmentationNode.GetDisplayNode()
        wasModifying = display.StartModify()
        for segmentId in idsOf(segmentationNode.GetSegmentation()):
            shown = lungs if isLung(segmentId) else visible
            # Slicer takes a segmentation without a surface in its first segment for one that has none
            if shown or (lungs and not isLung(segmentId)):
                ensureSurface(segmentationNode, segmentId)
            display.SetSegmentVisibility3D(segmentId, shown)
        display.SetVisibility3D(visible or lungs)
        display.EndModify(wasModifying)

    def selectSegment(self, segmentationNode, noduleId: str, glass: bool = False) -> None:
        """A nodule stands out, in 3D like glass if wanted; with an empty id all are equal."""
        display = segmentationNode.GetDisplayNode()
        wasModifying = display.StartModify()
        for segmentId in idsOf(segmentationNode.GetSegmentation()):
            if not isLung(segmentId):
                opacity = CHOSEN_OPACITY if noduleId in ("", segmentId) else OTHER_OPACITY
                display.SetSegmentOpacity2DOutline(segmentId, opacity)
                display.SetSegmentOpacity3D(segmentId, GLASS_OPACITY if glass and segmentId == noduleId else opacity)
        display.EndModify(wasModifying)

    def showSaliency(self, saliencyNode, opacity: float = 0.4, in3D: bool = False, scan=None) -> None:
        """One map, or none, over the views that show ``scan`` (None: over all), with its legend, and in 3D.

        Another volume that the reader laid over a view stays there as long as no map takes its place.
        """
        for composite in slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode"):
            if saliencyNode is not None and (scan is None or composite.GetBackgroundVolumeID() == scan.GetID()):
                composite.SetForegroundVolumeID(saliencyNode.GetID())
                composite.SetForegroundOpacity(opacity)
            elif _isSaliency(composite.GetForegroundVolumeID()):
                composite.SetForegroundVolumeID(None)
        _showLegend(saliencyNode)
        self._rendering.show(saliencyNode if in3D else None, opacity)


def _isSaliency(volumeId: str | None) -> bool:
    volume = slicer.mrmlScene.GetNodeByID(volumeId) if volumeId else None
    return volume is not None and volume.GetAttribute(NODULE) is not None


def _lookAt(camera, ras) -> None:
    """The same direction and distance, another middle."""
    before = camera.GetFocalPoint()
    position = [p + new - old for p, old, new in zip(camera.GetPosition(), before, ras, strict=True)]
    wasModifying = camera.StartModify()
    camera.SetFocalPoint(*ras)
    camera.SetPosition(*position)
    camera.EndModify(wasModifying)
    camera.ResetClippingRange()


def _showLegend(saliencyNode) -> None:
    logic = slicer.modules.colors.logic()
    shown = logic.GetColorLegendDisplayNode(saliencyNode) if saliencyNode is not None else None
    for legend in slicer.util.getNodesByClass("vtkMRMLColorLegendDisplayNode"):
        if legend.GetAttribute(LEGEND) and legend is not shown:
            slicer.mrmlScene.RemoveNode(legend)
    if saliencyNode is not None and shown is None:
        legend = logic.AddDefaultColorLegendDisplayNode(saliencyNode)
        legend.SetAttribute(LEGEND, "1")
        legend.SetTitleText(_("Heat map"))
        legend.SetLabelFormat("%.2g")
        legend.SetNumberOfLabels(3)
        legend.SetMaxNumberOfColors(256)
        legend.SetSize(0.1, 0.35)
        legend.SetVisibility(True)
