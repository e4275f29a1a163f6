"""Outlines of single nodules as small label images: those a reader draws, and those kept since the last analysis."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from LungNoduleCADLib.domain.geometry import Geometry
from LungNoduleCADLib.domain.masks import NoduleMask
from LungNoduleCADLib.domain.provenance import Method
from LungNoduleCADLib.errors import InputError
from LungNoduleCADLib.guidelines.lung_rads_2022 import READER

if TYPE_CHECKING:
    import SimpleITK as sitk

FOLDER = "outlines"
DRAWN = Method(READER, "outline drawn by hand")
_METHOD_KEYS = ("method", "method_version", "method_sha256")
_OFF_GRID_VOXELS = 0.1


def outline_path(folder: Path, nodule_id: str, edits: int) -> Path:
    """Where an outline lies that holds from the edit of that number on."""
    return folder / FOLDER / f"{nodule_id}.{edits}.nrrd"


def outline_files(folder: Path) -> dict[Path, tuple[str, int]]:
    """{file: (nodule id, number of the edit it holds from)}."""
    found = {}
    for path in sorted((folder / FOLDER).glob("*.nrrd")):
        nodule_id, _, number = path.stem.rpartition(".")
        if nodule_id and number.isdecimal():
            found[path] = nodule_id, int(number)
    return found


def newest_outlines(folder: Path, edits: int) -> dict[str, Path]:
    """{nodule id: file} of what holds after that many edits; a file of an edit that was never finished does not."""
    found = sorted((number, nodule_id, path) for path, (nodule_id, number) in outline_files(folder).items())
    return {nodule_id: path for number, nodule_id, path in found if number <= edits}


def write_outline(mask: NoduleMask, path: Path) -> None:
    """The nodule's box as uint8 (1 = nodule) in LPS mm, with the name of what made it."""
    from LungNoduleCADLib.imaging.sitk_bridge import to_sitk, write_image

    image = to_sitk(mask.voxels.astype(np.uint8), mask.box_geometry)
    method = mask.method
    for key, value in zip(_METHOD_KEYS, (method.name, method.version, method.sha256 or ""), strict=True):
        image.SetMetaData(key, value)
    path.parent.mkdir(exist_ok=True)
    write_image(image, path, useCompression=True)


def read_outline(path: Path, geometry: Geometry) -> NoduleMask:
    """A label image (> 0 = nodule) on any box of a CT's grid, made by the reader where it does not say otherwise.

    Parameters
    ----------
    geometry : the CT's grid; what lies outside of it is left out.

    Raises
    ------
    InputError : no image, another grid, or nothing in it.
    """
    import SimpleITK as sitk

    from LungNoduleCADLib.imaging.sitk_bridge import geometry_of

    try:
        image = sitk.ReadImage(str(path))
    except RuntimeError as error:
        raise InputError("The outline cannot be read", expected="a label image", got=str(path)) from error
    if image.GetDimension() != 3 or image.GetNumberOfComponentsPerPixel() != 1:
        raise InputError("The outline is no label image", expected="three axes, one value a voxel", got=path.name)
    start = _start_on(geometry, geometry_of(image))
    inside = sitk.GetArrayFromImage(image) > 0
    where = np.argwhere(inside) + start
    where = where[np.all((where >= 0) & (where < geometry.shape_kji), axis=1)]
    if not len(where):
        raise InputError("The outline is empty", expected="a voxel of the scan", got="none", todo="draw it again")
    first, last = where.min(axis=0), where.max(axis=0)
    voxels = np.zeros(last - first + 1, bool)
    voxels[tuple((where - first).T)] = True
    return NoduleMask(voxels, tuple(int(v) for v in first), geometry, _method_of(image))  # type: ignore[arg-type]


def _start_on(geometry: Geometry, box: Geometry) -> np.ndarray:
    """Index (3,) of the box's first voxel on the CT's grid; InputError where the two do not fit."""
    start = geometry.to_kji(box.origin_lps_mm)
    fits = (
        np.allclose(box.spacing_kji_mm, geometry.spacing_kji_mm, rtol=1e-3)
        and np.allclose(box.direction, geometry.direction, atol=1e-3)
        and np.abs(start - np.rint(start)).max() < _OFF_GRID_VOXELS
    )
    if not fits:
        raise InputError(
            "The outline is not on the grid of the scan",
            expected=f"voxels of {_size(geometry)} mm on its grid",
            got=f"voxels of {_size(box)} mm",
            todo="draw it on the analysed CT",
        )
    return np.rint(start).astype(int)


def _method_of(image: sitk.Image) -> Method:
    if not all(image.HasMetaDataKey(key) for key in _METHOD_KEYS):
        return DRAWN
    name, version, sha256 = (image.GetMetaData(key) for key in _METHOD_KEYS)
    return Method(name, version, sha256 or None)


def _size(geometry: Geometry) -> str:
    return " × ".join(f"{s:.3g}" for s in geometry.spacing_kji_mm[::-1])
