"""From the scan's grid to the coarse one on which lungs are found, and back to an outline on the scan's own."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import SimpleITK as sitk
from scipy import ndimage

from LungNoduleCADLib.domain.ct import CtVolume
from LungNoduleCADLib.domain.geometry import Geometry
from LungNoduleCADLib.imaging.sitk_bridge import geometry_of, resample, to_sitk

AIR_BELOW_HU = -400  # half way between aerated lung (about -850) and soft tissue (about 50)
AIRWAYS = 3  # label of trachea and main bronchi beside Lung.RIGHT and Lung.LEFT while the outlines are drawn
SMOOTH_MM = 1.4
OUTLINE_AT = 105  # of 250
AIR_OUTLINE_AT = 25  # of 250: further out than this nothing is lung


def coarse_grid(ct: CtVolume, grid_mm: float) -> tuple[np.ndarray, Geometry]:
    """HU (int16) averaged in blocks and resampled to cubes of ``grid_mm``, axes parallel to the scan's."""
    return on_coarse_grid(ct.hu, ct.geometry, grid_mm, outside=-1024)


def on_coarse_grid(
    array: np.ndarray, fine: Geometry, grid_mm: float, *, outside: float = 0.0
) -> tuple[np.ndarray, Geometry]:
    """An array of a scan's grid as block averages on cubes of ``grid_mm``, centred in the scan; of a mask its share."""
    factors = tuple(max(1, int(grid_mm / s)) for s in fine.spacing_kji_mm)
    averages, blocks = _shares(array, fine, factors) if array.dtype == bool else _averages(array, fine, factors)
    shape = tuple(max(1, int(e / grid_mm)) for e in fine.extent_kji_mm)
    # Centred in the scan, so that every coarse voxel has native voxels to answer from.
    start = [
        (e - n * grid_mm + grid_mm) / 2 / s - 0.5
        for e, n, s in zip(fine.extent_kji_mm, shape, fine.spacing_kji_mm, strict=True)
    ]
    origin = tuple(float(v) for v in fine.to_lps_mm(start))
    grid = Geometry(shape, origin, (grid_mm,) * 3, fine.direction)  # type: ignore[arg-type]
    return resample(averages, blocks, grid, outside=outside), grid


def _averages(array: np.ndarray, fine: Geometry, factors: tuple[int, ...]) -> tuple[np.ndarray, Geometry]:
    image = to_sitk(array, fine)
    if max(factors) > 1:
        image = sitk.BinShrink(image, factors[::-1])
    return sitk.GetArrayFromImage(image), geometry_of(image)


def _shares(mask: np.ndarray, fine: Geometry, factors: tuple[int, ...]) -> tuple[np.ndarray, Geometry]:
    """The same of a mask (float32), many times quicker: its voxels in each block are counted."""
    shape = tuple(n // factor for n, factor in zip(mask.shape, factors, strict=True))
    counts = mask.view(np.uint8).astype(np.min_scalar_type(math.prod(factors)), copy=False)
    for axis, factor in enumerate(factors):
        steps = [(slice(None),) * axis + (slice(n, shape[axis] * factor, factor),) for n in range(factor)]
        counts = sum((counts[step] for step in steps[1:]), start=counts[steps[0]])
    blocks = Geometry(
        shape,  # type: ignore[arg-type]
        tuple(float(v) for v in fine.to_lps_mm([(factor - 1) / 2 for factor in factors])),  # type: ignore[arg-type]
        tuple(s * factor for s, factor in zip(fine.spacing_kji_mm, factors, strict=True)),  # type: ignore[arg-type]
        fine.direction,
    )
    return counts.astype(np.float32) / np.float32(math.prod(factors)), blocks


def native_labels(shares: Mapping[int, np.ndarray], grid: Geometry, ct: CtVolume) -> np.ndarray:
    """Coarse shares (bool, or 0..1) of each label as uint8 labels on the scan's grid.

    The outline is smooth, and follows the native boundary of air where that lies nearby.
    """
    result = np.zeros(ct.hu.shape, np.uint8)
    best = np.full(ct.hu.shape, AIR_OUTLINE_AT, np.uint8)
    for label, coarse in shares.items():
        soft = ndimage.gaussian_filter(coarse.astype(np.float32), SMOOTH_MM / grid.spacing_kji_mm[0]) * 250
        around = ndimage.find_objects((soft >= AIR_OUTLINE_AT).astype(np.uint8))
        if not around:
            continue
        reach = tuple(slice(side.start - 1, side.stop) for side in around[0])
        box = ct.geometry.box_around(grid.part(reach))
        share = resample(soft.astype(np.uint8), grid, ct.geometry.part(box))
        mine = (share > best[box]) & ((share > OUTLINE_AT) | (ct.hu[box] < AIR_BELOW_HU))
        result[box][mine] = label
        best[box][mine] = share[mine]
    return result
