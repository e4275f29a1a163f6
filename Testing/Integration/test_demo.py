"""The main job on the synthetic patient, through the command line: the figures that the README promises."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import SimpleITK as sitk

from LungNoduleCADLib.cli import main
from LungNoduleCADLib.domain.nodule import Saliency

Row = dict[str, Any]


@pytest.fixture(scope="module")
def rows(demo: Path) -> list[Row]:
    return json.loads((demo / "demo.json").read_text(encoding="utf-8"))


def test_every_nodule_of_both_scans_is_found(rows: list[Row]) -> None:
    assert len(rows) >= 12
    assert [row["true_id"] for row in rows if row["found_id"] is None] == []


def test_volumes_are_within_twenty_percent(rows: list[Row]) -> None:
    wrong = {
        (row["scan"], row["true_id"]): row["found_volume_mm3"] / row["true_volume_mm3"]
        for row in rows
        if abs(row["found_volume_mm3"] / row["true_volume_mm3"] - 1) > 0.20
    }
    assert not wrong


def test_doubling_times_are_within_fifteen_percent(rows: list[Row]) -> None:
    growing = [row for row in rows if row["true_vdt_days"] is not None]
    assert growing
    for row in growing:
        assert row["found_vdt_days"] == pytest.approx(row["true_vdt_days"], rel=0.15), row


def test_categories_are_those_of_the_true_sizes(rows: list[Row]) -> None:
    wrong = [row for row in rows if row["found_category"] != row["true_category"]]
    assert not wrong


def test_the_results_folder_is_whole(demo: Path) -> None:
    expected = {
        "findings.json",
        "report.pdf",
        "report.txt",
        "segmentation.seg.nrrd",
        "run.json",
        "saliency",
        "prior",
        "dicom",
        "ct.nrrd",
    }
    assert expected <= {path.name for path in demo.iterdir()}
    findings = json.loads((demo / "findings.json").read_text(encoding="utf-8"))
    changes = {match["change"] for match in findings["comparison"]["matches"]}
    assert {"new", "resolved", "growing", "stable"} <= changes
    for nodule in findings["nodules"]:
        estimate = nodule["malignancy"]
        if Saliency.score_is_low(estimate["probability"], estimate["encoder_probability"]):
            assert nodule["saliency"] is None
        else:
            assert (demo / nodule["saliency"]).is_file()


def test_earlier_results_can_be_compared_without_their_dicom(demo: Path, tmp_path: Path) -> None:
    again = tmp_path / "again"
    assert (
        main(["compare", str(demo / "prior"), str(demo), "-o", str(again), "--device", "cpu", "--progress", "none"])
        == 0
    )
    first, second = (json.loads((out / "findings.json").read_text(encoding="utf-8")) for out in (demo, again))
    assert [n["volume_mm3"] for n in first["nodules"]] == [n["volume_mm3"] for n in second["nodules"]]
    assert [n["saliency"] for n in first["nodules"]] == [n["saliency"] for n in second["nodules"]]
    pairs = [{(m["prior_id"], m["current_id"]) for m in f["comparison"]["matches"]} for f in (first, second)]
    assert pairs[0] == pairs[1]


def test_results_made_of_earlier_results_are_on_the_grid_of_the_whole_scan(demo: Path, tmp_path: Path) -> None:
    again = tmp_path / "again"
    arguments = ["compare", str(demo / "prior"), str(demo), "-o", str(again), "--device", "cpu", "--progress", "none"]
    assert main(arguments) == 0
    whole = json.loads((demo / "findings.json").read_text(encoding="utf-8"))
    findings = json.loads((again / "findings.json").read_text(encoding="utf-8"))
    assert findings["geometry"] == whole["geometry"]
    assert findings["prior"]["geometry"] == whole["prior"]["geometry"]
    assert [n["axes"] for n in findings["nodules"]] == [n["axes"] for n in whole["nodules"]]
    for place in ("", "prior"):
        layers = sitk.ReadImage(str(again / place / "segmentation.seg.nrrd"))
        before = sitk.ReadImage(str(demo / place / "segmentation.seg.nrrd"))
        assert layers.GetSize() == before.GetSize() == (*reversed(whole["geometry"]["shape_kji"]),)
        same = sitk.GetArrayFromImage(layers)[..., 1] == sitk.GetArrayFromImage(before)[..., 1]
        assert same.all()


def test_a_scan_compared_with_itself_has_not_changed(demo: Path, tmp_path: Path) -> None:
    prior, out = str(demo / "prior"), tmp_path / "out"

    assert main(["compare", prior, prior, "-o", str(out), "--device", "cpu", "--progress", "none"]) == 0

    comparison = json.loads((out / "findings.json").read_text(encoding="utf-8"))["comparison"]
    assert "same_series" in {flag["code"] for flag in comparison["flags"]}
    assert comparison["matches"]
    for match in comparison["matches"]:
        assert match["prior_id"] == match["current_id"]
        assert match["change"] == "stable"
        assert abs(match["volume_change_percent"]) <= 1
