"""From what each LIDC reader drew to nodules: outlines to voxels, marks of one lesion to one nodule, the consensus.

LIDC's readers drew the first pixels outside of a nodule, so drawn pixels belong to no nodule, and none of a hole's do.
Marks of different readers whose voxels overlap are one nodule; a reader has one mark in it, so where one drew two
parts and another one whole, the whole goes with the part it overlaps most.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from PIL import Image, ImageDraw

from LungNoduleCADLib.domain.geometry import Geometry
from LungNoduleCADLib.training.lidc_xml import ReaderNodule, Region
from LungNoduleCADLib.training.scan_grid import loaded_grid


class SliceGrid:
    """From a slice's UID and a stored pixel to a voxel (k, j, i) of the scan as it is loaded.

    Parameters
    ----------
    stored : grid of the slices as they are stored, from feet to head.
    sop_uids : one a slice, in that order.

    Raises
    ------
    InputError : the slices are not axial.
    """

    def __init__(self, stored: Geometry, sop_uids: Sequence[str]) -> None:
        self.loaded = loaded_grid(stored)
        self._stored = stored
        self._slice_of = {uid: k for k, uid in enumerate(sop_uids)}

    def kji(self, region: Region) -> np.ndarray:
        """(N, 3) voxels of a region's points.

        Raises
        ------
        KeyError : the slice is not among these.
        """
        k = np.full(len(region.points_xy), self._slice_of[region.sop_uid])
        stored = np.column_stack([k, region.points_xy[:, ::-1]])
        return np.rint(self.loaded.to_kji(self._stored.to_lps_mm(stored))).astype(int)


@dataclass(frozen=True)
class ReaderMask:
    """The voxels of one reader's mark: bool (K, J, I), the first of them at ``start_kji`` of the scan."""

    mark: ReaderNodule
    voxels: np.ndarray
    start_kji: np.ndarray

    @property
    def stop_kji(self) -> np.ndarray:
        return self.start_kji + self.voxels.shape


@dataclass(frozen=True)
class MarkedNodule:
    """One lesion: the marks of its readers and, from ``start_kji`` of the scan, how many of them marked each voxel."""

    marks: tuple[ReaderNodule, ...]
    counts: np.ndarray
    start_kji: np.ndarray

    @property
    def consensus(self) -> np.ndarray:
        """Voxels that at least half of its readers marked."""
        return 2 * self.counts >= len(self.marks)

    def centroid_kji(self) -> np.ndarray:
        """Of the consensus, in the scan."""
        return np.argwhere(self.consensus).mean(axis=0) + self.start_kji


def reader_mask(mark: ReaderNodule, grid: SliceGrid) -> ReaderMask | None:
    """The voxels inside a reader's outlines; ``None`` where they enclose none.

    Raises
    ------
    KeyError : an outline is on a slice that the grid has not.
    """
    drawn = [(grid.kji(region), region.included) for region in mark.regions]
    everything = np.concatenate([points for points, _ in drawn])
    start = everything.min(axis=0)
    voxels = np.zeros(everything.max(axis=0) - start + 1, bool)
    for points, included in sorted(drawn, key=lambda one: not one[1]):  # holes are cut when all else is there
        plane = voxels[points[0, 0] - start[0]]
        inside, line = _inside_and_line(points[:, 1:] - start[1:], plane.shape)
        if included:
            plane |= inside & ~line
        else:
            plane &= ~(inside | line)
    return ReaderMask(mark, voxels, start) if voxels.any() else None


def same_lesion(masks: Sequence[ReaderMask]) -> list[list[ReaderMask]]:
    """Marks grouped by lesion, the most alike joined first."""
    alike = sorted(
        ((_overlap(masks[a], masks[b]), a, b) for a, b in combinations(range(len(masks)), 2)), key=lambda p: -p[0]
    )
    group_of = {n: [n] for n in range(len(masks))}
    for overlap, a, b in alike:
        one, other = group_of[a], group_of[b]
        readers = [masks[n].mark.reader for n in (*one, *other)]
        if overlap > 0 and one is not other and len(set(readers)) == len(readers):
            one.extend(other)
            group_of.update(dict.fromkeys(other, one))
    groups = {id(group): group for group in group_of.values()}.values()
    return [[masks[n] for n in sorted(group)] for group in groups]


def joined(masks: Sequence[ReaderMask]) -> MarkedNodule:
    """The marks of one lesion, one on another."""
    start = np.min([mask.start_kji for mask in masks], axis=0)
    counts = np.zeros(np.max([mask.stop_kji for mask in masks], axis=0) - start, np.uint8)
    for mask in masks:
        counts[_box(mask.start_kji - start, mask.stop_kji - start)] += mask.voxels
    return MarkedNodule(tuple(mask.mark for mask in masks), counts, start)


def _inside_and_line(points_ji: np.ndarray, shape: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Pixels within a closed line, and those on it."""
    xy = [(int(i), int(j)) for j, i in points_ji]
    area, line = (Image.new("1", (shape[1], shape[0])) for _ in range(2))
    if len(xy) > 1:
        ImageDraw.Draw(area).polygon(xy, fill=1)
    ImageDraw.Draw(line).line([*xy, xy[0]], fill=1)
    return np.array(area), np.array(line)


def _overlap(a: ReaderMask, b: ReaderMask) -> float:
    """Dice of two masks."""
    start, stop = np.maximum(a.start_kji, b.start_kji), np.minimum(a.stop_kji, b.stop_kji)
    if np.any(stop <= start):
        return 0.0
    common = (
        a.voxels[_box(start - a.start_kji, stop - a.start_kji)]
        & b.voxels[_box(start - b.start_kji, stop - b.start_kji)]
    )
    return 2.0 * np.count_nonzero(common) / (np.count_nonzero(a.voxels) + np.count_nonzero(b.voxels))


def _box(start: np.ndarray, stop: np.ndarray) -> tuple[slice, ...]:
    return tuple(slice(int(a), int(b)) for a, b in zip(start, stop, strict=True))
