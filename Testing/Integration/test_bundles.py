"""The bundles that are shipped: whole, and saying of themselves what their evaluation says."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

from LungNoduleCADLib.bundles.registry import list_bundles
from LungNoduleCADLib.bundles.spec import Bundle
from LungNoduleCADLib.training.verify import verify_bundle


@pytest.mark.parametrize("bundle", list_bundles(), ids=lambda bundle: bundle.name)
def test_every_bundle_is_whole(bundle: Bundle) -> None:
    assert verify_bundle(bundle) == []


def test_the_models_of_the_main_job_are_trained() -> None:
    trained = {bundle.name for bundle in list_bundles() if bundle.trained}
    assert {"nodule_ct_attributes", "nodule_ct_segmentation", "nodule_fusion"} <= trained


def test_cards_and_readme_say_what_the_evaluations_say(repository: Path) -> None:
    figures = runpy.run_path(str(repository / "Testing" / "update_figures.py"))
    assert figures["main"](["--check"]) == 0
