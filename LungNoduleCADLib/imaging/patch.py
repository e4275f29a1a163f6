"""Cubes of CT around a point at a fixed spacing, axes parallel to the patient's: what the networks see."""

from __future__ import annotations

import numpy as np

from LungNoduleCADLib.domain.ct import CtVolume
from LungNoduleCADLib.domain.geometry import Geometry
from LungNoduleCADLib.imaging.sitk_bridge import resample

AIR_HU = -1024
HU_STEP = 8


def patch_geometry(centre_lps_mm: tuple[float, float, float], size: int, spacing_mm: float) -> Geometry:
    """Cubic grid of ``size`` voxels at ``spacing_mm``: middle voxel (size // 2) at the point, axes along L, P, S."""
    origin = tuple(float(c) - (size // 2) * spacing_mm for c in centre_lps_mm)
    return Geometry((size,) * 3, origin, (spacing_mm,) * 3)  # type: ignore[arg-type]


def extract_patch(hu: np.ndarray, geometry: Geometry, target: Geometry) -> np.ndarray:
    """HU (float32) on ``target``, linear interpolation.

    Only the part of the CT around the patch is touched. Outside of the CT the value is air.
    """
    box = geometry.box_around(target)
    return resample(hu[box].astype(np.float32), geometry.part(box), target, outside=AIR_HU)


def network_patch(ct: CtVolume, target: Geometry) -> np.ndarray:
    """A patch as the networks were trained to see it: ``extract_patch`` of quantised HU."""
    box = ct.geometry.box_around(target)
    return extract_patch(quantise(ct.hu[box]), ct.geometry.part(box), target)


def quantise(hu: np.ndarray) -> np.ndarray:
    """HU rounded down to multiples of 8 (int16).

    Part of the LIDC copies that the models were trained on was stored in about 8 HU steps; giving every image the same
    steps keeps a network from telling the copies apart. Applied in training, evaluation and use alike.
    """
    return (np.floor_divide(hu, HU_STEP) * HU_STEP).astype(np.int16)


def window(hu: np.ndarray, low_hu: float, high_hu: float) -> np.ndarray:
    """HU clipped to a window and scaled to 0..1 (float32)."""
    return ((np.clip(hu, low_hu, high_hu) - low_hu) / (high_hu - low_hu)).astype(np.float32)
