"""How training cubes are varied (MONAI transforms on HU)."""

from __future__ import annotations

from collections.abc import Callable
from math import pi
from typing import Any

import torch
from monai.data import set_track_meta
from monai.transforms import (
    CenterSpatialCropd,
    Compose,
    Rand3DElasticd,
    RandAffined,
    RandFlipd,
    RandGaussianNoised,
    RandGaussianSharpend,
    RandGaussianSmoothd,
    RandRotate90d,
    RandScaleIntensityd,
    RandShiftIntensityd,
    RandSpatialCropd,
)

SMOOTHNESS_VOXELS = (4.0, 6.0)
MAGNITUDE = (0.0, 150.0)
"""Of independent offsets of up to 1 at each voxel, before they are smoothed to about a hundredth of that."""


def training_transform(
    size: int,
    *,
    most_shift_voxels: float,
    zoom: float,
    tilt_rad: float = 0.15,
    affine: bool = True,
    whole_voxels: bool = False,
    kernels: bool = True,
    intensity: bool = True,
    elastic: bool = False,
) -> Compose:
    """From ``cube`` (HU, and occupancy where it is asked for, as channels) to ``hu`` and ``occupancy``.

    Any turn in plane, tilt, shift and zoom in one interpolation, mirror; HU offset and gain, noise, other kernels.

    HU jitter follows the nodule pack's advice (offset +-30 HU, gain +-4 %), because part of its HU are estimates.
    Smoothing and sharpening stand for other kernels, smoothing along z alone for thicker slices.

    Parameters
    ----------
    affine, kernels, intensity : whether to turn, tilt, shift and zoom; to smooth and sharpen; to change offset, gain
        and noise. Mirroring stays, and the noise that hides how HU were stored.
    whole_voxels : whether to shift by whole voxels and turn by quarters in plane, which interpolates nothing: a cube is
        then as sharp as those that the product asks about. In place of ``affine``.
    elastic : whether to deform smoothly as well, by about a voxel, in the same interpolation.

    Raises
    ------
    ValueError : whole voxels and an interpolation.
    """
    set_track_meta(False)
    ranges = {
        "rotate_range": (pi, tilt_rad, tilt_rad),
        "translate_range": (most_shift_voxels,) * 3,
        "scale_range": (zoom,) * 3,
    }
    options = {"prob": 1.0, "spatial_size": (size,) * 3, "mode": "bilinear", "padding_mode": "border"}
    if whole_voxels and (affine or elastic):
        raise ValueError("Whole voxels are moved instead of an affine or elastic deformation, not beside it")
    if elastic:
        moved = ranges if affine else {}
        place = [Rand3DElasticd("cube", SMOOTHNESS_VOXELS, MAGNITUDE, **moved, **options)]
    elif affine:
        place = [RandAffined("cube", **ranges, **options)]
    elif whole_voxels:
        place = [
            CenterSpatialCropd("cube", (size + 2 * round(most_shift_voxels),) * 3),
            RandSpatialCropd("cube", (size,) * 3, random_size=False),
            RandRotate90d("cube", prob=0.75, max_k=3, spatial_axes=(1, 2)),
        ]
    else:
        place = [CenterSpatialCropd("cube", (size,) * 3)]
    sharpness = [
        RandGaussianSmoothd("hu", prob=0.15, sigma_x=(0.3, 0.9), sigma_y=(0.3, 0.9), sigma_z=(0.3, 0.9)),
        RandGaussianSmoothd("hu", prob=0.1, sigma_x=(0.6, 1.5), sigma_y=(0.0, 0.1), sigma_z=(0.0, 0.1)),
        RandGaussianSharpend("hu", prob=0.1, alpha=(1.0, 4.0)),
    ]
    density = [
        RandGaussianNoised("hu", prob=0.3, std=40.0),
        RandShiftIntensityd("hu", offsets=30.0, prob=0.8),
        RandScaleIntensityd("hu", factors=0.04, prob=0.8),
    ]
    return Compose(
        [
            *place,
            *(RandFlipd("cube", prob=0.5, spatial_axis=axis) for axis in (0, 1)),
            _split,
            *(sharpness if kernels else []),
            *(density if intensity else []),
            _uniform_noise,
        ]
    )


def transforms_by_epoch(size: int, recipe: dict[str, Any]) -> Callable[[int], Compose]:
    """epoch -> how its cubes are varied.

    ``recipe["late_augmentation"]`` holds changes of ``recipe["augmentation"]`` from an epoch on (``from_epoch``).
    """
    change = dict(recipe.get("late_augmentation") or {})
    first = change.pop("from_epoch", recipe["loop"]["epochs"])
    early, late = (training_transform(size, **{**recipe["augmentation"], **more}) for more in ({}, change))
    return lambda epoch: late if epoch >= first else early


def _split(data: dict[str, Any]) -> dict[str, Any]:
    cube = data["cube"]
    return {"hu": cube[:1], **({"occupancy": cube[1:]} if len(cube) > 1 else {})}


def _uniform_noise(data: dict[str, Any]) -> dict[str, Any]:
    """+-5 HU: hides which voxels of the pack were stored in 8 HU steps."""
    return {**data, "hu": data["hu"] + (torch.rand_like(data["hu"]) - 0.5) * 10.0}
