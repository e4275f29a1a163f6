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
    extent = np.asarray(ct.geometry.extent_kji_mm)
    shape = tuple(int(n) for n in np.maximum(extent // GRID_MM, 1))
    grid = Geometry(shape, ct.geometry.origin_lps_mm, (GRID_MM,) * 3, ct.geometry.direction)  # type: ignore[arg-type]
    inside = resample((lungs.labels > 0).astype(np.float32), lungs.geometry, grid) >= 0.5
    dense = inside & (resample(ct.hu.astype(np.float32), ct.geometry, grid, outside=-1024) > TISSUE_HU)
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
