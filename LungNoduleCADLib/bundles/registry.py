"""Which bundles there are."""

from __future__ import annotations

import os
from pathlib import Path

from LungNoduleCADLib.bundles.spec import Bundle
from LungNoduleCADLib.errors import ModelError

MODELS_FOLDER_VARIABLE = "LUNGNODULECAD_MODELS"


def models_folder() -> Path:
    """``models/`` beside the library (source tree, and Slicer's installed tree), or where the variable points."""
    return Path(os.environ.get(MODELS_FOLDER_VARIABLE) or Path(__file__).resolve().parents[2] / "models")


def list_bundles() -> list[Bundle]:
    """Every bundle in the models folder, by name."""
    return [Bundle(file.parents[1]) for file in sorted(models_folder().glob("*/configs/metadata.json"))]


def find_bundle(name: str) -> Bundle:
    """A bundle by name.

    Raises
    ------
    ModelError : there is none of that name.
    """
    bundles = {bundle.name: bundle for bundle in list_bundles()}
    if name not in bundles:
        raise ModelError(
            "There is no such model bundle",
            expected=", ".join(bundles) or f"bundles in {models_folder()}",
            got=name,
            todo="reinstall LungNoduleCAD",
        )
    return bundles[name]
