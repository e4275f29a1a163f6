"""A chest CT in Hounsfield units."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from LungNoduleCADLib.domain.geometry import Geometry
from LungNoduleCADLib.domain.quality import QualityFlag
from LungNoduleCADLib.domain.study import SeriesDescription


@dataclass(frozen=True)
class CtVolume:
    """HU values int16 (K, J, I), k from feet to head, j from front to back, i from the patient's right to left."""

    hu: np.ndarray
    geometry: Geometry
    series: SeriesDescription
    flags: tuple[QualityFlag, ...] = ()

    def __post_init__(self) -> None:
        if self.hu.shape != self.geometry.shape_kji or self.hu.dtype != np.int16:
            raise ValueError(
                f"expected int16 HU of shape {self.geometry.shape_kji}, got {self.hu.dtype} {self.hu.shape}"
            )
