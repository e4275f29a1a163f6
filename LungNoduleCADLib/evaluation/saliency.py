"""Whether a heat map shows what a score rests on: measures of one map on one image.

Maps and images are cubes (D, D, D); heat >= 0. Deletion and insertion: Petsiuk et al. 2018 (RISE); randomisation:
Adebayo et al. 2018.
"""

from __future__ import annotations

import numpy as np
from scipy.ndimage import distance_transform_edt, gaussian_filter
from scipy.stats import spearmanr


def heat_correlation(one: np.ndarray, other: np.ndarray) -> float:
    """Pearson's correlation of the heat of two maps; 0 where one is the same everywhere and so says nothing."""
    if np.ptp(one) == 0 or np.ptp(other) == 0:
        return 0.0
    return float(np.corrcoef(one.ravel(), other.ravel())[0, 1])


def rank_correlation(one: np.ndarray, other: np.ndarray) -> float:
    """Spearman's, which the order of the many cold voxels decides; else as ``heat_correlation``."""
    if np.ptp(one) == 0 or np.ptp(other) == 0:
        return 0.0
    return float(spearmanr(one.ravel(), other.ravel()).statistic)


def heat_share(heat: np.ndarray, region: np.ndarray) -> float:
    """Share of all heat that lies inside a region (bool); 0 for a map without heat."""
    total = float(heat.sum())
    return float(heat[region].sum()) / total if total > 0 else 0.0


def hottest_first(heat: np.ndarray) -> np.ndarray:
    """Each voxel's place in line (int, same shape): 0 is the hottest; without heat the nearest to heat comes first."""
    cold = heat <= 0
    distance = distance_transform_edt(cold) if not cold.all() else np.zeros(heat.shape)
    places = np.empty(heat.size, np.intp)
    places[np.lexsort((distance.ravel(), -heat.ravel()))] = np.arange(heat.size)
    return places.reshape(heat.shape)


def replaced_step_by_step(image: np.ndarray, other: np.ndarray, places: np.ndarray, steps: int) -> np.ndarray:
    """``image`` with more and more of its first voxels in line taken from ``other``: (steps + 1, D, D, D).

    From none to all; a step adds as much to the radius of a ball of that volume, for what matters is small.
    """
    counts = np.rint((np.arange(steps + 1) / steps) ** 3 * places.size)
    return np.where(places < counts[:, None, None, None], other, image)


def area_under(scores: np.ndarray) -> float:
    """Mean height of a curve (steps + 1,) over evenly spaced steps (trapezoids), in units of the score."""
    return float(np.trapezoid(scores) / (len(scores) - 1))


def central_blob(shape: tuple[int, ...]) -> np.ndarray:
    """The map that knows nothing but where nodules lie in a cube: hottest in its middle (index n // 2)."""
    offsets = np.indices(shape) - np.reshape([n // 2 for n in shape], (-1, *[1] * len(shape)))
    distance = np.linalg.norm(offsets, axis=0)
    return distance.max() - distance


def random_map(shape: tuple[int, ...], blur_voxels: float, rng: np.random.Generator) -> np.ndarray:
    """Smooth noise >= 0: blobs of the size of a heat map's (Gaussian, ``blur_voxels`` standard deviation), anywhere."""
    noise = gaussian_filter(rng.standard_normal(shape), blur_voxels, mode="wrap")
    return noise - noise.min()
