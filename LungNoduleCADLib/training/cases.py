"""Pack nodules as the product meets them: a small CT volume of lung with the nodule in it, and a point."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from LungNoduleCADLib.domain.ct import CtVolume
from LungNoduleCADLib.domain.geometry import Geometry
from LungNoduleCADLib.domain.masks import LungMask
from LungNoduleCADLib.domain.nodule import Point
from LungNoduleCADLib.domain.provenance import Method
from LungNoduleCADLib.domain.study import SeriesDescription
from LungNoduleCADLib.training.data import NoduleBlock, PackNodule, TrainingData
from LungNoduleCADLib.training.lung_background import Donor, LungBackground

SKETCH_SIZE, SKETCH_MM = 96, 0.8
PLACES = 3000
LEAST_EXTENT_MM, MOST_EXTENT_MM = 64.0, 104.0
POINT: Point = (0.0, 0.0, 0.0)


@dataclass(frozen=True)
class NoduleCase:
    """A nodule, the CT around it on its own grid, and the readers' consensus on the same voxels."""

    nodule: PackNodule
    ct: CtVolume
    lungs: LungMask
    reference: np.ndarray

    def reference_volume_mm3(self) -> float:
        return float(np.count_nonzero(self.reference)) * self.ct.geometry.voxel_volume_mm3


def nodule_cases(data: TrainingData, nodules: list[PackNodule], donors: list[Donor], seed: int) -> Iterator[NoduleCase]:
    """One case a nodule, on the voxels of its scan; ``POINT`` is the centroid of the consensus.

    Above, below and beside the pack's block there is lung of the donors.
    """
    background = LungBackground(donors, SKETCH_SIZE, SKETCH_MM, PLACES, np.random.default_rng(seed))
    for nodule in nodules:
        block = _centred(data.load(nodule), nodule)
        grid = _around(block.geometry, nodule)
        hu, occupancy = background.fill(block, grid)
        ct = CtVolume(np.clip(np.rint(hu), -1024, 3071).astype(np.int16), grid, SeriesDescription(nodule.nodule_id))
        yield NoduleCase(nodule, ct, _all_lung(grid), occupancy > 1 - 1e-3)


def _centred(block: NoduleBlock, nodule: PackNodule) -> NoduleBlock:
    """The block with its nodule at ``POINT``."""
    origin = tuple(float(v) for v in -block.geometry.to_lps_mm(nodule.centre_kji) + block.geometry.origin_lps_mm)
    return replace(block, geometry=replace(block.geometry, origin_lps_mm=origin))  # type: ignore[arg-type]


def _around(block: Geometry, nodule: PackNodule) -> Geometry:
    """A part of the scan's grid around the nodule, as wide as the coarsest cube that it will be looked at in."""
    extent_mm = np.clip(5.0 * nodule.eq_diameter_mm, LEAST_EXTENT_MM, MOST_EXTENT_MM)
    half = np.ceil(extent_mm / 2 / np.asarray(block.spacing_kji_mm)).astype(int)
    start = np.rint(nodule.centre_kji).astype(int) - half
    return block.crop(tuple(int(v) for v in start), tuple(int(2 * n + 1) for n in half))  # type: ignore[arg-type]


def _all_lung(grid: Geometry) -> LungMask:
    return LungMask(np.ones(grid.shape_kji, np.uint8), grid, Method("all_lung", "1"))
