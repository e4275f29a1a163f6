"""How nodules and lungs are called and colored as segments: as in the library's own segmentation file."""

from slicer.i18n import tr as _

CLOSED_SURFACE = "Closed surface"
LUNG_PREFIX = "lung_"
LUNG_OPACITY_3D, LUNG_OUTLINE_OPACITY = 0.15, 0.35
OUTLINE_THICKNESS = 2
TERMINOLOGY_TAG = "TerminologyEntry"
_SIDES = {"right": "SCT^24028007^Right", "left": "SCT^7771000^Left"}


def isLung(segmentId: str) -> bool:
    return segmentId.startswith(LUNG_PREFIX)


def idsOf(segmentation) -> list[str]:
    return [segmentation.GetNthSegmentID(index) for index in range(segmentation.GetNumberOfSegments())]


def noduleIdsOf(segmentationNode) -> list[str]:
    return [segmentId for segmentId in idsOf(segmentationNode.GetSegmentation()) if not isLung(segmentId)]


def categoryColor(category: str | None) -> tuple[float, float, float]:
    """Of a Lung-RADS category, or of a nodule without one."""
    from LungNoduleCADLib.report.segmentation import CATEGORY_COLORS, UNCATEGORISED

    return {str(key): color for key, color in CATEGORY_COLORS.items()}.get(category, UNCATEGORISED)


def textColor(background: tuple[float, float, float]) -> str:
    """Black or white, whichever is easier to read on it."""
    red, green, blue = background
    return "black" if 0.299 * red + 0.587 * green + 0.114 * blue > 0.5 else "white"


def styleSegments(segmentationNode) -> None:
    """Outlines only; no surface is shown before it is asked for."""
    segmentationNode.CreateDefaultDisplayNodes()
    display = segmentationNode.GetDisplayNode()
    display.SetVisibility3D(False)
    display.SetAllSegmentsOpacity2DFill(0.0)
    display.SetSliceIntersectionThickness(OUTLINE_THICKNESS)
    for segmentId in idsOf(segmentationNode.GetSegmentation()):
        if isLung(segmentId):
            display.SetSegmentOpacity3D(segmentId, LUNG_OPACITY_3D)
            display.SetSegmentOpacity2DOutline(segmentId, LUNG_OUTLINE_OPACITY)


def describeSegments(segmentationNode, nodules: list[dict]) -> None:
    """Name, color and term of every nodule that has a segment; a new one is shown as the others are.

    Nodules come before the lungs, as Slicer shows surfaces only if the first segment has one.
    """
    segmentation = segmentationNode.GetSegmentation()
    known = [nodule for nodule in nodules if segmentation.GetSegment(nodule["id"]) is not None]
    for index, nodule in enumerate(known):
        segment = segmentation.GetSegment(nodule["id"])
        segment.SetName(_name(nodule))
        segment.SetColor(*categoryColor(nodule["lung_rads"]))
        segment.SetTag(TERMINOLOGY_TAG, _terminology(nodule["side"]))
        segmentationNode.GetDisplayNode().SetSegmentOpacity2DFill(nodule["id"], 0.0)
        if segmentation.GetNthSegmentID(index) != nodule["id"]:
            segmentation.SetSegmentIndex(nodule["id"], index)


def _name(nodule: dict) -> str:
    size = nodule["mean_diameter_mm"]
    parts = [nodule["id"], nodule["type"], _("{size:.1f} mm").format(size=size) if size is not None else None]
    return " ".join(part for part in parts if part)


def _terminology(side: str | None) -> str:
    return (
        "Segmentation category and type - 3D Slicer General Anatomy list~SCT^49755003^Morphologically Altered Structure"
        "~SCT^27925004^Nodule~^^~Anatomic codes - DICOM master list~SCT^39607008^Lung~" + _SIDES.get(side, "^^")
    )
