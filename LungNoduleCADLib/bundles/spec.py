"""What a model bundle is made of (MONAI's bundle layout)."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from LungNoduleCADLib.domain.provenance import Method
from LungNoduleCADLib.errors import ModelError


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
        return self.metadata["status"] == "trained"

    @property
    def weight_files(self) -> dict[str, str]:
        """{path inside the bundle: sha256}."""
        return self.metadata["weights_sha256"]

    def method(self) -> Method:
        """How results name this model; the digest is of its first weights file."""
        return Method(self.name, self.metadata["version"], next(iter(self.weight_files.values()), None))

    def _read(self, relative: str) -> dict[str, Any]:
        file = self.path / relative
        try:
            return json.loads(file.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise ModelError(
                f"The model bundle {self.name} is incomplete",
                expected=f"readable JSON in {relative}",
                got=type(error).__name__,
                todo="reinstall LungNoduleCAD or the bundle",
            ) from error
