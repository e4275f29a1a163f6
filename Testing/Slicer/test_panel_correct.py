"""Every correction by the panel's own widgets with the real process on the synthetic patient, in the host."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def seen(in_host, demo: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    results = shutil.copytree(demo, tmp_path_factory.mktemp("correct") / "results")
    run = in_host(str(results), script="real_correct.py")
    assert run.returncode == 0, run.stdout + run.stderr
    return json.loads(re.search(r"^RESULT (.*)$", run.stdout, re.MULTILINE).group(1))


def test_nothing_went_wrong(seen: dict[str, Any]) -> None:
    assert seen["errors"] == []


def test_the_panel_is_free_while_the_process_works(seen: dict[str, Any]) -> None:
    """How long it is busy itself, and how soon an answer is there, is measured by ``Testing/Benchmarks``."""
    assert len(seen["free"]) > 8
    assert [name for name, was_free in seen["free"].items() if not was_free] == []


def test_a_rejected_nodule_no_longer_decides_the_exam(seen: dict[str, Any]) -> None:
    assert seen["review"]["marks"] == ["accepted", "rejected"]
    assert seen["review"]["went_on"]
    first, after, again = seen["review"]["exam"]
    assert first == again
    assert after != first


def test_lung_rads_follows_a_changed_type(seen: dict[str, Any]) -> None:
    before, after = seen["type"]["before"], seen["type"]["after"]
    assert (before["type"], after["type"]) == ("solid", "ground-glass")
    assert after["lung_rads"] != before["lung_rads"]


def test_what_a_reader_states_of_a_nodule_gives_its_category_rule_and_management(seen: dict[str, Any]) -> None:
    before, airway, after = seen["facts"]["told"]
    assert "airway-" in airway
    assert "Lung-RADS 4" in airway
    assert "months" in airway or "Refer" in airway
    assert "airway-" not in before + after
    assert seen["facts"]["stated"] == "none"


def test_volume_and_malignancy_follow_a_redrawn_outline(seen: dict[str, Any]) -> None:
    before, first, second = (seen["outline"][key] for key in ("before", "first", "second"))
    assert first["volume_mm3"] == pytest.approx(0.75 * before["volume_mm3"], rel=0.05)
    assert second["volume_mm3"] == pytest.approx(0.75 * first["volume_mm3"], rel=0.05)
    assert first["malignancy"] != before["malignancy"]


def test_a_missed_nodule_is_outlined_and_characterized_by_one_click(seen: dict[str, Any]) -> None:
    found = seen["deleteAndAdd"]
    assert found["gone"]
    assert found["added"] == [found["chosen"]]
    assert found["volumes"][1] == pytest.approx(found["volumes"][0], rel=0.1)
    assert found["voxels"] > 0
    assert found["malignancy"] is not None
    assert found["lung_rads"] is not None
    assert found["heat"] is not found["score_is_low"]


def test_a_higher_threshold_takes_nodules_away_and_the_former_brings_them_back(seen: dict[str, Any]) -> None:
    before, high, low, again = seen["threshold"]["counts"]
    assert high < before
    assert low >= again == before
    assert seen["threshold"]["segments"] == again + 2
    assert "Threshold 0.95" in seen["threshold"]["text"]


def test_what_is_impossible_is_refused_in_a_sentence_and_changes_nothing(seen: dict[str, Any]) -> None:
    assert "outside of the scan" in seen["refused"]["told"][0]
    assert seen["refused"]["unchanged"]


def test_every_change_is_on_the_audit_list(seen: dict[str, Any]) -> None:
    actions = [text.partition(" ")[2] if text[0] == "N" else text for text in reversed(seen["audit"])]
    assert actions[-13:] == [
        "accepted",
        "rejected",
        "review taken back",
        "type changed",
        *["facts stated"] * 2,
        *["outline redrawn"] * 2,
        "deleted",
        "added",
        *["operating point"] * 3,
    ]
