"""A stand-in for the program: a script that answers with a mask of what is bright, and says how it was called."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from LungNoduleCADLib.backends.totalsegmentator import TotalSegmentatorBackend, fetch_weights
from LungNoduleCADLib.domain.ct import CtVolume
from LungNoduleCADLib.domain.masks import LungMask
from LungNoduleCADLib.errors import ModelError

Ball = tuple[CtVolume, LungMask]
PROGRAM = """
import json, os, sys
import SimpleITK as sitk
arguments, home = sys.argv[1:], os.environ["TOTALSEG_HOME_DIR"]
with open(home + "/called.json", "w") as file:
    json.dump({"arguments": arguments, "weights_path": os.environ.get("TOTALSEG_WEIGHTS_PATH")}, file)
if "FAIL" in os.environ:
    sys.exit("no luck with this scan")
ct = sitk.ReadImage(arguments[arguments.index("-i") + 1])
sitk.WriteImage(sitk.Cast(ct > -500, sitk.sitkUInt8) + 1, arguments[arguments.index("-o") + 1])
"""
DOWNLOADER = """
import os, pathlib, sys
folder = {"lung_nodules": "Dataset913_lung_nodules", "total_fast": "Dataset298_TotalSegmentator_total_6mm"}[sys.argv[2]]
(pathlib.Path(os.environ["TOTALSEG_HOME_DIR"]) / "nnunet/results" / folder).mkdir(parents=True)
"""


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder, alone on the PATH, where the two programs lie."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name, code in (("TotalSegmentator", PROGRAM), ("totalseg_download_weights", DOWNLOADER)):
        file = folder / name
        file.write_text(f"#!{sys.executable}\n{code}", encoding="utf-8")
        file.chmod(0o755)
    monkeypatch.setenv("PATH", str(folder))
    return folder


@pytest.fixture
def home(tmp_path: Path, programs: Path) -> Path:
    assert programs.is_dir()
    fetch_weights(tmp_path / "home")
    return tmp_path / "home"


def test_parts_of_its_mask_are_candidates_that_the_encoder_has_to_rate(
    home: Path, ball: Ball, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOTALSEG_WEIGHTS_PATH", "/elsewhere")
    backend = TotalSegmentatorBackend(home, "cuda:1")

    (found,) = backend(*ball)

    assert found.centre_lps_mm == pytest.approx((-6.0, 5.0, 3.0), abs=0.3)
    assert found.diameter_mm == pytest.approx(12.0, abs=0.5)
    assert found.probability is None
    assert backend.threshold is None
    called = json.loads((home / "called.json").read_text(encoding="utf-8"))
    assert called["arguments"][4:] == ["-ta", "lung_nodules", "--ml", "-d", "gpu:1", "-q"]
    assert called["weights_path"] is None


def test_outside_of_the_lungs_nothing_is_a_candidate(home: Path, ball: Ball) -> None:
    ct, lungs = ball

    assert TotalSegmentatorBackend(home, "cpu")(ct, replace(lungs, labels=np.zeros_like(lungs.labels))) == []


def test_its_usage_statistics_are_off(home: Path) -> None:
    settings = json.loads((home / "config.json").read_text(encoding="utf-8"))

    assert settings["send_usage_stats"] is False


def test_without_weights_it_is_not_run_since_it_would_download_them(programs: Path, tmp_path: Path) -> None:
    assert programs.is_dir()
    with pytest.raises(ModelError, match="bundles fetch totalsegmentator_lung_nodules"):
        TotalSegmentatorBackend(tmp_path / "nowhere", "cpu")

    assert not (tmp_path / "nowhere").exists()


def test_where_it_is_not_installed_the_way_to_get_it_is_said_and_nothing_is_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))

    for use in (lambda: TotalSegmentatorBackend(tmp_path, "cpu"), lambda: fetch_weights(tmp_path / "home")):
        with pytest.raises(ModelError, match=r"install it yourself.*pip install TotalSegmentator"):
            use()
    assert list(tmp_path.iterdir()) == []


def test_its_failure_is_said_in_its_own_words(home: Path, ball: Ball, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAIL", "1")

    with pytest.raises(ModelError, match="TotalSegmentator failed: got no luck with this scan"):
        TotalSegmentatorBackend(home, "cpu")(*ball)
