"""When a model is asked, when it only gives a range, and when it is not asked at all."""

from __future__ import annotations

from dataclasses import fields, replace

import pytest

from LungNoduleCADLib.domain.nodule import NoduleType
from LungNoduleCADLib.guidelines.risk import LABELS, RiskFacts, estimate_risk, estimate_risks
from LungNoduleCADLib.guidelines.risk_models import (
    ANSWERS,
    BROCK_2A,
    BROCK_2B,
    HERDER,
    MAYO,
    MODELS,
    VA,
    CancerHistory,
    PetUptake,
    Smoking,
)

WHOLE = RiskFacts(
    age_years=60,
    sex="F",
    smoking_status=Smoking.FORMER,
    years_since_quit=5,
    cancer_history=CancerHistory.NONE,
    family_history_lung_cancer=True,
    emphysema=False,
    diameter_mm=10,
    type=NoduleType.SOLID,
    upper_lobe=True,
    spiculated=False,
    nodule_count=1,
    pet_uptake=PetUptake.FAINT,
)


def test_with_every_input_each_model_gives_a_probability_and_names_its_inputs_and_paper():
    for estimate, model in zip(estimate_risks(WHOLE), MODELS, strict=True):
        assert 0 < estimate.probability < 1
        assert estimate.probability_range is None
        assert estimate.not_available is None
        assert set(estimate.inputs) == set(model.inputs)
        assert estimate.source == model.source
    assert estimate_risk(BROCK_2B, WHOLE).probability == pytest.approx(0.128483, abs=1e-6)


def test_what_nobody_stated_is_not_taken_for_no():
    estimate = estimate_risk(BROCK_2B, replace(WHOLE, spiculated=None))
    assert estimate.probability is None
    assert estimate.missing_inputs == ("spiculated",)
    assert estimate.not_available == "not stated: spiculation"
    assert "spiculated" not in estimate.inputs


def test_a_range_runs_from_the_lowest_to_the_highest_answer():
    estimate = estimate_risk(BROCK_2B, replace(WHOLE, spiculated=None, type=None))
    ends = [
        estimate_risk(BROCK_2B, replace(WHOLE, spiculated=spiculated, type=kind)).probability
        for spiculated in (False, True)
        for kind in NoduleType
    ]
    assert estimate.probability_range == (min(ends), max(ends))


def test_brock_2a_does_without_spiculation():
    assert estimate_risk(BROCK_2A, replace(WHOLE, spiculated=None)).probability is not None


@pytest.mark.parametrize(
    ("model", "unknown", "reason"),
    [
        (BROCK_2A, "age_years", "not stated: age"),
        (BROCK_2A, "diameter_mm", "not stated: diameter"),
        (BROCK_2B, "nodule_count", "not stated: number of nodules"),
        (VA, "years_since_quit", "not stated: years since quitting"),
        (HERDER, "pet_uptake", "not stated: PET uptake"),
    ],
)
def test_without_a_number_or_a_pet_there_is_no_range_either(model, unknown, reason):
    estimate = estimate_risk(model, replace(WHOLE, **{unknown: None}))
    assert estimate.probability is None
    assert estimate.probability_range is None
    assert estimate.not_available == reason


@pytest.mark.parametrize("status", [Smoking.NEVER, Smoking.CURRENT])
def test_only_former_smokers_are_asked_when_they_quit(status):
    estimate = estimate_risk(VA, replace(WHOLE, smoking_status=status, years_since_quit=None))
    assert estimate.probability is not None
    assert estimate.inputs["years_since_quit"] == 0


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"age_years": 17}, "17 years old"),
        ({"diameter_mm": 30.1}, "30.1 mm is a mass"),
        ({"cancer_history": CancerHistory.LUNG}, "a known lung cancer"),
        ({"cancer_history": CancerHistory.EXTRATHORACIC_WITHIN_5_YEARS}, "within 5 years"),
        ({"cancer_history": CancerHistory.UNSPECIFIED}, "neither kind nor date"),
    ],
)
def test_out_of_scope_every_model_is_silent_and_says_why(change, words):
    for estimate in estimate_risks(replace(WHOLE, **change)):
        assert (estimate.probability, estimate.probability_range) == (None, None)
        assert estimate.not_available.startswith("out of scope")
        assert words in estimate.not_available


@pytest.mark.parametrize("change", [{"age_years": 18}, {"diameter_mm": 30.0}])
def test_the_edges_of_the_scope_are_inside(change):
    assert all(estimate.probability for estimate in estimate_risks(replace(WHOLE, **change)))


def test_an_old_cancer_outside_of_the_chest_counts_in_mayo():
    old = replace(WHOLE, cancer_history=CancerHistory.EXTRATHORACIC_OVER_5_YEARS)
    assert estimate_risk(MAYO, old).probability > estimate_risk(MAYO, WHOLE).probability
    assert estimate_risk(VA, old).probability == estimate_risk(VA, WHOLE).probability


def test_every_fact_has_a_word_and_every_open_question_its_answers():
    assert set(LABELS) == {field.name for field in fields(RiskFacts)}
    assert {name for model in MODELS for name in model.asks} == set(ANSWERS)
