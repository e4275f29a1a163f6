"""Where in the lungs a nodule lies: side, third of the lung's height, distance to the pleura."""

from __future__ import annotations

import numpy as np
from scipy import ndimage
from scipy.spatial import cKDTree

from LungNoduleCADLib.domain.masks import Lung, LungMask, NoduleMask, Side

SIDES = {Lung.RIGHT: Side.RIGHT, Lung.LEFT: Side.LEFT}
# How far to look around a nodule: most lie near a pleura, and small boxes are quick.
MARGINS_MM = (12.0, 40.0, 120.0)


def nearest_lung(lungs: LungMask, mask: NoduleMask) -> Lung | None:
    """The lung that most of the nodule lies in, or the nearest one; ``None`` where there is none within 120 mm."""
    inside = np.bincount(lungs.labels[mask.box][mask.voxels], minlength=3)
    if inside[1:].any():
        return Lung(int(inside[1:].argmax()) + 1)
    for margin_mm in MARGINS_MM:
        box, shift_kji = _surroundings(lungs, mask, margin_mm)
        gaps_mm = {lung: _gap_mm(box == lung, mask, shift_kji) for lung in Lung}
        closest = min(gaps_mm, key=lambda lung: gaps_mm[lung])
        if gaps_mm[closest] <= margin_mm:
            return closest
    return None


def zone(lungs: LungMask, lung: Lung, centroid_lps_mm: tuple[float, float, float]) -> str | None:
    """Upper, middle or lower third of the lung's height along the patient's axis (not a lobe)."""
    marks = np.argwhere(lungs.labels[:, ::8, ::8] == lung) * (1, 8, 8)
    heights = lungs.geometry.to_lps_mm(marks)[:, 2]
    if heights.size == 0:
        return None
    third = (centroid_lps_mm[2] - heights.min()) / max(float(np.ptp(heights)), 1e-6) * 3.0
    return "upper" if third >= 2.0 else "middle" if third >= 1.0 else "lower"


def distance_to_pleura_mm(lungs: LungMask, lung: Lung, mask: NoduleMask) -> float | None:
    """Gap between the nodule's surface and the surface of its lung's mask, mediastinal side included; 0: they touch."""
    if np.any(lungs.labels[mask.box][mask.voxels] != lung):
        return 0.0
    for margin_mm in MARGINS_MM:
        box, shift_kji = _surroundings(lungs, mask, margin_mm)
        inside = box == lung
        gap_mm = _gap_mm(ndimage.binary_dilation(inside) & ~inside, mask, shift_kji)
        if gap_mm <= margin_mm:
            return gap_mm
    return None


def _surroundings(lungs: LungMask, mask: NoduleMask, margin_mm: float) -> tuple[np.ndarray, np.ndarray]:
    """Lung labels around the nodule, and what to add to an index of the mask's box to get one there.

    They are cut at the edges of the CT: where the scan ends the lung may go on, so that is no pleura.
    """
    margin = np.ceil(margin_mm / np.asarray(lungs.geometry.spacing_kji_mm)).astype(int) + 1
    start = np.maximum(np.asarray(mask.start_kji) - margin, 0)
    stop = np.minimum(np.asarray(mask.start_kji) + mask.voxels.shape + margin, lungs.geometry.shape_kji)
    box = tuple(slice(int(a), int(b)) for a, b in zip(start, stop, strict=True))
    return lungs.labels[box], np.asarray(mask.start_kji) - start


def _gap_mm(target: np.ndarray, mask: NoduleMask, shift_kji: np.ndarray) -> float:
    """Smallest distance from a face of a nodule voxel to one of a target voxel; infinite where there is none."""
    there = np.argwhere(target)
    if not len(there):
        return float("inf")
    spacing = np.asarray(mask.geometry.spacing_kji_mm)
    surface = np.argwhere(mask.voxels & ~ndimage.binary_erosion(mask.voxels)) + shift_kji
    _, nearest = cKDTree(surface * spacing).query(there * spacing)
    apart = np.maximum(np.abs(there - surface[nearest]) - 1, 0) * spacing
    return float(np.linalg.norm(apart, axis=1).min())
