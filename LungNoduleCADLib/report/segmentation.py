"""``segmentation.seg.nrrd``: lungs and nodules as 3D Slicer writes a segmentation, named, coloured and coded."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from LungNoduleCADLib.domain.geometry import Geometry
from LungNoduleCADLib.domain.lung_rads import LungRadsCategory
from LungNoduleCADLib.domain.masks import Lung, LungMask, Side
from LungNoduleCADLib.domain.nodule import Nodule, Saliency
from LungNoduleCADLib.domain.provenance import Method

FILE_NAME = "segmentation.seg.nrrd"
Color = tuple[float, float, float]

CATEGORY_COLORS: dict[LungRadsCategory, Color] = {
    LungRadsCategory.C0: (0.55, 0.55, 0.55),
    LungRadsCategory.C1: (0.35, 0.70, 0.35),
    LungRadsCategory.C2: (0.35, 0.70, 0.35),
    LungRadsCategory.C3: (0.95, 0.80, 0.20),
    LungRadsCategory.C4A: (0.95, 0.55, 0.15),
    LungRadsCategory.C4B: (0.85, 0.15, 0.15),
    LungRadsCategory.C4X: (0.65, 0.05, 0.30),
}
UNCATEGORISED: Color = (0.55, 0.55, 0.95)
LUNG_COLORS: dict[Lung, Color] = {Lung.RIGHT: (0.60, 0.75, 0.90), Lung.LEFT: (0.70, 0.85, 0.75)}

# SNOMED CT, as pydicom's and Slicer's dictionaries print them.
_ANATOMY, _LESION = "SCT^123037004^Anatomical Structure", "SCT^49755003^Morphologically Altered Structure"
_LUNG, _NODULE = "SCT^39607008^Lung", "SCT^27925004^Nodule"
_SIDES = {Side.RIGHT: "SCT^24028007^Right", Side.LEFT: "SCT^7771000^Left", None: "^^"}
_LUNG_LAYER, _NODULE_LAYER = 0, 1


@dataclass(frozen=True)
class Segment:
    """One named structure: where it is in the file, and how it is shown."""

    id: str
    name: str
    color: Color
    layer: int
    label: int
    extent_ijk: tuple[int, int, int, int, int, int]
    terminology: str


def write_segmentation(lungs: LungMask, nodules: Sequence[Nodule], path: Path) -> None:
    """Two layers on the CT's grid, so that nodules overlap the lungs; of overlapping nodules the first one wins."""
    import nrrd

    masked = [nodule for nodule in nodules if nodule.mask is not None]
    layers = np.zeros((*lungs.geometry.shape_kji, 2), np.min_scalar_type(max(len(masked), *Lung)))
    layers[..., _LUNG_LAYER] = lungs.labels
    for label, nodule in reversed(list(enumerate(masked, start=1))):
        layers[..., _NODULE_LAYER][nodule.mask.box][nodule.mask.voxels] = label  # type: ignore[union-attr]
    segments = [*_lung_segments(lungs), *_nodule_segments(masked)]
    nrrd.write(str(path), layers, _header(segments, lungs.geometry), index_order="C", compression_level=2)


def write_saliency(nodule: Nodule, path: Path) -> None:
    """The heat map (float32, absolute scale) as a NRRD image in LPS mm."""
    from LungNoduleCADLib.imaging.sitk_bridge import to_sitk, write_image

    if nodule.saliency is None:
        raise ValueError(f"expected a nodule with a saliency map, got {nodule.id} without one")
    saliency = nodule.saliency
    image = to_sitk(saliency.heat.astype(np.float32), saliency.geometry)
    method = saliency.method
    made_by = {"method": method.name, "method_version": method.version, "method_sha256": method.sha256 or ""}
    of_it = {"target": saliency.target, "score": repr(saliency.score), "technique": saliency.technique}
    for key, value in {**of_it, **made_by}.items():
        image.SetMetaData(key, value)
    write_image(image, path, useCompression=True)


def read_saliency(path: Path) -> Saliency:
    """A map that ``write_saliency`` wrote; RuntimeError where it is none."""
    import SimpleITK as sitk

    from LungNoduleCADLib.imaging.sitk_bridge import geometry_of

    image = sitk.ReadImage(str(path))
    target, score, name, version, sha256 = (
        image.GetMetaData(key) for key in ("target", "score", "method", "method_version", "method_sha256")
    )
    heat = sitk.GetArrayFromImage(image).astype(np.float32)
    technique = {"technique": image.GetMetaData("technique")} if image.HasMetaDataKey("technique") else {}
    return Saliency(heat, geometry_of(image), target, float(score), Method(name, version, sha256 or None), **technique)


def _lung_segments(lungs: LungMask) -> Iterator[Segment]:
    for lung, side in ((Lung.RIGHT, Side.RIGHT), (Lung.LEFT, Side.LEFT)):
        terminology = _terminology(_ANATOMY, _LUNG, _SIDES[side], None)
        extent = _extent(lungs.labels == lung, (0, 0, 0))
        yield Segment(f"lung_{side}", f"{side} lung", LUNG_COLORS[lung], _LUNG_LAYER, int(lung), extent, terminology)


def _nodule_segments(nodules: Sequence[Nodule]) -> Iterator[Segment]:
    for label, nodule in enumerate(nodules, start=1):
        measured = nodule.measurements
        color = CATEGORY_COLORS[nodule.lung_rads.category] if nodule.lung_rads else UNCATEGORISED
        kind = f" {nodule.type.type}" if nodule.type else ""
        size = f" {measured.axes.mean_diameter_mm:.1f} mm" if measured else ""
        yield Segment(
            nodule.id,
            f"{nodule.id}{kind}{size}",
            color,
            _NODULE_LAYER,
            label,
            _extent(nodule.mask.voxels, nodule.mask.start_kji),  # type: ignore[union-attr]
            _terminology(_LESION, _NODULE, "^^", measured.side if measured else None, within_lung=True),
        )


def _terminology(category: str, kind: str, modifier: str, side: Side | None, within_lung: bool = False) -> str:
    region = f"{_LUNG}~{_SIDES[side]}" if within_lung else "^^~^^"
    return (
        f"Segmentation category and type - 3D Slicer General Anatomy list~{category}~{kind}~{modifier}"
        f"~Anatomic codes - DICOM master list~{region}"
    )


def _extent(mask: np.ndarray, start_kji: tuple[int, int, int]) -> tuple[int, int, int, int, int, int]:
    """First and last index along i, j, k; Slicer's empty extent where nothing is set."""
    if not mask.any():
        return 0, -1, 0, -1, 0, -1
    ends = []
    for axis in (2, 1, 0):
        occupied = np.flatnonzero(mask.any(axis=tuple(other for other in range(3) if other != axis)))
        ends += [int(occupied[0]) + start_kji[axis], int(occupied[-1]) + start_kji[axis]]
    return tuple(ends)  # type: ignore[return-value]


def _header(segments: Sequence[Segment], geometry: Geometry) -> dict[str, object]:
    directions = geometry.affine_kji_to_lps[:3, :3].T[::-1]  # one row an axis, i first
    header: dict[str, object] = {
        "space": "left-posterior-superior",
        "kinds": ["list", "domain", "domain", "domain"],
        "space directions": np.vstack([np.full((1, 3), np.nan), directions]),
        "space origin": np.asarray(geometry.origin_lps_mm),
        "encoding": "gzip",
        "Segmentation_ContainedRepresentationNames": "Binary labelmap|",
        "Segmentation_MasterRepresentation": "Binary labelmap",
        "Segmentation_ReferenceImageExtentOffset": "0 0 0",
    }
    for number, segment in enumerate(segments):
        prefix = f"Segment{number}_"
        header |= {
            f"{prefix}ID": segment.id,
            f"{prefix}Name": segment.name,
            f"{prefix}NameAutoGenerated": "0",
            f"{prefix}Color": " ".join(f"{channel:.6g}" for channel in segment.color),
            f"{prefix}ColorAutoGenerated": "0",
            f"{prefix}Extent": " ".join(str(end) for end in segment.extent_ijk),
            f"{prefix}LabelValue": str(segment.label),
            f"{prefix}Layer": str(segment.layer),
            f"{prefix}Tags": f"TerminologyEntry:{segment.terminology}|",
        }
    return header
