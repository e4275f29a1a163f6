"""An earlier result taken up again: its CT (kept as ``ct.nrrd`` around the lungs), masks, findings and registration."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import ndimage

from LungNoduleCADLib.domain.comparison import StudyComparison
from LungNoduleCADLib.domain.ct import CtVolume
from LungNoduleCADLib.domain.findings import StudyFindings
from LungNoduleCADLib.domain.masks import LungMask, NoduleMask
from LungNoduleCADLib.domain.provenance import Method
from LungNoduleCADLib.errors import InputError
from LungNoduleCADLib.report.findings_json import read_findings
from LungNoduleCADLib.report.nodule_json import saliency_name
from LungNoduleCADLib.report.outlines import newest_outlines, read_outline
from LungNoduleCADLib.report.segmentation import FILE_NAME as SEGMENTATION_NAME
from LungNoduleCADLib.report.segmentation import read_saliency

if TYPE_CHECKING:
    from LungNoduleCADLib.followup.register import Registration

CT_NAME, TRANSFORM_NAME = "ct.nrrd", "current_to_prior.h5"
SEGMENTER = "nodule_ct_segmentation"
AIR_HU = -1024
MARGIN_MM = 30.0
READ_BACK = Method("segmentation.seg.nrrd", "1")


def write_ct(ct: CtVolume, lungs: LungMask, folder: Path) -> None:
    """The CT around the lungs, without any header, so that a later comparison needs no DICOM."""
    from LungNoduleCADLib.imaging.sitk_bridge import to_sitk, write_image

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
    write_image(image, folder / CT_NAME, useCompression=True, compressionLevel=1)


def read_study(folder: Path) -> tuple[StudyFindings, CtVolume, LungMask]:
    """Findings with their masks and heat maps, the CT and the lungs, all on the whole grid of the scan.

    What was not kept of the CT (more than 30 mm from the lungs) is air.

    Raises
    ------
    InputError : no results there, or a file of them is missing or damaged.
    """
    findings = read_findings(folder)
    return read_images(folder, findings, len(findings.edits))


def read_images(folder: Path, findings: StudyFindings, edits: int) -> tuple[StudyFindings, CtVolume, LungMask]:
    """The images of findings that were read already, as they are after that many edits; see ``read_study``."""
    import nrrd
    import SimpleITK as sitk

    from LungNoduleCADLib.imaging.sitk_bridge import geometry_of

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
    whole, kept = findings.geometry, geometry_of(image)
    start = np.rint(whole.to_kji(kept.origin_lps_mm)).astype(int)
    box = tuple(slice(int(s), int(s) + n) for s, n in zip(start, kept.shape_kji, strict=True))
    if layers.shape[:3] != whole.shape_kji or start.min() < 0 or layers[box].shape[:3] != kept.shape_kji:
        raise InputError(
            f"{folder} does not fit together",
            expected=f"masks of shape {whole.shape_kji} and a CT inside of it",
            got=f"{layers.shape[:3]} and {kept.shape_kji}",
            todo="analyse the scan again",
        )
    hu = np.full(whole.shape_kji, AIR_HU, np.int16)
    hu[box] = sitk.GetArrayFromImage(image)
    ct = CtVolume(hu, whole, findings.series)
    lungs = LungMask(layers[..., 0].astype(np.uint8, order="C"), whole, findings.lungs.method)
    outlines = _outlines(folder, findings, edits, layers[..., 1], _labels(header))
    nodules = (replace(nodule, mask=outlines.get(nodule.id)) for nodule in findings.nodules)
    return with_heat_maps(replace(findings, nodules=tuple(nodules)), folder), ct, lungs


def _outlines(
    folder: Path, findings: StudyFindings, edits: int, layer: np.ndarray, labels: dict[str, int]
) -> dict[str, NoduleMask]:
    """{nodule id: its outline}: the one kept since an edit, else the one in the segmentation."""
    since = newest_outlines(folder, edits)
    boxes = ndimage.find_objects(layer)
    found = {}
    for nodule in findings.nodules:
        label = labels.get(nodule.id, 0)
        if nodule.id in since:
            found[nodule.id] = read_outline(since[nodule.id], findings.geometry)
        elif 0 < label <= len(boxes) and (box := boxes[label - 1]):
            start = tuple(int(side.start) for side in box)
            found[nodule.id] = NoduleMask(layer[box] == label, start, findings.geometry, _segmenter(findings))  # type: ignore[arg-type]
    return found


def _labels(header: dict[str, Any]) -> dict[str, int]:
    """{segment id: its value in the nodules' layer}."""
    numbers = [key.removesuffix("_Name") for key in header if key.startswith("Segment") and key.endswith("_Name")]
    return {
        header[f"{number}_ID"]: int(header[f"{number}_LabelValue"])
        for number in numbers
        if header.get(f"{number}_Layer") == "1"
    }


def _segmenter(findings: StudyFindings) -> Method:
    """What made the outlines that nobody drew."""
    return next((method for method in findings.provenance.methods if method.name == SEGMENTER), READ_BACK)


def with_heat_maps(findings: StudyFindings, folder: Path) -> StudyFindings:
    """The same with the heat maps that the folder has."""
    maps = {nodule.id: folder / saliency_name(nodule.id) for nodule in findings.nodules}
    return replace(
        findings,
        nodules=tuple(
            replace(nodule, saliency=read_saliency(maps[nodule.id]) if maps[nodule.id].is_file() else None)
            for nodule in findings.nodules
        ),
    )


def read_registration(folder: Path, comparison: StudyComparison) -> Registration:
    """How the prior of a comparison lies on its current scan (the texture's agreement is not kept: not a number).

    Raises
    ------
    InputError : the transform is missing or not one of this software.
    """
    import SimpleITK as sitk

    from LungNoduleCADLib.followup.register import Registration

    path = folder / TRANSFORM_NAME
    try:
        transform = sitk.CompositeTransform(sitk.ReadTransform(str(path)))
        affine = sitk.AffineTransform(transform.GetNthTransform(0).Downcast())
    except (RuntimeError, TypeError, NotImplementedError) as error:
        raise InputError(
            f"{folder} is not a whole result", expected=TRANSFORM_NAME, got=type(error).__name__, todo="compare again"
        ) from error
    if comparison.registration is None:
        raise InputError(f"{folder} says nothing of its registration", todo="compare again")
    return Registration(transform, affine, comparison.registration, float("nan"), comparison.flags)
