"""Second step: a smooth displacement inside the lungs that the affine left over.

Diffeomorphic demons (Vercauteren et al., NeuroImage 2009; SimpleITK) on locally standardised lung texture, coarse to
fine. On the public right-lung pair of the tests it beat a multi-resolution B-spline with the correlation metric and a
torch instance optimisation with local correlation, in error and in time.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import SimpleITK as sitk

from LungNoduleCADLib.followup.lung_images import LungImages, grid_around, on_grid, texture

LEVELS = ((8.0, 40), (4.0, 40), (2.5, 30))  # (voxel in mm, iterations)
MARGIN_MM = 16.0
FIELD_SIGMA_VOXELS = 1.5
MAX_UNFOLD = 6


def fine_grid(current: LungImages) -> sitk.Image:
    """The grid that the displacement ends on."""
    return grid_around(current, LEVELS[-1][0], MARGIN_MM)


def displacement(
    current: LungImages, prior: LungImages, affine: sitk.Transform, report: Callable[[float], None]
) -> sitk.Image:
    """Displacement u (mm, LPS) on ``fine_grid(current)``: the prior's point is affine(x + u(x)). Zero at its border."""
    field: Any = None
    for number, (spacing_mm, iterations) in enumerate(LEVELS):
        report(number / len(LEVELS))
        grid = grid_around(current, spacing_mm, MARGIN_MM)
        fixed, moving = _textures(current, prior, affine, grid)
        demons = sitk.DiffeomorphicDemonsRegistrationFilter()
        demons.SetNumberOfIterations(iterations)
        demons.SetStandardDeviations(FIELD_SIGMA_VOXELS)
        demons.SetSmoothUpdateField(True)
        demons.SetUpdateFieldStandardDeviations(1.0)
        demons.SetMaximumUpdateStepLength(1.0)
        field = demons.Execute(fixed, moving, *([] if field is None else [_vectors_on(field, grid)]))
    return _taper(field)


def unfold(field: sitk.Image, lungs: np.ndarray) -> tuple[sitk.Image, float]:
    """Smooth the displacement until it folds nowhere in the lungs; the field, and the fraction that still folds."""
    folding = folding_fraction(field, lungs)
    for _ in range(MAX_UNFOLD):
        if folding == 0:
            break
        field = sitk.SmoothingRecursiveGaussian(field, 1.5 * field.GetSpacing()[0])
        folding = folding_fraction(field, lungs)
    return field, folding


def folding_fraction(field: sitk.Image, lungs: np.ndarray) -> float:
    """Share of lung voxels (mask (K, J, I) on the field's grid) where the Jacobian determinant is <= 0."""
    jacobian = sitk.GetArrayFromImage(sitk.DisplacementFieldJacobianDeterminant(field))
    return float(np.mean(jacobian[lungs] <= 0)) if lungs.any() else 0.0


def _textures(
    current: LungImages, prior: LungImages, affine: sitk.Transform, grid: sitk.Image
) -> tuple[sitk.Image, sitk.Image]:
    ours, theirs = on_grid(current, grid), on_grid(prior, grid, affine)
    spacing_mm = grid.GetSpacing()[0]
    a, b = texture(ours, spacing_mm), texture(theirs, spacing_mm)
    # Where one scan has no data nothing may pull: both get the same value there.
    a, b = np.where(ours.covered, a, b), np.where(theirs.covered, b, a)
    images = []
    for array in (a, b):
        image = sitk.GetImageFromArray(array)
        image.CopyInformation(grid)
        images.append(image)
    return images[0], images[1]


def _vectors_on(field: sitk.Image, grid: sitk.Image) -> sitk.Image:
    return sitk.Resample(field, grid, sitk.Transform(3, sitk.sitkIdentity), sitk.sitkLinear, 0.0, field.GetPixelID())


def _taper(field: sitk.Image) -> sitk.Image:
    """Bring the displacement to zero over the outer half of the margin: outside of the grid it is the affine alone."""
    array = sitk.GetArrayFromImage(field)
    width = int(MARGIN_MM / 2 / field.GetSpacing()[0])
    for axis in range(3):
        n = array.shape[axis]
        edge = np.minimum(np.arange(n), np.arange(n)[::-1])
        ramp = np.clip(edge / width, 0.0, 1.0)
        array *= ramp.reshape([-1 if a == axis else 1 for a in range(4)])
    tapered = sitk.GetImageFromArray(array, isVector=True)
    tapered.CopyInformation(field)
    return tapered
