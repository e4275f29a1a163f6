"""``phantom`` writes one patient twice, whole or not at all, and writes nothing that is already there."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import pydicom
import pytest

from LungNoduleCADLib.cli import console, main, phantom
from LungNoduleCADLib.dicom.load import load_ct
from LungNoduleCADLib.phantom import thorax

SLICES = 44
make_phantom = thorax.make_phantom


@cache
def coarse(seed: int, follow_up: bool, interval_days: int) -> thorax.Phantom:
    return make_phantom(
        seed, follow_up, interval_days=interval_days, shape_kji=(SLICES, 53, 53), spacing_kji_mm=(5.0, 6.0, 6.0)
    )


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Coarse scans instead of the slow ones; the seed of each that was asked for."""
    seeds: list[int] = []

    def make(seed: int, follow_up: bool, *, interval_days: int) -> thorax.Phantom:
        seeds.append(seed)
        return coarse(seed, follow_up, interval_days)

    monkeypatch.setattr(thorax, "make_phantom", make)
    return seeds


@pytest.fixture
def written(tmp_path: Path, made: list[int]) -> Path:
    out = tmp_path / "scans"
    assert main(["phantom", "-o", str(out), "--seed", "3", "--progress", "none"]) == 0
    assert made == [3, 3]
    return out


def again(out: Path, seed: int = 3) -> int:
    return main(["phantom", "-o", str(out), "--seed", str(seed), "--progress", "none"])


def test_both_scans_are_of_one_patient_270_days_apart(written: Path) -> None:
    before, after = (load_ct(written / scan).series for scan in ("baseline", "follow-up"))

    assert before.patient_key == after.patient_key != ""
    assert before.study_uid != after.study_uid
    assert (after.study_date - before.study_date).days == 270
    assert (before.description, after.description) == ("Synthetic thorax baseline", "Synthetic thorax follow up")


def test_the_headers_hold_what_a_readers_form_asks_for(written: Path) -> None:
    for scan, day in (("baseline", "20240115"), ("follow-up", "20241011")):
        headers = [pydicom.dcmread(file, stop_before_pixels=True) for file in (written / scan).iterdir()]

        said = {(h.PatientID, h.PatientAge, h.PatientSex, h.StudyDate, h.StudyDescription) for h in headers}
        assert said == {("PHANTOM-3", "062Y", "F", day, "CT chest, synthetic")}


def test_the_truth_lies_beside_the_scans(written: Path) -> None:
    truth = json.loads((written / "phantom.json").read_text(encoding="utf-8"))["truth"]

    grown = [[n for n in truth[scan] if n["change"] == "growing"] for scan in ("baseline", "follow-up")]
    assert len(grown[0]) == len(grown[1]) == 1
    assert grown[1][0]["volume_mm3"] == pytest.approx(2 * grown[0][0]["volume_mm3"], rel=0.1)
    assert grown[1][0]["vdt_days"] == pytest.approx(270)


def test_a_second_call_finds_the_scans_there_and_makes_none(written: Path, made: list[int]) -> None:
    before = {file: file.stat().st_mtime_ns for file in written.rglob("*")}

    assert again(written) == 0

    assert len(made) == 2
    assert {file: file.stat().st_mtime_ns for file in written.rglob("*")} == before


@pytest.mark.parametrize("damage", ["missing", "altered", "extra", "marker", "version"])
def test_scans_that_are_not_whole_are_made_again(
    written: Path, made: list[int], monkeypatch: pytest.MonkeyPatch, damage: str
) -> None:
    file = written / "baseline" / "0007.dcm"
    whole = file.read_bytes()
    if damage == "missing":
        file.unlink()
    elif damage == "altered":
        file.write_bytes(whole[:-1] + b"x")
    elif damage == "extra":
        (written / "baseline" / "0099.dcm").write_bytes(whole)
    elif damage == "marker":
        (written / "phantom.json").write_text("[]", encoding="utf-8")
    else:
        monkeypatch.setattr(phantom, "__version__", "99")

    assert again(written) == 0

    assert len(made) == 4
    assert file.read_bytes() == whole
    assert len(list((written / "baseline").iterdir())) == SLICES


def test_another_seed_takes_the_place_of_the_first(written: Path, made: list[int]) -> None:
    assert again(written, seed=4) == 0

    assert made == [3, 3, 4, 4]
    assert pydicom.dcmread(written / "baseline" / "0001.dcm", stop_before_pixels=True).PatientID == "PHANTOM-4"


def test_a_folder_with_other_files_is_not_touched(written: Path, made: list[int]) -> None:
    (written / "thesis.txt").write_text("...", encoding="utf-8")

    assert again(written, seed=4) == 3

    assert made == [3, 3]
    assert (written / "thesis.txt").is_file()


@pytest.mark.usefixtures("made")
def test_a_run_that_is_cancelled_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = phantom.write_scans

    def cancelled(*arguments: Any) -> None:
        write(*arguments)
        raise KeyboardInterrupt

    monkeypatch.setattr(phantom, "write_scans", cancelled)

    assert again(tmp_path / "new" / "scans") == 130
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("made")
def test_programs_are_told_each_stage_and_where_the_scans_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(console, "_is_pipe", lambda: False)

    assert main(["phantom", "-o", str(tmp_path / "scans"), "--seed", "3", "--progress", "jsonl"]) == 0

    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["stage"] for line in lines[:-1]] == ["baseline"] * 2 + ["follow-up"] * 2 + ["write"] * 2
    assert [line["fraction"] for line in lines[:-1]] == sorted(line["fraction"] for line in lines[:-1])
    assert lines[-2]["fraction"] == 1.0
    assert lines[-1] == {"result": str(tmp_path / "scans")}


@pytest.mark.parametrize("seed", ["-1", "one", "1.5"])
def test_a_seed_that_is_no_whole_number_is_refused(
    tmp_path: Path, made: list[int], capsys: pytest.CaptureFixture[str], seed: str
) -> None:
    assert main(["phantom", "-o", str(tmp_path / "scans"), f"--seed={seed}"]) == 2
    assert "whole number" in capsys.readouterr().err
    assert not made
