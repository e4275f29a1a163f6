"""Flat cuts through a CT along the patient's axes, as a radiologist looks at them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

import numpy as np

from LungNoduleCADLib.domain.geometry import Geometry
from LungNoduleCADLib.domain.masks import NoduleMask
from LungNoduleCADLib.domain.nodule import Point
from LungNoduleCADLib.imaging.patch import extract_patch
from LungNoduleCADLib.imaging.sitk_bridge import resample


class Orientation(Enum):
    """Unit vectors (LPS) of a picture's rightward and downward direction, and the letters at its left and top."""

    AXIAL = ("axial", (1, 0, 0), (0, 1, 0), "R", "A")
    CORONAL = ("coronal", (1, 0, 0), (0, 0, -1), "R", "S")
    SAGITTAL = ("sagittal", (0, 1, 0), (0, 0, -1), "A", "S")

    @property
    def label(self) -> str:
        return self.value[0]

    @property
    def right(self) -> np.ndarray:
        return np.asarray(self.value[1], float)

    @property
    def down(self) -> np.ndarray:
        return np.asarray(self.value[2], float)

    @property
    def letters(self) -> tuple[str, str]:
        return self.value[3], self.value[4]


@dataclass(frozen=True)
class Plane:
    """A square cut around a point: ``size`` x ``size`` pixels of ``spacing_mm``."""

    orientation: Orientation
    centre_lps_mm: Point
    width_mm: float = 60.0
    size: int = 241

    @property
    def spacing_mm(self) -> float:
        return self.width_mm / (self.size - 1)

    @property
    def geometry(self) -> Geometry:
        """The cut as a grid of one slice."""
        right, down = self.orientation.right, self.orientation.down
        direction = np.stack([right, down, np.cross(right, down)], axis=1)
        origin = np.asarray(self.centre_lps_mm) - (right + down) * self.width_mm / 2
        return Geometry(
            (1, self.size, self.size),
            tuple(float(v) for v in origin),  # type: ignore[arg-type]
            (1.0, self.spacing_mm, self.spacing_mm),
            tuple(float(v) for v in direction.ravel()),
        )

    def to_mm(self, lps_mm: Point) -> tuple[float, float]:
        """Rightward and downward distance (mm) of a point from the picture's centre."""
        offset = np.asarray(lps_mm, float) - self.centre_lps_mm
        return float(offset @ self.orientation.right), float(offset @ self.orientation.down)

    def cut_ct(self, hu: np.ndarray, geometry: Geometry) -> np.ndarray:
        """HU (rows, columns), linear interpolation, air outside of the CT."""
        return extract_patch(hu, geometry, self.geometry)[0]

    def cut_box(self, values: np.ndarray, geometry: Geometry) -> np.ndarray:
        """A small volume's values (float32), 0 outside of it."""
        padded = np.pad(values.astype(np.float32), 1)
        return resample(padded, geometry.crop((-1, -1, -1), padded.shape), self.geometry)[0]

    def cut_mask(self, mask: NoduleMask) -> np.ndarray:
        """The mask's share of each pixel, 0..1; its outline is the contour at 0.5."""
        return self.cut_box(mask.voxels, mask.box_geometry)
