"""The models' arithmetic, against the published checks and against vectors computed by hand from the coefficients."""

from __future__ import annotations

import math

import pytest

from LungNoduleCADLib.domain.nodule import NoduleType
from LungNoduleCADLib.guidelines.risk_models import (
    BROCK_2A,
    BROCK_2B,
    MAYO,
    MODELS,
    VA,
    CancerHistory,
    PetUptake,
    Smoking,
    herder_linear_predictor,
)

NOTHING = {
    "age_years": 62,
    "sex": "M",
    "family_history_lung_cancer": False,
    "emphysema": False,
    "diameter_mm": 4.0,
    "type": NoduleType.SOLID,
    "upper_lobe": False,
    "nodule_count": 4,
    "spiculated": False,
    "smoking_status": Smoking.NEVER,
    "years_since_quit": 0.0,
    "cancer_history": CancerHistory.NONE,
}
FAMILY, EMPHYSEMA, UPPER = {"family_history_lung_cancer": True}, {"emphysema": True}, {"upper_lobe": True}
SPICULATED, FEMALE, ALONE = {"spiculated": True}, {"sex": "F"}, {"nodule_count": 1}


@pytest.mark.parametrize(
    ("model", "facts", "linear_predictor", "probability"),
    [
        (BROCK_2B, {}, -6.7892, 0.001125),
        (BROCK_2B, {"diameter_mm": 8}, -4.295195, 0.013451),
        (BROCK_2B, {"age_years": 60, "diameter_mm": 10, **FEMALE, **FAMILY, **UPPER, **ALONE}, -1.914435, 0.128483),
        (
            BROCK_2B,
            {
                "age_years": 65,
                "diameter_mm": 12,
                "type": NoduleType.PART_SOLID,
                **FEMALE,
                **EMPHYSEMA,
                **UPPER,
                **ALONE,
                **SPICULATED,
            },
            -0.152610,
            0.461921,
        ),
        (
            BROCK_2B,
            {"age_years": 50, "diameter_mm": 30, "type": NoduleType.GROUND_GLASS, **ALONE},
            -1.608197,
            0.166839,
        ),
        (
            BROCK_2B,
            {"age_years": 70, "diameter_mm": 15, **FEMALE, **FAMILY, **EMPHYSEMA, **UPPER, **ALONE, **SPICULATED},
            0.429004,
            0.605636,
        ),
        (BROCK_2A, {"diameter_mm": 8}, -4.181620, 0.015044),
        (MAYO, {"age_years": 55, "diameter_mm": 20}, -2.1287, 0.106338),
        (MAYO, {"diameter_mm": 10, "smoking_status": Smoking.CURRENT, **UPPER}, -1.5535, 0.174581),
        (VA, {"diameter_mm": 10}, -2.4542, 0.079132),
    ],
)
def test_a_model_gives_what_its_coefficients_give(model, facts, linear_predictor, probability):
    told = {**NOTHING, **facts}
    assert model.linear_predictor(told) == pytest.approx(linear_predictor, abs=1e-6)
    assert model.probability(told) == pytest.approx(probability, abs=1e-6)


@pytest.mark.parametrize(
    ("uptake", "probability"),
    [
        (PetUptake.NONE, 0.01714),
        (PetUptake.FAINT, 0.15100),
        (PetUptake.MODERATE, 0.63835),
        (PetUptake.INTENSE, 0.67310),
    ],
)
def test_herder_takes_mayos_probability_as_a_fraction(uptake, probability):
    given = 1 / (1 + math.exp(-herder_linear_predictor(0.187, uptake)))
    assert given == pytest.approx(probability, abs=5e-6)


def test_published_checks_hold():
    assert MAYO.probability({**NOTHING, "age_years": 55, "diameter_mm": 20}) == pytest.approx(0.11, abs=0.005)
    assert VA.probability({**NOTHING, "diameter_mm": 10}) == pytest.approx(0.079, abs=0.0005)


def test_brock_2a_takes_the_ground_glass_term_of_the_paper_where_a_web_calculator_differs():
    glass, solid = ({**NOTHING, "type": kind} for kind in (NoduleType.GROUND_GLASS, NoduleType.SOLID))
    assert BROCK_2A.linear_predictor(glass) - BROCK_2A.linear_predictor(solid) == pytest.approx(-0.3005)


def test_brocks_published_odds_ratios_follow():
    for facts, ratio in ((FEMALE, 1.82), (FAMILY, 1.34), (EMPHYSEMA, 1.34), (UPPER, 1.93), (SPICULATED, 2.17)):
        change = BROCK_2B.linear_predictor({**NOTHING, **facts}) - BROCK_2B.linear_predictor(NOTHING)
        assert math.exp(change) == pytest.approx(ratio, abs=0.006)


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.name)
def test_a_larger_nodule_is_never_less_likely_cancer(model):
    chances = [
        model.probability({**NOTHING, "pet_uptake": PetUptake.FAINT, "diameter_mm": size / 10})
        for size in range(10, 301)
    ]
    assert chances == sorted(chances)
    assert chances[-1] > chances[0]


def test_every_model_names_its_paper_its_people_and_what_it_asks():
    assert len({model.name for model in MODELS}) == len(MODELS)
    for model in MODELS:
        assert model.source
        assert model.made_for
        assert len(set(model.inputs)) == len(model.inputs)
