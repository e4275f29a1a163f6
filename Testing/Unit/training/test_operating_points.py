"""What each threshold gives, counted on the list, and where the figures go."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from LungNoduleCADLib.bundles.spec import Bundle
from LungNoduleCADLib.training import operating_points
from LungNoduleCADLib.training.card import figures_table
from LungNoduleCADLib.training.scans import Mark


def mark(left_mm: float, readers: int) -> Mark:
    return Mark("n", readers, (left_mm, 0.0, 0.0), 8.0, "solid")


SCANS = {
    "a": (4, (mark(0.0, 4), mark(50.0, 1)), [(1.0, 0, 0, 0.9), (50.0, 0, 0, 0.8), (90.0, 0, 0, 0.3)]),
    "b": (3, (mark(0.0, 3),), [(2.0, 0, 0, 0.2), (70.0, 0, 0, 0.6)]),
    "trained on": (0, (mark(0.0, 4),), [(0.0, 0, 0, 0.99)]),
    "not in the pack": (None, (), []),
}


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    files = {
        "configs/train.json": {"folds": {"train": [0, 1, 2], "validation": [3], "test": [4]}},
        "configs/inference.json": {"operating_threshold": 0.8},
        "docs/evaluation.json": {"bundle": "x"},
    }
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(json.dumps(content), encoding="utf-8")
    return Bundle(tmp_path)


@pytest.fixture
def measured(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> dict:
    monkeypatch.setattr(operating_points.Models, "load", lambda _: None)
    monkeypatch.setattr(operating_points, "scan_folds", lambda *_: {name: scan[0] for name, scan in SCANS.items()})
    monkeypatch.setattr(
        operating_points, "scan_folders", lambda _: {name: (Path(name), scan[1]) for name, scan in SCANS.items()}
    )
    monkeypatch.setattr(
        operating_points, "_listed", lambda folder, _: np.array(SCANS[folder.name][2], float).reshape(-1, 4)
    )
    return operating_points.measure_operating_points(bundle, None, Path(), "cpu", lambda _: None)


def at(measured: dict, threshold: float) -> tuple[float, float]:
    (point,) = (p for p in measured["points"] if p["threshold"] == threshold)
    return point["sensitivity"], point["false_positives_per_scan"]


def test_only_scans_that_were_not_trained_on_count_and_the_source_says_which(measured: dict) -> None:
    assert "3 LIDC-IDRI scans" in measured["source"]
    assert "test: a and not in the pack, validation: b" in measured["source"]
    assert "2 nodules of at least 3 readers" in measured["source"]


def test_marks_of_one_reader_count_neither_way(measured: dict) -> None:
    assert at(measured, 0.7) == (0.5, 0.0)
    assert at(measured, 0.5) == (0.5, round(1 / 3, 2))
    assert at(measured, 0.2) == (1.0, round(2 / 3, 2))
    assert at(measured, 0.95) == (0.0, 0.0)


def test_thresholds_ascend_from_the_lowest_that_the_list_knows(measured: dict) -> None:
    thresholds = [point["threshold"] for point in measured["points"]]
    assert (thresholds[0], thresholds[-1]) == (0.05, 0.95)
    assert thresholds == sorted(thresholds)


def test_the_figures_go_into_the_bundle_and_onto_its_card(bundle: Bundle, measured: dict) -> None:
    operating_points.keep_operating_points(bundle, measured)
    again = Bundle(bundle.path)
    assert again.inference == {"operating_threshold": 0.8, "operating_points": measured}
    evaluation = json.loads((bundle.path / "docs/evaluation.json").read_text(encoding="utf-8"))
    assert evaluation == {"bundle": "x", "operating_points": measured}
    whole = {
        **evaluation,
        "scans": [],
        "fold": 4,
        "nodules": 2,
        "patients": 2,
        "trained_on_folds": [0],
        "setting": "s",
        "interval": "i",
        "figures": {},
    }
    assert "| 0.20 | 1.00 | 0.7 |" in figures_table(whole)
    assert measured["source"] in figures_table(whole)
