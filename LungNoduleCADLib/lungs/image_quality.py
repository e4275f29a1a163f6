"""Doubts about a CT's densities that its header does not tell: noise, clipping, a shift; and pixels wider than known.

The limits are those of the scans that the models were trained on (``Testing/Benchmarks/familiarity.json``).
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from LungNoduleCADLib.domain.ct import CtVolume
from LungNoduleCADLib.domain.geometry import Geometry
from LungNoduleCADLib.domain.masks import LungMask
from LungNoduleCADLib.domain.quality import QualityFlag, Severity

NOISIEST_HU = 125.0
WIDEST_PIXEL_MM = 1.0
LUNG_TISSUE_HU = (-980.0, -780.0)
WINDOW_MM = 5.0
FEWEST_VOXELS = 2000
MOST_SLICES = 30

FAT_HU, MUSCLE_HU = (-140, -60), (0, 120)
TISSUE_HU = (-200, 300)
CLIPPED_BELOW_HU, CLIPPED_ABOVE_HU = -950, 1000
CLIPPED_LUNG_SHARE, CLIPPED_SCAN_SHARE = 0.01, 2e-4


def image_quality(ct: CtVolume, lungs: LungMask) -> tuple[QualityFlag, ...]:
    """Flags for pixels, noise and densities unlike those of the scans that the models know."""
    step = -(-ct.hu.shape[0] // MOST_SLICES)
    hu, inside = ct.hu[step // 2 :: step], lungs.labels[step // 2 :: step] > 0
    return (*_pixel_flags(ct.geometry), *_noise_flags(hu, ct.geometry, inside), *_density_flags(hu, inside))


def noise_hu(hu: np.ndarray, spacing_kji_mm: tuple[float, float, float], inside: np.ndarray | None = None) -> float:
    """Noise in lung tissue: 10th percentile of the standard deviation in windows of 5 mm in plane; NaN without tissue.

    The lowest tenth, because vessels and airways raise the others.

    Parameters
    ----------
    hu : (K, J, I); ``inside`` : where to look, of the same shape.
    """
    values = hu.astype(np.float32)
    size = (1, *(max(3, round(WINDOW_MM / spacing) | 1) for spacing in spacing_kji_mm[1:]))
    mean = ndimage.uniform_filter(values, size)
    variance = ndimage.uniform_filter(values**2, size) - mean**2
    tissue = (mean > LUNG_TISSUE_HU[0]) & (mean < LUNG_TISSUE_HU[1])
    if inside is not None:
        tissue &= inside
    if np.count_nonzero(tissue) < FEWEST_VOXELS:
        return float("nan")
    return float(np.percentile(np.sqrt(np.maximum(variance[tissue], 0)), 10))


def _pixel_flags(geometry: Geometry) -> list[QualityFlag]:
    widest = max(geometry.spacing_kji_mm[1:])
    if widest <= WIDEST_PIXEL_MM:
        return []
    return [
        _warning("wide_pixels", f"Pixels are {widest:.2f} mm wide, wider than the models know: outlines are coarse.")
    ]


def _noise_flags(hu: np.ndarray, geometry: Geometry, inside: np.ndarray) -> list[QualityFlag]:
    if not inside.any():
        return []
    box = ndimage.find_objects(inside.astype(np.uint8))[0]
    noise = noise_hu(hu[box], geometry.spacing_kji_mm, inside[box])
    if not noise > NOISIEST_HU:
        return []
    message = (
        f"The noise in the lungs is {noise:.0f} HU, more than in 99% of the scans that the models know: nodules can be "
        "missed or made up, and outlines and types are uncertain."
    )
    return [_warning("noisy", message)]


def _density_flags(hu: np.ndarray, inside: np.ndarray) -> list[QualityFlag]:
    flags = []
    low, high = int(hu.min()), int(hu.max())
    if inside.any() and low > CLIPPED_BELOW_HU and np.mean(hu[inside] == low) > CLIPPED_LUNG_SHARE:
        flags.append(
            _warning("clipped_below", f"Densities end at {low} HU: lung below it was cut off when it was saved.")
        )
    if high < CLIPPED_ABOVE_HU and np.mean(hu == high) > CLIPPED_SCAN_SHARE:
        flags.append(_warning("clipped_above", f"Densities end at {high} HU: calcifications above it cannot be told."))
    tissue = hu[(hu >= TISSUE_HU[0]) & (hu < TISSUE_HU[1])].astype(int) - TISSUE_HU[0]
    counts = ndimage.gaussian_filter1d(np.bincount(tissue, minlength=TISSUE_HU[1] - TISSUE_HU[0]).astype(float), 8)
    commonest = int(counts.argmax()) + TISSUE_HU[0]
    if not any(least <= commonest <= most for least, most in (FAT_HU, MUSCLE_HU)):
        message = (
            f"Most soft tissue measures {commonest} HU, where neither fat (about -100) nor muscle (about 50) lies: "
            "densities are shifted, and types and malignancy uncertain."
        )
        flags.append(_warning("densities_shifted", message))
    return flags


def _warning(code: str, message: str) -> QualityFlag:
    return QualityFlag(code, Severity.WARNING, message)
