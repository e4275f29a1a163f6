"""Wording: who says what of the patient, and that the panel speaks as the report does."""

from __future__ import annotations

import importlib.util
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest

from LungNoduleCADLib.domain.clinical import ClinicalContext
from LungNoduleCADLib.domain.comparison import Change, Growth, NoduleMatch
from LungNoduleCADLib.report import words
from LungNoduleCADLib.report.findings_json import to_json

PANEL_WORDS = Path(__file__).resolve().parents[3] / "LungNoduleCAD" / "LungNoduleCADSlicer" / "GrowthWords.py"


@pytest.fixture
def panel_words(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The panel's wording, with texts as they are."""
    i18n = ModuleType("slicer.i18n")
    i18n.tr = lambda text: text
    slicer = ModuleType("slicer")
    slicer.i18n = i18n
    monkeypatch.setitem(sys.modules, "slicer", slicer)
    monkeypatch.setitem(sys.modules, "slicer.i18n", i18n)
    spec = importlib.util.spec_from_file_location("growth_words", PANEL_WORDS)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_what_the_clinician_said_of_the_patient_stands_before_the_header(make_findings):
    findings = make_findings(1)
    header = replace(findings.series, age_years=62.0, sex="F")
    said = replace(findings, series=header, clinical=ClinicalContext(age_years=66.0))
    assert words.patient(said) == "66 years, F"
    assert words.patient(replace(said, clinical=None)) == "62 years, F"
    unknown = replace(said, series=replace(header, age_years=None, sex=None), clinical=None)
    assert words.patient(unknown) == "age unknown, sex unknown"


@pytest.mark.parametrize(
    ("days", "interval"),
    [
        (None, None),
        (266.6, (200.0, 399.6)),
        (266.6, None),
        (-120.0, (-300.0, -80.0)),
        (17076.2, (849.6, None)),
        (17076.2, (None, None)),
    ],
)
@pytest.mark.parametrize("interval_days", [270, None])
def test_the_panel_tells_growth_in_the_words_of_the_report(panel_words, days, interval, interval_days):
    growth = Growth(interval_days, 101.8, (59.7, 154.9), 2.4, days, interval)
    match = NoduleMatch("N4", "N2", Change.GROWN, 1.4, growth)
    row = {"prior_id": "N4", "current_id": "N2", "change": "grown", **vars(growth)}
    assert panel_words.doublingTime(row) == words.doubling_time(growth)
    assert panel_words.growth(row) == words.growth(match)


@pytest.mark.parametrize(("prior", "change"), [(None, Change.NEW), ("N7", Change.GONE)])
def test_the_panel_tells_a_nodule_of_one_ct_in_the_words_of_the_report(panel_words, prior, change):
    row = {"prior_id": prior, "change": change.value, "volume_change_percent": None}
    assert panel_words.growth(row) == words.growth(NoduleMatch(prior, None if prior else "N1", change))


def test_the_panel_counts_changes_as_the_report_does(panel_words, make_findings):
    findings = make_findings(3, prior=True)
    counts = words.counts(findings)
    assert counts
    summary = panel_words.summary(to_json(findings))
    assert summary.endswith(f": {counts}.")
    assert findings.prior.series.study_date.isoformat() in summary
