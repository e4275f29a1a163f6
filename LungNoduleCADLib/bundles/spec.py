"""What a model bundle is made of (MONAI's bundle layout)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from LungNoduleCADLib.domain.provenance import Method
from LungNoduleCADLib.errors import ModelError
from LungNoduleCADLib.json_file import read_json


@dataclass(frozen=True)
class Bundle:
    """A model's folder. ``metadata`` describes it, ``inference`` configures it, ``train`` is its recipe."""

    path: Path

    @property
    def name(self) -> str:
        return self.path.name

    @cached_property
    def metadata(self) -> dict[str, Any]:
        return self._read("configs/metadata.json")

    @cached_property
    def inference(self) -> dict[str, Any]:
        return self._read("configs/inference.json")

    @cached_property
    def train(self) -> dict[str, Any]:
        return self._read("configs/train.json")

    @property
    def trained(self) -> bool:
        return self.metadata.get("status") == "trained"

    @property
    def weight_files(self) -> dict[str, str]:
        """{path inside the bundle: sha256}."""
        digests = self.metadata.get("weights_sha256")
        if not isinstance(digests, dict):
            raise self._incomplete("digests of the weights in configs/metadata.json", type(digests).__name__)
        return digests

    def method(self) -> Method:
        """How results name this model; the digest is of its first weights file."""
        return Method(self.name, str(self.metadata.get("version")), next(iter(self.weight_files.values()), None))

    def _read(self, relative: str) -> dict[str, Any]:
        file = self.path / relative
        try:
            content = read_json(file)
        except (OSError, ValueError) as error:
            raise self._incomplete(f"readable JSON in {relative}", type(error).__name__) from error
        if not isinstance(content, dict):
            raise self._incomplete(f"an object in {relative}", type(content).__name__)
        return content

    def _incomplete(self, expected: str, got: str) -> ModelError:
        return ModelError(
            f"The model bundle {self.name} is incomplete",
            expected=expected,
            got=got,
            todo="reinstall LungNoduleCAD or the bundle",
        )
