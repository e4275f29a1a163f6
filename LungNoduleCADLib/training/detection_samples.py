"""Cubes to learn detection from: whatever is marked in a cube is to be found, wherever in it that lies."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any

import numpy as np

from LungNoduleCADLib.domain.geometry import Geometry
from LungNoduleCADLib.domain.nodule import Point
from LungNoduleCADLib.imaging.patch import extract_patch, patch_geometry
from LungNoduleCADLib.imaging.sitk_bridge import resample
from LungNoduleCADLib.lungs.segment import segment_lungs
from LungNoduleCADLib.nodules.candidates import find_candidates
from LungNoduleCADLib.phantom.thorax import Phantom, make_phantom
from LungNoduleCADLib.training.data import SMALL_RADIUS_MM, MarkedScan, NoduleBlock, PackNodule, TrainingData
from LungNoduleCADLib.training.lung_background import Donor, LungBackground
from LungNoduleCADLib.training.phantoms import KEEP_AWAY_MM, mixed_plans
from LungNoduleCADLib.training.samples import (
    SYNTHETIC_FOLD,
    Cube,
    Sample,
    outlined_by_anybody,
    paint_other,
    places_beside,
    reach_in_plane_mm,
)

LEAST_RADIUS_MM = 3.0
UNKNOWN = 0.5
"""Occupancy where nobody says whether there is a nodule; it is not learned from."""
SYNTHETIC_FROM_MM = 4.0
PLACES_EACH = 1500


@dataclass(frozen=True)
class Marked:
    """Something marked in a scan: its middle (LPS mm), its nodule's name, and what it fills.

    ``occupancy``: share of each voxel (float32, 0..1) on ``geometry``; ``None``: not to be told from background.
    """

    centre_lps_mm: Point
    nodule_id: str = ""
    occupancy: np.ndarray | None = None
    geometry: Geometry | None = None


def marks_of_scan(data: TrainingData, scan: MarkedScan) -> list[Marked]:
    """Nodules with their outlines (where nobody drew one: as balls), and marks below 3 mm."""
    by_id = {nodule.nodule_id: nodule for nodule in data.nodules}
    found = [Marked(tuple(float(v) for v in place)) for place in scan.small_lps_mm]  # type: ignore[arg-type]
    for mark in scan.marks:
        nodule = by_id.get(mark.nodule_id)
        block = data.load(nodule) if nodule is not None else None
        if nodule is None or block is None or block.votes is None:
            place = patch_geometry(mark.centre_lps_mm, 2 * int(np.ceil(mark.eq_diameter_mm / 2)) + 3, 1.0)
            as_ball = _ball(place, mark.centre_lps_mm, mark.eq_diameter_mm / 2)
            found.append(Marked(mark.centre_lps_mm, mark.nodule_id, as_ball, place))
            continue
        consensus = np.pad(block.consensus.astype(np.float32), 1)
        start = tuple(s - 1 for s in nodule.start_kji)
        place = scan.ct.geometry.crop(start, consensus.shape)  # type: ignore[arg-type]
        found.append(Marked(mark.centre_lps_mm, nodule.nodule_id, consensus, place))
    return found


def marks_of_phantom(phantom: Phantom) -> list[Marked]:
    """Its nodules, filled exactly."""
    found = []
    for truth, mask in zip(phantom.truth, phantom.masks, strict=True):
        filled = np.pad((mask.voxels if mask.occupancy is None else mask.occupancy).astype(np.float32), 1)
        place = mask.geometry.crop(tuple(s - 1 for s in mask.start_kji), filled.shape)  # type: ignore[arg-type]
        found.append(Marked(truth.centre_lps_mm, truth.id, filled, place))
    return found


def occupancy_on(grid: Geometry, marks: Sequence[Marked]) -> np.ndarray:
    """What is marked in a grid, float32 0..1; every nodule at least a ball of 3 mm radius, so that small ones count."""
    occupancy = np.zeros(grid.shape_kji, np.float32)
    for mark in marks:
        if mark.occupancy is None or mark.geometry is None:
            unknown = UNKNOWN * (_ball(grid, mark.centre_lps_mm, SMALL_RADIUS_MM + LEAST_RADIUS_MM) > 0)
            occupancy = np.where(occupancy > UNKNOWN, occupancy, np.maximum(occupancy, unknown))
            continue
        if _meets(grid, mark.geometry):
            filled = resample(mark.occupancy, mark.geometry, grid)
            occupancy = np.maximum(occupancy, np.maximum(filled, _ball(grid, mark.centre_lps_mm, LEAST_RADIUS_MM)))
    return occupancy


def detection_cubes(
    data: TrainingData,
    scans: Sequence[tuple[int, MarkedScan]],
    donors: dict[int, list[Donor]],
    recipe: dict[str, Any],
    spacing_mm: float,
    rng: np.random.Generator,
) -> Iterator[Cube]:
    """Nodules and what lies beside them set into lung, whole scans and phantoms as they are.

    Parameters
    ----------
    scans : with their folds.
    donors : {fold: lung}, whose marks lie out of reach of a cube.
    """
    settings = recipe["samples"]
    size = settings["size"]
    backgrounds = [LungBackground(lung, size, spacing_mm, PLACES_EACH, rng, fold) for fold, lung in donors.items()]
    everyone = data.of_folds(tuple(recipe["folds"]["cross_fitted"]))
    yield from _pack_cubes(data, everyone, backgrounds, settings, rng)
    for fold, scan in scans:
        yield from _scan_cubes(data, scan, fold, size, spacing_mm)
    yield from _phantom_cubes(**settings["phantoms"], size=size, spacing_mm=spacing_mm, rng=rng)


def _pack_cubes(
    data: TrainingData,
    nodules: list[PackNodule],
    backgrounds: list[LungBackground],
    settings: dict[str, Any],
    rng: np.random.Generator,
) -> Iterator[Cube]:
    """Every nodule in ``backgrounds_each`` lungs, two of three without what is far from it; and places beside it."""
    for _, group in groupby(sorted(nodules, key=lambda n: n.patient_id), key=lambda n: n.patient_id):
        of_patient = [(nodule, data.load(nodule)) for nodule in group]
        for nodule, alone in of_patient:
            block = _with_neighbours(nodule, alone, of_patient)
            for number in rng.permutation(len(backgrounds))[: settings["backgrounds_each"]]:
                background = backgrounds[number]
                disc = None if rng.random() < 1 / 3 else reach_in_plane_mm(nodule, alone) + float(rng.uniform(2, 10))
                hu, occupancy = background.set_into(block, nodule.centre_kji, disc)
                grid = patch_geometry((0.0, 0.0, 0.0), hu.shape[0], background.spacing_mm)
                occupancy = np.maximum(occupancy, _ball(grid, (0.0, 0.0, 0.0), LEAST_RADIUS_MM))
                yield hu, occupancy, Sample(nodule.nodule_id, nodule.patient_id, nodule.fold, background.fold, False)
            for centre in places_beside(nodule, alone, of_patient, settings["beside_each_nodule"], rng):
                background = backgrounds[int(rng.integers(len(backgrounds)))]
                hu, occupancy = background.set_into(block, centre, float(rng.uniform(9, 25)))
                yield hu, occupancy, Sample("", nodule.patient_id, nodule.fold, background.fold, False)


def _scan_cubes(data: TrainingData, scan: MarkedScan, fold: int, size: int, spacing_mm: float) -> Iterator[Cube]:
    """Around every mark, and around everything that the classical finder proposes away from them."""
    marks, near = marks_of_scan(data, scan), scan.keep_away_lps_mm
    patient_of = {nodule.nodule_id: nodule.patient_id for nodule in data.nodules}
    places = [(m.centre_lps_mm, m.nodule_id) for m in marks if m.nodule_id]
    for candidate in find_candidates(scan.ct, scan.lungs):
        apart_mm = np.linalg.norm(near[:, :3] - candidate.centre_lps_mm, axis=1)
        if np.all(apart_mm >= near[:, 3]):
            places.append((candidate.centre_lps_mm, ""))
    for place, nodule_id in places:
        grid = patch_geometry(place, size, spacing_mm)
        hu = extract_patch(scan.ct.hu, scan.ct.geometry, grid)
        sample = Sample(nodule_id, patient_of.get(nodule_id, scan.name), fold, fold, real_context=True)
        yield hu, occupancy_on(grid, marks), sample


def _phantom_cubes(
    first_seed: int, count: int, background_each: int, size: int, spacing_mm: float, rng: np.random.Generator
) -> Iterator[Cube]:
    """As scans, of phantoms with small ground glass, too; seeds below 1000 are for demos."""
    for seed in range(first_seed, first_seed + count):
        phantom = make_phantom(seed, nodules=mixed_plans(rng, SYNTHETIC_FROM_MM, SYNTHETIC_FROM_MM))
        marks, name = marks_of_phantom(phantom), f"phantom-{seed}"
        types = {truth.id: str(truth.type) for truth in phantom.truth}
        centres = np.array([mark.centre_lps_mm for mark in marks])
        candidates = find_candidates(phantom.ct, segment_lungs(phantom.ct)) if background_each else []
        far = [c for c in candidates if np.linalg.norm(centres - c.centre_lps_mm, axis=1).min() > KEEP_AWAY_MM]
        chosen = [far[n].centre_lps_mm for n in rng.permutation(len(far))[:background_each]]
        for place, nodule_id in [*((m.centre_lps_mm, m.nodule_id) for m in marks), *((p, "") for p in chosen)]:
            grid = patch_geometry(place, size, spacing_mm)
            hu = extract_patch(phantom.ct.hu, phantom.ct.geometry, grid)
            sample = Sample(
                nodule_id and f"{name}-{nodule_id}",
                name,
                SYNTHETIC_FOLD,
                SYNTHETIC_FOLD,
                True,
                types.get(nodule_id, ""),
            )
            yield hu, occupancy_on(grid, marks), sample


def _with_neighbours(
    nodule: PackNodule, block: NoduleBlock, of_patient: list[tuple[PackNodule, NoduleBlock]]
) -> NoduleBlock:
    """The block with the patient's other nodules marked in it, too."""
    others = np.zeros(block.hu.shape, bool)
    for other, other_block in of_patient:
        paint_other(others, nodule, other, other_block)
    own = block.consensus if block.votes is not None else outlined_by_anybody(nodule, block)
    return replace(block, votes=(own | others).astype(np.float32))


def _ball(grid: Geometry, centre_lps_mm: Point, radius_mm: float) -> np.ndarray:
    """A ball with a rim of one voxel, 0..1 float32, on an isotropic grid."""
    spacing_mm = grid.spacing_kji_mm[0]
    centre = grid.to_kji(centre_lps_mm)
    axes = [(np.arange(n, dtype=np.float32) - c) ** 2 for n, c in zip(grid.shape_kji, centre, strict=True)]
    distance_mm = np.sqrt(axes[0][:, None, None] + axes[1][:, None] + axes[2]) * spacing_mm
    return np.clip((radius_mm - distance_mm) / spacing_mm + 0.5, 0.0, 1.0, dtype=np.float32)


def _meets(grid: Geometry, other: Geometry) -> bool:
    """Whether two grids' boxes along the patient's axes overlap."""
    corners = [g.to_lps_mm(np.array([(0, 0, 0), g.shape_kji])) for g in (grid, other)]
    low, high = zip(*((c.min(axis=0), c.max(axis=0)) for c in corners), strict=True)
    return bool(np.all(low[0] <= high[1]) and np.all(low[1] <= high[0]))
