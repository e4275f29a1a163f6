"""An earlier result taken up again: its CT (kept as ``ct.nrrd`` around the lungs), masks and findings."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from LungNoduleCADLib.domain.ct import CtVolume
from LungNoduleCADLib.domain.findings import StudyFindings
from LungNoduleCADLib.domain.masks import LungMask, NoduleMask
from LungNoduleCADLib.domain.nodule import Nodule
from LungNoduleCADLib.domain.provenance import Method
from LungNoduleCADLib.errors import InputError
from LungNoduleCADLib.report.findings_json import read_findings
from LungNoduleCADLib.report.nodule_json import saliency_name
from LungNoduleCADLib.report.segmentation import FILE_NAME as SEGMENTATION_NAME
from LungNoduleCADLib.report.segmentation import read_saliency

CT_NAME = "ct.nrrd"
MARGIN_MM = 30.0
READ_BACK = Method("segmentation.seg.nrrd", "1")


def write_ct(ct: CtVolume, lungs: LungMask, folder: Path) -> None:
    """The CT around the lungs, without any header, so that a later comparison needs no DICOM."""
    import SimpleITK as sitk

    from LungNoduleCADLib.imaging.sitk_bridge import to_sitk

    inside = (
        np.argwhere(lungs.labels.any(axis=(1, 2))),
        np.argwhere(lungs.labels.any(axis=(0, 2))),
        np.argwhere(lungs.labels.any(axis=(0, 1))),
    )
    margin = [int(np.ceil(MARGIN_MM / s)) for s in ct.geometry.spacing_kji_mm]
    start = [max(int(a.min()) - m, 0) for a, m in zip(inside, margin, strict=True)]
    stop = [min(int(a.max()) + m + 1, n) for a, m, n in zip(inside, margin, ct.hu.shape, strict=True)]
    part = ct.hu[tuple(slice(a, b) for a, b in zip(start, stop, strict=True))]
    image = to_sitk(np.ascontiguousarray(part), ct.geometry.crop(tuple(start), part.shape))  # type: ignore[arg-type]
    sitk.WriteImage(image, str(folder / CT_NAME), useCompression=True, compressionLevel=1)


def read_study(folder: Path) -> tuple[StudyFindings, CtVolume, LungMask]:
    """Findings with their masks, on the grid of the CT that was kept.

    Raises
    ------
    InputError : no results there, or a file of them is missing or damaged.
    """
    import nrrd
    import SimpleITK as sitk

    from LungNoduleCADLib.imaging.sitk_bridge import geometry_of

    findings = read_findings(folder)
    try:
        image = sitk.ReadImage(str(folder / CT_NAME))
        layers, header = nrrd.read(str(folder / SEGMENTATION_NAME), index_order="C")
    except (RuntimeError, OSError, nrrd.NRRDError) as error:
        raise InputError(
            f"{folder} is not a whole result",
            expected=f"{CT_NAME} and {SEGMENTATION_NAME}",
            got=str(error).splitlines()[-1],
            todo="analyse the scan again",
        ) from error
    geometry = geometry_of(image)
    start = np.rint(findings.geometry.to_kji(geometry.origin_lps_mm)).astype(int)
    box = tuple(slice(int(s), int(s) + n) for s, n in zip(start, geometry.shape_kji, strict=True))
    if layers.shape[:3] != findings.geometry.shape_kji or layers[box].shape[:3] != geometry.shape_kji:
        raise InputError(
            f"{folder} does not fit together",
            expected=f"masks of shape {findings.geometry.shape_kji}",
            got=str(layers.shape[:3]),
            todo="analyse the scan again",
        )
    ct = CtVolume(sitk.GetArrayFromImage(image).astype(np.int16), geometry, findings.series)
    lungs = LungMask(np.ascontiguousarray(layers[box][..., 0]).astype(np.uint8), geometry, findings.lungs.method)
    labels = {
        header[key.replace("_Name", "_ID")]: int(header[key.replace("_Name", "_LabelValue")])
        for key in header
        if key.startswith("Segment") and key.endswith("_Name")
    }
    nodules = tuple(_with_images(n, layers[box][..., 1], labels.get(n.id), ct, folder) for n in findings.nodules)
    return replace(findings, nodules=nodules, geometry=geometry), ct, lungs


def _with_images(nodule: Nodule, layer: np.ndarray, label: int | None, ct: CtVolume, folder: Path) -> Nodule:
    """The nodule with its mask and its heat map, where there are any."""
    heat_map = folder / saliency_name(nodule.id)
    if heat_map.is_file():
        nodule = replace(nodule, saliency=read_saliency(heat_map))
    voxels = np.argwhere(layer == label) if label is not None else np.empty((0, 3))
    if not len(voxels):
        return nodule
    start, stop = voxels.min(axis=0), voxels.max(axis=0) + 1
    part = layer[tuple(slice(int(a), int(b)) for a, b in zip(start, stop, strict=True))] == label
    return replace(nodule, mask=NoduleMask(part, tuple(int(v) for v in start), ct.geometry, READ_BACK))  # type: ignore[arg-type]
