"""What goes wrong is said in one sentence, ends with its exit code, and leaves nothing behind."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from LungNoduleCADLib.cli import console, main
from LungNoduleCADLib.domain.ct import CtVolume

Said = Callable[..., tuple[int, str]]


@pytest.fixture
def said(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Said:
    """Runs a command that must fail: its exit code and the one sentence on stderr; nothing may have been written."""

    def run(*arguments: object) -> tuple[int, str]:
        before = sorted(tmp_path.rglob("*"))
        code = main([str(a) for a in arguments])
        out, err = capsys.readouterr()
        assert sorted(tmp_path.rglob("*")) == before
        assert out == ""
        assert err.endswith(".\n")
        assert err.count("\n") == 1
        assert "Traceback" not in err
        return code, err

    return run


@pytest.fixture
def empty(tmp_path: Path) -> Path:
    folder = tmp_path / "empty"
    folder.mkdir()
    return folder


@pytest.mark.parametrize("verb", ["analyse", "compare"])
def test_an_empty_folder_is_refused(said: Said, empty: Path, tmp_path: Path, verb: str) -> None:
    sources = [empty] if verb == "analyse" else [empty, empty]

    code, sentence = said(verb, *sources, "-o", tmp_path / "out")

    assert code == 3
    assert str(empty) in sentence


def test_a_folder_without_ct_is_refused(said: Said, empty: Path, tmp_path: Path) -> None:
    (empty / "letter.txt").write_text("dear colleague", encoding="utf-8")

    assert said("analyse", empty, "-o", tmp_path / "out")[0] == 3
    assert said("series", empty)[0] == 3


def test_a_text_file_is_no_ct(said: Said, empty: Path, tmp_path: Path) -> None:
    (empty / "letter.txt").write_text("dear colleague", encoding="utf-8")

    code, sentence = said("analyse", empty / "letter.txt", "-o", tmp_path / "out")

    assert code == 3
    assert "letter.txt" in sentence


@pytest.mark.parametrize("suffix", [".nii.gz", ".nrrd", ".mha"])
def test_a_corrupt_image_file_is_refused(said: Said, empty: Path, tmp_path: Path, suffix: str) -> None:
    file = empty / f"scan{suffix}"
    file.write_bytes(os.urandom(200))

    assert said("analyse", file, "-o", tmp_path / "out", "--date", "2024-03-01")[0] == 3


def test_a_path_that_does_not_exist_is_refused(said: Said, tmp_path: Path) -> None:
    for arguments in (
        ("analyse", tmp_path / "nowhere", "-o", tmp_path / "out"),
        ("analyse", tmp_path, "--prior", tmp_path / "nowhere", "-o", tmp_path / "out"),
        ("compare", tmp_path / "nowhere", tmp_path, "-o", tmp_path / "out"),
        ("series", tmp_path / "nowhere"),
        ("report", tmp_path / "nowhere"),
    ):
        code, sentence = said(*arguments)
        assert code == 3, arguments
        assert "nowhere" in sentence


def test_a_series_with_a_missing_slice_is_refused(
    said: Said, ct_of: Callable[..., CtVolume], empty: Path, tmp_path: Path
) -> None:
    from LungNoduleCADLib.phantom.dicom import write_dicom_series

    hu = np.full((16, 40, 48), -1000)
    hu[3:14, 10:34, 12:40] = 40
    write_dicom_series(ct_of(hu, (1.5, 6.0, 5.0)), empty / "scan")[7].unlink()

    code, sentence = said("analyse", empty, "-o", tmp_path / "out")

    assert code == 3
    assert "missing" in sentence


@pytest.mark.parametrize("deeper", ["", "new", "new/deeper"])
def test_a_read_only_place_for_results_is_refused_before_any_work(
    said: Said, empty: Path, tmp_path: Path, deeper: str
) -> None:
    locked = tmp_path / "locked"
    locked.mkdir()
    locked.chmod(0o555)
    try:
        code, sentence = said("analyse", empty, "-o", locked / deeper)
    finally:
        locked.chmod(0o755)

    assert code == 3
    assert "read-only" in sentence


def test_a_folder_with_other_files_is_not_overwritten(said: Said, empty: Path, tmp_path: Path) -> None:
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis/chapter.txt").write_text("...", encoding="utf-8")

    code, sentence = said("analyse", empty, "-o", tmp_path / "thesis")

    assert code == 3
    assert "holds other files" in sentence


@pytest.mark.parametrize(
    ("option", "words"),
    [
        (["--threshold", "1.5"], "probability from 0 to 1, got '1.5'"),
        (["--threshold", "often"], "probability from 0 to 1, got 'often'"),
        (["--threshold", "nan"], "probability from 0 to 1"),
        (["--at=1,2"], "three numbers L,P,S in mm, got '1,2'"),
        (["--at=1,2,x"], "three numbers L,P,S in mm"),
        (["--date", "1.3.2024"], "date YYYY-MM-DD, got '1.3.2024'"),
        (["--progress", "loud"], "invalid choice: 'loud'"),
        (["--colour"], "--colour"),
        (["--device", "cuda:99"], "use --device auto"),
    ],
)
def test_an_option_that_makes_no_sense_is_refused_with_what_was_expected(
    said: Said, empty: Path, tmp_path: Path, option: list[str], words: str
) -> None:
    code, sentence = said("analyse", empty, "-o", tmp_path / "out", *option)

    assert code == 2
    assert words in sentence


@pytest.mark.parametrize("arguments", [[], ["paint"], ["analyse"], ["compare", "a"], ["bundles", "burn"]])
def test_a_command_that_is_not_whole_is_refused(said: Said, arguments: list[str]) -> None:
    code, sentence = said(*arguments)

    assert code == 2
    assert "--help" in sentence


def test_programs_get_the_error_as_a_json_line_too(
    capsys: pytest.CaptureFixture[str], empty: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(console, "_is_pipe", lambda: False)

    code = main(["analyse", str(empty), "-o", str(tmp_path / "out"), "--progress", "jsonl"])

    out, err = capsys.readouterr()
    lines = [json.loads(line) for line in out.splitlines()]
    assert code == 3
    assert lines[-1] == {"error": err.strip(), "kind": "InputError"}
    assert lines[0]["stage"] == "load"
    assert not (tmp_path / "out").exists()


def test_the_process_ends_with_the_exit_code(tmp_path: Path, repository: Path) -> None:
    command = [sys.executable, "-m", "LungNoduleCADLib", "report", str(tmp_path / "nowhere")]

    done = subprocess.run(command, cwd=repository, capture_output=True, text=True, check=False)

    assert done.returncode == 3
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1


def test_a_registration_is_not_evaluated_without_landmarks(said: Said, tmp_path: Path) -> None:
    code, sentence = said("evaluate", "registration", "--fixed", tmp_path, "--moving", tmp_path, "-o", tmp_path / "f")

    assert code == 2
    assert "--fixed-points, --moving-points" in sentence


def test_a_model_is_not_evaluated_without_data(said: Said, tmp_path: Path) -> None:
    code, sentence = said("evaluate", "nodule_fusion", "-o", tmp_path / "figures.json")

    assert code == 2
    assert "--data" in sentence
