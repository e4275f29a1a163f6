"""Pack nodules as the product meets them: a small CT volume of real lung with the nodule in it, and a point."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from LungNoduleCADLib.domain.ct import CtVolume
from LungNoduleCADLib.domain.geometry import Geometry
from LungNoduleCADLib.domain.masks import LungMask
from LungNoduleCADLib.domain.nodule import Point
from LungNoduleCADLib.domain.provenance import Method
from LungNoduleCADLib.domain.study import SeriesDescription
from LungNoduleCADLib.imaging.patch import patch_geometry
from LungNoduleCADLib.training.lung_background import Donor, LungBackground
from LungNoduleCADLib.training.nodule_pack import NodulePack, PackNodule

SIZE, SPACING_MM = 96, 0.8
POINT: Point = (0.0, 0.0, 0.0)


@dataclass(frozen=True)
class NoduleCase:
    """A nodule (``None``: no nodule there), the CT around it, the point given for it, and the readers' consensus."""

    nodule: PackNodule
    ct: CtVolume
    lungs: LungMask
    reference: np.ndarray

    def reference_volume_mm3(self) -> float:
        return float(np.count_nonzero(self.reference)) * SPACING_MM**3


def nodule_cases(pack: NodulePack, nodules: list[PackNodule], donors: list[Donor], seed: int) -> Iterator[NoduleCase]:
    """One case a nodule, in 77 mm of lung at 0.8 mm; the point is the centroid of the consensus."""
    background = LungBackground(donors, SIZE, SPACING_MM, 3000, np.random.default_rng(seed))
    grid = patch_geometry(POINT, SIZE, SPACING_MM)
    for nodule in nodules:
        hu, occupancy = background.set_into(pack.load(nodule), nodule.centre_kji)
        yield NoduleCase(nodule, _volume(hu, grid, nodule.nodule_id), _all_lung(grid), occupancy >= 0.5)


def _volume(hu: np.ndarray, grid: Geometry, name: str) -> CtVolume:
    return CtVolume(np.clip(np.rint(hu), -1024, 3071).astype(np.int16), grid, SeriesDescription(name))


def _all_lung(grid: Geometry) -> LungMask:
    return LungMask(np.ones(grid.shape_kji, np.uint8), grid, Method("all_lung", "1"))
