"""Surfaces of segments, made when they are shown for the first time."""

import slicer

from LungNoduleCADSlicer.Outlines import BINARY_LABELMAP, labelmapOf, outlineOf
from LungNoduleCADSlicer.Segments import CLOSED_SURFACE, isLung

# lungs are only to show where the nodules lie: at full resolution they would take seconds
LUNG_STEP_MM = 5.0


def ensureSurface(segmentationNode, segmentId: str) -> None:
    """The segment's closed surface; that of a lung is a coarse one."""
    segment = segmentationNode.GetSegmentation().GetSegment(segmentId)
    if segment.GetRepresentation(CLOSED_SURFACE) is not None:
        return
    rule = slicer.vtkBinaryLabelmapToClosedSurfaceConversionRule()
    if not isLung(segmentId):
        rule.Convert(segment)
        return
    rough = slicer.vtkSegment()
    rough.AddRepresentation(BINARY_LABELMAP, labelmapOf(outlineOf(segmentationNode, segmentId, LUNG_STEP_MM)))
    rule.Convert(rough)
    segment.AddRepresentation(CLOSED_SURFACE, rough.GetRepresentation(CLOSED_SURFACE))
