"""What a lung mask has to stand, drawn at random onto real chests: other bodies, dense lung, fluid, other scanners.

Dense tissue is put into the lung while the lung's reference stays; fluid takes its place from the lung. All lengths are
in voxels of the coarse grid unless a name says mm.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scipy import ndimage
from torch.nn import functional

from LungNoduleCADLib.training.lung_volumes import FULL, LungVolume

AIR_HU = -1024.0
DEEPEST_TURN = 0.2  # rad
LARGEST_BEND_MM = 18.0
BEND_EVERY_MM = 55.0

Change = Callable[["LungScene"], None]


@dataclass
class LungScene:
    """A chest while it is being changed: HU (K, J, I); 0..1 of right lung, left lung, central airways (3, K, J, I)."""

    hu: np.ndarray
    shares: np.ndarray
    grid_mm: float
    rng: np.random.Generator

    @property
    def lungs(self) -> np.ndarray:
        return self.shares[0] + self.shares[1]

    def happens(self, probability: float) -> bool:
        return bool(self.rng.random() < probability)

    def uniform(self, low: float, high: float) -> float:
        return float(self.rng.uniform(low, high))

    def one_lung(self) -> np.ndarray:
        """Share of the right or the left lung; of the other where that one is not in the scene."""
        first = int(self.rng.integers(2))
        return self.shares[first] if self.shares[first].max() > 0.5 else self.shares[1 - first]

    def clouds(self, scale_mm: float) -> np.ndarray:
        """Smooth noise of unit deviation that changes over about ``scale_mm``."""
        coarse = [max(2, round(n * self.grid_mm / scale_mm) + 1) for n in self.hu.shape]
        noise = torch.from_numpy(self.rng.standard_normal(coarse).astype(np.float32))[None, None]
        smooth = functional.interpolate(noise, self.hu.shape, mode="trilinear", align_corners=True)[0, 0].numpy()
        return smooth / max(float(smooth.std()), 1e-3)

    def fill(self, share: np.ndarray, hu: np.ndarray | float) -> None:
        """Put tissue into part of each voxel."""
        self.hu += share * (hu - self.hu)


def make_scene(
    volume: LungVolume,
    shape: Sequence[int],
    grid_mm: float,
    rng: np.random.Generator,
    changes: Sequence[tuple[float, Change]] | None = None,
) -> LungScene:
    """A chest bent, turned, scaled and perhaps mirrored, diseased, and scanned by another scanner.

    ``changes``: each with its probability, in this order, in place of ``DISEASES`` and ``SCANNERS``.
    """
    scene = LungScene(*_other_body(volume, shape, grid_mm, rng), grid_mm, rng)
    _aeration(scene)
    for probability, change in DISEASES + SCANNERS if changes is None else changes:
        if scene.happens(probability):
            change(scene)
    scene.hu = np.clip(scene.hu, AIR_HU, 3000.0)
    return scene


def plain_scene(volume: LungVolume, shape: Sequence[int], grid_mm: float) -> LungScene:
    """The chest as it is, around the middle of its lungs."""
    rng = np.random.default_rng(0)
    return LungScene(*_sampled(volume, shape, _middle(volume), np.eye(3, dtype=np.float32), None), grid_mm, rng)


def _middle(volume: LungVolume) -> np.ndarray:
    ends = []
    for axis in range(3):
        hit = np.flatnonzero(volume.shares[:2].max(axis=(0, *(a + 1 for a in range(3) if a != axis))) > FULL / 2)
        ends.append((hit[0] + hit[-1]) / 2)
    return np.array(ends, np.float32)


def _other_body(
    volume: LungVolume, shape: Sequence[int], grid_mm: float, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    turns = rng.uniform(-DEEPEST_TURN, DEEPEST_TURN, 3)
    zoom = rng.uniform(0.8, 1.25) * rng.uniform(0.88, 1.14, 3)
    matrix = np.diag(zoom).astype(np.float32)
    for axis, turn in enumerate(turns):
        a, b = [other for other in range(3) if other != axis]
        rotation = np.eye(3, dtype=np.float32)
        rotation[a, a] = rotation[b, b] = np.cos(turn)
        rotation[a, b], rotation[b, a] = -np.sin(turn), np.sin(turn)
        matrix = matrix @ rotation
    mirrored = rng.random() < 0.4  # the left side becomes the right: the lungs change their names
    if mirrored:
        matrix[:, 2] *= -1
    if rng.random() < 0.05:  # front and back, or head and feet, where a header is wrong
        matrix[:, int(rng.integers(2))] *= -1
    knots = [max(3, round(n * grid_mm / BEND_EVERY_MM)) for n in shape]
    bend = rng.uniform(0.2, 1.0) * LARGEST_BEND_MM / grid_mm * rng.uniform(-1, 1, (1, 3, *knots)).astype(np.float32)
    centre = _middle(volume) + rng.normal(0, 1, 3) * np.array([35.0, 12.0, 18.0]) / grid_mm
    hu, shares = _sampled(volume, shape, centre, matrix, bend)
    return hu, shares[[1, 0, 2]] if mirrored else shares


def _sampled(
    volume: LungVolume, shape: Sequence[int], centre: np.ndarray, matrix: np.ndarray, bend: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    """HU and shares at ``centre + matrix @ offset + bend``; air where that leaves the volume."""
    offsets = torch.stack(
        torch.meshgrid(*[torch.arange(n, dtype=torch.float32) - (n - 1) / 2 for n in shape], indexing="ij")
    )
    places = torch.einsum("ab,bkji->akji", torch.from_numpy(matrix), offsets)
    places += torch.from_numpy(np.asarray(centre, np.float32)).reshape(3, 1, 1, 1)
    if bend is not None:
        places += functional.interpolate(torch.from_numpy(bend), tuple(shape), mode="trilinear", align_corners=True)[0]
    scale = torch.tensor([2.0 / n for n in volume.hu.shape]).reshape(3, 1, 1, 1)
    grid = ((places + 0.5) * scale - 1).flip(0).permute(1, 2, 3, 0)[None]
    channels = np.concatenate([volume.hu[None].astype(np.float32) - AIR_HU, volume.shares.astype(np.float32) / FULL])
    moved = functional.grid_sample(torch.from_numpy(channels)[None], grid, align_corners=False)[0].numpy()
    return moved[0] + np.float32(AIR_HU), np.ascontiguousarray(moved[1:])


def _aeration(scene: LungScene) -> None:
    """Expiration, emphysema, and lung that is denser towards the back."""
    aerated = scene.lungs * (scene.hu < -500)
    back = np.linspace(-1, 1, scene.hu.shape[1], dtype=np.float32)[None, :, None]
    scene.hu += aerated * (scene.uniform(-50, 140) + scene.uniform(-20, 120) * back + 20 * scene.clouds(40.0))


def masses(scene: LungScene) -> None:
    """One to four lumpy balls, 10 to 100 mm, most of them on the pleura; some hollow."""
    for _ in range(int(scene.rng.integers(1, 5))):
        lung = scene.one_lung()
        inside = lung > 0.5
        rim = inside & ~ndimage.binary_erosion(inside, iterations=2)
        places = np.argwhere(rim if scene.happens(0.65) else inside)
        if not len(places):
            return
        centre = places[scene.rng.integers(len(places))]
        radius = 0.5 * float(np.exp(scene.uniform(np.log(10), np.log(100)))) / scene.grid_mm
        reach = int(np.ceil(1.5 * radius)) + 2
        box = tuple(slice(max(0, c - reach), c + reach + 1) for c in centre)
        offsets = np.meshgrid(
            *[np.arange(s.start, min(s.stop, n)) - c for s, n, c in zip(box, lung.shape, centre, strict=True)],
            indexing="ij",
        )
        stretch = scene.rng.uniform(0.75, 1.3, 3)
        distance = np.sqrt(sum((o * f) ** 2 for o, f in zip(offsets, stretch, strict=True)))
        lumps = 0.12 * scene.clouds(max(8.0, 0.7 * radius * scene.grid_mm))[box]
        depth = radius * (1 + lumps) - distance
        own_hu = scene.uniform(-10, 90) + 12 * scene.clouds(12.0)[box]
        local = scene.hu[box]
        local += np.clip(depth + 0.5, 0, 1) * lung[box] * (own_hu - local)
        if scene.happens(0.12) and radius * scene.grid_mm > 12:
            hollow = np.clip(depth - scene.uniform(0.3, 0.7) * radius + 0.5, 0, 1) * lung[box]
            local += hollow * (scene.uniform(-1000, -700) - local)


def consolidation(scene: LungScene) -> None:
    """Part of a lung, up to all of it, filled: airless, or ground glass, with air left in patches."""
    lung = scene.one_lung()
    inside = lung > 0.5
    if not inside.any():
        return
    axes = [np.linspace(-1, 1, n, dtype=np.float32) for n in scene.hu.shape]
    k, j, i = np.meshgrid(*axes, indexing="ij", sparse=True)
    down, back, side = scene.rng.normal((-0.6, 0.6, 0.0), 1.0)
    field = 1.6 * (down * k + back * j + side * i) + scene.uniform(0.2, 1.0) * scene.clouds(scene.uniform(25, 80))
    part = 1.0 if scene.happens(0.08) else scene.uniform(0.04, 0.7)
    threshold = np.quantile(field[inside], 1 - part) if part < 1 else field.min()
    edge = scene.uniform(0.02, 0.3)
    share = np.clip((field - threshold) / edge + 0.5, 0, 1) * lung
    if scene.happens(0.3):
        share *= np.clip(scene.clouds(scene.uniform(8, 20)) + scene.uniform(0.2, 1.5), 0, 1)
    own_hu = scene.uniform(-600, -150) if scene.happens(0.25) else scene.uniform(10, 110)
    scene.fill(share, own_hu + scene.uniform(5, 40) * scene.clouds(9.0))


def fluid(scene: LungScene) -> None:
    """Pleural fluid between the lung and its wall, thickest behind and below, with airless lung beside it."""
    number = int(scene.rng.integers(2))
    lung = scene.shares[number]
    if lung.max() < 0.5:
        return
    layer_mm = float(np.exp(scene.uniform(np.log(6), np.log(70))))
    layer = layer_mm / scene.grid_mm
    towards = np.array([scene.uniform(-0.3, 1.0), -scene.uniform(0.3, 1.0), scene.uniform(-0.25, 0.25)])
    kept = np.minimum(lung, ndimage.shift(lung, layer * towards, order=1))
    if scene.happens(0.7):
        beside = scene.uniform(4, 30) / scene.grid_mm
        aerated = np.minimum(kept, ndimage.shift(lung, (layer + beside) * towards, order=1))
        scene.fill(kept - aerated, scene.uniform(25, 110) + 10 * scene.clouds(12.0))
    scene.fill(lung - kept, scene.uniform(-5, 28) + 4 * scene.clouds(30.0))
    scene.shares[number] = kept


def gas(scene: LungScene) -> None:
    """Gas in stomach and bowel: hollows in tissue below the lungs' middle, which are no lung."""
    tissue = (scene.hu > -150) & (scene.lungs < 0.01) & (scene.shares[2] < 0.01)
    tissue[scene.hu.shape[0] // 2 :] = False
    places = np.argwhere(ndimage.binary_erosion(tissue, iterations=2))
    if not len(places):
        return
    for _ in range(int(scene.rng.integers(1, 4))):
        centre = places[scene.rng.integers(len(places))]
        radius = scene.uniform(8, 45) / scene.grid_mm
        stretch = scene.rng.uniform(0.6, 1.5, 3)
        axes = [(np.arange(n) - c) * f for n, c, f in zip(scene.hu.shape, centre, stretch, strict=True)]
        k, j, i = np.meshgrid(*axes, indexing="ij", sparse=True)
        share = np.clip(radius - np.sqrt(k**2 + j**2 + i**2) + 0.5, 0, 1) * ndimage.uniform_filter(
            tissue.astype(np.float32), 3
        )
        scene.fill(share.astype(np.float32), scene.uniform(-1000, -880))


def contrast(scene: LungScene) -> None:
    """Contrast medium in parts of the soft tissue and in the lung's vessels."""
    soft = np.clip((scene.hu - 0) / 40, 0, 1) * np.clip((160 - scene.hu) / 40, 0, 1)
    where = np.clip(scene.clouds(scene.uniform(30, 70)) - scene.uniform(0.0, 1.0), 0, 1)
    scene.hu += soft * where * scene.uniform(60, 350)


def thick_slices(scene: LungScene) -> None:
    """Slices of 4 to 10 mm, and what interpolation makes of them."""
    n, thick = scene.hu.shape[0], scene.uniform(4, 10) / scene.grid_mm
    at = np.arange(scene.uniform(0, thick), n, thick)
    k = np.arange(n)
    averaged = np.clip(thick / 2 + 0.5 - np.abs(k[None] - at[:, None]), 0, 1)
    averaged /= averaged.sum(axis=1, keepdims=True)
    between = np.stack([np.interp(k, at, row) for row in np.eye(len(at))], axis=1)
    scene.hu = np.tensordot((between @ averaged).astype(np.float32), scene.hu, axes=1)


def sharp_kernel(scene: LungScene) -> None:
    soft = ndimage.gaussian_filter(scene.hu, scene.uniform(0.6, 1.2))
    scene.hu += scene.uniform(0.2, 1.2) * (scene.hu - soft)


def soft_kernel(scene: LungScene) -> None:
    scene.hu = ndimage.gaussian_filter(scene.hu, scene.uniform(0.3, 0.7))


def noise(scene: LungScene) -> None:
    """Noise of low dose, at times in streaks between the shoulders."""
    deviation = float(np.exp(scene.uniform(np.log(8), np.log(120))))
    noise = scene.rng.standard_normal(scene.hu.shape, np.float32)
    if scene.happens(0.25):
        noise = ndimage.gaussian_filter1d(noise, 4.0, axis=2)
        noise /= noise.std()
        noise *= np.linspace(0, 1.5, scene.hu.shape[0], dtype=np.float32)[:, None, None]
    scene.hu += deviation * noise


def calibration(scene: LungScene) -> None:
    scene.hu = (scene.hu + 1000) * scene.uniform(0.96, 1.04) - 1000 + scene.uniform(-20, 20)


def cut(scene: LungScene) -> None:
    """The scan or its field of view ends within the chest."""
    mask = np.zeros(scene.hu.shape, bool)
    for axis, share in ((0, 0.45), (1, 0.15), (2, 0.35)):
        if scene.happens(0.6 if axis == 0 else 0.4):
            n = int(scene.uniform(0.02, share) * scene.hu.shape[axis])
            side = slice(0, n) if scene.happens(0.5) else slice(scene.hu.shape[axis] - n, None)
            mask[tuple(side if a == axis else slice(None) for a in range(3))] = True
    if scene.happens(0.3):
        _, rows, columns = scene.hu.shape
        j, i = np.meshgrid(np.arange(rows) - rows / 2, np.arange(columns) - columns / 2, indexing="ij")
        mask |= (np.hypot(j, i) > scene.uniform(0.36, 0.5) * columns)[None]
    scene.hu[mask] = AIR_HU
    scene.shares[:, mask] = 0.0


DISEASES: tuple[tuple[float, Change], ...] = (
    (0.45, masses),
    (0.4, consolidation),
    (0.15, consolidation),
    (0.22, fluid),
    (0.2, gas),
    (0.35, contrast),
)
SCANNERS: tuple[tuple[float, Change], ...] = (
    (0.35, thick_slices),
    (0.2, sharp_kernel),
    (0.15, soft_kernel),
    (0.5, noise),
    (0.6, calibration),
    (0.35, cut),
)
