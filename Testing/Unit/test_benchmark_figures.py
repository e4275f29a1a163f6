"""Benchmarks' JSON to text and pictures, and what of a measurement counts, on made-up figures."""

from __future__ import annotations

import json
import re
import runpy
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

COST = {"runs": 5, "median_seconds": 20.0, "slowest_seconds": 22.0, "median_cpu_seconds": 36.0, "peak_gigabytes": 1.25}
ANALYSIS = {**COST, "budget_seconds": 45, "budget_gigabytes": 3, "holds": True, "result_megabytes": 30.0}
SIZES = [
    {"slices": slices, "lungs_ml": ml, **{k: COST[k] for k in ("median_seconds", "peak_gigabytes")},
     "median_cpu_seconds": cpu}
    for slices, ml, cpu in ((70, 1000, 10.0), (140, 2000, 14.0), (280, 2500, 22.0))
]  # fmt: skip
MACHINE = {"cpu": "Made-up 1", "cpu_count": 2, "load_average": 0.1}
JSON: dict[str, dict[str, Any]] = {
    "budgets": {
        **MACHINE,
        "device": "cpu",
        "slices": {"usual": 140},
        "budgets": {
            "analyse, usual slices": ANALYSIS,
            "cost by size": {"rows": SIZES, "cpu_seconds_per_100_slices": 5.71, "growth": 1.0, "holds": True},
            "panel edits": {
                "budget_seconds": 0.5,
                "edits": {"type": {"median_seconds": 0.12, "slowest_seconds": 0.2}},
                "edits_in_the_first_seconds": {
                    "threshold, models still loading": {"median_seconds": 4.5, "slowest_seconds": 5.0}
                },
                "holds": True,
            },
        },
    },
    "throughput": {
        **MACHINE, "scans": 5, "slices": [133, 270], "workers": 2, "seconds": 90.0, "cpu_seconds": 170.0,
        "peak_gigabytes": 3.0, "megabytes_of_a_result": 40.0, "scans_a_core_and_hour": 100.0,
    },
    "bench_peers": {
        **MACHINE,
        "rows": [
            {"task": "lungs", "method": method, "slices": n, "seconds": seconds * n, "cpu_seconds": seconds * n}
            for method, seconds in (("LungNoduleCAD", 0.05), ("other", 0.5))
            for n in (70, 140)
        ],
        "ratios": [{"task": "lungs", "peer": "other", "slices": n, "times_as_long": 10.0} for n in (70, 140)],
        "what": {"other": "its network alone"},
        "not_measured": {"RetinaNet": "needs torchvision"},
    },
    "engines": {
        **MACHINE, "threads": 2, "not_measured": {},
        "rows": [{"network": "encoder", "engine": engine, "milliseconds": ms} for engine, ms in (("A", 9), ("B", 8))],
    },
}  # fmt: skip


@pytest.fixture
def figures(repository: Path) -> dict[str, Any]:
    return runpy.run_path(str(repository / "Testing" / "cohort_figures.py"))


@pytest.fixture
def benchmarks(tmp_path: Path) -> Path:
    for name, content in JSON.items():
        (tmp_path / f"{name}.json").write_text(json.dumps(content), encoding="utf-8")
    return tmp_path


@pytest.fixture
def budgets(repository: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(repository / "Testing" / "Benchmarks"))
    return import_module("budgets")


def test_every_measured_figure_stands_in_the_text(figures: dict[str, Any], benchmarks: Path) -> None:
    text = figures["cohort_figures"](benchmarks)
    for part in (
        "| analyse, usual slices (140) | 5 | 20.00 (22.00) | 45 | 36.0 | 1.25 | 3 |",
        "type 0.12 s",
        "threshold, models still loading 4.50 s",
        "| 280 | 2.50 | 20.0 | 22.0 | 1.25 |",
        "| lungs | other | 35.0 (10 ×) | 70.0 (10 ×) |",
        "- other: its network alone",
        "RetinaNet (needs torchvision)",
        "| encoder | 9 | 8 |",
    ):
        assert part in text


def test_the_plan_follows_from_the_batch(figures: dict[str, Any], benchmarks: Path) -> None:
    """100 scans a core and hour: 1000 core-hours, 15.6 hours on 64 cores; 1.5 GB a worker, 40 MB a scan."""
    text = figures["cohort_figures"](benchmarks)
    assert "| like those of the batch | 100 | 1,000 | 0.7 | 96 | 4.0 |" in text
    assert "| of 140 slices, by processor time alone | 100 | 1,000 | 0.7 | 80 | 3.0 |" in text


@pytest.mark.parametrize(("milliseconds", "said"), [(8, "A stays"), (6, "change to B, at least 1.50 times")])
def test_an_engine_that_wins_clearly_is_named(
    figures: dict[str, Any], benchmarks: Path, milliseconds: float, said: str
) -> None:
    measured = json.loads(json.dumps(JSON["engines"]))
    measured["rows"][1]["milliseconds"] = milliseconds
    (benchmarks / "engines.json").write_text(json.dumps(measured), encoding="utf-8")
    assert said in figures["cohort_figures"](benchmarks)


def test_what_was_not_measured_is_said(figures: dict[str, Any], tmp_path: Path) -> None:
    text = figures["cohort_figures"](tmp_path)
    assert text.count("Not measured yet") == len(figures["BENCHMARKS"])
    assert figures["draw_pictures"](tmp_path) == []


def test_each_picture_of_the_text_is_drawn_alike_every_time(figures: dict[str, Any], benchmarks: Path) -> None:
    shown = set(re.findall(r"\(../Testing/Benchmarks/(.+?)\)", figures["cohort_figures"](benchmarks)))
    drawn = {file.name: file.read_bytes() for file in figures["draw_pictures"](benchmarks)}
    assert set(drawn) == shown
    assert all(b"</svg>" in content for content in drawn.values())
    assert {file.name: file.read_bytes() for file in figures["draw_pictures"](benchmarks)} == drawn


def test_cost_that_grows_with_the_square_of_the_scan_is_not_linear(budgets: ModuleType) -> None:
    rows = [{"slices": 100 * size, "median_cpu_seconds": 5 + size**2} for size in (1, 2, 4)]
    assert budgets.growth(rows)["growth"] == 2.0 > budgets.LINEAR_WITHIN
    assert budgets.growth(SIZES) == {"cpu_seconds_per_100_slices": 5.71, "growth": 1.0}


def test_edits_are_judged_when_all_is_ready_and_shown_before(budgets: ModuleType) -> None:
    measured = budgets.edits(
        {
            "threshold, models still loading": [(4.0, 4.0)],
            "threshold lowered to 0.5 at once": [(6.0, 9.0)],
            "threshold lowered to 0.3 later": [(0.3, 0.5)],
            "outline": [(0.4, 0.7), (0.5, 0.7)],
            "export": [(9.0, 9.0)],
        }
    )
    assert measured["holds"]
    assert set(measured["edits"]) == {"threshold lowered to 0.3 later", "outline"}
    assert measured["edits_in_the_first_seconds"]["threshold lowered to 0.5 at once"]["median_seconds"] == 6.0
    assert not budgets.edits({"type": [(0.6, 0.6)]})["holds"]
