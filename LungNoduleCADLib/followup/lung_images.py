"""Small private copies of a CT and its lungs for registration: a few millimetres a voxel, axes along L, P, S."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import SimpleITK as sitk
from scipy import ndimage

from LungNoduleCADLib.domain.ct import CtVolume
from LungNoduleCADLib.domain.masks import Lung, LungMask
from LungNoduleCADLib.imaging.sitk_bridge import to_sitk

HU_RANGE = (-1000, 200)
COARSE_MM = 2.5
# Texture is compared after local standardisation, which cancels what breathing does to the density of the lungs.
TEXTURE_SIGMA_MM = 15.0
TEXTURE_FLOOR_HU = 30.0
LUNG_EDGE = 2.0


@dataclass(frozen=True)
class LungImages:
    """Both float32, same grid, averaged down to about ``COARSE_MM``.

    ``truncated``: the lungs are cut by the scan's first or last slice. ``low_lps_mm``, ``high_lps_mm``: corners of the
    box that the scan covers.
    """

    hu: sitk.Image
    lungs: sitk.Image
    truncated: bool
    low_lps_mm: np.ndarray
    high_lps_mm: np.ndarray
    _smoothed: dict[float, sitk.Image] = field(default_factory=dict, repr=False)

    def smoothed_hu(self, sigma_mm: float) -> sitk.Image:
        """The HU under a Gaussian, made once for each width."""
        if sigma_mm <= 0:
            return self.hu
        if sigma_mm not in self._smoothed:
            self._smoothed[sigma_mm] = sitk.SmoothingRecursiveGaussian(self.hu, sigma_mm)
        return self._smoothed[sigma_mm]


def lung_images(ct: CtVolume, lungs: LungMask, sides: tuple[Lung, ...]) -> LungImages:
    """Coarse copies of the HU (clipped) and of the lungs named in ``sides``."""
    mask = np.isin(lungs.labels, [int(side) for side in sides])
    shrink = [max(1, int(COARSE_MM / spacing)) for spacing in ct.geometry.spacing_kji_mm[::-1]]
    hu = sitk.BinShrink(to_sitk(np.clip(ct.hu, *HU_RANGE), ct.geometry), shrink)
    occupancy = sitk.BinShrink(to_sitk(mask.astype(np.float32), lungs.geometry), shrink)
    corners = ct.geometry.to_lps_mm(np.array(list(np.ndindex(2, 2, 2))) * (np.asarray(ct.geometry.shape_kji) - 1))
    return LungImages(
        hu=sitk.Cast(hu, sitk.sitkFloat32),
        lungs=occupancy,
        truncated=bool(mask[0].any() or mask[-1].any()),
        low_lps_mm=corners.min(axis=0),
        high_lps_mm=corners.max(axis=0),
    )


def lung_box(images: LungImages) -> tuple[np.ndarray, np.ndarray]:
    """Lowest and highest corner of the lungs' bounding box, LPS mm."""
    shape = sitk.LabelShapeStatisticsImageFilter()
    shape.Execute(images.lungs > 0.5)
    box = shape.GetBoundingBox(1)
    first = np.array(images.lungs.TransformIndexToPhysicalPoint([int(v) for v in box[:3]]))
    last = np.array(
        images.lungs.TransformIndexToPhysicalPoint([int(a + n - 1) for a, n in zip(box[:3], box[3:], strict=True)])
    )
    return np.minimum(first, last), np.maximum(first, last)


def grid_around(images: LungImages, spacing_mm: float, margin_mm: float, *, inside_scan: bool = False) -> sitk.Image:
    """An empty grid, axes along L, P, S, around the lungs; ``inside_scan`` cuts it where the scan ends."""
    low, high = lung_box(images)
    low, high = low - margin_mm, high + margin_mm
    if inside_scan:
        low, high = np.maximum(low, images.low_lps_mm), np.minimum(high, images.high_lps_mm)
        size = np.floor((high - low) / spacing_mm).astype(int) + 1
    else:
        size = np.ceil((high - low) / spacing_mm).astype(int) + 1
    grid = sitk.Image([int(n) for n in size], sitk.sitkUInt8)
    grid.SetOrigin([float(v) for v in low])
    grid.SetSpacing([float(spacing_mm)] * 3)
    return grid


def resample_to(image: sitk.Image, grid: sitk.Image, transform: sitk.Transform | None, outside: float) -> sitk.Image:
    """``image`` on ``grid``; ``transform`` maps points of the grid to points of the image."""
    identity = sitk.Transform(3, sitk.sitkIdentity)
    return sitk.Resample(image, grid, transform or identity, sitk.sitkLinear, float(outside), image.GetPixelID())


@dataclass(frozen=True)
class OnGrid:
    """HU float32, lungs and covered-by-the-scan bool, all (K, J, I) on one grid."""

    hu: np.ndarray
    lungs: np.ndarray
    covered: np.ndarray


def on_grid(images: LungImages, grid: sitk.Image, transform: sitk.Transform | None = None) -> OnGrid:
    """One study's images on a grid, smoothed first where the grid is coarser than they are."""
    hu = images.smoothed_hu(0.4 * max(0.0, grid.GetSpacing()[0] - COARSE_MM))
    ones = sitk.Image(images.hu.GetSize(), sitk.sitkUInt8) + 1
    ones.CopyInformation(images.hu)
    return OnGrid(
        hu=sitk.GetArrayFromImage(resample_to(hu, grid, transform, HU_RANGE[0])),
        lungs=sitk.GetArrayFromImage(resample_to(images.lungs, grid, transform, 0.0)) > 0.5,
        covered=sitk.GetArrayFromImage(resample_to(ones, grid, transform, 0.0)) > 0,
    )


def texture(view: OnGrid, spacing_mm: float) -> np.ndarray:
    """HU inside the lungs less their local mean, over their local standard deviation; ``-LUNG_EDGE`` outside."""
    sigma = TEXTURE_SIGMA_MM / spacing_mm
    inside = view.lungs.astype(np.float32)
    weight = ndimage.gaussian_filter(inside, sigma) + 1e-3
    mean = ndimage.gaussian_filter(view.hu * inside, sigma) / weight
    variance = ndimage.gaussian_filter(view.hu**2 * inside, sigma) / weight - mean**2
    standard = (view.hu - mean) / np.sqrt(np.maximum(variance, TEXTURE_FLOOR_HU**2))
    return np.where(view.lungs, np.clip(standard, -2.0, 4.0), -LUNG_EDGE).astype(np.float32)


def correlation(a: np.ndarray, b: np.ndarray, where: np.ndarray) -> float:
    """Pearson correlation of two arrays inside a mask; 0 where there is nothing to compare."""
    if np.count_nonzero(where) < 100:
        return 0.0
    x, y = a[where] - a[where].mean(), b[where] - b[where].mean()
    norm = float(np.sqrt((x * x).sum() * (y * y).sum()))
    return float((x * y).sum()) / norm if norm > 0 else 0.0
