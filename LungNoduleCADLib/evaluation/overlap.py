"""How well two masks agree: in volume, and at their surfaces (MONAI's metrics)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class SurfaceAgreement:
    """How far two surfaces are apart.

    A mask's surface: its voxels that have a neighbour (through a face) outside of it.

    Attributes
    ----------
    mean_distance_mm : of every surface voxel of either mask to the other surface, all taken together.
    hausdorff_95_mm : the larger of the two directions' 95th percentiles.
    within_tolerance : share of the surface voxels of both that lie no farther from the other surface than the
        tolerance (normalised surface Dice).

    Where a mask is empty there is no distance: both are ``None`` and must be counted, not skipped; the share is 1 if
    both masks are empty and 0 if one is.
    """

    mean_distance_mm: float | None
    hausdorff_95_mm: float | None
    within_tolerance: float


def dice(one: np.ndarray, other: np.ndarray) -> float:
    """2 |A and B| / (|A| + |B|); 1 for two empty masks, 0 where one is."""
    total = np.count_nonzero(one) + np.count_nonzero(other)
    return 2.0 * np.count_nonzero(np.logical_and(one, other)) / total if total else 1.0


def surface_agreement(
    one: np.ndarray, other: np.ndarray, spacing_kji_mm: tuple[float, float, float], tolerance_mm: float = 1.0
) -> SurfaceAgreement:
    """Distances between the surfaces of two masks (K, J, I)."""
    if not (one.any() and other.any()):
        return SurfaceAgreement(None, None, float(one.any() == other.any()))
    import torch
    from monai.metrics import compute_average_surface_distance, compute_hausdorff_distance, compute_surface_dice

    first, second = (torch.from_numpy(np.ascontiguousarray(mask, np.uint8))[None, None] for mask in (one, other))
    spacing = list(spacing_kji_mm)
    mean = compute_average_surface_distance(first, second, True, symmetric=True, spacing=spacing)
    farthest = compute_hausdorff_distance(first, second, True, percentile=95, spacing=spacing)
    near = compute_surface_dice(first, second, [tolerance_mm], True, spacing=spacing)
    return SurfaceAgreement(float(mean), float(farthest), float(near))
