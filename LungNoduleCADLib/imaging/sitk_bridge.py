"""Arrays with a Geometry to SimpleITK images and back. SimpleITK does the resampling and the file formats."""

from __future__ import annotations

import errno
from collections.abc import Callable
from pathlib import Path
from typing import Any

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


def write_image(image: sitk.Image, path: Path, **how: Any) -> None:
    """An image file; ``how`` goes to ``sitk.WriteImage``. OSError where it cannot be written."""
    raw_bytes = image.GetNumberOfPixels() * image.GetSizeOfPixelComponent() * image.GetNumberOfComponentsPerPixel()
    _write(path, raw_bytes, lambda: sitk.WriteImage(image, str(path), **how))


def write_transform(transform: sitk.Transform, path: Path) -> None:
    """A transform file. OSError where it cannot be written."""
    parameters = len(transform.GetParameters()) + len(transform.GetFixedParameters())
    _fill(path, 8 * parameters)  # HDF5 may take the process with it when the disk is full
    _write(path, 8 * parameters, lambda: sitk.WriteTransform(transform, str(path)))


def _write(path: Path, most_bytes: int, write: Callable[[], None]) -> None:
    try:
        write()
    except RuntimeError as error:  # SimpleITK's word for whatever went wrong
        _fill(path, most_bytes)  # in which case this says why
        raise OSError(errno.EIO, str(error).strip().splitlines()[-1], str(path)) from error


def _fill(path: Path, count: int) -> None:
    """As many bytes as are about to be written; OSError where there is no room for them."""
    with path.open("wb") as file:
        for start in range(0, count, 2**20):
            file.write(bytes(min(2**20, count - start)))
