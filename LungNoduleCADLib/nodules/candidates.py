"""Places worth a look, all over the lungs: classical, fast and very sensitive; a network sorts them out afterwards.

Two looks at the lungs, one for solid tissue and one for ground glass (which vessels would drown), each through a
scale-normalised Laplacian of Gaussian [1]_. Its peaks are kept where the Hessian says blob rather than tube or plate
[2]_. Outside of the lung mask the CT is replaced by lung, so the chest wall neither hides nor makes anything.

References
----------
.. [1] Lindeberg T. Feature detection with automatic scale selection. Int J Comput Vis 1998;30:79-116.
.. [2] Li Q, Sone S, Doi K. Selective enhancement filters for nodules, vessels, and airway walls in two- and
   three-dimensional CT scans. Med Phys 2003;30:2040-2051.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk
from scipy import ndimage

from LungNoduleCADLib.domain.ct import CtVolume
from LungNoduleCADLib.domain.geometry import Geometry
from LungNoduleCADLib.domain.masks import LungMask
from LungNoduleCADLib.domain.nodule import NoduleCandidate
from LungNoduleCADLib.imaging.sitk_bridge import resample

LUNG_HU = -850.0
MAX_CANDIDATES = 250
MARGIN_MM = 6.0
SMOOTHING_REACH = 2.5  # of a filter, in its sigma
# Cavities are filled on the coarse grids: quick there, and large nodules are the ones that cavitate.
FILL_FROM_MM = 2.0
# Large nodules are seldom even blobs, and there are few places to confuse with them: let more of those through.
LARGE_FROM_MM = 4.0
LARGE_WEIGHT = 1.25


@dataclass(frozen=True)
class _Look:
    """Which HU have full contrast with lung, filter widths per grid spacing, weight of the peaks against other looks'.

    Contrast fades out again over ``fade_hu``: so vessels, all dense, do not drown ground glass.
    """

    full_hu: float
    sigmas_mm: dict[float, tuple[float, ...]]
    weight: float = 1.0
    fade_hu: tuple[float, float] | None = None

    def contrast(self, hu: np.ndarray) -> np.ndarray:
        """0 (lung, or not looked for) to 1."""
        rise = np.clip((hu - LUNG_HU) / (self.full_hu - LUNG_HU), 0.0, 1.0)
        if self.fade_hu is None:
            return rise
        return rise * np.clip((self.fade_hu[1] - hu) / (self.fade_hu[1] - self.fade_hu[0]), 0.0, 1.0)


# A ball of diameter d answers most at sigma = d / (2 sqrt 3). The coarse grids make the wide filters cheap.
SOLID = _Look(0.0, {1.25: (1.25, 1.7, 2.3), 2.5: (3.2, 4.4), 4.0: (6.0, 8.0, 10.5, 14.0)})
GROUND_GLASS = _Look(-650.0, {1.25: (2.3,), 2.5: (3.2, 4.4), 4.0: (6.0, 8.0, 10.5)}, 0.9, (-450.0, -250.0))


@dataclass(frozen=True)
class _Peaks:
    """Peaks of one filter: (N, 3) LPS mm, (N,) blob score, (N,) diameter in mm."""

    lps_mm: np.ndarray
    score: np.ndarray
    diameter_mm: np.ndarray


def find_candidates(ct: CtVolume, lungs: LungMask, *, max_candidates: int = MAX_CANDIDATES) -> list[NoduleCandidate]:
    """Possible nodules of 3 to 35 mm, solid or ground-glass, most conspicuous first; ``probability`` is ``None``."""
    if not lungs.labels.any():
        return []
    found: list[_Peaks] = []
    for spacing_mm in sorted({*SOLID.sigmas_mm, *GROUND_GLASS.sigmas_mm}):
        grid = lung_grid(lungs, spacing_mm)
        inside = lungs_on_grid(lungs, grid)
        hu = _on_grid(ct, grid)
        for look in (SOLID, GROUND_GLASS):
            contrast = np.where(inside, look.contrast(hu), np.float32(0.0))
            if look is SOLID and spacing_mm >= FILL_FROM_MM:
                contrast = _without_holes(contrast)
            weight = look.weight * (LARGE_WEIGHT if spacing_mm >= LARGE_FROM_MM else 1.0)
            found += [_peaks(contrast, inside, grid, sigma, weight) for sigma in look.sigmas_mm.get(spacing_mm, ())]
    return _strongest(found, max_candidates)


def lung_grid(lungs: LungMask, spacing_mm: float) -> Geometry:
    """Isotropic grid along L, P, S around the lungs (which must not be empty)."""
    marks = np.argwhere(lungs.labels[::2, ::4, ::4]) * (2, 4, 4)
    points = lungs.geometry.to_lps_mm(marks)
    low, high = points.min(axis=0) - MARGIN_MM, points.max(axis=0) + MARGIN_MM
    shape_ijk = np.ceil((high - low) / spacing_mm).astype(int) + 1
    return Geometry(tuple(int(n) for n in shape_ijk[::-1]), tuple(float(v) for v in low), (spacing_mm,) * 3)  # type: ignore[arg-type]


def lungs_on_grid(lungs: LungMask, grid: Geometry) -> np.ndarray:
    """Where on a grid (bool) the lungs are."""
    box = lungs.geometry.box_around(grid)
    return resample((lungs.labels[box] > 0).astype(np.float32), lungs.geometry.part(box), grid) > 0.5


def _on_grid(ct: CtVolume, grid: Geometry) -> np.ndarray:
    """HU (float32) on the grid; smoothed first in native voxels where these are finer, so that noise does not alias."""
    ratios = np.divide(grid.spacing_kji_mm, ct.geometry.spacing_kji_mm)
    sigma = np.maximum(0.0, 0.4 * (ratios - 1.0))
    box = ct.geometry.box_around(grid, 3 + int(np.ceil(SMOOTHING_REACH * sigma.max())))
    hu = ct.hu[box].astype(np.float32)
    for axis, width in enumerate(sigma):
        if width > 0:
            ndimage.gaussian_filter1d(hu, width, axis=axis, output=hu, truncate=SMOOTHING_REACH)
    return resample(hu, ct.geometry.part(box), grid, outside=LUNG_HU)


def _without_holes(contrast: np.ndarray) -> np.ndarray:
    """Contrast with closed dark places filled to their rim: a cavitating nodule becomes a ball."""
    return sitk.GetArrayFromImage(sitk.GrayscaleFillhole(sitk.GetImageFromArray(contrast)))


def _peaks(contrast: np.ndarray, inside: np.ndarray, grid: Geometry, sigma_mm: float, weight: float) -> _Peaks:
    """Local maxima of the Laplacian inside the lungs that are blobs."""
    spacing_mm = grid.spacing_kji_mm[0]
    width = sigma_mm / spacing_mm
    smooth = ndimage.gaussian_filter(contrast, width, truncate=3.0)
    blob = -ndimage.laplace(smooth) * width**2
    top = (blob == ndimage.maximum_filter(blob, size=3)) & inside & (blob > 0.05)
    kji = np.argwhere(top)
    if not len(kji):
        return _Peaks(np.zeros((0, 3)), np.zeros(0), np.zeros(0))
    curvature = -np.linalg.eigvalsh(_hessians(smooth, kji)) * width**2
    weakest, strongest = curvature.min(axis=1), curvature.max(axis=1)
    # Li's dot filter: the weakest curvature is what a tube or plate lacks. The root keeps attached nodules in play.
    score = weight * np.sqrt(np.clip(weakest, 0, None) * blob[top]) * (strongest > 0)
    keep = score > 0
    lps_mm = grid.to_lps_mm(kji[keep])
    diameter = np.full(int(keep.sum()), 2.0 * np.sqrt(3.0) * sigma_mm)
    return _Peaks(lps_mm, score[keep], diameter)


def _hessians(smooth: np.ndarray, kji: np.ndarray) -> np.ndarray:
    """Second differences (N, 3, 3) at the given voxels."""
    padded = np.pad(smooth, 1, mode="edge")
    at = kji + 1
    steps = np.eye(3, dtype=int)

    def value(offset: np.ndarray) -> np.ndarray:
        return padded[tuple((at + offset).T)].astype(float)

    matrix = np.empty((len(kji), 3, 3))
    for a in range(3):
        matrix[:, a, a] = value(steps[a]) + value(-steps[a]) - 2.0 * value(0 * steps[a])
        for b in range(a):
            mixed = value(steps[a] + steps[b]) + value(-steps[a] - steps[b])
            mixed -= value(steps[a] - steps[b]) + value(steps[b] - steps[a])
            matrix[:, a, b] = matrix[:, b, a] = mixed / 4.0
    return matrix


def _strongest(found: list[_Peaks], count: int) -> list[NoduleCandidate]:
    """Best peaks over all filters; a weaker one within half a radius (at least 2.5 mm) of a stronger one goes."""
    lps_mm = np.concatenate([p.lps_mm for p in found])
    score = np.concatenate([p.score for p in found])
    diameter = np.concatenate([p.diameter_mm for p in found])
    chosen: list[int] = []
    for index in np.argsort(-score, kind="stable"):
        if len(chosen) == count:
            break
        apart = np.linalg.norm(lps_mm[chosen] - lps_mm[index], axis=1)
        if chosen and np.any(apart < np.maximum(2.5, 0.25 * diameter[chosen])):
            continue
        chosen.append(int(index))
    return [NoduleCandidate(tuple(float(v) for v in lps_mm[i]), float(diameter[i])) for i in chosen]  # type: ignore[arg-type]
