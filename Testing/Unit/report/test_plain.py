"""``report.txt``: what the PDF says, for a system that takes only text."""

from __future__ import annotations

from dataclasses import replace

import pytest

from LungNoduleCADLib.domain.clinical import ClinicalContext
from LungNoduleCADLib.domain.nodule import Nodule, Review
from LungNoduleCADLib.guidelines.exam import assess_findings
from LungNoduleCADLib.report.plain import COLUMNS, report_text
from LungNoduleCADLib.report.words import DESCRIPTOR


@pytest.mark.parametrize(("count", "prior"), [(0, False), (1, True), (8, True)])
def test_no_line_is_longer_than_80_columns_and_no_sign_is_beyond_latin_1(make_findings, count, prior):
    text = report_text(make_findings(count, prior=prior))
    assert max(len(line) for line in text.splitlines()) <= COLUMNS
    assert text.encode("latin-1").decode("latin-1") == text
    assert text.startswith("LUNG NODULE CT REPORT\nRESEARCH USE ONLY.")


def test_the_exam_comes_first_then_every_nodule_with_its_rule(make_findings):
    findings = make_findings(2, prior=True)
    text = " ".join(report_text(findings).split())
    exam = f"Lung-RADS {findings.lung_rads.category} ({DESCRIPTOR[findings.lung_rads.category]})."
    assert text.index(exam) < text.index("NODULES (2)") < text.index("N1 - Lung-RADS") < text.index("N2 - Lung-RADS")
    for nodule in findings.nodules:
        assert f"Rule {nodule.lung_rads.rule_id}, {nodule.lung_rads.source}" in text
        assert all(note.replace("–", "-") in text for note in nodule.lung_rads.notes)
    assert "volume-doubling time 320 days" in text
    assert "Prior N9: resolved." in text


def test_volumes_have_their_measurement_error_and_risks_their_inputs(make_findings):
    text = " ".join(report_text(make_findings(1)).split())
    assert "Volume: 125 mm3 (measurement error, 95%: " in text
    low, high = (float(part) for part in text.split("95%: ")[1].split(" mm3")[0].split(" to "))
    assert low < 125 < high
    assert "Inputs: age 63 years; longest diameter 7.4 mm; number of nodules 1; sex F; type solid" in text


def test_guidelines_for_nodules_found_by_chance_give_their_rows(make_findings):
    text = " ".join(report_text(make_findings(1)).split())
    assert "Rule fleischner-solid-single-medium-low or fleischner-solid-single-medium-high." in text
    assert "BTS 2015: CT at 3 months; if stable or doubling in more than 400 days, CT at 12 months. Rule" in text
    young = replace(make_findings(1), clinical=ClinicalContext(age_years=30.0))
    assert "Fleischner 2017 not available (out of scope: 30 years old" in " ".join(report_text(young).split())
    followed = " ".join(report_text(make_findings(8, prior=True)).split())
    assert "Rule bts-solid-doubling-400." in followed
    assert "grown since an earlier CT" in followed


def test_rejected_nodules_are_named_and_not_described(make_findings):
    findings = make_findings(2)
    nodules = (findings.nodules[0], replace(findings.nodules[1], review=Review.REJECTED))
    text = report_text(assess_findings(replace(findings, nodules=nodules)))
    assert "NODULES (1)" in text
    assert "Rejected by the reader and not counted: N2." in text
    assert "N2 - Lung-RADS" not in text


def test_missing_data_are_told_as_missing(make_findings):
    findings = make_findings(1)
    bare = Nodule("N1", findings.nodules[0].candidate, findings.nodules[0].centroid_lps_mm)
    text = report_text(replace(findings, nodules=(bare,), lung_rads=None, flags=(), clinical=None))
    assert "Not assessed." in text
    assert "N1 - no Lung-RADS category - type unknown - not measured" in text
    assert "None" not in text
