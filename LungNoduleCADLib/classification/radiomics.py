"""Radiomic features of a nodule (pyradiomics), from its mask in the native grid."""

from __future__ import annotations

import logging
from functools import cache
from typing import Any

import numpy as np
import SimpleITK as sitk

from LungNoduleCADLib.domain.ct import CtVolume
from LungNoduleCADLib.domain.masks import NoduleMask
from LungNoduleCADLib.imaging.sitk_bridge import to_sitk

SPACING_MM = 1.0
MARGIN_VOXELS = 6
SETTINGS = {
    "binWidth": 25,
    "resampledPixelSpacing": [SPACING_MM] * 3,
    "interpolator": sitk.sitkBSpline,
    "padDistance": 5,
    "minimumROIDimensions": 1,
    "minimumROISize": 2,
    "correctMask": True,
    "geometryTolerance": 1e-3,
    "additionalInfo": False,
}
CLASSES = ("firstorder", "shape", "glcm", "gldm", "glrlm", "glszm")


def available() -> bool:
    """Whether pyradiomics is installed (in Slicer: the SlicerRadiomics extension)."""
    try:
        _extractor()
    except ImportError:
        return False
    return True


def radiomic_features(ct: CtVolume, mask: NoduleMask) -> dict[str, float] | None:
    """{class_feature: value} of the original image; ``None`` where pyradiomics is missing or the mask too small.

    Resampled to 1 mm, 25 HU bins; names as pyradiomics gives them without ``original_``.
    """
    if not available():
        return None
    box = tuple(
        slice(max(s - MARGIN_VOXELS, 0), s + n + MARGIN_VOXELS)
        for s, n in zip(mask.start_kji, mask.voxels.shape, strict=True)
    )
    whole = np.zeros(tuple(min(b.stop, n) - b.start for b, n in zip(box, ct.hu.shape, strict=True)), np.uint8)
    offset = tuple(s - b.start for s, b in zip(mask.start_kji, box, strict=True))
    whole[tuple(slice(o, o + n) for o, n in zip(offset, mask.voxels.shape, strict=True))] = mask.voxels
    geometry = ct.geometry.crop(tuple(b.start for b in box), whole.shape)  # type: ignore[arg-type]
    try:
        found = _extractor().execute(to_sitk(ct.hu[box].astype(np.float32), geometry), to_sitk(whole, geometry))
    except (ValueError, RuntimeError):
        return None
    return {  # a correlation's eigenvalue may come with an imaginary part of rounding error
        name.removeprefix("original_"): float(np.real(value))
        for name, value in found.items()
        if name.startswith("original_")
    }


@cache
def _extractor() -> Any:
    from radiomics import featureextractor

    logging.getLogger("radiomics").setLevel(logging.ERROR)
    extractor = featureextractor.RadiomicsFeatureExtractor(**SETTINGS)
    extractor.disableAllFeatures()
    for name in CLASSES:
        extractor.enableFeatureClassByName(name)
    return extractor
