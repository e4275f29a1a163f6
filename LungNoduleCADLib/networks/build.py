"""From the name and numbers in a bundle's ``inference.json`` to a network; nothing else is ever looked up."""

from __future__ import annotations

from typing import Any

from torch import nn

from LungNoduleCADLib.errors import ModelError


def build_network(name: str, arguments: dict[str, Any]) -> nn.Module:
    """A network with random weights.

    Raises
    ------
    ModelError : unknown name.
    """
    import torch

    if name == "NoduleEncoder":
        from LungNoduleCADLib.networks.nodule_encoder import NoduleEncoder as Network
    elif name == "NoduleUNet":
        from LungNoduleCADLib.networks.nodule_unet import NoduleUNet as Network
    elif name == "DynUNet":
        from monai.networks.nets import DynUNet as Network
    else:
        raise ModelError("Unknown network in a model bundle", expected="NoduleEncoder, NoduleUNet or DynUNet", got=name)
    return Network(**arguments).to(memory_format=torch.channels_last_3d)  # a fifth faster on CPU


def choose_device(wanted: str = "auto") -> str:
    """``auto`` is the first CUDA device, else the CPU.

    Raises
    ------
    UsageError : a device that this computer does not have.
    """
    import torch

    from LungNoduleCADLib.errors import UsageError

    if wanted == "auto":
        return "cuda:0" if torch.cuda.is_available() else "cpu"
    available = ["cpu", *(f"cuda:{n}" for n in range(torch.cuda.device_count()))]
    if wanted == "cuda" and len(available) > 1:
        return "cuda:0"
    if wanted not in available:
        raise UsageError(
            "That device is not here", expected=" or ".join(available), got=wanted, todo="use --device auto"
        )
    return wanted


def autocast(device: str) -> Any:
    """Mixed precision in bfloat16 where the device computes it natively."""
    import torch

    on_cpu = torch.backends.mkldnn.is_available() and torch.ops.mkldnn._is_mkldnn_bf16_supported()
    enabled = device.startswith("cuda") or on_cpu
    return torch.autocast(torch.device(device).type, dtype=torch.bfloat16, enabled=enabled)
