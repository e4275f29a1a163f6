"""Candidates to a short list: false positives out, duplicates out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from LungNoduleCADLib.domain.ct import CtVolume
from LungNoduleCADLib.domain.masks import NoduleMask
from LungNoduleCADLib.domain.nodule import NoduleCandidate, Point
from LungNoduleCADLib.imaging.patch import network_patch, patch_geometry

NoduleProbability = Callable[[Sequence[np.ndarray]], np.ndarray]


def rate_candidates(
    ct: CtVolume,
    candidates: Sequence[NoduleCandidate],
    probability: NoduleProbability,
    size: int,
    spacing_mm: float,
    report: Callable[[float], None] = lambda _: None,
    chunk: int = 32,
) -> list[NoduleCandidate]:
    """Every candidate with the probability that it is a nodule, most probable first.

    Parameters
    ----------
    probability : HU patches (``size`` voxels at ``spacing_mm``) to probabilities (N,).
    """
    rated = []
    for start in range(0, len(candidates), chunk):
        part = candidates[start : start + chunk]
        patches = [network_patch(ct, patch_geometry(c.centre_lps_mm, size, spacing_mm)) for c in part]
        rated += [replace(c, probability=float(p)) for c, p in zip(part, probability(patches), strict=True)]
        report((start + len(part)) / len(candidates))
    return sorted(rated, key=lambda c: -(c.probability or 0.0))


def covers(mask: NoduleMask, point_lps_mm: Point) -> bool:
    """Whether a point lies in an outline, or no more than 1 mm and half a voxel from it."""
    return mask.distance_mm(point_lps_mm) <= 1.0


def same_nodule(one: NoduleMask, other: NoduleMask) -> bool:
    """Whether two outlines are of one nodule: they share more than a third of the smaller."""
    start = np.maximum(one.start_kji, other.start_kji)
    stop = np.minimum(np.add(one.start_kji, one.voxels.shape), np.add(other.start_kji, other.voxels.shape))
    if np.any(stop <= start):
        return False
    parts = [
        mask.voxels[tuple(slice(a - s, b - s) for a, b, s in zip(start, stop, mask.start_kji, strict=True))]
        for mask in (one, other)
    ]
    smaller = min(np.count_nonzero(one.voxels), np.count_nonzero(other.voxels))
    return bool(np.count_nonzero(parts[0] & parts[1]) > smaller / 3)
