"""A MONAI bundle of unknown origin, read without running what it brings.

MONAI's configuration files are programs: a text that begins with ``$`` is evaluated as Python, and ``_target_`` calls
any function by its name. Here only components on a list are built, from plain values; everything else needs the word of
the person who runs it (``allow_code``). Weights are read as tensors, never through pickle.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from monai.bundle import ConfigParser, ReferenceResolver

from LungNoduleCADLib.bundles.weights import sha256_of
from LungNoduleCADLib.domain.provenance import Method
from LungNoduleCADLib.errors import ModelError

NETWORKS = {
    *("UNet", "Unet", "BasicUNet", "BasicUnet", "DynUNet", "DynUnet", "VNet", "AttentionUnet"),
    *("SegResNet", "SegResNetDS", "UNETR", "SwinUNETR"),
}
TRANSFORMS = {
    *("Compose", "EnsureTyped", "ScaleIntensityRanged", "ScaleIntensityd", "ScaleIntensityRangePercentilesd"),
    *("NormalizeIntensityd", "ThresholdIntensityd"),
}
INFERERS = {"SimpleInferer", "SlidingWindowInferer", "SlidingWindowInfererAdapt"}
PLAIN_TARGETS = NETWORKS | TRANSFORMS | INFERERS
SUFFIXES = ("json", "yaml", "yml")
WEIGHTS = ("models/model.safetensors", "models/model.pt")
STATE_KEYS = ("model", "state_dict", "network")


class BundleConfig:
    """A bundle's folder: ``metadata``, ``inference`` (as written), and what is built from it.

    Parameters
    ----------
    allow_code : let the bundle run code of its own. Whoever says so trusts whoever made the bundle.

    Raises
    ------
    ModelError : no bundle in the folder, or configuration that cannot be read.
    """

    def __init__(self, folder: Path, *, allow_code: bool = False) -> None:
        self.folder, self.allow_code = folder, allow_code
        self.metadata = self._read("metadata")
        self.inference = self._read("inference")

    def build(self, part: str) -> Any:
        """A part of ``inference`` as the object that it describes.

        Raises
        ------
        ModelError : there is no such part, it cannot be built, or it would run code that was not allowed.
        """
        config = self.inference if self.allow_code else self._without_code(part)
        try:
            parser = ConfigParser(config)
            if self.allow_code:
                parser["bundle_root"] = str(self.folder)
            return parser.get_parsed_content(part)
        except Exception as error:  # a configuration can fail in as many ways as a program
            raise ModelError(
                f"{part} of the MONAI bundle {self.folder.name} cannot be built", got=_first_line(error)
            ) from error

    def resolve(self, value: Any) -> Any:
        """A value as written with its references followed; errors as ``build``."""
        self.inference["_value_"] = value
        return self.build("_value_")

    def weights(self) -> tuple[Path, dict[str, Any]]:
        """The weights file and {parameter: torch tensor}.

        Raises
        ------
        ModelError : there is none, it is damaged, or it holds more than tensors.
        """
        file = next((self.folder / name for name in WEIGHTS if (self.folder / name).is_file()), None)
        if file is None:
            raise ModelError(
                f"The MONAI bundle {self.folder.name} has no weights",
                expected=" or ".join(WEIGHTS),
                todo="download the bundle with its weights (TorchScript files are not read)",
            )
        try:
            return file, _tensors(file)
        except Exception as error:  # a damaged file can fail anywhere in its reader
            raise ModelError(
                f"{file} cannot be read as weights", expected="tensors and nothing else", got=_first_line(error)
            ) from error

    def load_into(self, network: Any) -> Method:
        """Put the weights into a network; returns how results name the bundle, with the digest of its weights."""
        file, tensors = self.weights()
        try:
            network.load_state_dict(tensors)
        except RuntimeError as error:
            raise ModelError(
                f"The weights of {self.folder.name} do not fit its network", got=_first_line(error)
            ) from error
        return Method(self.folder.name, str(self.metadata.get("version", "unknown")), sha256_of(file))

    def _read(self, name: str) -> dict[str, Any]:
        files = [self.folder / "configs" / f"{name}.{suffix}" for suffix in SUFFIXES]
        file = next((file for file in files if file.is_file()), None)
        if file is None:
            raise ModelError(
                f"{self.folder} is no MONAI bundle", expected=f"configs/{name}.json or .yaml", got="no such file"
            )
        try:
            content = ConfigParser.load_config_file(file)
        except Exception as error:  # JSON or YAML, or a package that reads it, may be wrong in many ways
            raise ModelError(f"{file} cannot be read", got=_first_line(error)) from error
        if not isinstance(content, dict):
            raise ModelError(f"{file} cannot be read", expected="an object", got=type(content).__name__)
        return content

    def _without_code(self, part: str) -> dict[str, Any]:
        """The part with everything that it refers to, if that is plain values and known components only."""
        needed: dict[str, Any] = {}
        waiting = [part]
        while waiting:
            name = waiting.pop()
            if name not in self.inference:
                raise ModelError(f"The MONAI bundle {self.folder.name} does not say what its {name} is")
            if name in needed:
                continue
            needed[name] = self.inference[name]
            code = next(_code(needed[name]), None)
            if code is not None:
                raise ModelError(
                    f"The MONAI bundle {self.folder.name} would run code of its own",
                    expected="plain values and known components",
                    got=code,
                    todo="if you trust whoever made it, give --allow-bundle-code",
                )
            waiting += _references(needed[name])
        return needed


def transforms_of(config: dict[str, Any], part: str) -> list[dict[str, Any]]:
    """The transforms of a ``Compose`` as written; none where the part is something else."""
    found = config.get(part)
    transforms = found.get("transforms", []) if isinstance(found, dict) else []
    return [step for step in transforms if isinstance(step, dict)] if isinstance(transforms, list) else []


def target_name(config: Any) -> str:
    """``RetinaNet`` of ``{"_target_": "monai.apps....RetinaNet"}``; empty where nothing is to be built."""
    target = config.get("_target_", "") if isinstance(config, dict) else ""
    return target.rpartition(".")[2] if isinstance(target, str) else ""


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for inner in value.values():
            yield from _texts(inner)
    elif isinstance(value, (list, tuple)):
        for inner in value:
            yield from _texts(inner)
    elif isinstance(value, str):
        yield value


def _references(value: Any) -> list[str]:
    """Top-level names that ``@name`` and ``@name::part`` refer to."""
    found = (ReferenceResolver.match_refs_pattern(ReferenceResolver.normalize_id(text)) for text in _texts(value))
    return [ReferenceResolver.split_id(name)[0] for names in found for name in names]


def _code(value: Any) -> Iterator[str]:
    """What in a configuration is more than values: expressions, other files, relative names, unknown components."""
    if isinstance(value, dict):
        target = value.get("_target_")
        plain = isinstance(target, str) and ("." not in target or target.startswith("monai."))
        if "_target_" in value and not (plain and target_name(value) in PLAIN_TARGETS):
            yield f"_target_ {target}"
        if value.get("_mode_", "default") != "default":
            yield f"_mode_ {value['_mode_']}"
        for inner in value.values():
            yield from _code(inner)
    elif isinstance(value, (list, tuple)):
        for inner in value:
            yield from _code(inner)
    elif isinstance(value, str) and (value.startswith(("$", "%")) or "@::" in value or "@#" in value):
        yield value


def _tensors(file: Path) -> dict[str, Any]:
    if file.suffix == ".safetensors":
        from safetensors.torch import load_file

        return load_file(file)
    import torch

    content = torch.load(file, map_location="cpu", weights_only=True)
    return next((content[key] for key in STATE_KEYS if isinstance(content.get(key), dict)), content)


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0].rstrip(".")[:200] if lines else type(error).__name__
