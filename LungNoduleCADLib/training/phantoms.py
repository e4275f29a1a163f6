"""Synthetic nodules as samples: the only ones whose outline and volume are known exactly."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from LungNoduleCADLib.domain.masks import Side
from LungNoduleCADLib.domain.nodule import NoduleType
from LungNoduleCADLib.imaging.patch import extract_patch, patch_geometry
from LungNoduleCADLib.imaging.sitk_bridge import resample
from LungNoduleCADLib.lungs.segment import segment_lungs
from LungNoduleCADLib.nodules.candidates import find_candidates
from LungNoduleCADLib.phantom.nodules import NodulePlan
from LungNoduleCADLib.phantom.thorax import Phantom, make_phantom
from LungNoduleCADLib.training.lung_background import Donor
from LungNoduleCADLib.training.samples import SYNTHETIC_FOLD, Cube, Sample

KEEP_AWAY_MM = 12.0


def phantom_cubes(
    first_seed: int, count: int, background_each: int, size: int, spacing_mm: float, rng: np.random.Generator
) -> Iterator[Cube]:
    """Nodules and candidates that are none, of ``count`` phantoms; seeds below 1000 are for demos."""
    for number in range(count):
        phantom = make_phantom(first_seed + number, nodules=mixed_plans(rng))
        name = f"phantom-{first_seed + number}"
        for truth, mask in zip(phantom.truth, phantom.masks, strict=True):
            grid = patch_geometry(truth.centre_lps_mm, size, spacing_mm)
            hu = extract_patch(phantom.ct.hu, phantom.ct.geometry, grid)
            if mask.occupancy is None:
                continue
            occupancy = resample(
                np.pad(mask.occupancy, 1),
                mask.geometry.crop(tuple(s - 1 for s in mask.start_kji), tuple(n + 2 for n in mask.voxels.shape)),
                grid,
            )  # type: ignore[arg-type]
            yield hu, occupancy, _sample(f"{name}-{truth.id}", name, str(truth.type))
        yield from _background(phantom, name, background_each, size, spacing_mm, rng)


def phantom_donor(seed: int) -> Donor:
    """Synthetic lung without nodules, to set nodules into."""
    phantom = make_phantom(seed, nodules=())
    return Donor(phantom.ct, segment_lungs(phantom.ct), np.zeros((0, 4)))


def _sample(nodule_id: str, name: str, synthetic_type: str = "") -> Sample:
    return Sample(nodule_id, name, SYNTHETIC_FOLD, SYNTHETIC_FOLD, True, synthetic_type)


def _background(
    phantom: Phantom, name: str, count: int, size: int, spacing_mm: float, rng: np.random.Generator
) -> Iterator[Cube]:
    if not count:
        return
    centres = np.array([truth.centre_lps_mm for truth in phantom.truth])
    candidates = find_candidates(phantom.ct, segment_lungs(phantom.ct))
    far = [c for c in candidates if np.linalg.norm(centres - c.centre_lps_mm, axis=1).min() > KEEP_AWAY_MM]
    for n in rng.permutation(len(far))[:count]:
        grid = patch_geometry(far[n].centre_lps_mm, size, spacing_mm)
        hu = extract_patch(phantom.ct.hu, phantom.ct.geometry, grid)
        yield hu, np.zeros_like(hu), _sample("", name)


def mixed_plans(
    rng: np.random.Generator, solid_from_mm: float = 5.0, subsolid_from_mm: float = 8.0
) -> tuple[NodulePlan, ...]:
    """Fourteen nodules of all types and of sizes up to 16 mm, three of them on the pleura."""
    kinds = [NoduleType.SOLID] * 8 + [NoduleType.PART_SOLID] * 3 + [NoduleType.GROUND_GLASS] * 3
    plans = []
    for number, kind in enumerate(kinds):
        diameter = float(
            rng.uniform(solid_from_mm, 15) if kind is NoduleType.SOLID else rng.uniform(subsolid_from_mm, 16)
        )
        core = float(diameter * rng.uniform(0.35, 0.65)) if kind is NoduleType.PART_SOLID else None
        plans.append(
            NodulePlan(
                f"T{number}",
                kind,
                diameter,
                Side.RIGHT if number % 2 else Side.LEFT,
                (-60, 70),
                core_diameter_mm=core,
                lobulation=float(rng.uniform(0.03, 0.15)),
                on_pleura=number in (0, 1, 2),
            )
        )
    return tuple(plans)
