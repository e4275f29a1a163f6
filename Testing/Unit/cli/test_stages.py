from __future__ import annotations

from pathlib import Path

import pytest

from LungNoduleCADLib.cli.work import _stages
from LungNoduleCADLib.pipeline import ANALYSIS_STAGES, COMPARISON_STAGES


@pytest.fixture
def earlier(tmp_path: Path) -> Path:
    folder = tmp_path / "earlier"
    folder.mkdir()
    for name in ("findings.json", "run.json"):
        (folder / name).write_text("{}", encoding="utf-8")
    return folder


def names(*stages: list[tuple[str, float]]) -> list[str]:
    return [name for part in stages for name, _ in part]


def test_one_scan_is_read_analysed_and_written(tmp_path: Path) -> None:
    assert names(_stages(tmp_path, None)) == ["load", *names(ANALYSIS_STAGES), "write"]


def test_two_scans_are_both_read_first_and_then_analysed_and_compared(tmp_path: Path) -> None:
    wanted = ["load", "load", *names(ANALYSIS_STAGES, ANALYSIS_STAGES, COMPARISON_STAGES), "write"]

    assert names(_stages(tmp_path, tmp_path)) == wanted


def test_earlier_results_are_not_analysed_again(tmp_path: Path, earlier: Path) -> None:
    wanted = ["load", "load", *names(ANALYSIS_STAGES, COMPARISON_STAGES), "write"]

    assert names(_stages(tmp_path, earlier)) == wanted
    assert names(_stages(earlier, earlier)) == ["load", "load", *names(COMPARISON_STAGES), "write"]
