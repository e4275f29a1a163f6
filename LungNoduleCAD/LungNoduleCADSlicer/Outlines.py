"""Outlines of nodules: segments of the scene, labelmap files of the library (LPS), and what was changed since."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk
import slicer
import vtk
from vtk.util.numpy_support import vtk_to_numpy

BINARY_LABELMAP = "Binary labelmap"
# What the results folder knows of a segment: an attribute of the node, saved with the scene. (Not a tag of the segment:
# Segment Editor's undo brings the tags of before back too.)
KNOWN = "LungNoduleCAD.Outline."
_RAS_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])


@dataclass(frozen=True)
class Outline:
    """``voxels`` (K, J, I) is True inside, without an empty rim; ``ijkToLps`` (4, 4) leads to LPS mm."""

    voxels: np.ndarray
    ijkToLps: np.ndarray

    @property
    def fingerprint(self) -> str:
        """Equal for equal outlines."""
        place = np.round(self.ijkToLps, 3) + 0.0  # no negative zeros
        content = [place.tobytes(), repr(self.voxels.shape).encode(), np.packbits(self.voxels).tobytes()]
        return hashlib.sha256(b"".join(content)).hexdigest()[:16]

    def write(self, file: Path) -> None:
        """As a labelmap that the library reads: uint8, 1 inside."""
        spacing = np.linalg.norm(self.ijkToLps[:3, :3], axis=0)
        image = sitk.GetImageFromArray(self.voxels.astype(np.uint8))
        image.SetSpacing(spacing.tolist())
        image.SetOrigin(self.ijkToLps[:3, 3].tolist())
        image.SetDirection((self.ijkToLps[:3, :3] / spacing).ravel().tolist())
        sitk.WriteImage(image, str(file), useCompression=True)


def readOutline(file: Path) -> Outline:
    """A labelmap file, anything above 0 inside."""
    image = sitk.ReadImage(str(file))
    ijkToLps = np.eye(4)
    ijkToLps[:3, :3] = np.reshape(image.GetDirection(), (3, 3)) * image.GetSpacing()
    ijkToLps[:3, 3] = image.GetOrigin()
    return _cropped(sitk.GetArrayFromImage(image) > 0, ijkToLps)


def outlineOf(segmentationNode, segmentId: str, stepMm: float = 0.0) -> Outline:
    """A segment as it is now; its labelmap may be shared with others. With a step: of every few voxels one, larger."""
    segment = segmentationNode.GetSegmentation().GetSegment(segmentId)
    labelmap = segment.GetRepresentation(BINARY_LABELMAP)
    ijkToLps = _RAS_LPS @ _imageToWorld(labelmap)
    extent = labelmap.GetExtent()
    ijkToLps[:3, 3] += ijkToLps[:3, :3] @ extent[::2]
    scalars = labelmap.GetPointData().GetScalars()
    if scalars is None or scalars.GetNumberOfTuples() == 0:
        return Outline(np.zeros((0, 0, 0), bool), ijkToLps)
    shape = [last - first + 1 for first, last in zip(extent[::2], extent[1::2], strict=True)][::-1]
    steps = [max(round(stepMm / spacing), 1) for spacing in labelmap.GetSpacing()]
    ijkToLps[:3, :3] *= steps
    labels = vtk_to_numpy(scalars).reshape(shape)[tuple(slice(None, None, step) for step in steps[::-1])]
    return _cropped(labels == segment.GetLabelValue(), ijkToLps)


def setOutline(segmentationNode, segmentId: str, outline: Outline) -> None:
    """Give a segment this outline, which is then the known one; a segment that is not there is added."""
    segmentation = segmentationNode.GetSegmentation()
    labelmap = labelmapOf(outline, segmentation)
    segment = segmentation.GetSegment(segmentId)
    if segment is None:
        segment = slicer.vtkSegment()
        segment.SetName(segmentId)
        segment.AddRepresentation(BINARY_LABELMAP, labelmap)
        segmentation.AddSegment(segment, segmentId)
    else:
        slicer.vtkSlicerSegmentationsModuleLogic.SetBinaryLabelmapToSegment(labelmap, segmentationNode, segmentId)
    setKnown(segmentationNode, segmentId)


def giveOwnLabelmap(segmentationNode, segmentId: str) -> None:
    """A labelmap of its own, as small as the nodule, in place of one that spans all of them: quick to draw and edit."""
    segmentation = segmentationNode.GetSegmentation()
    segmentation.SeparateSegmentLabelmap(segmentId)
    labelmap = segmentation.GetSegment(segmentId).GetRepresentation(BINARY_LABELMAP)
    extent = [0] * 6
    if slicer.vtkOrientedImageDataResample.CalculateEffectiveExtent(labelmap, extent):
        slicer.vtkOrientedImageDataResample.CopyImage(labelmap, labelmap, extent)


def setKnown(segmentationNode, segmentId: str) -> None:
    """The results folder knows, or is being told, of the segment as it is now."""
    segmentationNode.SetAttribute(KNOWN + segmentId, outlineOf(segmentationNode, segmentId).fingerprint)


def isKnown(segmentationNode, segmentId: str) -> bool:
    """False where the segment was edited since the results folder was last told of it."""
    known = segmentationNode.GetAttribute(KNOWN + segmentId)
    return known is None or outlineOf(segmentationNode, segmentId).fingerprint == known


def _cropped(voxels: np.ndarray, ijkToLps: np.ndarray) -> Outline:
    if not voxels.any():
        return Outline(np.zeros((0, 0, 0), bool), ijkToLps)
    box = []
    for axis in range(3):
        occupied = np.flatnonzero(voxels.any(axis=tuple(other for other in range(3) if other != axis)))
        box.append(slice(int(occupied[0]), int(occupied[-1]) + 1))
    moved = ijkToLps.copy()
    moved[:3, 3] += ijkToLps[:3, :3] @ [part.start for part in box[::-1]]
    return Outline(np.ascontiguousarray(voxels[tuple(box)]), moved)


def labelmapOf(outline: Outline, segmentation=None):
    """As Slicer keeps it, on the grid of the segments that are there, so that it is saved without resampling."""
    ijkToRas = _RAS_LPS @ outline.ijkToLps
    first = np.zeros(3, int)
    neighbor = segmentation.GetNthSegment(0) if segmentation is not None else None
    if neighbor is not None:
        grid = _imageToWorld(neighbor.GetRepresentation(BINARY_LABELMAP))
        offset = np.linalg.solve(grid, ijkToRas[:, 3])[:3]
        if np.allclose(grid[:3, :3], ijkToRas[:3, :3], atol=1e-4) and np.allclose(offset, np.round(offset), atol=1e-2):
            ijkToRas, first = grid, np.round(offset).astype(int)
    shape = outline.voxels.shape[::-1]
    labelmap = slicer.vtkOrientedImageData()
    labelmap.SetImageToWorldMatrix(slicer.util.vtkMatrixFromArray(ijkToRas))
    extent = [int(end) for begin, size in zip(first, shape, strict=True) for end in (begin, begin + size - 1)]
    labelmap.SetExtent(extent)
    labelmap.AllocateScalars(vtk.VTK_UNSIGNED_CHAR, 1)
    vtk_to_numpy(labelmap.GetPointData().GetScalars())[:] = outline.voxels.ravel()
    return labelmap


def _imageToWorld(labelmap) -> np.ndarray:
    matrix = vtk.vtkMatrix4x4()
    labelmap.GetImageToWorldMatrix(matrix)
    return slicer.util.arrayFromVTKMatrix(matrix)
