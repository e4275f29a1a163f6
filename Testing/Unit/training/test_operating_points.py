"""What each threshold gives, counted on the list, and where the figures go."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from LungNoduleCADLib.bundles.spec import Bundle
from LungNoduleCADLib.training import operating_points
from LungNoduleCADLib.training.card import figures_table
from LungNoduleCADLib.training.data import NO_FOLD, Mark


def mark(left_mm: float, readers: int) -> Mark:
    return Mark("n", readers, (left_mm, 0.0, 0.0), 8.0, "solid")


SCANS = {
    "a": (4, (mark(0.0, 4), mark(50.0, 1)), [(1.0, 0, 0, 0.9), (50.0, 0, 0, 0.8), (90.0, 0, 0, 0.3)]),
    "b": (3, (mark(0.0, 3),), [(2.0, 0, 0, 0.2), (70.0, 0, 0, 0.6)]),
    "not in the pack": (None, (), []),
}


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    files = {
        "configs/train.json": {"folds": {"cross_fitted": [0, 1, 2, 3], "test": [4], "unknown_patients": 0}},
        "configs/inference.json": {"operating_threshold": 0.8},
        "docs/evaluation.json": {"bundle": "x"},
    }
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(json.dumps(content), encoding="utf-8")
    return Bundle(tmp_path)


@pytest.fixture
def measured(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> dict:
    monkeypatch.setattr(operating_points.Models, "load", lambda _, unseen_fold: unseen_fold)
    monkeypatch.setattr(operating_points, "_listed", lambda scan, fold: seen(scan.name, fold))
    return operating_points.measure_operating_points(bundle, Scans(), "cpu", lambda _: None)


class Scans:
    """Marked scans of three patients, pixels apart."""

    def patient_folds(self) -> dict[str, int]:
        return {name: fold for name, (fold, _, _) in SCANS.items() if fold is not None}

    def marked_scans(self, folds: set[int]) -> Iterator[SimpleNamespace]:
        for name, (fold, marks, _) in SCANS.items():
            number = NO_FOLD if fold is None else fold
            if number in folds:
                yield SimpleNamespace(name=name, fold=number, marks=marks)


def seen(name: str, unseen_fold: int) -> np.ndarray:
    """Networks that saw the patient would find everything."""
    fold, marks, listed = SCANS[name]
    right = unseen_fold == (0 if fold is None else fold)
    return np.array(listed if right else [(*m.centre_lps_mm, 1.0) for m in marks], float).reshape(-1, 4)


def at(measured: dict, threshold: float) -> tuple[float, float]:
    (point,) = (p for p in measured["points"] if p["threshold"] == threshold)
    return point["sensitivity"], point["false_positives_per_scan"]


def test_each_scan_is_read_by_networks_that_never_saw_it_and_the_source_says_so(measured: dict) -> None:
    assert at(measured, 0.95)[0] == 0.0
    assert "3 LIDC-IDRI scans, each read by networks that were trained without it" in measured["source"]
    assert "2 nodules of at least 3 readers" in measured["source"]


def test_marks_of_one_reader_count_neither_way(measured: dict) -> None:
    assert at(measured, 0.7) == (0.5, 0.0)
    assert at(measured, 0.5) == (0.5, round(1 / 3, 2))
    assert at(measured, 0.2) == (1.0, round(2 / 3, 2))
    assert at(measured, 0.95) == (0.0, 0.0)


def test_thresholds_ascend_from_the_lowest_that_the_list_knows(measured: dict) -> None:
    thresholds = [point["threshold"] for point in measured["points"]]
    assert (thresholds[0], thresholds[-1]) == (0.05, 0.99)
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
