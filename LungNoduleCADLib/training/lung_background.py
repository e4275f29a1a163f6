"""Real lung to set a pack nodule into: the pack's blocks end where the outlines end, real lung does not.

The block keeps its own pixels inside a disc around the nodule; above, below and outside it fades, within one slice and
a few millimetres, into lung of another scan that looks most like the block's border there. Nodules and non-nodules go
through the same door, so that the seam says nothing about the answer.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy import ndimage

from LungNoduleCADLib.domain.ct import CtVolume
from LungNoduleCADLib.domain.geometry import Geometry
from LungNoduleCADLib.domain.masks import LungMask
from LungNoduleCADLib.imaging.patch import extract_patch, patch_geometry
from LungNoduleCADLib.imaging.sitk_bridge import resample
from LungNoduleCADLib.training.data import NoduleBlock

SKETCH = 14
IN_PLANE_FADE_MM = 4.0
MOST_HU_SHIFT = 80.0


@dataclass(frozen=True)
class Donor:
    """A scan to take background from. ``avoid_lps_mm`` (N, 4): marked places and the distance to keep from each."""

    ct: CtVolume
    lungs: LungMask
    avoid_lps_mm: np.ndarray


class LungBackground:
    """Finds, for a block, a place in the donors whose slice resembles the block's own surroundings.

    Parameters
    ----------
    n_places : how many places are sketched (a sketch is the slice around the place, ``SKETCH`` x ``SKETCH``).
    fold : that the donors belong to.
    """

    def __init__(
        self,
        donors: list[Donor],
        size: int,
        spacing_mm: float,
        n_places: int,
        rng: np.random.Generator,
        fold: int = -1,
    ) -> None:
        self.fold = fold
        self._donors, self._size, self.spacing_mm, self._rng = donors, size, spacing_mm, rng
        self._places: list[tuple[int, tuple[float, float, float]]] = []
        sketches = []
        for number, donor in enumerate(donors):
            for place in self._pick_places(donor, n_places // max(len(donors), 1)):
                middle = extract_patch(donor.ct.hu, donor.ct.geometry, self._slice_grid(place))[0]
                self._places.append((number, place))
                sketches.append(_sketch(middle))
        self._sketches = np.asarray(sketches, np.float32).reshape(len(sketches), SKETCH * SKETCH)

    def set_into(
        self, block: NoduleBlock, centre_kji: tuple[float, float, float], disc_radius_mm: float | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """The cube around a point of the block, in real lung.

        Parameters
        ----------
        disc_radius_mm : keep the block's pixels inside this radius only; the whole block if not given.

        Returns
        -------
        HU float32 (D, D, D) and nodule occupancy 0..1 float32 of the same shape.
        """
        centre = tuple(float(v) for v in block.geometry.to_lps_mm(centre_kji))
        return self.fill(block, patch_geometry(centre, self._size, self.spacing_mm), disc_radius_mm)  # type: ignore[arg-type]

    def fill(
        self, block: NoduleBlock, grid: Geometry, disc_radius_mm: float | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """As ``set_into``, on any grid with the block's axes; on the block's own voxels nothing is interpolated."""
        inside_z, inside_plane = _weights(block.geometry, grid, disc_radius_mm)
        weight = inside_z[:, None, None] * inside_plane[None]
        hu = _edge_extended(block.hu, block.geometry, grid)
        consensus = np.zeros(block.hu.shape, bool) if block.votes is None else block.consensus
        occupancy = _edge_extended(consensus.astype(np.float32), block.geometry, grid) * inside_z[:, None, None]
        if disc_radius_mm is not None:
            occupancy = occupancy * inside_plane[None]
        background = self._best_background(hu, weight, occupancy, grid) if self._places else hu
        return hu * weight + background * (1 - weight), occupancy

    def _best_background(self, hu: np.ndarray, weight: np.ndarray, occupancy: np.ndarray, grid: Geometry) -> np.ndarray:
        middle = grid.shape_kji[0] // 2
        known = _sketch(weight[middle] * (1 - np.clip(ndimage.grey_dilation(occupancy[middle], 5), 0, 1)), plain=True)
        wanted = _sketch(hu[middle])
        mirror = bool(self._rng.random() < 0.5)
        look, mask = (wanted[:, ::-1], known[:, ::-1]) if mirror else (wanted, known)
        distance = ((self._sketches - look.ravel()) ** 2) @ mask.ravel()
        nearest = np.argpartition(distance, min(8, len(distance) - 1))[:8]
        number, place = self._places[int(self._rng.choice(nearest))]
        donor = self._donors[number]
        to_middle = grid.to_lps_mm(np.array(grid.shape_kji) // 2) - grid.origin_lps_mm
        around = replace(grid, origin_lps_mm=tuple(float(v) for v in np.subtract(place, to_middle)))  # type: ignore[arg-type]
        patch = extract_patch(donor.ct.hu, donor.ct.geometry, around)
        patch = patch[:, :, ::-1] if mirror else patch
        shared = (weight[middle] > 0.5) & (occupancy[middle] < 0.1) & (hu[middle] < -600) & (patch[middle] < -600)
        shift_hu = float(np.median(hu[middle][shared]) - np.median(patch[middle][shared])) if shared.any() else 0.0
        return patch + np.clip(shift_hu, -MOST_HU_SHIFT, MOST_HU_SHIFT)

    def _pick_places(self, donor: Donor, count: int) -> list[tuple[float, float, float]]:
        inside = np.flatnonzero(donor.lungs.labels)
        picked: list[tuple[float, float, float]] = []
        for flat in self._rng.permutation(inside)[: 4 * count]:
            point = donor.ct.geometry.to_lps_mm(np.unravel_index(int(flat), donor.lungs.labels.shape))
            near = donor.avoid_lps_mm
            if len(near) and np.any(np.linalg.norm(near[:, :3] - point, axis=1) < near[:, 3]):
                continue
            picked.append(tuple(float(v) for v in point))  # type: ignore[arg-type]
            if len(picked) == count:
                break
        return picked

    def _slice_grid(self, place: tuple[float, float, float]) -> Geometry:
        cube = patch_geometry(place, self._size, self.spacing_mm)
        return cube.crop((self._size // 2, 0, 0), (1, self._size, self._size))


def _sketch(image: np.ndarray, *, plain: bool = False) -> np.ndarray:
    shown = image if plain else np.clip(image, -1000, 100) / 1000.0
    return ndimage.zoom(ndimage.uniform_filter(shown, image.shape[0] / SKETCH), SKETCH / image.shape[0], order=1)


def _weights(block: Geometry, grid: Geometry, disc_radius_mm: float | None) -> tuple[np.ndarray, np.ndarray]:
    """Weight of the block along z (K,) and in plane (J, I): 1 inside, 0 outside, linear between."""
    lps = [grid.to_lps_mm(np.eye(3)[axis] * np.arange(n)[:, None]) for axis, n in enumerate(grid.shape_kji)]
    kji = [block.to_kji(points)[:, axis] for axis, points in enumerate(lps)]
    past_end_slices = np.maximum(np.maximum(-kji[0], kji[0] - (block.shape_kji[0] - 1)), 0.0)
    inside_z = np.clip(1.0 - past_end_slices, 0.0, 1.0)
    to_edge_mm = [
        np.minimum(kji[axis], block.shape_kji[axis] - 1 - kji[axis]) * block.spacing_kji_mm[axis] for axis in (1, 2)
    ]
    plane = np.clip(np.minimum(to_edge_mm[0][:, None], to_edge_mm[1][None]) / IN_PLANE_FADE_MM, 0, 1)
    if disc_radius_mm is not None:
        middle = grid.to_lps_mm(np.array(grid.shape_kji) // 2)
        radius = np.hypot((lps[1] - middle)[:, 1][:, None], (lps[2] - middle)[:, 0][None])
        plane = plane * np.clip((disc_radius_mm - radius) / IN_PLANE_FADE_MM + 1.0, 0.0, 1.0)
    return inside_z, plane


def _edge_extended(array: np.ndarray, geometry: Geometry, grid: Geometry) -> np.ndarray:
    """Resampled onto the grid with the block's first and last slice, row and column continued outwards."""
    pads = [
        int(np.ceil(max(grid.extent_kji_mm) / s)) if axis == 0 else 24 for axis, s in enumerate(geometry.spacing_kji_mm)
    ]
    padded = np.pad(array.astype(np.float32), [(p, p) for p in pads], mode="edge")
    start = tuple(-p for p in pads)
    return resample(padded, geometry.crop(start, padded.shape), grid, outside=float(array.min()))  # type: ignore[arg-type]
