"""Bronchi, arteries and veins: trees that fill the lungs, and how they are drawn.

Growth by splitting a cloud of target points again and again and walking towards the middle of each half (after
Tawhai et al., Ann Biomed Eng 2000); radii by Murray's law, so that they taper towards the pleura.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from LungNoduleCADLib.domain.geometry import Geometry
from LungNoduleCADLib.phantom.anatomy import AIR_HU, lung_distance

_MURRAY = 2.8
_STEP = 0.42
"""Share of the way to the middle of its points that a branch goes before it divides."""


@dataclass(frozen=True)
class Segment:
    """A piece of tube between two points (LPS mm of the unmoved anatomy), tapering from one radius to the other."""

    start: np.ndarray
    end: np.ndarray
    start_radius_mm: float
    end_radius_mm: float


@dataclass(frozen=True)
class Trees:
    """``bronchi`` holds the radii of the air inside."""

    vessels: tuple[Segment, ...]
    bronchi: tuple[Segment, ...]


def grow_trees(rng: np.random.Generator, keep_free: list[tuple[np.ndarray, float]]) -> Trees:
    """Both lungs' vessels and the airways; no vessel enters the balls (centre, radius mm) of ``keep_free``."""
    vessels: list[Segment] = []
    bronchi = list(_central_airways())
    for side in (-1.0, 1.0):
        artery_targets = _targets(rng, side, 1500, 5.5)
        vein_targets = _targets(rng, side, 1200, 5.5)
        bronchus_targets = artery_targets[:80]
        artery = np.array([side * 36.0, 9.0, -4.0])
        vein = np.array([side * 30.0, 10.0, -24.0])
        vessels += _grow(rng, artery, artery_targets, 6.2, keep_free)
        vessels += _grow(rng, vein, vein_targets, 5.6, keep_free)
        bronchi += _grow(rng, _bronchus_end(side), bronchus_targets, 4.6, keep_free)
    return Trees(tuple(vessels), tuple(s for s in bronchi if _is_drawn_airway(s)))


def draw_vessels(hu: np.ndarray, trees: Trees, geometry: Geometry, value: float) -> None:
    """Put vessels into HU (in place); where something denser is already there, it stays."""
    for segment in trees.vessels:
        box, occupancy = _tube(geometry, segment)
        part = hu[box]
        np.maximum(part, part + occupancy * (value - part), out=part)


def draw_airways(hu: np.ndarray, trees: Trees, geometry: Geometry) -> None:
    """Put walls, then air, into HU (in place)."""
    for segment in trees.bronchi:
        wall_mm = 0.35 + 0.12 * segment.start_radius_mm
        box, occupancy = _tube(geometry, segment, wall_mm)
        part = hu[box]
        np.maximum(part, part + occupancy * (20.0 - part), out=part)
    for segment in trees.bronchi:
        box, occupancy = _tube(geometry, segment)
        part = hu[box]
        part += occupancy * (AIR_HU - part)


def _central_airways() -> tuple[Segment, ...]:
    carina = np.array([1.0, 20.0, 22.0])
    trachea = Segment(np.array([0.0, 8.0, 125.0]), carina, 8.5, 8.2)
    return (trachea, Segment(carina, _bronchus_end(-1.0), 7.0, 6.0), Segment(carina, _bronchus_end(1.0), 6.5, 5.6))


def _bronchus_end(side: float) -> np.ndarray:
    return np.array([-30.0, 20.0, 1.0]) if side < 0 else np.array([36.0, 22.0, -5.0])


def _is_drawn_airway(segment: Segment) -> bool:
    """Central airways, and inside the lungs those wide enough to be seen."""
    middle = (segment.start + segment.end) / 2
    central = segment.start_radius_mm > 4.0
    return central or (segment.end_radius_mm > 1.25 and _depth(middle[None])[0] > 2.0)


def _targets(rng: np.random.Generator, side: float, count: int, margin_mm: float) -> np.ndarray:
    """Points inside one lung, at least ``margin_mm`` below its surface."""
    found = np.empty((0, 3))
    while len(found) < count:
        points = rng.uniform((0.0, -80.0, -112.0), (122.0, 90.0, 98.0), (4 * count, 3)) * (side, 1.0, 1.0)
        found = np.vstack([found, points[_depth(points) > margin_mm]])
    return found[:count]


def _depth(points: np.ndarray) -> np.ndarray:
    return -lung_distance(*points.T)


def _grow(
    rng: np.random.Generator, root: np.ndarray, targets: np.ndarray, radius_mm: float,
    keep_free: list[tuple[np.ndarray, float]],
) -> list[Segment]:  # fmt: skip
    segments: list[Segment] = []
    centres = np.array([centre for centre, _ in keep_free]).reshape(-1, 3)
    free_mm = np.array([radius for _, radius in keep_free])
    heading = targets.mean(axis=0) - root
    waiting = [(root, heading / np.linalg.norm(heading), targets, radius_mm)]
    while waiting:
        start, came, cloud, start_radius = waiting.pop()
        way = cloud.mean(axis=0) - start
        last = len(cloud) <= 2
        end = start + (1.0 if last else _STEP) * way
        end_radius = radius_mm * (len(cloud) / len(targets)) ** (1 / _MURRAY) * (0.6 if last else 0.95)
        branch = _bent(rng, start, end, came, start_radius, min(end_radius, start_radius))
        if any(_enters(piece, centres, free_mm) for piece in branch):
            continue
        segments += branch
        if last:
            continue
        towards = branch[-1].end - branch[-1].start
        towards = towards / max(float(np.linalg.norm(towards)), 1e-6)
        for half in _halves(cloud, end, towards):
            share = radius_mm * (len(half) / len(targets)) ** (1 / _MURRAY)
            waiting.append((end, towards, half, min(share, end_radius)))
    return segments


def _bent(
    rng: np.random.Generator, start: np.ndarray, end: np.ndarray, came: np.ndarray, r0: float, r1: float
) -> list[Segment]:
    """Two or three pieces that leave in the direction of the parent and wander a little."""
    length = float(np.linalg.norm(end - start))
    count = 1 if length < 6.0 else 3
    control = (start + end) / 2 + came * 0.12 * length + rng.normal(0.0, 0.05 * length, 3)
    t = np.linspace(0.0, 1.0, count + 1)[:, None]
    points = (1 - t) ** 2 * start + 2 * t * (1 - t) * control + t**2 * end
    radii = np.linspace(r0, r1, count + 1)
    return [Segment(points[n], points[n + 1], float(radii[n]), float(radii[n + 1])) for n in range(count)]


def _halves(cloud: np.ndarray, branching: np.ndarray, towards: np.ndarray) -> list[np.ndarray]:
    """Split by the plane through the branching point that holds the branch and cuts the cloud's widest extent."""
    across = (cloud - cloud.mean(axis=0)) @ (np.eye(3) - np.outer(towards, towards))
    widest = np.linalg.svd(across, full_matrices=False)[2][0]
    side = (cloud - branching) @ widest
    if min((side > 0).sum(), (side <= 0).sum()) < 0.12 * len(cloud):
        side = (cloud - np.median(cloud, axis=0)) @ widest
    return [half for half in (cloud[side > 0], cloud[side <= 0]) if len(half)]


def _enters(segment: Segment, centres: np.ndarray, free_mm: np.ndarray) -> bool:
    """Whether a piece comes into one of the balls."""
    along = segment.end - segment.start
    t = np.clip((centres - segment.start) @ along / max(float(along @ along), 1e-9), 0.0, 1.0)
    distances = np.linalg.norm(segment.start + t[:, None] * along - centres, axis=1)
    return bool(np.any(distances < free_mm + segment.start_radius_mm))


def _tube(geometry: Geometry, segment: Segment, widen_mm: float = 0.0) -> tuple[tuple[slice, ...], np.ndarray]:
    """The box around a piece of tube and the share of each voxel that it fills."""
    shape, spacing = geometry.shape_kji, np.asarray(geometry.spacing_kji_mm, np.float32)
    # the phantom's grid is parallel to the axes: indices by a subtraction, thousands of times
    origin = np.asarray(geometry.origin_lps_mm)
    a, b = ((point - origin)[::-1].astype(np.float32) for point in (segment.start, segment.end))
    reach = max(segment.start_radius_mm, segment.end_radius_mm) + widen_mm + 1.5
    low = np.floor((np.minimum(a, b) - reach) / spacing).astype(int)
    high = np.ceil((np.maximum(a, b) + reach) / spacing).astype(int) + 1
    low, high = np.clip(low, 0, shape), np.clip(high, 0, shape)
    box = tuple(slice(int(lo), int(hi)) for lo, hi in zip(low, high, strict=True))
    if np.any(high <= low):
        return box, np.zeros([s.stop - s.start for s in box], np.float32)
    k, j, i = (np.arange(s.start, s.stop, dtype=np.float32) * mm for s, mm in zip(box, spacing, strict=True))
    dk, dj, di = (k - a[0])[:, None, None], (j - a[1])[None, :, None], (i - a[2])[None, None, :]
    along = (b - a).astype(np.float32)
    t = np.clip((dk * along[0] + dj * along[1] + di * along[2]) / max(float(along @ along), 1e-6), 0.0, 1.0)
    distance = np.sqrt((dk - t * along[0]) ** 2 + (dj - t * along[1]) ** 2 + (di - t * along[2]) ** 2)
    radius = segment.start_radius_mm + widen_mm + t * (segment.end_radius_mm - segment.start_radius_mm)
    # a tube thinner than a voxel fills less of it than the ramp says
    thin = np.minimum(1.0, (2.0 * radius) ** 2)
    return box, np.clip(0.5 + (radius - distance) / 1.0, 0.0, 1.0) * thin
