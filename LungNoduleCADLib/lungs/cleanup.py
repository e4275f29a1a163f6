"""Morphology in millimetres, and what makes lungs of air: parting right from left, closing over the pleura."""

from __future__ import annotations

import numpy as np
import SimpleITK as sitk
from scipy import ndimage

from LungNoduleCADLib.domain.masks import Lung

CLOSING_MM = 13.0
MASS_MM = 80.0


def _distance_to(mask: np.ndarray, grid_mm: float) -> np.ndarray:
    """Distance of every voxel to the nearest voxel of a mask that is not empty, mm."""
    image = sitk.GetImageFromArray(mask.view(np.uint8))
    squared = sitk.SignedMaurerDistanceMap(image, insideIsPositive=False, squaredDistance=True, useImageSpacing=False)
    return np.sqrt(np.maximum(sitk.GetArrayViewFromImage(squared), 0.0)) * np.float32(grid_mm)


def _depth_in(mask: np.ndarray, grid_mm: float) -> np.ndarray:
    """Distance of every voxel of a mask to the nearest voxel outside, mm; the image's edge is no boundary."""
    return _distance_to(~mask, grid_mm) if not mask.all() else np.full(mask.shape, np.inf, np.float32)


def dilate(mask: np.ndarray, radius_mm: float, grid_mm: float) -> np.ndarray:
    """All voxels at most ``radius_mm`` from a mask (bool, K J I, cubic voxels of ``grid_mm``)."""
    if not mask.any():
        return mask.copy()
    box = _box(mask, int(np.ceil(radius_mm / grid_mm)) + 1)
    result = np.zeros_like(mask)
    result[box] = _distance_to(mask[box], grid_mm) <= radius_mm
    return result


def eroded(mask: np.ndarray, radius_mm: float, grid_mm: float) -> np.ndarray:
    """Voxels more than ``radius_mm`` inside a mask; the image's edge is no boundary."""
    result = np.zeros_like(mask)
    if mask.any():
        box = _box(mask, 1)
        result[box] = _depth_in(mask[box], grid_mm) > radius_mm
    return result


def opened(mask: np.ndarray, radius_mm: float, grid_mm: float) -> np.ndarray:
    """The mask without parts thinner than twice the radius."""
    return dilate(eroded(mask, radius_mm, grid_mm), radius_mm, grid_mm)


def closed(mask: np.ndarray, radius_mm: float, grid_mm: float) -> np.ndarray:
    """The mask with gaps narrower than twice the radius filled (a ball rolled along its outside), and its holes."""
    margin = int(np.ceil(radius_mm / grid_mm)) + 2
    box = _box(mask, 0)
    padded = np.pad(mask[box], margin)
    wide = _distance_to(padded, grid_mm) <= radius_mm
    filled = ndimage.binary_fill_holes((_depth_in(wide, grid_mm) > radius_mm) | padded)
    result = np.zeros_like(mask)
    # What the closing adds lies inside the convex hull of the mask, so inside its box.
    result[box] = filled[tuple(slice(margin, -margin) for _ in range(3))]
    return result


def largest(mask: np.ndarray) -> np.ndarray:
    """The largest connected piece of a mask."""
    parts, n = ndimage.label(mask)
    if n < 2:
        return mask
    sizes = np.bincount(parts.ravel())
    sizes[0] = 0
    return parts == sizes.argmax()


def part_right_from_left(air: np.ndarray, body: np.ndarray, airways: np.ndarray, grid_mm: float) -> np.ndarray:
    """Label lung air 1 (right) and 2 (left), also where both touch in front of or behind the heart.

    Parameters
    ----------
    air : bool, aerated lung without airways. i runs from the patient's right to left.
    body : bool, the patient's tissue; its middle is the patient's middle where both lungs are in the scan.
    airways : bool; their middle says which side a single lung is on.
    """
    box = _box(air, 2)
    air_box = air[box]
    middle = _middle(air, body) - box[2].start
    depth_mm = _depth_in(air_box, grid_mm)
    labels = np.zeros(air.shape, np.uint8)
    for radius_mm in (0.0, 2.0, 4.0, 6.0, 8.0, 11.0, 14.0):
        seeds = _seeds(ndimage.label(depth_mm > radius_mm)[0], middle)
        if seeds is not None:
            labels[box] = _grown(air_box, depth_mm, seeds, middle)
            return labels
    if airways.any():
        middle = float(np.mean(np.nonzero(airways)[2])) - box[2].start
    labels[air] = Lung.RIGHT if np.nonzero(air_box)[2].mean() < middle else Lung.LEFT
    return labels


def _middle(air: np.ndarray, body: np.ndarray) -> float:
    """Column of the patient's middle: of the tissue in the middle third of the lungs' height."""
    slices = np.flatnonzero(air.any(axis=(1, 2)))
    third = len(slices) // 3
    columns = (body & ~air)[slices[third] : slices[-1] - third + 1].sum(axis=(0, 1)) + 1e-9
    return float(np.average(np.arange(air.shape[2]), weights=columns))


def _seeds(parts: np.ndarray, middle: float) -> np.ndarray | None:
    """uint8 seeds of right and left from pieces of lung; None while a large piece lies on both sides."""
    sizes = np.bincount(parts.ravel()).astype(float)
    sizes[0] = 0
    right = np.bincount(parts[:, :, : round(middle)].ravel(), minlength=len(sizes)).astype(float)
    large = np.flatnonzero(sizes > 0.05 * sizes.sum())
    share_right = right[large] / np.maximum(sizes[large], 1)
    if len(large) < 2 or share_right.max() < 0.6 or share_right.min() > 0.4:
        return None
    if np.any((share_right > 0.35) & (share_right < 0.65)):
        return None
    lookup = np.zeros(len(sizes), np.uint8)
    lookup[large] = np.where(share_right > 0.5, Lung.RIGHT, Lung.LEFT)
    return lookup[parts]


def _grown(air: np.ndarray, depth_mm: np.ndarray, seeds: np.ndarray, middle: float) -> np.ndarray:
    """Seeds grown over all air, meeting where it is narrowest (watershed); pieces without a seed go by their side."""
    parts, n = ndimage.label(air)
    seeded = np.unique(parts[seeds > 0])
    for part in np.setdiff1d(np.arange(1, n + 1), seeded):
        piece = parts == part
        seeds[piece] = Lung.RIGHT if np.nonzero(piece)[2].mean() < middle else Lung.LEFT
    hills = sitk.GetImageFromArray(-depth_mm)
    basins = sitk.MorphologicalWatershedFromMarkers(hills, sitk.GetImageFromArray(seeds), markWatershedLine=False)
    return np.where(air, sitk.GetArrayViewFromImage(basins), 0).astype(np.uint8)


def close_over_pleura(labels: np.ndarray, grid_mm: float) -> np.ndarray:
    """Each lung with its vessels and with what sits on its pleura or hilum.

    A ball of 13 mm rolled along the outside closes over nodules; masses on the chest wall that are larger are taken by
    ``_costal_masses``. Neither reaches into ribs or heart, whose bulges are rounder than that or have no lung beyond.
    """
    result = labels.copy()
    for lung in Lung:
        mask = labels == lung
        if mask.any():
            mask |= _costal_masses(mask, lung, grid_mm)
            result[closed(mask, CLOSING_MM, grid_mm) & (result == 0)] = lung
    return result


def _costal_masses(mask: np.ndarray, lung: Lung, grid_mm: float) -> np.ndarray:
    """Tissue on the chest wall with the same lung above, below and on both sides, at most 80 mm across.

    Heart and diaphragm have no lung below them, the hilum has lung between itself and the chest wall.
    """
    box = _box(mask, 0)
    here = mask[box]
    towards_wall = here if lung is Lung.LEFT else here[:, :, ::-1]  # wall at the end of the row
    beside_wall = ~np.logical_or.accumulate(towards_wall[:, :, ::-1], axis=2)[:, :, ::-1]
    if lung is Lung.RIGHT:
        beside_wall = beside_wall[:, :, ::-1]
    on_back_wall = ~np.logical_or.accumulate(here[:, ::-1], axis=1)[:, ::-1]
    reach = int(MASS_MM / grid_mm)
    gaps = _between(here, 0, reach) & (
        (_between(here, 1, reach) & beside_wall) | (_between(here, 2, reach) & on_back_wall)
    )
    result = np.zeros_like(mask)
    result[box] = opened(gaps, 3.0, grid_mm)
    return result


def _between(mask: np.ndarray, axis: int, reach: int) -> np.ndarray:
    """Voxels outside a mask with the mask on both sides along an axis, the gap at most ``reach`` voxels."""
    places = np.arange(mask.shape[axis], dtype=np.int16).reshape([-1 if a == axis else 1 for a in range(3)])
    before = np.maximum.accumulate(np.where(mask, places, np.int16(-9999)), axis=axis)
    after = np.flip(np.minimum.accumulate(np.flip(np.where(mask, places, np.int16(9999)), axis), axis=axis), axis)
    return ~mask & (after - before - 1 <= reach)


def _box(mask: np.ndarray, margin: int) -> tuple[slice, ...]:
    box = []
    for axis in range(mask.ndim):
        hit = np.flatnonzero(mask.any(axis=tuple(a for a in range(mask.ndim) if a != axis)))
        box.append(slice(max(0, int(hit[0]) - margin), min(mask.shape[axis], int(hit[-1]) + margin + 1)))
    return tuple(box)
