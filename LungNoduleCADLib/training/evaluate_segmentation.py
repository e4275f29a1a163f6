"""How well outlines from one point agree with the readers' consensus."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from scipy import ndimage

from LungNoduleCADLib.evaluation.overlap import SurfaceAgreement, dice, surface_agreement
from LungNoduleCADLib.nodules.measure import nodule_volume_mm3
from LungNoduleCADLib.nodules.segment import NoduleSegmenter
from LungNoduleCADLib.training.cases import POINT
from LungNoduleCADLib.training.data import MarkedScan, PackNodule, TrainingData
from LungNoduleCADLib.training.evaluate import CLEAR_READERS, Examination, Figures, estimate, groups_of
from LungNoduleCADLib.training.evaluate_pictures import draw_outlines

TOLERANCE_MM = 1.0


def segmentation_figures(examination: Examination) -> Figures:
    """Dice and volume against the consensus, by size, type and source of HU; and in whole scans."""
    segmenter = NoduleSegmenter.from_bundle(examination.bundle, examination.device, unseen_fold=examination.fold)
    outlines, overlaps, ratios, surfaces = [], [], [], []
    for case in examination.cases:
        mask = segmenter.segment(case.ct, POINT)
        mine = np.zeros_like(case.reference)
        if mask is not None:
            mine[mask.box] = mask.voxels
        outlines.append(mine)
        overlaps.append(dice(mine, case.reference))
        volume = nodule_volume_mm3(mask) if mask is not None else 0.0
        ratios.append(max(volume, 1.0) / case.reference_volume_mm3())
        surfaces.append(_surfaces(mine, case.reference, case.ct.geometry.spacing_kji_mm))
    examination.report(f"mean Dice {np.mean(overlaps):.3f}")
    if examination.pictures:
        draw_outlines(examination.pictures, examination.cases, outlines, np.array(overlaps))
    figures = _table(examination.nodules, np.array(overlaps), np.array(ratios))
    figures["all"] |= _surface_figures(examination.nodules, surfaces)
    whole_scans = _whole_scans(examination)
    return figures | ({"whole_scans": whole_scans} if whole_scans else {})


def _table(nodules: list[PackNodule], overlap: np.ndarray, ratio: np.ndarray) -> Figures:
    logs = np.log(np.clip(ratio, 0.05, 20))
    return {
        name: {
            "dice": estimate(np.mean, nodules, rows, overlap),
            "median_dice": round(float(np.median(overlap[rows])), 4),
            "volume_ratio_geometric_mean": estimate(lambda v: np.exp(v.mean()), nodules, rows, logs),
        }
        for name, rows in groups_of(nodules).items()
    }


def _whole_scans(examination: Examination) -> Figures:
    """Nodules of at least 3 readers where they lie, ends along z and all, by networks that never saw the scan."""
    nodules, overlaps, ratios, surfaces = [], [], [], []
    for fold, scan in examination.scans():
        held_out = examination.bundle.train["folds"]["held_out"]
        trained = examination.bundle.train["folds"]["cross_fitted"]
        if fold in trained and fold not in held_out:
            continue
        segmenter = NoduleSegmenter.from_bundle(examination.bundle, examination.device, unseen_fold=fold)
        for nodule, reference, centre in _marked(examination.data, scan):
            mask = segmenter.segment(scan.ct, centre)
            mine = np.zeros_like(reference)
            if mask is not None:
                mine[mask.box] = mask.voxels
            nodules.append(nodule)
            overlaps.append(dice(mine, reference))
            ratios.append(max(np.count_nonzero(mine), 1) / np.count_nonzero(reference))
            surfaces.append(_surfaces(mine, reference, scan.ct.geometry.spacing_kji_mm))
    if not nodules:
        return {}
    every = np.ones(len(nodules), bool)
    logs = np.log(np.array(ratios))
    return {
        "dice": estimate(np.mean, nodules, every, np.array(overlaps)),
        "volume_ratio_geometric_mean": estimate(lambda v: np.exp(v.mean()), nodules, every, logs),
        **_surface_figures(nodules, surfaces),
        "each": {n.nodule_id: round(float(value), 3) for n, value in zip(nodules, overlaps, strict=True)},
    }


def _surfaces(mine: np.ndarray, reference: np.ndarray, spacing_kji_mm: tuple[float, float, float]) -> SurfaceAgreement:
    """Of the box that holds both, for distances over a whole scan take long."""
    box = ndimage.find_objects((mine | reference).astype(np.uint8))[0]
    return surface_agreement(mine[box], reference[box], spacing_kji_mm, TOLERANCE_MM)


def _surface_figures(nodules: list[PackNodule], surfaces: list[SurfaceAgreement]) -> Figures:
    """Distances where there is an outline, and how many have none; the share within the tolerance of all."""
    outlined = np.array([one.mean_distance_mm is not None for one in surfaces])
    mean_mm = np.array([one.mean_distance_mm or 0.0 for one in surfaces])
    farthest_mm = np.array([one.hausdorff_95_mm or 0.0 for one in surfaces])
    within = np.array([one.within_tolerance for one in surfaces])
    return {
        "mean_surface_distance_mm": estimate(np.mean, nodules, outlined, mean_mm) if outlined.any() else None,
        "hausdorff_95_mm": estimate(np.mean, nodules, outlined, farthest_mm) if outlined.any() else None,
        f"surface_dice_at_{TOLERANCE_MM:g}_mm": estimate(np.mean, nodules, np.ones(len(nodules), bool), within),
        "without_outline": int(np.count_nonzero(~outlined)),
    }


def _marked(
    data: TrainingData, scan: MarkedScan
) -> Iterator[tuple[PackNodule, np.ndarray, tuple[float, float, float]]]:
    """(nodule, consensus on the scan's voxels, its centroid in LPS mm) of nodules that at least 3 readers marked."""
    by_id = {nodule.nodule_id: nodule for nodule in data.nodules}
    for mark in scan.marks:
        nodule = by_id.get(mark.nodule_id)
        if nodule is None or nodule.n_readers < CLEAR_READERS:
            continue
        consensus = data.load(nodule).consensus
        reference = np.zeros(scan.ct.hu.shape, bool)
        box = tuple(slice(s, s + n) for s, n in zip(nodule.start_kji, consensus.shape, strict=True))
        reference[box] = consensus
        yield nodule, reference, mark.centre_lps_mm
