"""Right and left lung from air, anatomy and morphology on a coarse grid; needs no trained weights.

Order of work: block-average to 2 mm, keep air that the body encloses, take the airways out, choose the lungs among the
air spaces, part right from left, close over what sits on the pleura, and go back to the native grid.
"""

from __future__ import annotations

import numpy as np
import SimpleITK as sitk
from scipy import ndimage

from LungNoduleCADLib.domain.ct import CtVolume
from LungNoduleCADLib.domain.geometry import Geometry
from LungNoduleCADLib.domain.masks import Lung, LungMask
from LungNoduleCADLib.domain.provenance import Method
from LungNoduleCADLib.errors import InputError
from LungNoduleCADLib.imaging.sitk_bridge import geometry_of, resample, to_sitk
from LungNoduleCADLib.lungs.airways import IN_SLICE, central_airways, find_airways
from LungNoduleCADLib.lungs.cleanup import close_over_pleura, dilate, largest, opened, part_right_from_left

METHOD = Method("classical_lungs", "1.0")
GRID_MM = 2.0
AIR_BELOW_HU = -400  # half way between aerated lung (about -850) and soft tissue (about 50)
GAS_BELOW_HU = -930  # bowel and stomach gas has no voxel above this inside; lung always has vessels
OUTLINE_AT = 105  # of 250
AIRWAYS = 3  # label beside Lung.RIGHT and Lung.LEFT while the outlines are drawn
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
    hu, grid = coarse_grid(ct)
    body = _body(hu)
    air = _air_inside(hu, body)
    airways = find_airways(hu, air, GRID_MM)
    lung_air = _lung_air(hu, air & ~dilate(airways, 1.5, GRID_MM))
    labels = part_right_from_left(lung_air, body, airways, GRID_MM)
    labels = close_over_pleura(labels, GRID_MM)
    labels[central_airways(airways, GRID_MM)] = AIRWAYS
    return LungMask(_to_native(labels, grid, ct), ct.geometry, METHOD)


def coarse_grid(ct: CtVolume) -> tuple[np.ndarray, Geometry]:
    """HU (int16) averaged in blocks and resampled to cubes of 2 mm, axes parallel to the scan's."""
    image = to_sitk(ct.hu, ct.geometry)
    factors = [max(1, int(GRID_MM / s)) for s in ct.geometry.spacing_kji_mm]
    if max(factors) > 1:
        image = sitk.BinShrink(image, factors[::-1])
    fine = ct.geometry
    shape = tuple(max(1, int(e / GRID_MM)) for e in fine.extent_kji_mm)
    # Centred in the scan, so that every coarse voxel has native voxels to answer from.
    start = [
        (e - n * GRID_MM + GRID_MM) / 2 / s - 0.5
        for e, n, s in zip(fine.extent_kji_mm, shape, fine.spacing_kji_mm, strict=True)
    ]
    origin = tuple(float(v) for v in fine.to_lps_mm(start))
    grid = Geometry(shape, origin, (GRID_MM,) * 3, fine.direction)  # type: ignore[arg-type]
    hu = resample(sitk.GetArrayFromImage(image), geometry_of(image), grid, outside=-1024)
    return hu, grid


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


def _to_native(labels: np.ndarray, grid: Geometry, ct: CtVolume) -> np.ndarray:
    """Coarse labels on the native grid: smooth outline, drawn to the native air boundary where that lies nearby."""
    result = np.zeros(ct.hu.shape, np.uint8)
    best = np.full(ct.hu.shape, 25, np.uint8)  # of 250: further out than this nothing is lung
    air = ct.hu < AIR_BELOW_HU
    for label in (*Lung, AIRWAYS):
        soft = ndimage.gaussian_filter((labels == label).astype(np.float32), 0.7) * 250
        share = resample(soft.astype(np.uint8), grid, ct.geometry)
        mine = (share > best) & ((share > OUTLINE_AT) | air)
        result[mine] = label
        best[mine] = share[mine]
    result[result == AIRWAYS] = 0
    return result
