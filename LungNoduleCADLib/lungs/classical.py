"""Right and left lung from air, anatomy and morphology on a coarse grid; needs no trained weights.

Order of work: block-average to 2 mm, keep air that the body encloses, take the airways out, choose the lungs among the
air spaces, part right from left, close over what sits on the pleura, and go back to the native grid.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from LungNoduleCADLib.domain.ct import CtVolume
from LungNoduleCADLib.domain.masks import Lung, LungMask
from LungNoduleCADLib.domain.provenance import Method
from LungNoduleCADLib.errors import InputError
from LungNoduleCADLib.lungs.airways import IN_SLICE, central_airways, find_airways
from LungNoduleCADLib.lungs.cleanup import close_over_pleura, dilate, largest, opened, part_right_from_left
from LungNoduleCADLib.lungs.grids import AIR_BELOW_HU, AIRWAYS, coarse_grid, native_labels

METHOD = Method("classical_lungs", "1.0")
GRID_MM = 2.0
GAS_BELOW_HU = -930  # bowel and stomach gas has no voxel above this inside; lung always has vessels
MIN_LUNG_ML = 100.0
MIN_PIECE_ML = 0.5


def classical_lungs(ct: CtVolume) -> LungMask:
    """Segment both lungs (or the one that is in the scan) without a trained model.

    Returns
    -------
    LungMask : uint8 on the native grid, 1 right, 2 left.

    Raises
    ------
    InputError : less than 100 ml of lung-like air inside the body.
    """
    native = classical_labels(ct)
    native[native == AIRWAYS] = 0
    return LungMask(native, ct.geometry, METHOD)


def classical_labels(ct: CtVolume) -> np.ndarray:
    """The labels of ``classical_lungs`` (uint8 on the native grid) with trachea and main bronchi as ``AIRWAYS``."""
    hu, grid = coarse_grid(ct, GRID_MM)
    body = _body(hu)
    air = _air_inside(hu, body)
    airways = find_airways(hu, air, GRID_MM)
    lung_air = _lung_air(hu, air & ~dilate(airways, 1.5, GRID_MM))
    labels = part_right_from_left(lung_air, body, airways, GRID_MM)
    labels = close_over_pleura(labels, GRID_MM)
    labels[central_airways(airways, GRID_MM)] = AIRWAYS
    return native_labels({label: labels == label for label in (*Lung, AIRWAYS)}, grid, ct)


def _body(hu: np.ndarray) -> np.ndarray:
    """The patient without table shells, clothes and lungs: the largest piece of tissue thicker than 8 mm."""
    return largest(opened(hu > AIR_BELOW_HU, 4.0, GRID_MM))


def _air_inside(hu: np.ndarray, body: np.ndarray) -> np.ndarray:
    """Air with body on at least three of four sides in its axial slice: lungs cut by the image's edge count too.

    A connected air space of a slice counts only where most of it lies so: not the hollow of a neck or an armpit.
    """
    sides = np.zeros(body.shape, np.uint8)
    for axis in (1, 2):
        sides += np.logical_or.accumulate(body, axis=axis)
        sides += np.flip(np.logical_or.accumulate(np.flip(body, axis), axis=axis), axis)
    enclosed = sides >= 3
    parts, n = ndimage.label(hu < AIR_BELOW_HU, structure=IN_SLICE)
    sizes = np.bincount(parts.ravel(), minlength=n + 1)
    share = np.bincount(parts.ravel(), weights=enclosed.ravel(), minlength=n + 1) / np.maximum(sizes, 1)
    share[0] = 0.0
    return (share > 0.6)[parts] & enclosed


def _lung_air(hu: np.ndarray, air: np.ndarray) -> np.ndarray:
    """Air spaces that are lung: large, with vessels inside, and smaller pieces above the level of the bowel."""
    parts, _ = ndimage.label(air)
    volumes_ml = np.bincount(parts.ravel()) * GRID_MM**3 / 1000
    volumes_ml[0] = 0.0
    boxes = ndimage.find_objects(parts)
    candidates = [int(c) for c in np.argsort(volumes_ml)[::-1] if volumes_ml[c] >= MIN_PIECE_ML]
    candidates = [c for c in candidates if not _is_gas(hu[boxes[c - 1]], parts[boxes[c - 1]] == c)]
    large = [c for c in candidates if volumes_ml[c] >= max(MIN_LUNG_ML, 0.04 * volumes_ml[candidates[0]])]
    large = [c for c in large if _height(boxes[c - 1], 0.5) > _height(boxes[large[0] - 1], 0.25)]  # colon is lower
    if not large:
        found_ml = float(volumes_ml[candidates].sum())
        raise InputError(
            "No lungs were found in this scan",
            expected=f"at least {MIN_LUNG_ML:.0f} ml of lung-like air inside the body",
            got=f"{found_ml:.0f} ml",
            todo="choose a CT series of the chest in Hounsfield units",
        )
    near = dilate(np.isin(parts, large), 12.0, GRID_MM)
    bowel_below = max(_height(boxes[c - 1], 0.4) for c in large)
    pieces = [
        c
        for c in candidates
        if c not in large and boxes[c - 1][0].start > bowel_below and near[boxes[c - 1]][parts[boxes[c - 1]] == c].any()
    ]
    return np.isin(parts, large + pieces)


def _height(box: tuple[slice, ...], fraction: float) -> float:
    """Slice at a fraction of a piece's height."""
    return box[0].start + fraction * (box[0].stop - box[0].start)


def _is_gas(hu: np.ndarray, part: np.ndarray) -> bool:
    """Gas without structure (stomach, bowel, outside air, airway): nothing dense away from its wall."""
    inside = ndimage.binary_erosion(part, iterations=2)
    return not inside.any() or bool(np.percentile(hu[inside], 90) < GAS_BELOW_HU)
