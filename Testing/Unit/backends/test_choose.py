from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from LungNoduleCADLib.backends.choose import open_detector, open_segmenter
from LungNoduleCADLib.backends.monai_bundle import SegmentationBundle
from LungNoduleCADLib.backends.remote import BACKENDS_FOLDER_VARIABLE
from LungNoduleCADLib.errors import ModelError, UsageError

MakeBundle = Callable[..., Path]


def test_a_bundle_is_found_by_its_folder_and_where_fetched_ones_lie(
    bundle: MakeBundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = bundle(name="mine")
    monkeypatch.setenv(BACKENDS_FOLDER_VARIABLE, str(folder.parent))

    for name in (str(folder), "mine"):
        for opened in (open_detector(name, "cpu"), open_segmenter(name, "cpu")):
            assert isinstance(opened, SegmentationBundle)
            assert opened.method.name == "mine"


def test_an_unknown_name_is_refused_with_what_is_there(bundle: MakeBundle, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(BACKENDS_FOLDER_VARIABLE, str(bundle(name="mine").parent))

    with pytest.raises(UsageError, match=r"the folder of a MONAI bundle or mine, got yours.*bundles list --remote"):
        open_detector("yours", "cpu")


def test_code_is_allowed_by_the_flag_only(bundle: MakeBundle) -> None:
    folder = bundle(lambda inference: inference["network_def"].update(out_channels="$1 + 1"))

    with pytest.raises(ModelError, match="--allow-bundle-code"):
        open_detector(str(folder), "cpu")
    with pytest.raises(ModelError, match="--allow-bundle-code"):
        open_segmenter(str(folder), "cpu")
    assert open_detector(str(folder), "cpu", allow_code=True).method.name == "elsewhere"
