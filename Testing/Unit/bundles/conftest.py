"""A whole model bundle with a tiny network, as training leaves it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from LungNoduleCADLib.bundles.spec import Bundle
from LungNoduleCADLib.networks.nodule_encoder import NoduleEncoder
from LungNoduleCADLib.training.export import finish_bundle, save_network

WEIGHTS = "models/model.safetensors"
ARGUMENTS = {"widths": [4, 8, 8, 8], "stem_stride": 2, "dropout": 0.0}
METADATA = {
    "version": "0.1.0",
    "task": "test",
    "status": "untrained",
    "authors": "test",
    "license": "Apache-2.0",
    "data_license": "none",
    "intended_use": "Research use only.",
    "weights_sha256": {},
}


@pytest.fixture
def untrained(tmp_path: Path) -> Bundle:
    folder = tmp_path / "models" / "tiny_encoder"
    (folder / "configs").mkdir(parents=True)
    (folder / "docs").mkdir()
    (folder / "docs/README.md").write_text("card", encoding="utf-8")
    (folder / "configs/metadata.json").write_text(json.dumps(METADATA), encoding="utf-8")
    recipe = {"data": "none", "folds": {"train": [0]}, "seed": 1}
    (folder / "configs/train.json").write_text(json.dumps(recipe), encoding="utf-8")
    return Bundle(folder)


@pytest.fixture
def network() -> NoduleEncoder:
    torch.manual_seed(0)
    return NoduleEncoder(**ARGUMENTS).eval()


@pytest.fixture
def trained(untrained: Bundle, network: NoduleEncoder) -> Bundle:
    save_network(network, untrained.path, WEIGHTS)
    inference = {"network": "NoduleEncoder", "arguments": ARGUMENTS, "patch": {"size": 16, "spacing_mm": 0.8}}
    finish_bundle(untrained.path, inference, untrained.train, "0" * 64, [WEIGHTS])
    return Bundle(untrained.path)
