from __future__ import annotations

from pathlib import Path

import pytest

from LungNoduleCADLib.errors import InputError, UsageError
from LungNoduleCADLib.training.run import train_bundle


def test_a_model_without_a_recipe_cannot_be_trained(pack_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="expected lung_ct_segmentation or"):
        train_bundle("lung_lobes", pack_folder, None, tmp_path / "work", tmp_path / "out", "cpu", str)
    assert not (tmp_path / "out").exists()


def test_a_folder_without_nodules_leaves_no_bundle(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no training data"):
        train_bundle("nodule_ct_attributes", tmp_path, None, tmp_path / "work", tmp_path / "out", "cpu", str)
    assert not (tmp_path / "out").exists()
