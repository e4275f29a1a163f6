"""Arrays with a Geometry to SimpleITK images and back. SimpleITK does the resampling and the file formats."""

from __future__ import annotations

import numpy as np
import SimpleITK as sitk

from LungNoduleCADLib.domain.geometry import Geometry


def to_sitk(array_kji: np.ndarray, geometry: Geometry) -> sitk.Image:
    """(K, J, I) array as a SimpleITK image in LPS mm; bool becomes uint8."""
    image = sitk.GetImageFromArray(array_kji.astype(np.uint8) if array_kji.dtype == bool else array_kji)
    image.SetSpacing([float(s) for s in geometry.spacing_kji_mm[::-1]])
    image.SetOrigin([float(v) for v in geometry.origin_lps_mm])
    image.SetDirection([float(v) for v in geometry.direction])
    return image


def geometry_of(image: sitk.Image) -> Geometry:
    """The grid of a 3D SimpleITK image."""
    return Geometry(
        shape_kji=tuple(int(n) for n in image.GetSize()[::-1]),  # type: ignore[arg-type]
        origin_lps_mm=tuple(float(v) for v in image.GetOrigin()),  # type: ignore[arg-type]
        spacing_kji_mm=tuple(float(v) for v in image.GetSpacing()[::-1]),  # type: ignore[arg-type]
        direction=tuple(float(v) for v in image.GetDirection()),
    )


def resample(
    array_kji: np.ndarray,
    source: Geometry,
    target: Geometry,
    *,
    interpolator: int = sitk.sitkLinear,
    outside: float = 0.0,
    transform: sitk.Transform | None = None,
) -> np.ndarray:
    """Values of an array on another grid.

    Parameters
    ----------
    transform : maps points of ``target`` to points of ``source`` (SimpleITK's direction); identity if not given.
    outside : value where the target leaves the source.
    """
    image = to_sitk(array_kji, source)
    moved = sitk.Resample(
        image,
        [int(n) for n in target.shape_kji[::-1]],
        transform or sitk.Transform(3, sitk.sitkIdentity),
        interpolator,
        [float(v) for v in target.origin_lps_mm],
        [float(s) for s in target.spacing_kji_mm[::-1]],
        [float(v) for v in target.direction],
        float(outside),
        image.GetPixelID(),
    )
    return sitk.GetArrayFromImage(moved)
