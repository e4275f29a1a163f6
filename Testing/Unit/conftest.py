"""Small CT volumes that several suites need."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from LungNoduleCADLib.domain.ct import CtVolume
from LungNoduleCADLib.domain.geometry import Geometry
from LungNoduleCADLib.domain.study import SeriesDescription

AXIAL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)


@pytest.fixture
def ct_of() -> Callable[..., CtVolume]:
    """``ct_of(hu, spacing_kji_mm, origin, direction)``: an array as a CT."""

    def make(
        hu: np.ndarray,
        spacing_kji_mm: tuple[float, float, float] = (1.0, 1.0, 1.0),
        origin_lps_mm: tuple[float, float, float] = (0.0, 0.0, 0.0),
        direction: tuple[float, ...] = AXIAL,
    ) -> CtVolume:
        geometry = Geometry(hu.shape, origin_lps_mm, spacing_kji_mm, direction)
        return CtVolume(np.rint(hu).astype(np.int16), geometry, SeriesDescription("1.2.3"))

    return make


@pytest.fixture
def ball_ct(ct_of: Callable[..., CtVolume]) -> Callable[..., CtVolume]:
    """``ball_ct(radius_mm, spacing_kji_mm, ...)``: a ball of 0 HU, with partial volumes, in lung of -1000 HU."""

    def make(
        radius_mm: float,
        spacing_kji_mm: tuple[float, float, float] = (1.0, 1.0, 1.0),
        centre_lps_mm: tuple[float, float, float] = (0.0, 0.0, 0.0),
        extent_mm: float = 48.0,
        direction: tuple[float, ...] = AXIAL,
        parts: int = 4,
    ) -> CtVolume:
        shape = tuple(round(extent_mm / s) for s in spacing_kji_mm)
        middle = Geometry(shape, (0.0, 0.0, 0.0), spacing_kji_mm, direction).to_lps_mm([(n - 1) / 2 for n in shape])
        origin = tuple(float(v) for v in -middle)
        geometry = Geometry(shape, origin, spacing_kji_mm, direction)
        voxels = np.moveaxis(np.indices(shape), 0, -1).astype(float)
        share = np.zeros(shape)
        steps = (np.arange(parts) + 0.5) / parts - 0.5
        for offset in np.stack(np.meshgrid(steps, steps, steps), axis=-1).reshape(-1, 3):
            distance = np.linalg.norm(geometry.to_lps_mm(voxels + offset) - centre_lps_mm, axis=-1)
            share += (distance <= radius_mm) / parts**3
        return ct_of(-1000 + 1000 * share, spacing_kji_mm, origin, direction)

    return make
