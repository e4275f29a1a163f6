"""Random but label-preserving changes of training cubes (MONAI transforms on HU)."""

from __future__ import annotations

from typing import Any

import torch
from monai.data import set_track_meta
from monai.transforms import (
    CenterSpatialCropd,
    Compose,
    RandAffined,
    RandFlipd,
    RandGaussianNoised,
    RandGaussianSmoothd,
    RandRotate90d,
    RandScaleIntensityd,
    RandShiftIntensityd,
    RandSpatialCropd,
)

KEYS = ("hu", "occupancy")
MOST_SHIFT_VOXELS = 4


def training_transform(size: int, *, affine_probability: float = 0.15) -> Compose:
    """Shift, mirror, quarter turns in plane, small zoom and rotation; HU offset and gain, noise, softer kernel.

    HU jitter follows the nodule pack's advice (offset +-30 HU, gain +-4 %), because part of its HU are estimates.
    """
    set_track_meta(False)
    return Compose(
        [
            RandAffined(
                KEYS,
                prob=affine_probability,
                rotate_range=(0.2, 0.0, 0.0),
                scale_range=(0.1, 0.1, 0.1),
                mode=("bilinear", "bilinear"),
                padding_mode="border",
            ),
            CenterSpatialCropd(KEYS, (size + 2 * MOST_SHIFT_VOXELS,) * 3),
            RandSpatialCropd(KEYS, (size,) * 3, random_size=False),
            *(RandFlipd(KEYS, prob=0.5, spatial_axis=axis) for axis in range(3)),
            RandRotate90d(KEYS, prob=0.75, spatial_axes=(1, 2)),
            RandGaussianSmoothd("hu", prob=0.2, sigma_x=(0.3, 0.8), sigma_y=(0.3, 0.8), sigma_z=(0.3, 0.8)),
            RandGaussianNoised("hu", prob=0.3, std=40.0),
            RandShiftIntensityd("hu", offsets=30.0, prob=0.8),
            RandScaleIntensityd("hu", factors=0.04, prob=0.8),
            _UniformNoise(),
        ]
    )


class _UniformNoise:
    """+-5 HU: hides which voxels of the pack were stored in 8 HU steps."""

    def __call__(self, data: dict[str, Any]) -> dict[str, Any]:
        return {**data, "hu": data["hu"] + (torch.rand_like(data["hu"]) - 0.5) * 10.0}
