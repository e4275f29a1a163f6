from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import xgboost
from scipy.special import expit, logit

from LungNoduleCADLib.classification.encoder import Answers
from LungNoduleCADLib.classification.fusion import (
    LINEAR,
    TREES,
    TYPE_INPUTS,
    MetaClassifier,
    TypeClassifier,
    fusion_inputs,
)
from LungNoduleCADLib.domain.nodule import AxialAxes, Measurements
from LungNoduleCADLib.networks.nodule_encoder import HEADS

NOWHERE = ((0.0, 0.0, 0.0), (0.0, 0.0, 0.0))
NAMES = ["encoder.malignancy.0", "radiomics.shape_Sphericity", "size.log_volume"]
MEASURED = Measurements(np.e**5, AxialAxes(9.0, 7.0, 3, NOWHERE, NOWHERE), -50.0, 1.0, None, None, None)


@pytest.fixture(scope="module")
def booster() -> xgboost.Booster:
    """Larger is more often malignant; the other inputs say nothing."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(400, 3)).astype(np.float32)
    y = (rng.random(400) < expit(2 * x[:, 2])).astype(float)
    settings = {
        "objective": "binary:logistic",
        "max_depth": 2,
        "eta": 0.3,
        "nthread": 1,
        "monotone_constraints": (0, 0, 1),
    }
    return xgboost.train(settings, xgboost.DMatrix(x, y, feature_names=NAMES), 20)


WEIGHTS = {
    "encoder.malignancy.0": {"median": 0.0, "mean": 0.0, "scale": 1.0, "weight": 0.0},
    "radiomics.shape_Sphericity": {"median": 0.5, "mean": 0.1, "scale": 2.0, "weight": 3.0},
    "size.log_volume": {"median": 0.0, "mean": 1.0, "scale": 2.0, "weight": 4.0},
    "": {"weight": -0.5},
}


def classifier(booster: xgboost.Booster, slope: float = 1.0, offset: float = 0.0, kind: str = TREES) -> MetaClassifier:
    return MetaClassifier(kind, NAMES, WEIGHTS, booster, {"slope": slope, "offset": offset})


def inputs(log_volume: float) -> dict[str, float]:
    return {"encoder.malignancy.0": 0.1, "radiomics.shape_Sphericity": 0.0, "size.log_volume": log_volume}


def test_probability_rises_with_the_input_that_decides(booster: xgboost.Booster) -> None:
    found = [classifier(booster).probability(inputs(v)) for v in np.linspace(-2, 2, 9)]

    assert found == sorted(found)
    assert found[0] < 0.2
    assert found[-1] > 0.8


def test_platt_calibration_is_applied_to_the_margin(booster: xgboost.Booster) -> None:
    plain = classifier(booster).probability(inputs(1.0))
    fitted = classifier(booster, slope=0.5, offset=-1.0).probability(inputs(1.0))

    assert fitted == pytest.approx(expit(0.5 * logit(plain) - 1.0), abs=1e-6)


def test_the_regression_weighs_standardised_inputs_and_takes_the_median_of_a_missing_one(
    booster: xgboost.Booster,
) -> None:
    model, given = classifier(booster, kind=LINEAR), inputs(2.0)
    without = {name: value for name, value in given.items() if not name.startswith("radiomics")}

    assert model.probability(given) == pytest.approx(expit(3 * (0.0 - 0.1) / 2 + 4 * (2 - 1) / 2 - 0.5))
    assert model.probability(without) == pytest.approx(expit(3 * (0.5 - 0.1) / 2 + 4 * (2 - 1) / 2 - 0.5))


def test_both_together_are_the_mean_of_their_logits(booster: xgboost.Booster) -> None:
    one, other, both = (classifier(booster, kind=k).probability(inputs(0.5)) for k in (LINEAR, TREES, "mean of both"))

    assert logit(both) == pytest.approx((logit(one) + logit(other)) / 2, abs=1e-5)


def test_a_missing_input_is_reported_and_is_not_zero(booster: xgboost.Booster) -> None:
    model, without = classifier(booster), inputs(2.0)
    del without["radiomics.shape_Sphericity"]

    assert model.missing(inputs(2.0)) == ()
    assert model.missing(without) == ("radiomics",)
    assert 0 < model.probability(without) < 1
    assert model.missing({}) == ("encoder", "radiomics", "size")
    row = xgboost.DMatrix(np.full((1, 3), np.nan, np.float32), feature_names=NAMES)
    assert model.probability({}) == pytest.approx(float(booster.predict(row)[0]), abs=1e-6)


def test_inputs_are_means_over_views_with_sizes_and_radiomics_and_without_untrained_heads() -> None:
    heads = {head.name: np.arange(2.0 * head.outputs).reshape(2, head.outputs) for head in HEADS}
    features = np.array([[1, 2, 3, 4], [3, 4, 5, 6]], np.float32)

    found = fusion_inputs(Answers(heads, features), MEASURED, {"shape_Sphericity": 0.9})

    assert found["encoder.nodule_type.2"] == pytest.approx((2 + 5) / 2)
    assert found["size.log_volume"] == pytest.approx(5.0)
    assert found["size.long_axis_mm"] == 9.0
    assert found["density.mean_hu"] == -50.0
    assert found["radiomics.shape_Sphericity"] == 0.9
    assert not any("small_cell" in name or "nsclc" in name for name in found)


def test_without_radiomics_nothing_of_radiomics_is_made_up() -> None:
    answers = Answers({head.name: np.zeros((1, head.outputs)) for head in HEADS}, np.zeros((1, 4), np.float32))

    assert not any(name.startswith("radiomics") for name in fusion_inputs(answers, MEASURED, None))


def types() -> TypeClassifier:
    """Dense nodules are solid, faint ones ground-glass; between the two the encoder decides."""
    terms = {name: {"median": 0.0, "mean": 0.0, "scale": 1.0} for name in TYPE_INPUTS}
    terms["density.mean_hu"] = {"median": -600.0, "mean": -300.0, "scale": 100.0}
    column = TYPE_INPUTS.index("density.mean_hu")
    weights = np.zeros((3, len(TYPE_INPUTS)))
    weights[0, column], weights[2, column] = 2.0, -2.0
    weights[1, TYPE_INPUTS.index("encoder.nodule_type.1")] = 3.0
    return TypeClassifier({"inputs": terms, "weights": weights.tolist(), "intercepts": [0.0, 0.0, 0.0]})


def test_the_type_follows_density_and_the_encoder() -> None:
    said = [
        types().probabilities({"density.mean_hu": hu, "encoder.nodule_type.1": answer})
        for hu, answer in ((0.0, 0.0), (-300.0, 1.0), (-650.0, 0.0))
    ]
    assert [int(p.argmax()) for p in said] == [0, 1, 2]
    assert [float(p.sum()) for p in said] == pytest.approx([1.0, 1.0, 1.0])


def test_a_missing_input_of_the_type_counts_as_its_median() -> None:
    assert types().probabilities({}).argmax() == 2


def test_the_share_of_dense_tissue_is_an_input() -> None:
    measured = replace(MEASURED, solid_volume_mm3=MEASURED.volume_mm3 / 4)
    answers = Answers({head.name: np.zeros((1, head.outputs)) for head in HEADS}, np.zeros((1, 4)))
    assert fusion_inputs(answers, measured, None)["density.solid_share"] == pytest.approx(0.25)
    assert fusion_inputs(answers, MEASURED, None)["density.solid_share"] == 0.0
