"""Trachea and main bronchi: found as the longest tube in the upper chest, grown until it would leak into lung."""

from __future__ import annotations

import numpy as np
import SimpleITK as sitk
from scipy import ndimage

from LungNoduleCADLib.lungs.cleanup import dilate, largest, opened

AREA_MM2 = (50.0, 900.0)  # axial section of a trachea, with room for saber-sheath and dilated ones
MIN_LENGTH_MM = 24.0
MAX_AIRWAYS_ML = 90.0
IN_SLICE = np.zeros((3, 3, 3), bool)  # neighbours within one axial slice only
IN_SLICE[1] = True


def find_airways(hu: np.ndarray, air: np.ndarray, grid_mm: float) -> np.ndarray:
    """Lumen of trachea and main bronchi (bool, K J I); empty where no trachea is in the scan.

    Parameters
    ----------
    hu : HU on a cubic grid of ``grid_mm``, k from feet to head.
    air : bool, air that the body encloses.
    """
    # Where lung lies against the trachea's thin wall, only a lower threshold tells their sections apart.
    tubes = [_longest_tube(air & (hu < threshold), grid_mm) for threshold in (0, -700, -850)]
    tube = max(tubes, key=len)
    if len(tube) * grid_mm < MIN_LENGTH_MM:
        return np.zeros_like(air)
    seeds = [tuple(int(v) for v in point[::-1]) for point in tube]
    image = sitk.GetImageFromArray(np.where(air, hu, 0).astype(np.int16))
    limit = MAX_AIRWAYS_ML * 1000 / grid_mm**3
    airways = np.zeros_like(air)
    for threshold in range(-940, -540, 40):
        grown = sitk.GetArrayViewFromImage(sitk.ConnectedThreshold(image, seeds, -3000, threshold)).astype(bool)
        if grown.sum() > limit:
            break
        airways = grown
    return airways


def central_airways(airways: np.ndarray, grid_mm: float) -> np.ndarray:
    """Trachea and main bronchi with their wall: the part of the airways that is no lung."""
    return dilate(largest(opened(airways, 2.5, grid_mm)), 2.5, grid_mm)


def _longest_tube(air: np.ndarray, grid_mm: float) -> list[np.ndarray]:
    """Middle of each section of the longest vertical tube of near-constant, trachea-sized section.

    It begins above the middle of all air (bowel gas and main bronchi do not).
    """
    parts, n = ndimage.label(air, structure=IN_SLICE)
    if n == 0:
        return []
    sizes = np.bincount(parts.ravel(), minlength=n + 1)
    low, high = (a / grid_mm**2 for a in AREA_MM2)
    fits = (sizes >= low) & (sizes <= high)
    fits[0] = False
    boxes = ndimage.find_objects(parts)
    middle_k = np.average(np.arange(air.shape[0]), weights=air.sum(axis=(1, 2)))
    above: dict[int, list[int]] = {}  # tube that ends (downwards) in this section: its sections from the top
    longest: list[int] = []
    for label in sorted(np.flatnonzero(fits), key=lambda section: -boxes[section - 1][0].start):
        k, rows, columns = boxes[label - 1]
        tube: list[int] = []
        if k.start + 1 < air.shape[0]:
            over = np.where(parts[k, rows, columns] == label, parts[k.start + 1, rows, columns], 0)
            candidates = [c for c in np.unique(over) if c in above and 0.5 < sizes[label] / sizes[c] < 2.0]
            tube = max((above[c] for c in candidates), key=len, default=[])
        above[label] = [*tube, int(label)]
        if boxes[above[label][0] - 1][0].start > middle_k:
            longest = max(longest, above[label], key=len)
    return [_deepest(parts, boxes[label - 1], label) for label in longest]


def _deepest(parts: np.ndarray, box: tuple[slice, ...], label: int) -> np.ndarray:
    """Index of the voxel furthest from the wall of one section."""
    depth = ndimage.distance_transform_edt(np.pad(parts[box] == label, ((0, 0), (1, 1), (1, 1)))[0])
    j, i = np.unravel_index(depth.argmax(), depth.shape)
    return np.array([box[0].start, box[1].start + j - 1, box[2].start + i - 1])
