"""The report and the scene with the real process on the synthetic patient, in the stand-in for Slicer."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pydicom
import pytest

HANDLER_MS = 500  # generous: what it takes on a quiet machine is in Testing/Benchmarks/panel_handlers.json
DICOM = {"measurements.dcm": "SR", "report.dcm": "DOC", "segmentation.dcm": "SEG"}


@pytest.fixture(scope="module")
def work(demo: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``results`` of a comparison of the two synthetic scans, and ``dicom``, the later one."""
    folder = tmp_path_factory.mktemp("report")
    shutil.copytree(demo, folder / "results", ignore=shutil.ignore_patterns("dicom"))
    shutil.copytree(demo / "dicom" / "follow-up", folder / "dicom")
    return folder


@pytest.fixture(scope="module")
def seen(in_host, work: Path) -> dict[str, Any]:
    run = in_host(str(work), script="real_report.py")
    assert run.returncode == 0, run.stdout + run.stderr
    return json.loads(re.search(r"^RESULT (.*)$", run.stdout, re.MULTILINE).group(1))


@pytest.mark.slow
def test_nothing_went_wrong(seen: dict[str, Any]) -> None:
    assert seen["errors"] == []


@pytest.mark.slow
def test_another_significant_finding_changes_the_exam(seen: dict[str, Any]) -> None:
    assert re.match(r"Lung-RADS [1-4][ABX]?:", seen["before"])
    assert seen["after_s"] == seen["before"].replace(":", "S:", 1)


@pytest.mark.slow
def test_every_page_of_the_report_is_shown(seen: dict[str, Any]) -> None:
    pages = seen["pages"]
    assert pages["count"] > 2
    assert pages["shown"] == f"{pages['count']} of {pages['count']}"
    assert pages["width"] > 400


@pytest.mark.slow
@pytest.mark.parametrize(("key", "folder"), [("exported", "exported"), ("exported_restored", "exported-restored")])
def test_the_export_holds_report_findings_and_dicom(seen: dict[str, Any], work: Path, key: str, folder: str) -> None:
    pictures = {name for name in seen[key] if name.startswith("key_image-")}
    assert pictures
    assert set(seen[key]) - pictures == {"findings.json", "report.pdf", "report.txt", *DICOM}
    assert {name: pydicom.dcmread(work / folder / name).Modality for name in DICOM} == DICOM


@pytest.mark.slow
def test_slicers_database_holds_the_dicom_objects(seen: dict[str, Any]) -> None:
    assert seen["database"] == sorted([*DICOM.values(), "OT"])


@pytest.mark.slow
def test_a_loaded_scene_is_corrected_with_and_without_its_folder(seen: dict[str, Any]) -> None:
    assert seen["loaded"] == seen["restored"] == "accepted"
    assert seen["volumes_restored"] == seen["volumes"]
    assert len(seen["added"]) == 1
    assert seen["pages_restored"]["count"] >= seen["pages"]["count"]


@pytest.mark.slow
def test_handlers_return_at_once(seen: dict[str, Any]) -> None:
    once = ("open", "write a lost results folder again")
    measured = {name: max(values) for name, values in seen["milliseconds"].items() if name not in once}
    assert len(measured) >= 5
    assert {name: value for name, value in measured.items() if value >= HANDLER_MS} == {}
