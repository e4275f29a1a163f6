"""Which voxels belong to what, on the native CT grid."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum, StrEnum

import numpy as np

from LungNoduleCADLib.domain.geometry import Geometry
from LungNoduleCADLib.domain.provenance import Method
from LungNoduleCADLib.domain.quality import QualityFlag


class Lung(IntEnum):
    """Label values of a lung mask."""

    RIGHT = 1
    LEFT = 2


class Side(StrEnum):
    RIGHT = "right"
    LEFT = "left"


@dataclass(frozen=True)
class LungMask:
    """uint8 (K, J, I): 0 outside, 1 right lung, 2 left lung. Nodules that touch pleura or hilum lie inside.

    ``flags``: doubts of the method that made it.
    """

    labels: np.ndarray
    geometry: Geometry
    method: Method
    flags: tuple[QualityFlag, ...] = ()

    def __post_init__(self) -> None:
        if self.labels.shape != self.geometry.shape_kji or self.labels.dtype != np.uint8:
            raise ValueError(
                f"expected uint8 labels of shape {self.geometry.shape_kji}, got {self.labels.dtype} {self.labels.shape}"
            )

    def volume_ml(self, lung: Lung) -> float:
        return float(np.count_nonzero(self.labels == lung)) * self.geometry.voxel_volume_mm3 / 1000.0


@dataclass(frozen=True)
class NoduleMask:
    """One nodule's voxels: a bool box (K, J, I) that starts at ``start_kji`` of the native CT grid.

    ``occupancy`` holds, where the segmentation knows it, the fraction 0..1 of each voxel that is nodule (float32, same
    shape); it is what partial-volume-aware volumes are made of.
    """

    voxels: np.ndarray
    start_kji: tuple[int, int, int]
    geometry: Geometry
    method: Method
    occupancy: np.ndarray | None = None

    @property
    def box(self) -> tuple[slice, slice, slice]:
        """Where the box lies in an array on the native grid."""
        return tuple(slice(s, s + n) for s, n in zip(self.start_kji, self.voxels.shape, strict=True))  # type: ignore[return-value]

    @property
    def box_geometry(self) -> Geometry:
        return self.geometry.crop(self.start_kji, self.voxels.shape)  # type: ignore[arg-type]

    def centroid_lps_mm(self) -> tuple[float, float, float]:
        centre = np.argwhere(self.voxels).mean(axis=0) + self.start_kji
        return tuple(float(v) for v in self.geometry.to_lps_mm(centre))  # type: ignore[return-value]

    def distance_mm(self, point_lps_mm: tuple[float, float, float] | np.ndarray) -> float:
        """How far a point lies from the outline, to half a voxel; 0 inside."""
        voxels_lps_mm = self.geometry.to_lps_mm(np.argwhere(self.voxels) + self.start_kji)
        nearest_mm = np.linalg.norm(voxels_lps_mm - point_lps_mm, axis=1).min()
        return max(0.0, float(nearest_mm) - max(self.geometry.spacing_kji_mm) / 2)
