"""Starting from an encoder that somebody trained elsewhere (MedicalNet, RadImageNet): the user's own file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from LungNoduleCADLib.errors import InputError
from LungNoduleCADLib.networks.nodule_encoder import NoduleEncoder

LEAST_SHARE = 0.5
PREFIXES = ("module.", "backbone.", "encoder.", "model.")


def load_encoder_weights(network: NoduleEncoder, file: Path) -> int:
    """Take over every weight of the backbone that has its name and shape; returns how many.

    Reads a state dictionary (``.pth``, weights only; or safetensors), also under ``state_dict``, with or without the
    prefixes that training wrappers add. MedicalNet's ResNet-18 fits a recipe with ``widths`` 64, 128, 256, 512,
    ``stem_kernel`` 7 and ``stem_stride`` 1 or 2.

    Raises
    ------
    InputError : unreadable, or less than half of the backbone is in it.
    """
    given = {_plain(name): tensor for name, tensor in _tensors(file).items()}
    own = network.backbone.state_dict()
    fitting = {
        name: given[name]
        for name, tensor in own.items()
        if name in given and given[name].shape == tensor.shape and "num_batches" not in name
    }
    wanted = [name for name in own if "num_batches" not in name]
    if len(fitting) < LEAST_SHARE * len(wanted):
        raise InputError(
            f"{file.name} is of another network",
            expected=f"a 3D ResNet-18 with the recipe's widths ({len(wanted)} tensors)",
            got=f"{len(fitting)} that fit, of {len(given)} in the file",
            todo="set widths, stem_kernel and stem_stride in train.json to those of the file",
        )
    network.backbone.load_state_dict(fitting, strict=False)
    return len(fitting)


def _tensors(file: Path) -> dict[str, Any]:
    try:
        if file.suffix == ".safetensors":
            from safetensors.torch import load_file

            return load_file(file)
        content = torch.load(file, weights_only=True, map_location="cpu")
    except Exception as error:  # torch and safetensors raise many kinds
        raise InputError(
            "These weights cannot be read",
            expected="a state dictionary (.pth that holds tensors only, or .safetensors)",
            got=f"{file}: {type(error).__name__}",
        ) from error
    content = content.get("state_dict", content) if isinstance(content, dict) else {}
    return {name: tensor for name, tensor in content.items() if isinstance(tensor, torch.Tensor)}


def _plain(name: str) -> str:
    while name.startswith(PREFIXES):
        name = name.split(".", 1)[1]
    return name
