"""First step of the registration: an affine transform from the shape of the lungs, checked against the image."""

from __future__ import annotations

import numpy as np
import SimpleITK as sitk

from LungNoduleCADLib.followup.lung_images import LungImages, OnGrid, correlation, grid_around, lung_box, on_grid

GRID_MM = 4.0
MARGIN_MM = 24.0
DISTANCE_LIMIT_MM = 20.0
# Breathing changes a lung's height by about a third at most; what is beyond is a failure, not anatomy.
STRETCH_LIMITS = (0.6, 1.67)
SEED = 20240


def register_affine(current: LungImages, prior: LungImages) -> sitk.AffineTransform:
    """Affine from points of ``current`` to points of ``prior``.

    Whole lungs start from their centroids. Lungs that a scan cuts off have misleading centroids, so apex on apex and
    base on base are tried too, and the start whose result makes the images agree best is kept.
    """
    starts = _starts(current, prior)
    grid = grid_around(current, GRID_MM, MARGIN_MM / 2)
    ours = on_grid(current, grid)
    distances = _distance_map(current), _distance_map(prior)
    best, best_score = starts[0], -np.inf
    for start in starts:
        for transform in (start, _fit(*distances, start, "shape")):
            score = _agreement(ours, on_grid(prior, grid, transform))
            if _plausible(transform) and score > best_score:
                best, best_score = transform, score
    refined = _fit(_hu(current), _hu(prior), best, "image")
    if _plausible(refined) and _agreement(ours, on_grid(prior, grid, refined)) > best_score:
        return refined
    return best


def matrix_of(transform: sitk.AffineTransform) -> np.ndarray:
    """The 3x3 linear part."""
    return np.array(transform.GetMatrix()).reshape(3, 3)


def _starts(current: LungImages, prior: LungImages) -> list[sitk.AffineTransform]:
    a, b = _centroid(current), _centroid(prior)
    shifts = [b - a]
    if current.truncated or prior.truncated:
        (low_a, high_a), (low_b, high_b) = lung_box(current), lung_box(prior)
        shifts += [np.array([*(b - a)[:2], high_b[2] - high_a[2]]), np.array([*(b - a)[:2], low_b[2] - low_a[2]])]
    starts = []
    for shift in shifts:
        transform = sitk.AffineTransform(3)
        transform.SetCenter([float(v) for v in a])
        transform.SetTranslation([float(v) for v in shift])
        starts.append(transform)
    return starts


def _centroid(images: LungImages) -> np.ndarray:
    shape = sitk.LabelShapeStatisticsImageFilter()
    shape.Execute(images.lungs > 0.5)
    return np.array(shape.GetCentroid(1))


def _distance_map(images: LungImages) -> sitk.Image:
    """Signed distance to the lung surface in mm, limited; where the scan cuts the lungs off is no surface."""
    lungs = _on(images.lungs, grid_around(images, GRID_MM, MARGIN_MM, inside_scan=True)) > 0.5
    distance = sitk.SignedMaurerDistanceMap(lungs, squaredDistance=False, useImageSpacing=True)
    return sitk.Clamp(distance, sitk.sitkFloat32, -DISTANCE_LIMIT_MM, DISTANCE_LIMIT_MM)


def _hu(images: LungImages) -> sitk.Image:
    return _on(images.smoothed_hu(GRID_MM / 2), grid_around(images, GRID_MM, MARGIN_MM / 2, inside_scan=True))


def _on(image: sitk.Image, grid: sitk.Image) -> sitk.Image:
    return sitk.Resample(image, grid, sitk.Transform(3, sitk.sitkIdentity), sitk.sitkLinear, 0.0, image.GetPixelID())


def _fit(fixed: sitk.Image, moving: sitk.Image, start: sitk.AffineTransform, by: str) -> sitk.AffineTransform:
    method = sitk.ImageRegistrationMethod()
    if by == "shape":
        method.SetMetricAsMeanSquares()
    else:
        method.SetMetricAsCorrelation()
    method.SetMetricSamplingStrategy(method.REGULAR)
    method.SetMetricSamplingPercentage(0.25, seed=SEED)
    method.SetInterpolator(sitk.sitkLinear)
    method.SetOptimizerAsRegularStepGradientDescent(
        learningRate=4.0 if by == "shape" else 1.0,
        minStep=0.01,
        numberOfIterations=200,
        gradientMagnitudeTolerance=1e-6,
    )
    method.SetOptimizerScalesFromPhysicalShift()
    method.SetNumberOfThreads(1)  # sums over threads are not the same from run to run
    method.SetInitialTransform(sitk.AffineTransform(start), inPlace=True)
    try:
        return sitk.AffineTransform(method.Execute(fixed, moving))
    except RuntimeError:  # ITK's word for "too few points left to compare": this start leads nowhere
        return sitk.AffineTransform(start)


def _plausible(transform: sitk.AffineTransform) -> bool:
    stretch = np.linalg.svd(matrix_of(transform), compute_uv=False)
    upright = np.linalg.det(matrix_of(transform)) > 0
    return bool(upright and STRETCH_LIMITS[0] <= stretch.min() and stretch.max() <= STRETCH_LIMITS[1])


def _agreement(ours: OnGrid, theirs: OnGrid) -> float:
    """Correlation of HU where both scans have data; -1 where they hardly overlap."""
    both = ours.covered & theirs.covered
    lungs_in_both = np.count_nonzero(both & (ours.lungs | theirs.lungs))
    if lungs_in_both < 0.2 * np.count_nonzero(ours.lungs):
        return -1.0
    return correlation(ours.hu, theirs.hu, both)
