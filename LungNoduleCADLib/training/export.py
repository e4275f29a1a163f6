"""A trained network into its bundle: weights, digests, calibration, recipe."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from LungNoduleCADLib.bundles.weights import sha256_of


def save_network(network: nn.Module, bundle: Path, relative: str) -> None:
    """Weights in half precision (batch statistics in float32) as safetensors, which refuses tensors with two names."""
    tensors = {
        name: (t.clone() if not t.is_floating_point() or "running" in name else t.half()).contiguous().cpu()
        for name, t in network.state_dict().items()
    }
    save_tensors(tensors, bundle, relative)


def save_tensors(tensors: dict[str, Tensor], bundle: Path, relative: str) -> None:
    """Tensors as safetensors; a kill leaves no half file."""
    from safetensors.torch import save_file

    partial = bundle / (relative + ".partial")
    partial.parent.mkdir(parents=True, exist_ok=True)
    save_file(tensors, partial)
    partial.replace(bundle / relative)


def write_json(file: Path, content: dict[str, Any]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    partial = file.with_name(file.name + ".partial")
    partial.write_text(json.dumps(content, indent=2, allow_nan=False) + "\n", encoding="utf-8")
    partial.replace(file)


def finish_bundle(
    bundle: Path, inference: dict[str, Any], recipe: dict[str, Any], split_sha256: str, weights: list[str]
) -> None:
    """Configuration, recipe with the split's digest, and metadata with the digests of the weights."""
    write_json(bundle / "configs/inference.json", inference)
    write_json(bundle / "configs/train.json", {**recipe, "split_sha256": split_sha256, "torch": torch.__version__})
    file = bundle / "configs/metadata.json"
    metadata = json.loads(file.read_text(encoding="utf-8"))
    digests = {relative: sha256_of(bundle / relative) for relative in weights}
    write_json(file, {**metadata, "status": "trained", "weights_sha256": digests})
