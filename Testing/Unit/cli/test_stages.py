from __future__ import annotations

from datetime import date
from pathlib import Path

import numpy as np
import pytest

from LungNoduleCADLib.cli import build_parser, main
from LungNoduleCADLib.cli.work import _in_order, _stages
from LungNoduleCADLib.domain.ct import CtVolume
from LungNoduleCADLib.domain.geometry import Geometry
from LungNoduleCADLib.domain.study import SeriesDescription
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
    assert names(_stages(tmp_path, [])) == ["load", *names(ANALYSIS_STAGES), "write"]


def test_two_scans_are_both_read_first_and_then_analysed_and_compared(tmp_path: Path) -> None:
    wanted = ["load", "load", *names(ANALYSIS_STAGES, ANALYSIS_STAGES, COMPARISON_STAGES), "write"]

    assert names(_stages(tmp_path, [tmp_path])) == wanted


def test_earlier_results_are_not_analysed_again(tmp_path: Path, earlier: Path) -> None:
    wanted = ["load", "load", *names(ANALYSIS_STAGES, COMPARISON_STAGES), "write"]

    assert names(_stages(tmp_path, [earlier])) == wanted
    assert names(_stages(earlier, [earlier])) == ["load", "load", *names(COMPARISON_STAGES), "write"]


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


def test_each_prior_scan_is_analysed_and_compared(tmp_path: Path, earlier: Path) -> None:
    wanted = ["load"] * 4 + names(*[ANALYSIS_STAGES] * 3, *[COMPARISON_STAGES] * 3) + ["write"]

    assert names(_stages(tmp_path, [tmp_path, earlier, tmp_path])) == wanted


def scan(day: date | None, patient: str = "abc") -> CtVolume:
    series = SeriesDescription(f"uid {day}", patient_key=patient, study_date=day)
    return CtVolume(np.zeros((2, 2, 2), np.int16), Geometry((2, 2, 2), (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)), series)


def test_prior_scans_are_taken_in_the_order_of_their_dates() -> None:
    days = [date(2022, 1, 1), date(2020, 1, 1), date(2021, 1, 1)]

    ordered = _in_order([scan(day) for day in days], scan(date(2023, 1, 1)))

    assert [exam.series.study_date for exam in ordered] == sorted(days)


@pytest.mark.parametrize(
    ("priors", "words"),
    [
        ([scan(date(2024, 1, 1))], "later than the current"),
        ([scan(date(2022, 1, 1), "xyz")], "different patients"),
        ([scan(date(2022, 1, 1)), scan(date(2022, 1, 1))], "given twice"),
        ([scan(date(2022, 1, 1)), scan(None)], "put in order"),
    ],
)
def test_what_cannot_be_compared_is_refused_before_anything_is_analysed(priors: list[CtVolume], words: str) -> None:
    with pytest.raises(InputError, match=words):
        _in_order(priors, scan(date(2023, 1, 1)))


def test_several_priors_are_told_from_the_current_scan_on_the_command_line(tmp_path: Path) -> None:
    arguments = build_parser().parse_args(["compare", "a", "b", "c", "-o", str(tmp_path)])

    assert [str(path) for path in arguments.priors] == ["a", "b"]
    assert str(arguments.current) == "c"
