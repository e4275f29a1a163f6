"""Cubes of CT around a point at a fixed spacing, axes parallel to the patient's: what the networks see."""

from __future__ import annotations

import numpy as np

from LungNoduleCADLib.domain.geometry import Geometry
from LungNoduleCADLib.imaging.sitk_bridge import resample

AIR_HU = -1024


def patch_geometry(centre_lps_mm: tuple[float, float, float], size: int, spacing_mm: float) -> Geometry:
    """Cubic grid of ``size`` voxels at ``spacing_mm``: middle voxel (size // 2) at the point, axes along L, P, S."""
    origin = tuple(float(c) - (size // 2) * spacing_mm for c in centre_lps_mm)
    return Geometry((size,) * 3, origin, (spacing_mm,) * 3)  # type: ignore[arg-type]


def extract_patch(hu: np.ndarray, geometry: Geometry, target: Geometry) -> np.ndarray:
    """HU (float32) on ``target``, linear interpolation.

    Only the part of the CT around the patch is touched. Outside of the CT the value is air.
    """
    corners = target.to_lps_mm(
        [
            (k, j, i)
            for k in (0, target.shape_kji[0])
            for j in (0, target.shape_kji[1])
            for i in (0, target.shape_kji[2])
        ]
    )
    kji = geometry.to_kji(corners)
    start = np.clip(np.floor(kji.min(axis=0)).astype(int) - 2, 0, np.asarray(geometry.shape_kji) - 1)
    stop = np.clip(np.ceil(kji.max(axis=0)).astype(int) + 3, start + 1, geometry.shape_kji)
    box = tuple(slice(a, b) for a, b in zip(start, stop, strict=True))
    source = geometry.crop(tuple(int(v) for v in start), tuple(int(v) for v in stop - start))
    return resample(hu[box].astype(np.float32), source, target, outside=AIR_HU)


def window(hu: np.ndarray, low_hu: float, high_hu: float) -> np.ndarray:
    """HU clipped to a window and scaled to 0..1 (float32)."""
    return ((np.clip(hu, low_hu, high_hu) - low_hu) / (high_hu - low_hu)).astype(np.float32)
