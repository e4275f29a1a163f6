"""Nodules in whole scans: where they lie, told from headers alone, and their pixels, one scan held at a time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from LungNoduleCADLib.domain.ct import CtVolume
from LungNoduleCADLib.domain.geometry import Geometry
from LungNoduleCADLib.errors import InputError
from LungNoduleCADLib.imaging.patch import quantise
from LungNoduleCADLib.training.data import Mark, PackNodule

CONTEXT_MM = 40.0
Box = tuple[slice, slice, slice]


class LastScan:
    """Keeps the scan that was read last: blocks of one scan are asked for one after another."""

    def __init__(self) -> None:
        self._uid = ""
        self._ct: CtVolume | None = None

    def get(self, uid: str, read: Callable[[], CtVolume]) -> CtVolume:
        """The scan, read where it is not the one that is held; the one before is let go first."""
        if self._ct is None or uid != self._uid:
            self._ct = None
            self._uid, self._ct = uid, read()
        return self._ct


def loaded_grid(stored: Geometry) -> Geometry:
    """The grid on which ``load_ct`` gives pixels that are stored on another: axes turned to run to L, P and S.

    Raises
    ------
    InputError : the stored axes are not those of an axial scan.
    """
    direction = np.asarray(stored.direction).reshape(3, 3)
    if np.any(np.abs(np.diag(direction)) <= np.cos(np.radians(45))):
        raise InputError("The scan is not axial", expected="rows, columns and slices along the patient's axes")
    turn = np.sign(np.diag(direction))
    first_kji = np.where(turn[::-1] < 0, np.asarray(stored.shape_kji) - 1, 0)
    return replace(
        stored,
        origin_lps_mm=point(stored.to_lps_mm(first_kji)),
        direction=tuple(float(v) for v in (direction * turn).ravel()),
    )


def context_box(grid: Geometry, first_kji: np.ndarray, last_kji: np.ndarray) -> Box:
    """The box from a first to a last voxel with ``CONTEXT_MM`` of the scan on every side, as far as the scan goes."""
    around = CONTEXT_MM / np.asarray(grid.spacing_kji_mm)
    start = np.clip(np.floor(first_kji - around), 0, np.asarray(grid.shape_kji) - 1).astype(int)
    stop = np.clip(np.ceil(last_kji + around) + 1, start + 1, grid.shape_kji).astype(int)
    return tuple(slice(int(a), int(b)) for a, b in zip(start, stop, strict=True))  # type: ignore[return-value]


def cut_box(ct: CtVolume, grid: Geometry, box: Box) -> tuple[np.ndarray, Geometry]:
    """HU (quantised) and grid of a box of a scan.

    Raises
    ------
    InputError : the scan does not lie on the grid that its header told.
    """
    if ct.geometry.shape_kji != grid.shape_kji or not np.allclose(
        ct.geometry.affine_kji_to_lps, grid.affine_kji_to_lps, atol=1e-2
    ):
        raise InputError(
            f"The scan {ct.series.series_uid} has changed since it was opened",
            expected=f"{grid.shape_kji} voxels at {grid.origin_lps_mm}",
            got=f"{ct.geometry.shape_kji} at {ct.geometry.origin_lps_mm}",
        )
    start, shape = tuple(b.start for b in box), tuple(b.stop - b.start for b in box)
    return quantise(ct.hu[box]), ct.geometry.crop(start, shape)  # type: ignore[arg-type]


def mark_of(nodule: PackNodule, grid: Geometry) -> Mark:
    """A nodule as a mark in its scan."""
    centre = grid.to_lps_mm(np.add(nodule.centre_kji, nodule.start_kji))
    return Mark(nodule.nodule_id, nodule.n_readers, point(centre), nodule.eq_diameter_mm, nodule.type)


def point(values: np.ndarray) -> tuple[float, float, float]:
    return tuple(float(v) for v in values)  # type: ignore[return-value]
