"""A results folder written again from the scene, where the scene came from another computer or the folder was lost.

It holds what ``review``, ``report`` and ``export`` of the command line need: findings, CT, outlines, heat maps, prior.
"""

import json
import tempfile
from pathlib import Path

import numpy as np
import SimpleITK as sitk
import slicer
import vtk
from slicer.i18n import tr as _

from LungNoduleCADSlicer.Outlines import outlineOf
from LungNoduleCADSlicer.Segments import idsOf, isLung
from LungNoduleCADSlicer.Study import PRIOR_SCAN, PRIOR_SEGMENTATION, REGISTRATION, SCAN, SEGMENTATION, Study

LUNG_LABELS = {"lung_right": 1, "lung_left": 2}
LUNG_LAYER, NODULE_LAYER = 0, 1
# what the library writes beside a heat map, and reads again; Slicer keeps it as attributes of the volume
SALIENCY_FACTS = ("target", "score", "method", "method_version", "method_sha256")
MORE_SALIENCY_FACTS = ("technique",)  # not of earlier versions
TOLERANCE_VOXELS = 0.05
_RAS_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])


class ResultsRestorer:
    """Writes into a new folder; positions are LPS mm, arrays (K, J, I)."""

    def isNeeded(self, study: Study) -> bool:
        """Whether the folder is gone, or holds findings with other corrections than the scene."""
        file = study.folder / "findings.json"
        if not file.is_file():
            return True
        try:
            return json.loads(file.read_text(encoding="utf-8"))["edits"] != study.findings["edits"]
        except (ValueError, KeyError):
            return True

    def whyNotPossible(self, study: Study) -> str:
        """Why the scene is not enough; empty where it is."""
        if study.get(SCAN) is None or study.get(SCAN).GetImageData() is None or study.get(SEGMENTATION) is None:
            return _("The results folder {folder} is not here, nor are the scan and its outlines in the scene").format(
                folder=study.folder
            )
        try:
            _steps(ijkToLpsOf(study.get(SCAN)), _gridOf(study.findings))
        except ValueError:
            return _("The results folder {folder} is not here, and the scan in the scene has another grid").format(
                folder=study.folder
            )
        return ""

    def restore(self, study: Study) -> Path:
        """The study's new folder, which it knows from then on.

        Raises RuntimeError where the scene is not enough or the folder cannot be written.
        """
        reason = self.whyNotPossible(study)
        if reason:
            raise RuntimeError(reason)
        folder = Path(tempfile.mkdtemp(prefix="LungNoduleCAD-restored-", dir=slicer.app.temporaryPath))
        try:
            heatMaps = {nodule["id"]: study.saliency(nodule["id"]) for nodule in study.nodules}
            _writeResults(folder, study.findings, study.get(SCAN), study.get(SEGMENTATION), heatMaps)
            prior, outlines = study.get(PRIOR_SCAN), study.get(PRIOR_SEGMENTATION)
            if study.findings["prior"] is not None and prior is not None and outlines is not None:
                _writeResults(folder / "prior", study.findings["prior"], prior, outlines, {})
            if study.get(REGISTRATION) is not None:
                _writeTransform(study.get(REGISTRATION), folder / "current_to_prior.h5")
        except (OSError, ValueError) as error:
            raise RuntimeError(_("The results could not be written again: {reason}").format(reason=error)) from error
        study.setFolder(folder)
        return folder


def ijkToLpsOf(volume) -> np.ndarray:
    """(4, 4) of a volume node, without the transforms it observes."""
    matrix = vtk.vtkMatrix4x4()
    volume.GetIJKToRASMatrix(matrix)
    return _RAS_LPS @ slicer.util.arrayFromVTKMatrix(matrix)


def onGrid(voxels: np.ndarray, ijkToLps: np.ndarray, grid: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A view of the voxels (K, J, I) with the axes of a grid (ijk to LPS, 4 x 4), and the index (k, j, i) of its first.

    Raises ValueError where its voxels do not lie on the grid's.
    """
    axes, offset = _steps(ijkToLps, grid)
    order = [int(np.flatnonzero(row)[0]) for row in axes]
    turned = voxels.transpose(2, 1, 0).transpose(order)
    first = offset.copy()
    for axis, source in enumerate(order):
        if axes[axis, source] < 0:
            turned = np.flip(turned, axis)
            first[axis] -= turned.shape[axis] - 1
    return turned.transpose(2, 1, 0), first[::-1]


def _steps(ijkToLps: np.ndarray, grid: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where the axes (3, 3: one 1 or -1 in each row) and the first voxel (i, j, k) of an image lie on a grid."""
    steps = np.linalg.solve(grid, ijkToLps)
    axes, offset = np.rint(steps[:3, :3]).astype(int), np.rint(steps[:3, 3]).astype(int)
    isTurned = np.array_equal(np.abs(axes).sum(0), (1, 1, 1)) and np.array_equal(np.abs(axes).sum(1), (1, 1, 1))
    if not isTurned or not np.allclose(steps[:3], np.c_[axes, offset], atol=TOLERANCE_VOXELS):
        raise ValueError(_("an image of the scene does not lie on the grid of the findings"))
    return axes, offset


def _gridOf(findings: dict) -> np.ndarray:
    """ijk to LPS mm."""
    geometry = findings["geometry"]
    grid = np.eye(4)
    grid[:3, :3] = np.reshape(geometry["direction"], (3, 3)) * geometry["spacing_kji_mm"][::-1]
    grid[:3, 3] = geometry["origin_lps_mm"]
    return grid


def _writeResults(folder: Path, findings: dict, scan, segmentation, heatMaps: dict) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    grid, shape = _gridOf(findings), tuple(findings["geometry"]["shape_kji"])
    (folder / "findings.json").write_text(json.dumps(findings), encoding="utf-8")
    run = {**findings["provenance"], "total_seconds": 0.0, "peak_memory_mb": None}
    (folder / "run.json").write_text(json.dumps(run), encoding="utf-8")
    hu, first = onGrid(slicer.util.arrayFromVolume(scan), ijkToLpsOf(scan), grid)
    inside, part = _overlap(hu.shape, first, shape)
    _write(hu[part].astype(np.int16), grid, [side.start for side in inside], folder / "ct.nrrd")
    _writeSegmentation(folder / "segmentation.seg.nrrd", segmentation, grid, shape)
    for noduleId, volume in heatMaps.items():
        if volume is not None and all(volume.GetAttribute(fact) is not None for fact in SALIENCY_FACTS):
            _writeSaliency(folder / "saliency" / f"{noduleId}.nrrd", volume)


def _writeSegmentation(file: Path, node, grid: np.ndarray, shape: tuple[int, int, int]) -> None:
    """Lungs in the first layer, nodules in the second; of overlapping nodules the first one wins."""
    segmentation = node.GetSegmentation()
    layers = np.zeros((*shape, 2), np.uint8)
    entries = []
    for segmentId in idsOf(segmentation):
        outline = outlineOf(node, segmentId)
        voxels, first = onGrid(outline.voxels, outline.ijkToLps, grid)
        inside, part = _overlap(voxels.shape, first, shape)
        layer = LUNG_LAYER if isLung(segmentId) else NODULE_LAYER
        label = LUNG_LABELS.get(segmentId) or 1 + sum(entry["Layer"] == str(NODULE_LAYER) for entry in entries)
        there = layers[(*inside, layer)]
        there[voxels[part] & (there == 0)] = label
        segment = segmentation.GetSegment(segmentId)
        entries.append(
            {
                "ID": segmentId,
                "Name": segment.GetName(),
                "Color": " ".join(f"{channel:.6g}" for channel in segment.GetColor()),
                "Layer": str(layer),
                "LabelValue": str(label),
                "Extent": " ".join(f"{side.start} {side.stop - 1}" for side in inside[::-1]),
            }
        )
    facts = {f"Segment{number}_{key}": value for number, entry in enumerate(entries) for key, value in entry.items()}
    _write(layers, grid, (0, 0, 0), file, facts)


def _writeSaliency(file: Path, volume) -> None:
    file.parent.mkdir(exist_ok=True)
    known = {fact: volume.GetAttribute(fact) for fact in (*SALIENCY_FACTS, *MORE_SALIENCY_FACTS)}
    facts = {fact: value for fact, value in known.items() if value is not None}
    _write(slicer.util.arrayFromVolume(volume), ijkToLpsOf(volume), (0, 0, 0), file, facts)


def _writeTransform(node, file: Path) -> None:
    storage = slicer.vtkMRMLTransformStorageNode()
    storage.SetFileName(str(file))
    if not storage.WriteData(node):
        raise OSError(_("{name} could not be written").format(name=node.GetName()))


def _overlap(size, first, shape) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
    """Where an image lies in an array of that shape, and which part of the image that is."""
    starts = [max(int(begin), 0) for begin in first]
    stops = [min(int(begin) + n, end) for begin, n, end in zip(first, size, shape, strict=True)]
    stops = [max(start, stop) for start, stop in zip(starts, stops, strict=True)]
    inside = tuple(slice(start, stop) for start, stop in zip(starts, stops, strict=True))
    part = tuple(
        slice(side.start - int(begin), side.stop - int(begin)) for side, begin in zip(inside, first, strict=True)
    )
    return inside, part


def _write(array: np.ndarray, ijkToLps: np.ndarray, first, file: Path, facts: dict | None = None) -> None:
    """Its first voxel lies at index ``first`` (k, j, i) of a grid."""
    spacing = np.linalg.norm(ijkToLps[:3, :3], axis=0)
    image = sitk.GetImageFromArray(np.ascontiguousarray(array), isVector=array.ndim == 4)
    image.SetSpacing(spacing.tolist())
    image.SetOrigin((ijkToLps @ [*map(float, first[::-1]), 1.0])[:3].tolist())
    image.SetDirection((ijkToLps[:3, :3] / spacing).ravel().tolist())
    for key, value in (facts or {}).items():
        image.SetMetaData(key, value)
    try:
        # labels are compressed in no time, a CT takes seconds
        sitk.WriteImage(image, str(file), useCompression=array.dtype == np.uint8, compressionLevel=1)
    except RuntimeError as error:
        raise OSError(str(error).strip().splitlines()[-1]) from error
