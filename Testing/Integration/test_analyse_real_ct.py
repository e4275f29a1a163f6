"""``analyse`` on real chest CT, with the bundled models."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from math import dist
from pathlib import Path

import pytest
from pypdf import PdfReader

CLEAR_READERS = 3
FROM_MM = 6.0


@pytest.fixture(params=["lidc-0003", "lidc-0350"])
def analysed(
    request: pytest.FixtureRequest, analysed_scan: Callable[[str], Path], shared_data: Path
) -> tuple[str, Path, Path]:
    return request.param, analysed_scan(request.param), shared_data


def test_the_known_nodules_are_on_the_list(analysed: tuple[str, Path, Path]) -> None:
    series, out, shared_data = analysed
    nodules = json.loads((out / "findings.json").read_text(encoding="utf-8"))["nodules"]
    with (shared_data / "ct" / "nodules.csv").open(encoding="utf-8") as stream:
        marks = [
            row for row in csv.DictReader(stream) if row["series"] == series and int(row["n_readers"]) >= CLEAR_READERS
        ]
    missed = []
    for mark in marks:
        centre = tuple(float(mark[key]) for key in ("l_mm", "p_mm", "s_mm"))
        diameter = float(mark["eq_diameter_mm"])
        if diameter >= FROM_MM and not any(dist(centre, n["centroid_lps_mm"]) <= diameter / 2 for n in nodules):
            missed.append(mark["nodule_id"])
    assert not missed


def test_every_page_of_the_report_says_research_use_only(analysed: tuple[str, Path, Path]) -> None:
    pages = PdfReader(analysed[1] / "report.pdf").pages
    assert len(pages) >= 2
    assert all("Research use only" in page.extract_text() for page in pages)


def test_the_run_file_names_the_models_and_what_each_stage_cost(analysed: tuple[str, Path, Path]) -> None:
    run = json.loads((analysed[1] / "run.json").read_text(encoding="utf-8"))
    assert {"load", "lungs", "detect", "segment", "classify", "write"} <= {stage["stage"] for stage in run["stages"]}
    assert all(stage["seconds"] > 0 and stage["peak_memory_mb"] > 0 for stage in run["stages"])
    assert {"nodule_ct_attributes", "nodule_ct_segmentation"} <= {method["name"] for method in run["methods"]}
    assert run["peak_memory_mb"] < 6144
