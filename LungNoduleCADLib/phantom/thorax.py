"""A synthetic chest CT with known nodules, at baseline and, a little moved and with changed nodules, at follow-up."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from math import log

import numpy as np
from scipy import ndimage

from LungNoduleCADLib.domain.comparison import Change
from LungNoduleCADLib.domain.ct import CtVolume
from LungNoduleCADLib.domain.geometry import Geometry
from LungNoduleCADLib.domain.masks import NoduleMask
from LungNoduleCADLib.domain.nodule import NoduleType
from LungNoduleCADLib.domain.provenance import Method
from LungNoduleCADLib.domain.study import SeriesDescription
from LungNoduleCADLib.phantom.anatomy import BLOOD_HU, lung_distance, tissue_hu
from LungNoduleCADLib.phantom.deformation import to_baseline, to_follow_up
from LungNoduleCADLib.phantom.nodules import (
    CORE_HU,
    DEFAULT_NODULES,
    GROUND_GLASS_HU,
    SOLID_HU,
    NodulePlan,
    PhantomNodule,
    Shape,
    ball_diameter_mm,
    filled_share,
    place,
    share_of_voxels,
)
from LungNoduleCADLib.phantom.trees import Segment, Trees, draw_airways, draw_vessels, grow_trees

_BLUR_MM = 0.6
_NOISE_HU = 20.0
_SLAB = 8
_AGE_YEARS, _SEX = 62, "F"
PLAN = Method("phantom_plan", "1")


@dataclass(frozen=True)
class Phantom:
    """A scan and the truth of the nodules in it; ``masks`` in the same order, with the filled share of each voxel."""

    ct: CtVolume
    truth: tuple[PhantomNodule, ...]
    masks: tuple[NoduleMask, ...]


@dataclass(frozen=True)
class _Nodule:
    """A plan given a place (baseline LPS mm) and shapes at baseline size."""

    plan: NodulePlan
    centre: np.ndarray
    shape: Shape
    core: Shape | None


def make_phantom(
    seed: int = 0,
    follow_up: bool = False,
    *,
    nodules: Sequence[NodulePlan] = DEFAULT_NODULES,
    baseline_date: date = date(2024, 1, 15),
    interval_days: int = 270,
    shape_kji: tuple[int, int, int] = (176, 352, 352),
    spacing_kji_mm: tuple[float, float, float] = (1.25, 0.9, 0.9),
) -> Phantom:
    """Build the phantom of a seed at one of its two time points (the same person, trees and nodules in both).

    Parameters
    ----------
    follow_up : False for the baseline, True for the scan ``interval_days`` later.
    nodules : what to put in; every one gets its place from the seed.
    """
    rng = np.random.default_rng(seed)
    placed = _placed(rng, tuple(nodules))
    trees = grow_trees(rng, [(n.centre, n.shape.reach_mm * max(1.0, n.plan.growth_factor) ** (1 / 3) + 2.0)
                             for n in placed])  # fmt: skip
    geometry = _grid(shape_kji, spacing_kji_mm)
    hu = _anatomy(geometry, follow_up)
    lung_texture = _texture(np.random.default_rng([seed, 1]), shape_kji, spacing_kji_mm)
    hu += lung_texture * (hu < -700)
    truth = [_put_nodule(hu, geometry, n, follow_up, interval_days, ground_glass=True) for n in placed]
    _draw_trees(hu, geometry, trees, follow_up)
    truth += [_put_nodule(hu, geometry, n, follow_up, interval_days, ground_glass=False) for n in placed]
    _scan(hu, spacing_kji_mm, np.random.default_rng([seed, 2 + follow_up]))
    series = _description(seed, follow_up, baseline_date, interval_days if follow_up else 0, spacing_kji_mm[0])
    ct = CtVolume(np.clip(np.rint(hu), -1024, 3071).astype(np.int16), geometry, series)
    order = [plan.id for plan in nodules]
    found = sorted((pair for pair in truth if pair), key=lambda pair: order.index(pair[0].id))
    return Phantom(ct, tuple(nodule for nodule, _ in found), tuple(mask for _, mask in found))


def _placed(rng: np.random.Generator, plans: tuple[NodulePlan, ...]) -> list[_Nodule]:
    placed = []
    for plan, centre in zip(plans, place(rng, plans), strict=True):
        shape = Shape.of_volume(rng, plan.diameter_mm, plan.lobulation)
        core = Shape.of_volume(rng, plan.core_diameter_mm, plan.lobulation) if plan.core_diameter_mm else None
        placed.append(_Nodule(plan, centre, shape, core))
    return placed


def _grid(shape_kji: tuple[int, int, int], spacing_kji_mm: tuple[float, float, float]) -> Geometry:
    k, j, i = (-(n - 1) / 2 * mm for n, mm in zip(shape_kji, spacing_kji_mm, strict=True))
    return Geometry(shape_kji, (i, j + 3.0, k), spacing_kji_mm)


def _anatomy(geometry: Geometry, follow_up: bool) -> np.ndarray:
    """HU (float32) of everything but trees and nodules, slab by slab to spare memory."""
    hu = np.empty(geometry.shape_kji, np.float32)
    i0, j0, k0 = geometry.origin_lps_mm
    k, j, i = (np.arange(n, dtype=np.float32) * np.float32(mm)
               for n, mm in zip(geometry.shape_kji, geometry.spacing_kji_mm, strict=True))  # fmt: skip
    x, y = (i + np.float32(i0))[None, None, :], (j + np.float32(j0))[None, :, None]
    for start in range(0, len(k), _SLAB):
        z = (k[start : start + _SLAB] + np.float32(k0))[:, None, None]
        hu[start : start + _SLAB] = tissue_hu(*(to_baseline(x, y, z) if follow_up else (x, y, z)))[0]
    return hu


def _texture(rng: np.random.Generator, shape: tuple[int, ...], spacing_mm: tuple[float, ...]) -> np.ndarray:
    """HU to add to lung: acini and small vessels below resolution, and slow differences in aeration."""
    fine = ndimage.gaussian_filter(rng.standard_normal(shape, np.float32), [0.9 / mm for mm in spacing_mm])
    coarse_shape = [max(2, int(n * mm / 12)) for n, mm in zip(shape, spacing_mm, strict=True)]
    coarse = rng.standard_normal(coarse_shape).astype(np.float32)
    slow = ndimage.zoom(coarse, [n / c for n, c in zip(shape, coarse_shape, strict=True)], order=1)
    return 18.0 / fine.std() * fine + 12.0 * slow


def _draw_trees(hu: np.ndarray, geometry: Geometry, trees: Trees, follow_up: bool) -> None:
    moved = Trees(*(_moved(tree) for tree in (trees.vessels, trees.bronchi))) if follow_up else trees
    draw_vessels(hu, moved, geometry, BLOOD_HU)
    draw_airways(hu, moved, geometry)


def _moved(tree: tuple[Segment, ...]) -> tuple[Segment, ...]:
    starts = to_follow_up(np.array([segment.start for segment in tree]))
    ends = to_follow_up(np.array([segment.end for segment in tree]))
    return tuple(replace(s, start=a, end=b) for s, a, b in zip(tree, starts, ends, strict=True))


def _put_nodule(
    hu: np.ndarray, geometry: Geometry, nodule: _Nodule, follow_up: bool, interval_days: int, *, ground_glass: bool
) -> tuple[PhantomNodule, NoduleMask] | None:
    """Blend a nodule in if it is there now and (not) ground glass; vessels run through that, not over solid."""
    plan = nodule.plan
    absent = plan.change is (Change.RESOLVED if follow_up else Change.NEW)
    if absent or (plan.type is NoduleType.SOLID) is ground_glass:
        return None
    growth = plan.growth_factor ** (1 / 3) if follow_up else 1.0
    centre = to_follow_up(nodule.centre) if follow_up else nodule.centre
    outer_hu = SOLID_HU if plan.type is NoduleType.SOLID else GROUND_GLASS_HU
    mask = _blend(hu, geometry, nodule.shape.scaled(growth), centre, outer_hu, follow_up)
    core = None
    if nodule.core:
        core = _volume_mm3(_blend(hu, geometry, nodule.core.scaled(growth), centre, CORE_HU, follow_up))
    seen_twice = plan.change not in (Change.NEW, Change.RESOLVED)
    changed = seen_twice and abs(plan.growth_factor - 1.0) > 1e-9
    volume = _volume_mm3(mask)
    truth = PhantomNodule(
        id=plan.id,
        type=plan.type,
        centre_lps_mm=tuple(float(v) for v in centre),  # type: ignore[arg-type]
        diameter_mm=ball_diameter_mm(volume),
        volume_mm3=volume,
        hu=outer_hu,
        side=plan.side,
        on_pleura=plan.on_pleura,
        change=plan.change,
        growth_factor=plan.growth_factor if seen_twice else None,
        vdt_days=interval_days * log(2) / log(plan.growth_factor) if changed else None,
        solid_diameter_mm=ball_diameter_mm(core) if core else None,
        solid_volume_mm3=core,
        solid_hu=CORE_HU if core else None,
    )
    return truth, mask


def _blend(
    hu: np.ndarray, geometry: Geometry, shape: Shape, centre: np.ndarray, value: float, follow_up: bool
) -> NoduleMask:
    """Put a body into HU (in place), cut off at the lung surface."""
    box, inside, (k, j, i) = filled_share(shape, geometry.to_kji(centre), geometry.shape_kji, geometry.spacing_kji_mm)
    points = np.moveaxis(geometry.to_lps_mm(np.stack([k, j, i], axis=-1)), -1, 0)
    in_lung = lung_distance(*(to_baseline(*points) if follow_up else points)) < 0
    occupancy = share_of_voxels(inside & in_lung)
    hu[box] += occupancy * (value - hu[box])
    start = (box[0].start, box[1].start, box[2].start)
    return NoduleMask(occupancy >= 0.5, start, geometry, PLAN, occupancy)


def _volume_mm3(mask: NoduleMask) -> float:
    return float(np.sum(mask.occupancy, dtype=float)) * mask.geometry.voxel_volume_mm3


def _scan(hu: np.ndarray, spacing_mm: tuple[float, ...], rng: np.random.Generator) -> None:
    """Blur and noise of a scanner, in place: noise is correlated over about a millimetre, as after reconstruction."""
    sigma = [0.35 / spacing_mm[0], *(_BLUR_MM / mm for mm in spacing_mm[1:])]
    ndimage.gaussian_filter(hu, sigma, output=hu, mode="nearest")
    noise = ndimage.gaussian_filter(rng.standard_normal(hu.shape, np.float32), [0.35, 0.7, 0.7])
    hu += np.float32(_NOISE_HU) / noise.std() * noise


def _description(
    seed: int, follow_up: bool, baseline_date: date, days_later: int, thickness_mm: float
) -> SeriesDescription:
    from pydicom.uid import generate_uid

    when = "follow-up" if follow_up else "baseline"
    return SeriesDescription(
        series_uid=generate_uid(entropy_srcs=["LungNoduleCAD phantom series", str(seed), when]),
        study_uid=generate_uid(entropy_srcs=["LungNoduleCAD phantom study", str(seed), when]),
        patient_key=hashlib.sha256(f"PHANTOM-{seed}".encode()).hexdigest()[:16],
        study_date=baseline_date + timedelta(days=days_later),
        description="Synthetic thorax " + when.replace("-", " "),
        age_years=float(_AGE_YEARS + days_later // 365),
        sex=_SEX,
        slice_thickness_mm=thickness_mm,
        manufacturer="LungNoduleCAD",
        kvp=120.0,
    )
