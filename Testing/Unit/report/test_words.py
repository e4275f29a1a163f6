"""Wording: who says what of the patient, and that the panel speaks as the report does."""

from __future__ import annotations

import importlib.util
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest

from LungNoduleCADLib.domain.clinical import ClinicalContext
from LungNoduleCADLib.domain.comparison import Change, DoublingBand, Growth, NoduleMatch
from LungNoduleCADLib.domain.nodule import MalignancyEstimate, NoduleType, Review
from LungNoduleCADLib.guidelines.risk import RiskFacts, estimate_risks
from LungNoduleCADLib.guidelines.risk_models import BROCK_2A, BROCK_2B, HERDER, MAYO, VA
from LungNoduleCADLib.report import growth_words, words
from LungNoduleCADLib.report.findings_json import to_json
from LungNoduleCADLib.report.values import chance, signed

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
    assert words.patient(said) == "66 years, female"
    assert words.patient(replace(said, clinical=None)) == "62 years, female"
    unknown = replace(said, series=replace(header, age_years=None, sex=None), clinical=None)
    assert words.patient(unknown) == "age unknown, sex unknown"


def test_a_probability_is_told_with_its_spread_and_the_nodule_with_its_familiarity(make_findings):
    (nodule,) = make_findings(1).nodules
    nodule = replace(
        nodule,
        candidate=replace(nodule.candidate, spread_95=(0.8, 0.97)),
        type=replace(nodule.type, spread_95={NoduleType.SOLID: (0.61, 0.88)}),
    )
    assert words.detection(nodule) == "91% (80% to 97%)"
    assert "solid 80% (61% to 88%), part-solid 10%" in words.kind_in_full(nodule)
    assert words.malignancy(nodule.malignancy).startswith("62% (networks and views: 45% to 77%); expected")
    told = [words.familiarity(replace(nodule, unfamiliarity=value)) for value in (None, 1.0, 1.01)]
    assert told == [
        "not compared with the nodules that the models know",
        "looks like the nodules that the models know",
        "looks unlike the nodules that the models know",
    ]


@pytest.mark.parametrize(
    ("value", "digits", "text"),
    [(0.4, 0, "0"), (-0.4, 0, "0"), (-0.04, 1, "0.0"), (12.5, 1, "+12.5"), (-3.2, 0, "−3"), (10.0, 0, "+10")],
)
def test_a_change_has_a_sign_unless_it_is_none(panel_words, value, digits, text):
    assert signed(value, digits) == text == panel_words.signed(value, digits)


@pytest.mark.parametrize(
    ("probability", "spread", "text"),
    [
        (1.0, (0.999, 1.0), ">99%"),
        (0.001, (0.0, 0.02), "<1% (<1% to 2%)"),
        (0.993, None, "99%"),
        (0.005, (0.005, 0.0149), "<1% (<1% to 1%)"),
        (None, None, "–"),
    ],
)
def test_no_model_is_certain_and_a_spread_that_says_nothing_is_left_out(probability, spread, text):
    assert chance(probability, spread) == text


def test_where_a_nodule_lies_is_told_by_directions_and_not_by_signs(make_findings):
    findings = make_findings(1)
    told = dict(words.card(findings.nodules[0], findings))
    assert "center R 70.0, A 20.0, I 240.0 mm" in told["Place"]


def test_how_far_a_reader_went_is_told(make_findings):
    findings = make_findings(3)
    assert words.reviewed(findings) == "3 of 3 nodules not yet reviewed"
    marks = (Review.ACCEPTED, Review.REJECTED, Review.UNREVIEWED)
    nodules = tuple(replace(n, review=mark) for n, mark in zip(findings.nodules, marks, strict=True))
    assert (
        words.reviewed(replace(findings, nodules=nodules)) == "1 of 3 nodules accepted, 1 rejected, 1 not yet reviewed"
    )
    assert words.reviewed(replace(findings, nodules=())) == "no nodule on the list"


def test_clinical_risk_is_told_in_one_line_with_what_nobody_stated():
    facts = RiskFacts(age_years=60, sex="F", diameter_mm=10, type=NoduleType.SOLID, nodule_count=1)
    whole = replace(facts, upper_lobe=True, family_history_lung_cancer=True, emphysema=False)
    assert words.clinical_risk(estimate_risks(whole, (BROCK_2A, BROCK_2B))) == (
        "Brock 2a 15%; Brock 2b 13% to 24%. A range covers every answer to what nobody stated: spiculation. "
        "Combination with the malignancy above: exploratory, not shown."
    )
    assert words.clinical_risk(estimate_risks(whole, (VA, HERDER))) == (
        "VA not available (not stated: smoking, years since quitting). Herder not available (not stated: PET uptake)."
    )
    child = estimate_risks(replace(whole, age_years=9), (MAYO, VA))
    assert words.clinical_risk(child) == (
        "Mayo, VA not available (out of scope: 9 years old; the models are for adults, 18 or older)."
    )
    assert words.clinical_risk(()) == "not computed."


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
    match = NoduleMatch("N4", "N2", Change.GROWING, 1.4, growth)
    row = {"prior_id": "N4", "current_id": "N2", "change": "growing", **vars(growth)}
    assert panel_words.doublingTime(row) == growth_words.doubling_time(growth)
    assert panel_words.growth(row) == growth_words.growth(match)


@pytest.mark.parametrize(("prior", "change"), [(None, Change.NEW), ("N7", Change.RESOLVED)])
def test_the_panel_tells_a_nodule_of_one_ct_in_the_words_of_the_report(panel_words, prior, change):
    row = {"prior_id": prior, "change": change.value, "volume_change_percent": None}
    assert panel_words.growth(row) == growth_words.growth(NoduleMatch(prior, None if prior else "N1", change))


def test_the_panel_counts_changes_as_the_report_does(panel_words, make_findings):
    findings = make_findings(3, prior=True)
    counts = words.counts(findings)
    assert counts
    summary = panel_words.summary(to_json(findings))
    assert summary.endswith(f": {counts}.")
    assert findings.prior.series.study_date.isoformat() in summary


def test_a_heat_map_is_named_by_its_technique_or_the_reason_why_there_is_none_is_told(make_findings):
    nodule = make_findings(1, masked=True).nodules[0]
    estimate = nodule.malignancy

    def told(**changes):
        return words.heat_map(replace(nodule, **changes))

    assert told() == "Heat map (Grad-CAM): where the malignancy score comes from, on an absolute scale"
    low = "No heat map: the malignancy score is low"
    assert told(malignancy=replace(estimate, probability=0.49)) == low
    assert told(malignancy=replace(estimate, encoder_probability=0.49)) == low
    assert told(saliency=None) == "No heat map: not computed"
    unknown = MalignancyEstimate(None, not_available="no outline")
    assert told(saliency=None, malignancy=unknown) == "No heat map: no outline"
    cold = replace(nodule.saliency, heat=0 * nodule.saliency.heat)
    assert told(saliency=cold) == "No heat map: nothing in the image raises the malignancy score"


def test_growth_rules_are_told_by_diameter_volume_and_mass(make_findings):
    growth = make_findings(1, prior=True).comparison.matches[0].growth
    assert growth_words.growth_rules(growth) == (
        "Lung-RADS: mean diameter more than 1.5 mm in 12 months; BTS and NELSON: the interval reaches from below 400 "
        "days to above 600 days, not decided; mass +50% (95% interval +22% to +84%), mass-doubling time 309 days (95% "
        "interval 206 to 631 days)"
    )
    sure = replace(growth, mean_diameter_change_mm=1.5, vdt_bands=(DoublingBand.FAST,), mass_change_percent=None)
    assert growth_words.growth_rules(sure) == (
        "Lung-RADS: mean diameter not more than 1.5 mm in 12 months; BTS and NELSON: volume-doubling time below 400 "
        "days"
    )
    still = replace(sure, mean_diameter_change_mm=2.0, interval_days=900, vdt_bands=(DoublingBand.NOT_GROWING,))
    assert growth_words.growth_rules(still) == (
        "Lung-RADS: mean diameter not more than 1.5 mm in 12 months (over more than 12 months); BTS and NELSON: not "
        "growing"
    )


def test_all_exams_are_told_with_the_rate_that_fits_them(make_findings):
    (series,) = make_findings(1, prior=True).comparison.series
    assert growth_words.over_all_exams(series) == (
        "growing over 2 exams since 2023-09-03: volume +60% (95% interval +30% to +97%); volume-doubling time 270 days "
        "(95% interval 186 to 483 days)"
    )
