"""Where voxels are: a regular grid in LPS patient space."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import product

import numpy as np


@dataclass(frozen=True)
class Geometry:
    """A regular voxel grid in LPS millimetres.

    Attributes
    ----------
    shape_kji : slices, rows, columns.
    origin_lps_mm : position of the centre of voxel (0, 0, 0).
    spacing_kji_mm : distance of voxel centres along k, j, i.
    direction : 3x3 row-major, as SimpleITK writes it: column 0 is the unit vector of i, 1 of j, 2 of k.
    """

    shape_kji: tuple[int, int, int]
    origin_lps_mm: tuple[float, float, float]
    spacing_kji_mm: tuple[float, float, float]
    direction: tuple[float, ...] = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)

    def __post_init__(self) -> None:
        if min(self.shape_kji) < 1 or min(self.spacing_kji_mm) <= 0 or len(self.direction) != 9:
            raise ValueError(
                f"a grid needs a shape >= 1, a spacing > 0 and 9 direction numbers: expected that, got "
                f"{self.shape_kji}, {self.spacing_kji_mm}, {len(self.direction)} numbers"
            )

    @property
    def affine_kji_to_lps(self) -> np.ndarray:
        """4x4 matrix from (k, j, i, 1) to (l, p, s, 1) in mm."""
        columns_ijk = np.asarray(self.direction).reshape(3, 3)
        matrix = np.eye(4)
        matrix[:3, :3] = columns_ijk[:, ::-1] * np.asarray(self.spacing_kji_mm)
        matrix[:3, 3] = self.origin_lps_mm
        return matrix

    @property
    def voxel_volume_mm3(self) -> float:
        return float(np.prod(self.spacing_kji_mm))

    @property
    def extent_kji_mm(self) -> tuple[float, float, float]:
        """Edge lengths of the grid, outer voxel face to outer voxel face."""
        return tuple(n * s for n, s in zip(self.shape_kji, self.spacing_kji_mm, strict=True))  # type: ignore[return-value]

    def to_lps_mm(self, kji: np.ndarray | tuple[float, ...]) -> np.ndarray:
        """Continuous indices (..., 3) to LPS mm (..., 3)."""
        affine = self.affine_kji_to_lps
        return np.asarray(kji, float) @ affine[:3, :3].T + affine[:3, 3]

    def to_kji(self, lps_mm: np.ndarray | tuple[float, ...]) -> np.ndarray:
        """LPS mm (..., 3) to continuous indices (..., 3)."""
        affine = self.affine_kji_to_lps
        return (np.asarray(lps_mm, float) - affine[:3, 3]) @ np.linalg.inv(affine[:3, :3]).T

    def contains(self, lps_mm: np.ndarray | tuple[float, ...]) -> bool:
        """Whether a point lies inside the grid's outer faces."""
        kji = self.to_kji(lps_mm)
        return bool(np.all(kji >= -0.5) and np.all(kji <= np.asarray(self.shape_kji) - 0.5))

    def box_around(self, other: Geometry, margin: int = 2) -> tuple[slice, slice, slice]:
        """The voxels of this grid at and around another, ``margin`` more on each side; never empty.

        With a margin of 2 it is all that a linear interpolation onto the other grid needs.
        """
        ends = [(0, n) for n in other.shape_kji]
        kji = self.to_kji(other.to_lps_mm(np.array(list(product(*ends)))))
        start = np.clip(np.floor(kji.min(axis=0)).astype(int) - margin, 0, np.asarray(self.shape_kji) - 1)
        stop = np.clip(np.ceil(kji.max(axis=0)).astype(int) + margin + 1, start + 1, self.shape_kji)
        return tuple(slice(int(a), int(b)) for a, b in zip(start, stop, strict=True))  # type: ignore[return-value]

    def part(self, box: tuple[slice, ...]) -> Geometry:
        """The grid of a box of this one."""
        return self.crop(tuple(b.start for b in box), tuple(b.stop - b.start for b in box))  # type: ignore[arg-type]

    def crop(self, start_kji: tuple[int, int, int], shape_kji: tuple[int, int, int]) -> Geometry:
        """The grid of the box that starts at ``start_kji`` (may lie outside of this grid)."""
        origin = tuple(float(v) for v in self.to_lps_mm(start_kji))
        return replace(self, shape_kji=shape_kji, origin_lps_mm=origin)  # type: ignore[arg-type]
