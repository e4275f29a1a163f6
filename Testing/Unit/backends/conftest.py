"""Small MONAI bundles of the kinds that are met in the wild, and a chest with one ball in it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from monai.networks.nets import UNet

from LungNoduleCADLib.domain.ct import CtVolume
from LungNoduleCADLib.domain.masks import LungMask
from LungNoduleCADLib.domain.provenance import Method

UNET = {"spatial_dims": 3, "in_channels": 1, "out_channels": 2, "channels": [2, 2], "strides": [1]}
BALL_LPS_MM = (-6.0, 5.0, 3.0)
BALL_RADIUS_MM = 6.0
Ball = tuple[CtVolume, LungMask]


def inference_json() -> dict[str, Any]:
    """A segmentation bundle's ``inference.json``: plain where it must be, with code beside it as in MONAI's zoo."""
    return {
        "imports": ["$import glob"],
        "device": "$torch.device('cpu')",
        "datalist": "$list(sorted(glob.glob('/nowhere/*')))",
        "spacing": [1.5, 1.5, 1.5],
        "network_def": {"_target_": "UNet", **UNET},
        "network": "$@network_def.to(@device)",
        "preprocessing": {
            "_target_": "Compose",
            "transforms": [
                {"_target_": "LoadImaged", "keys": "scan", "reader": "$monai.data.NibabelReader"},
                {"_target_": "EnsureChannelFirstd", "keys": "scan"},
                {"_target_": "Orientationd", "keys": "scan", "axcodes": "RAS"},
                {"_target_": "Spacingd", "keys": "scan", "pixdim": "@spacing", "mode": "bilinear"},
                {
                    "_target_": "monai.transforms.ScaleIntensityRanged",
                    "keys": "scan",
                    "a_min": -1000,
                    "a_max": 0,
                    "b_min": 0.0,
                    "b_max": 1.0,
                    "clip": True,
                },
            ],
        },
        "inferer": {"_target_": "SlidingWindowInferer", "roi_size": [32, 32, 32], "overlap": 0.25},
        "postprocessing": {"_target_": "Compose", "transforms": [{"_target_": "AsDiscreted", "keys": "pred"}]},
    }


METADATA = {
    "version": "0.3.1",
    "network_data_format": {
        "outputs": {"pred": {"num_channels": 2, "channel_def": {"0": "background", "1": "lung nodule"}}}
    },
}


class BrightIsNodule(torch.nn.Module):
    """Its second output is positive where the input is above one half: above -500 HU after the bundle's scaling."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cat([torch.zeros_like(x), 20.0 * (x - 0.5)], dim=1)


@pytest.fixture
def bright_is_nodule() -> torch.nn.Module:
    return BrightIsNodule()


@pytest.fixture
def bundle(tmp_path: Path) -> Callable[..., Path]:
    """``bundle(change=..., metadata=..., weights=...)``: a bundle's folder, its configuration changed in place."""

    def make(
        change: Callable[[dict[str, Any]], None] = lambda _: None,
        metadata: dict[str, Any] | None = None,
        weights: Any = None,
        name: str = "elsewhere",
    ) -> Path:
        folder = tmp_path / name
        for part in ("configs", "models"):
            (folder / part).mkdir(parents=True, exist_ok=True)
        inference = inference_json()
        change(inference)
        (folder / "configs/inference.json").write_text(json.dumps(inference), encoding="utf-8")
        (folder / "configs/metadata.json").write_text(json.dumps(metadata or METADATA), encoding="utf-8")
        torch.save(UNet(**UNET).state_dict() if weights is None else weights, folder / "models/model.pt")
        return folder

    return make


@pytest.fixture
def ball(ball_ct: Callable[..., CtVolume]) -> Ball:
    """A ball of 12 mm, off the middle, in a lung of anisotropic voxels turned 10 degrees about the body's axis."""
    turn = np.radians(10.0)
    direction = (np.cos(turn), -np.sin(turn), 0.0, np.sin(turn), np.cos(turn), 0.0, 0.0, 0.0, 1.0)
    ct = ball_ct(BALL_RADIUS_MM, (2.0, 0.8, 0.9), BALL_LPS_MM, 40.0, tuple(float(v) for v in direction), 2)
    return ct, LungMask(np.ones(ct.hu.shape, np.uint8), ct.geometry, Method("all", "1"))
