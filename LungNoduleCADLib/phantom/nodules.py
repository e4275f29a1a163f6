"""Nodules of known volume and density: where they lie, what shape they have, how much of each voxel they fill."""

from __future__ import annotations

from dataclasses import dataclass
from math import pi

import numpy as np

from LungNoduleCADLib.domain.comparison import Change
from LungNoduleCADLib.domain.masks import Side
from LungNoduleCADLib.domain.nodule import NoduleType
from LungNoduleCADLib.phantom.anatomy import lung_distance, pleural_cage

SOLID_HU, CORE_HU, GROUND_GLASS_HU = 35.0, 20.0, -600.0

_SAMPLES = 5
"""Samples per voxel edge for the filled share of a voxel."""


@dataclass(frozen=True)
class NodulePlan:
    """A nodule to build. Diameters are those of a ball of the same volume; ``growth_factor`` is follow-up volume over
    baseline volume. ``change`` NEW is in the follow-up only, RESOLVED in the baseline only; sizes are those of the
    scan in which it is first seen."""

    id: str
    type: NoduleType
    diameter_mm: float
    side: Side
    height_mm: tuple[float, float]
    change: Change = Change.STABLE
    growth_factor: float = 1.0
    core_diameter_mm: float | None = None
    lobulation: float = 0.06
    on_pleura: bool = False


DEFAULT_NODULES = (
    NodulePlan("P1", NoduleType.SOLID, 9.0, Side.RIGHT, (15, 55), Change.GROWING, growth_factor=2.0),
    NodulePlan("P2", NoduleType.PART_SOLID, 15.0, Side.LEFT, (10, 55), core_diameter_mm=7.0),
    NodulePlan("P3", NoduleType.GROUND_GLASS, 12.0, Side.RIGHT, (-35, 10)),
    NodulePlan("P4", NoduleType.SOLID, 10.0, Side.LEFT, (-30, 20), on_pleura=True),
    NodulePlan("P5", NoduleType.SOLID, 6.6, Side.LEFT, (-50, 10)),
    NodulePlan("P6", NoduleType.SOLID, 7.0, Side.RIGHT, (-40, 60), Change.NEW),
    NodulePlan("P7", NoduleType.SOLID, 6.5, Side.LEFT, (30, 70), Change.RESOLVED),
    NodulePlan("P8", NoduleType.SOLID, 13.0, Side.RIGHT, (-50, 0), lobulation=0.14),
)


@dataclass(frozen=True)
class PhantomNodule:
    """The truth of one nodule in one scan. Volumes are the filled shares of all voxels, summed.

    ``hu`` is the density of the whole (ground glass of a part-solid one: ``hu``; its core: ``solid_hu``).
    ``growth_factor``: follow-up over baseline volume, ``None`` where it is in one scan only; ``vdt_days`` with it.
    """

    id: str
    type: NoduleType
    centre_lps_mm: tuple[float, float, float]
    diameter_mm: float
    volume_mm3: float
    hu: float
    side: Side
    on_pleura: bool
    change: Change
    growth_factor: float | None
    vdt_days: float | None
    solid_diameter_mm: float | None = None
    solid_volume_mm3: float | None = None
    solid_hu: float | None = None


@dataclass(frozen=True)
class Shape:
    """A star-shaped body: a ball whose radius swells and sinks smoothly with direction."""

    radius_mm: float
    bumps: np.ndarray
    height: float

    @classmethod
    def of_volume(cls, rng: np.random.Generator, diameter_mm: float, lobulation: float) -> Shape:
        """A random shape that has exactly the volume of a ball of ``diameter_mm``."""
        bumps = rng.normal(size=(7, 3))
        bumps /= np.linalg.norm(bumps, axis=1, keepdims=True)
        unit = cls(1.0, bumps, lobulation)
        directions = _directions(4000)
        mean_cube = float(np.mean(unit.radius(directions) ** 3))
        return cls(diameter_mm / 2 / mean_cube ** (1 / 3), bumps, lobulation)

    def scaled(self, factor: float) -> Shape:
        return Shape(self.radius_mm * factor, self.bumps, self.height)

    def radius(self, directions: np.ndarray) -> np.ndarray:
        """Radius (mm) in unit directions (..., 3)."""
        swell = np.exp(5.0 * (directions @ self.bumps.T - 1.0)).sum(axis=-1)
        return self.radius_mm * (1.0 + self.height * (swell - 0.7))

    @property
    def reach_mm(self) -> float:
        return float(self.radius(_directions(500)).max())


def ball_volume_mm3(diameter_mm: float) -> float:
    return pi / 6.0 * diameter_mm**3


def ball_diameter_mm(volume_mm3: float) -> float:
    return (6.0 * volume_mm3 / pi) ** (1 / 3)


def place(rng: np.random.Generator, plans: tuple[NodulePlan, ...]) -> list[np.ndarray]:
    """A centre for each plan: in its lung and height, apart from each other, from the hila and (mostly) the pleura.

    Raises
    ------
    ValueError : there is no room left.
    """
    centres: list[np.ndarray] = []
    for plan in plans:
        radius = plan.diameter_mm / 2 * max(1.0, plan.growth_factor) ** (1 / 3) * (1 + plan.lobulation)
        for _ in range(20000):
            centre = _random_point(rng, plan)
            if _fits(centre, radius, plan.on_pleura) and all(np.linalg.norm(centre - c) > 32.0 for c in centres):
                centres.append(centre)
                break
        else:
            raise ValueError(f"no room for phantom nodule {plan.id}: expected a place in the {plan.side} lung")
    return centres


def _random_point(rng: np.random.Generator, plan: NodulePlan) -> np.ndarray:
    x = rng.uniform(25.0, 122.0) * (1.0 if plan.side is Side.LEFT else -1.0)
    return np.array([x, rng.uniform(-75.0, 85.0), rng.uniform(*plan.height_mm)])


def _fits(centre: np.ndarray, radius_mm: float, on_pleura: bool) -> bool:
    depth = -float(lung_distance(*centre))
    from_hilum = np.linalg.norm(centre - (np.sign(centre[0]) * 34.0, 14.0, -8.0))
    if on_pleura:
        # on the ribs, not on the heart, and not so deep in the wall that it loses its shape
        depth_to_wall = -float(pleural_cage(*centre))
        return abs(depth - 0.65 * radius_mm) < 0.4 and abs(depth - depth_to_wall) < 0.2 and from_hilum > 50.0
    return depth > radius_mm + 6.0 and from_hilum > 42.0


def filled_share(
    shape: Shape, centre_kji: np.ndarray, grid_shape: tuple[int, int, int], spacing_kji_mm: tuple[float, float, float]
) -> tuple[tuple[slice, slice, slice], np.ndarray, np.ndarray]:
    """The box around a nodule, the share of each voxel it fills at sub-voxel samples, and the samples' index positions.

    Returns
    -------
    box : where it lies in the grid.
    inside : bool (K, s, J, s, I, s): whether each of s samples per edge lies inside.
    samples : (3 arrays) continuous k, j, i of the samples along each axis.
    """
    spacing = np.asarray(spacing_kji_mm)
    reach = shape.reach_mm / spacing + 1.0
    low = np.maximum(np.floor(centre_kji - reach).astype(int), 0)
    high = np.minimum(np.ceil(centre_kji + reach).astype(int) + 1, grid_shape)
    offsets = (np.arange(_SAMPLES) + 0.5) / _SAMPLES - 0.5
    axes = [(np.arange(lo, hi)[:, None] + offsets).ravel() for lo, hi in zip(low, high, strict=True)]
    dk, dj, di = ((axis - c) * s for axis, c, s in zip(axes, centre_kji, spacing, strict=True))
    vectors = np.stack(np.broadcast_arrays(di[None, None, :], dj[None, :, None], dk[:, None, None]), axis=-1)
    lengths = np.linalg.norm(vectors, axis=-1)
    inside = lengths <= shape.radius(vectors / np.maximum(lengths, 1e-6)[..., None])
    box = tuple(slice(int(lo), int(hi)) for lo, hi in zip(low, high, strict=True))
    return box, inside, np.array(np.meshgrid(*axes, indexing="ij"))  # type: ignore[return-value]


def share_of_voxels(inside: np.ndarray) -> np.ndarray:
    """Mean over the samples of each voxel: (K·s, J·s, I·s) bool to (K, J, I) float32."""
    k, j, i = (n // _SAMPLES for n in inside.shape)
    return inside.reshape(k, _SAMPLES, j, _SAMPLES, i, _SAMPLES).mean(axis=(1, 3, 5), dtype=np.float32)


def _directions(count: int) -> np.ndarray:
    """Evenly spread unit vectors (Fibonacci sphere)."""
    n = np.arange(count) + 0.5
    z = 1.0 - 2.0 * n / count
    turn = pi * (1.0 + 5.0**0.5) * n
    flat = np.sqrt(1.0 - z**2)
    return np.stack([flat * np.cos(turn), flat * np.sin(turn), z], axis=1)
