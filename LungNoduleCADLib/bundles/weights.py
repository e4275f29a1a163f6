"""Weights are read only after their sha256 was checked, and never through pickle."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from LungNoduleCADLib.bundles.spec import Bundle
from LungNoduleCADLib.errors import ModelError, is_lack_of_memory


def sha256_of(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def checked_file(bundle: Bundle, relative: str) -> Path:
    """A weights file whose digest is the one in the metadata.

    Raises
    ------
    ModelError : missing, or not the file that the metadata describes.
    """
    file = bundle.path / relative
    expected = bundle.weight_files.get(relative)
    try:
        got = sha256_of(file)
    except PermissionError:
        got = "no right to read it"
    except (OSError, ValueError):  # a name that is too long, or with a NUL in it, too
        got = "no such file"
    if got != expected:
        raise ModelError(
            f"The weights {relative} of {bundle.name} are damaged or were changed",
            expected=f"sha256 {expected}",
            got=got,
            todo="reinstall LungNoduleCAD or the bundle",
        )
    return file


def load_tensors(bundle: Bundle, relative: str = "models/model.safetensors") -> dict[str, Any]:
    """{parameter: torch tensor, float32}."""
    from safetensors.torch import load_file

    return {
        name: tensor.float() if tensor.is_floating_point() else tensor
        for name, tensor in load_file(checked_file(bundle, relative)).items()
    }


def load_network(bundle: Bundle, device: str, relative: str = "models/model.safetensors") -> Any:
    """The bundle's network with its weights, in evaluation mode on ``device``.

    Raises
    ------
    ModelError : untrained, damaged, or weights that do not fit the network.
    """
    from LungNoduleCADLib.networks.build import build_network

    if not bundle.trained:
        raise ModelError(
            f"{bundle.name} has no trained weights", todo="train it (see its card) or install a trained bundle"
        )
    network = build_network(bundle.inference["network"], bundle.inference["arguments"])
    try:
        network.load_state_dict(load_tensors(bundle, relative))
    except RuntimeError as error:
        if is_lack_of_memory(error):
            raise
        raise ModelError(
            f"The weights of {bundle.name} do not fit its network", got=str(error).splitlines()[0]
        ) from error
    return network.to(device).eval()


def member_files(bundle: Bundle, unseen_fold: int | None = None) -> list[str]:
    """Weights of the networks of an ensemble, each trained without another fold of the data.

    Parameters
    ----------
    unseen_fold : only members that were trained without this fold; a fold that no member saw gives all of them.

    Raises
    ------
    ModelError : every member saw that fold.
    """
    members = bundle.inference.get("members") or [{"held_out_fold": None, "file": "models/model.safetensors"}]
    if unseen_fold is not None and unseen_fold in bundle.train["folds"]["cross_fitted"]:
        members = [member for member in members if member["held_out_fold"] == unseen_fold]
        if not members:
            raise ModelError(f"Every network of {bundle.name} was trained on fold {unseen_fold}")
    return [member["file"] for member in members]


def load_members(bundle: Bundle, device: str, unseen_fold: int | None = None) -> tuple[Any, ...]:
    """The networks of an ensemble (see ``member_files``).

    Raises
    ------
    ModelError : as ``load_network`` and ``member_files``.
    """
    return tuple(load_network(bundle, device, file) for file in member_files(bundle, unseen_fold))
