"""Opening and analyzing with the real processes, in the stand-in for Slicer."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
LIMIT_S = 1800
HANDLER_MS = 500  # generous: what it takes on a quiet machine is in Testing/Benchmarks/panel_handlers.json


@pytest.mark.slow
def test_the_synthetic_patient_is_made_cancelled_analyzed_and_read_without_freezing(tmp_path: Path) -> None:
    command = [sys.executable, str(HERE / "run_in_host.py"), "--testing", "--no-splash"]
    command += ["--python-script", str(HERE / "real_open.py"), str(tmp_path)]

    run = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=LIMIT_S, check=False)

    assert run.returncode == 0, run.stdout + run.stderr
    measured = json.loads(re.search(r"^measured: (.*)$", run.stdout, re.MULTILINE).group(1))
    assert measured["cancelled after, s"] < 5.0
    clicks = {name: milliseconds for name, milliseconds in measured.items() if name.startswith("click")}
    assert len(clicks) >= 5
    assert {name: ms for name, ms in clicks.items() if ms >= HANDLER_MS} == {}


def test_the_panel_and_the_library_tell_patients_apart_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    """The panel does without pydicom and so makes the key of a patient itself."""
    import importlib.util
    from types import ModuleType

    from pydicom.dataset import Dataset

    from LungNoduleCADLib.dicom.describe import describe

    monkeypatch.setitem(sys.modules, "slicer", ModuleType("slicer"))
    file = HERE.parents[1] / "LungNoduleCAD" / "LungNoduleCADSlicer" / "ScanFacts.py"
    spec = importlib.util.spec_from_file_location("scan_facts", file)
    facts = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "scan_facts", facts)
    spec.loader.exec_module(facts)
    header = Dataset()
    header.PatientID = "Ärztin 17"

    class First:
        dataset, series_uid, thickness_mm = header, "1.2", None

    assert facts.patientKey("Ärztin 17") == describe(First()).patient_key
    assert facts.patientKey("") == ""
