"""Masses: dense lung lesions larger than 30 mm, which the nodule models do not see whole: told, not measured."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from LungNoduleCADLib.domain.ct import CtVolume
from LungNoduleCADLib.domain.geometry import Geometry
from LungNoduleCADLib.domain.masks import LungMask
from LungNoduleCADLib.domain.quality import QualityFlag, Severity
from LungNoduleCADLib.imaging.sitk_bridge import resample

GRID_MM = 3.0
TISSUE_HU = -300
OPENING_MM = 9.0
LEAST_DIAMETER_MM = 30.0


def mass_flags(ct: CtVolume, lungs: LungMask) -> tuple[QualityFlag, ...]:
    """A serious flag for each compact piece of soft tissue in the lungs that is larger than a nodule (30 mm).

    Vessels and nodules are taken away by an opening of 9 mm radius; the rest is measured by the ball of its volume.
    """
    sides = [side for side in ndimage.find_objects(lungs.labels) if side is not None]
    if not sides:
        return ()
    grid = _cubes_around(sides, ct.geometry)
    box = ct.geometry.box_around(grid)
    part = ct.geometry.part(box)
    inside = resample((lungs.labels[box] > 0).astype(np.float32), part, grid) >= 0.5
    dense = inside & (resample(ct.hu[box].astype(np.float32), part, grid, outside=-1024) > TISSUE_HU)
    core = ndimage.distance_transform_edt(np.pad(dense, 1), GRID_MM)[1:-1, 1:-1, 1:-1] > OPENING_MM
    opened = dense & (ndimage.distance_transform_edt(~core, GRID_MM) <= OPENING_MM) if core.any() else core
    labels, count = ndimage.label(opened)
    flags = []
    for number in range(1, count + 1):
        voxels = np.argwhere(labels == number)
        volume_mm3 = len(voxels) * GRID_MM**3
        diameter_mm = float((6 * volume_mm3 / np.pi) ** (1 / 3))
        if diameter_mm >= LEAST_DIAMETER_MM:
            left, posterior, superior = grid.to_lps_mm(voxels.mean(axis=0))
            flags.append(
                QualityFlag(
                    "mass",
                    Severity.SERIOUS,
                    f"Dense tissue of about {diameter_mm:.0f} mm ({volume_mm3 / 1000:.0f} ml) lies in the lung at "
                    f"L {left:.0f}, P {posterior:.0f}, S {superior:.0f} mm: larger than a nodule, possibly a mass or "
                    "consolidation. It was not analysed; please look at it.",
                )
            )
    return tuple(flags)


def _cubes_around(boxes: list[tuple[slice, ...]], native: Geometry) -> Geometry:
    """The part around some boxes of a grid of 3 mm cubes that begins where the scan does."""
    shape = np.maximum(np.asarray(native.extent_kji_mm) // GRID_MM, 1).astype(int)
    per_voxel = np.asarray(native.spacing_kji_mm) / GRID_MM
    first = np.min([[side.start for side in box] for box in boxes], axis=0) * per_voxel
    last = np.max([[side.stop for side in box] for box in boxes], axis=0) * per_voxel
    start = np.clip(np.floor(first).astype(int) - 1, 0, shape - 1)
    stop = np.clip(np.ceil(last).astype(int) + 1, start + 1, shape)
    whole = Geometry(tuple(int(n) for n in shape), native.origin_lps_mm, (GRID_MM,) * 3, native.direction)  # type: ignore[arg-type]
    return whole.part(tuple(slice(int(a), int(b)) for a, b in zip(start, stop, strict=True)))
