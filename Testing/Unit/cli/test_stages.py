from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from LungNoduleCADLib.cli import main
from LungNoduleCADLib.cli.work import _stages
from LungNoduleCADLib.errors import InputError
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


def test_image_files_get_the_dates_that_were_given_for_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read = []

    def stop_after_both(source: Path, _progress: object, study_date: date | None) -> None:
        read.append((source.name, study_date))
        if len(read) == 2:
            raise InputError("enough")

    monkeypatch.setattr("LungNoduleCADLib.cli.work._read", stop_after_both)
    scans = [tmp_path / "scan.nrrd", tmp_path / "prior.nrrd"]
    for scan in scans:
        scan.touch()
    command = ["analyse", str(scans[0]), "-o", str(tmp_path / "out"), "--prior", str(scans[1]), "--progress", "none"]

    assert main([*command, "--date", "2020-01-31", "--prior-date", "2019-07-31"]) == 3

    assert read == [("scan.nrrd", date(2020, 1, 31)), ("prior.nrrd", date(2019, 7, 31))]
