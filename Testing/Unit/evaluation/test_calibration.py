from __future__ import annotations

import json

import numpy as np
import pytest
from scipy.special import expit, softmax
from sklearn.metrics import log_loss as sklearn_log_loss

from LungNoduleCADLib.evaluation.calibration import (
    METHODS,
    apply,
    apply_platt,
    brier,
    calibration_error_by_chance,
    choose_calibration,
    expected_calibration_error,
    fit,
    fit_isotonic,
    fit_platt,
    fit_temperature,
    log_loss,
    reliability,
)


def drawn(logit: np.ndarray, seed: int = 0) -> np.ndarray:
    """Outcomes of exactly that log odds."""
    return (np.random.default_rng(seed).random(len(logit)) < expit(logit)).astype(float)


def logits(count: int, spread: float = 2.0, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, spread, count)


def test_perfectly_calibrated_probabilities_have_hardly_any_calibration_error() -> None:
    probability = expit(logits(60_000))
    positive = drawn(logits(60_000))

    assert expected_calibration_error(positive, probability) < 0.01
    assert expected_calibration_error(positive, np.clip(probability + 0.2, 0, 1)) > 0.15


def test_a_constant_wrong_probability_is_off_by_its_distance() -> None:
    assert expected_calibration_error(np.ones(30), np.full(30, 0.7)) == pytest.approx(0.3)
    assert brier(np.ones(30), np.full(30, 0.7)) == pytest.approx(0.09)


def test_bins_of_equal_mass_and_of_equal_width_are_what_their_names_say() -> None:
    probability = np.array([0.05, 0.10, 0.15, 0.20, 0.90, 0.95])
    positive = np.array([0, 0, 1, 0, 1, 1])

    of_mass = reliability(positive, probability, bins=2)
    of_width = reliability(positive, probability, bins=2, equal_mass=False)

    rows = [(b.cases, b.stated, b.observed) for b in (*of_mass, *of_width)]
    assert np.array(rows) == pytest.approx(
        np.array([(3, 0.1, 1 / 3), (3, 2.05 / 3, 2 / 3), (4, 0.125, 1 / 4), (2, 0.925, 1.0)])
    )
    equal_width = expected_calibration_error(positive, probability, bins=2, equal_mass=False)
    assert equal_width == pytest.approx((4 * 0.125 + 2 * 0.075) / 6)


def test_equal_probabilities_stay_in_one_bin_whatever_their_order() -> None:
    probability = np.array([0.2] * 6 + [0.8] * 6)
    positive = np.array([1, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 0])
    mixed = np.random.default_rng(0).permutation(12)

    table = reliability(positive, probability, bins=6)

    assert [(b.cases, b.stated) for b in table] == [(6, pytest.approx(0.2)), (6, pytest.approx(0.8))]
    error = expected_calibration_error(positive, probability)
    assert error == pytest.approx(abs(1 / 6 - 0.2)) == expected_calibration_error(positive[mixed], probability[mixed])


def test_the_interval_of_a_bin_stands_on_its_patients() -> None:
    probability, positive = np.full(20, 0.5), np.array([1, 0] * 10)

    (apart,) = reliability(positive, probability)
    (few,) = reliability(positive, probability, patients=["a"] * 10 + ["b"] * 10)

    assert (apart.patients, few.patients, few.cases) == (20, 2, 20)
    assert (apart.low, apart.high) == pytest.approx((0.2993, 0.7007), abs=1e-3)  # Wilson, 10 of 20
    assert few.low < apart.low < 0.5 < apart.high < few.high


def test_a_bin_of_positives_only_is_not_certain() -> None:
    (only,) = reliability(np.ones(3), np.full(3, 0.9))

    assert only.observed == 1.0
    assert (only.low, only.high) == pytest.approx((0.4385, 1.0), abs=1e-3)


def test_few_cases_show_a_calibration_error_even_where_there_is_none() -> None:
    """Nine cases a bin: the expected gap of a coin is about 0.8 times sqrt(0.25 / 9)."""
    few, many = np.full(135, 0.5) + np.linspace(0, 1e-6, 135), np.full(13_500, 0.5) + np.linspace(0, 1e-6, 13_500)

    assert calibration_error_by_chance(few, draws=200) == pytest.approx(0.8 * np.sqrt(0.25 / 9), abs=0.01)
    assert calibration_error_by_chance(many, draws=20) < 0.02


def test_log_loss_is_that_of_scikit_learn() -> None:
    probability = expit(logits(50))
    positive = drawn(logits(50), seed=3)

    assert log_loss(positive, probability) == pytest.approx(sklearn_log_loss(positive, probability))


def test_platt_scaling_recovers_slope_and_offset() -> None:
    logit = logits(40_000)

    found = fit_platt(drawn(0.6 * logit - 0.8), logit)

    assert (found["slope"], found["offset"]) == pytest.approx((0.6, -0.8), abs=0.05)
    assert apply_platt(np.array([1.0]), found) == pytest.approx(expit(-0.2), abs=0.02)
    assert float(apply_platt(1.0, found)) == pytest.approx(expit(-0.2), abs=0.02)


def test_temperature_scaling_recovers_the_temperature_of_classes() -> None:
    rng = np.random.default_rng(4)
    of_classes = rng.normal(0, 2, (20_000, 3))
    classes = (rng.random((20_000, 1)) > np.cumsum(softmax(0.5 * of_classes, axis=1), axis=1)).sum(1)

    found = fit_temperature(classes, of_classes)

    assert found["slope"] == pytest.approx(0.5, abs=0.03)
    assert apply(of_classes[:2], found) == pytest.approx(softmax(found["slope"] * of_classes[:2], axis=1))


def test_temperature_scaling_recovers_the_temperature_of_a_yes_no_question() -> None:
    logit = logits(20_000)

    assert fit_temperature(drawn(0.5 * logit), logit)["slope"] == pytest.approx(0.5, abs=0.03)


def test_isotonic_regression_rises_follows_any_shape_and_never_says_never() -> None:
    logit = np.sort(logits(20_000))
    steps = np.where(logit < 0, 0.2, 0.7)
    positive = (np.random.default_rng(5).random(20_000) < steps).astype(float)

    found = apply(logit, fit_isotonic(positive, logit))

    assert np.all(np.diff(found) >= 0)
    assert np.abs(found - steps)[500:-500].mean() < 0.02
    of_four = fit_isotonic(np.array([0.0, 0, 1, 1]), np.arange(4.0))
    assert apply(np.array([-99.0, 99.0]), of_four) == pytest.approx([1 / 6, 5 / 6], abs=1e-6)


@pytest.mark.parametrize("method", METHODS)
def test_every_fit_is_json_and_means_the_same_after_it(method: str) -> None:
    logit = logits(200)
    found = fit(method, drawn(logit), logit)

    again = json.loads(json.dumps(found, allow_nan=False))

    assert found["method"] == method
    assert apply(logit, again) == pytest.approx(apply(logit, found))
    assert np.all((apply(logit, again) >= 0) & (apply(logit, again) <= 1))


def test_parameters_of_earlier_bundles_are_understood() -> None:
    logit = np.array([-1.0, 0.5])

    assert apply(logit, {"slope": 2.0, "offset": 1.0}) == pytest.approx(expit(2 * logit + 1))
    assert apply(logit, {"slope": 2.0}) == pytest.approx(expit(2 * logit))
    assert apply(logit, {}) == pytest.approx(expit(logit))


@pytest.mark.parametrize(
    ("true_log_odds", "chosen"),
    [
        (lambda logit: logit, "none"),
        (lambda logit: 0.4 * logit, "temperature"),
        (lambda logit: 0.4 * logit - 1.5, "platt"),
        (lambda logit: np.where(logit < 0.5, -2.0, 1.0), "isotonic"),
    ],
)
def test_the_method_is_chosen_that_fits_how_the_scores_are_off(true_log_odds: object, chosen: str) -> None:
    logit = logits(1200)
    patients = [f"p{n // 2}" for n in range(1200)]

    found = choose_calibration(drawn(true_log_odds(logit), seed=7), logit, patients)

    losses = found["cross_validated_log_loss"]
    assert losses[found["method"]] == min(losses.values())
    assert losses[chosen] - min(losses.values()) < 5e-3
    assert set(losses) == set(METHODS)
    assert (found["cases"], found["patients"]) == (1200, 600)
    # two methods that fit may be a hair apart; the one that is simpler than needed never fits
    assert METHODS.index(found["method"]) >= METHODS.index(chosen)


def test_cross_validation_keeps_a_patient_on_one_side() -> None:
    """What one patient teaches is wrong for the other, and only a split by patient can tell."""
    outcome, logit = np.repeat([1.0, 0.0], 20), np.linspace(-1, 1, 40)
    methods = ("none", "isotonic")

    by_patient = choose_calibration(outcome, logit, ["a"] * 20 + ["b"] * 20, methods=methods)
    by_nodule = choose_calibration(outcome, logit, [str(n) for n in range(40)], methods=methods)

    assert by_patient["method"] == "none"
    assert by_patient["cross_validated_log_loss"]["isotonic"] > 3.0
    assert by_nodule["method"] == "isotonic"
