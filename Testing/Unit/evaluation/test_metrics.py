from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit

from LungNoduleCADLib.evaluation.bootstrap import bootstrap
from LungNoduleCADLib.evaluation.calibration import (
    apply_platt,
    brier,
    expected_calibration_error,
    fit_platt,
    fit_temperature,
)
from LungNoduleCADLib.evaluation.discrimination import auc, balanced_accuracy, mean_absolute_error, pearson
from LungNoduleCADLib.evaluation.overlap import dice


def test_the_interval_holds_the_estimate_and_counts_cases_and_patients() -> None:
    values = np.random.default_rng(0).normal(5.0, 1.0, 60)
    found = bootstrap(np.mean, [f"p{n // 3}" for n in range(60)], values, draws=200)

    assert found.low < found.value < found.high
    assert found.value == pytest.approx(values.mean())
    assert (found.cases, found.patients) == (60, 20)


def test_patients_are_resampled_and_not_nodules() -> None:
    """Ten nodules of one patient say the same thing: they are one observation."""
    per_patient = np.random.default_rng(1).normal(size=20)
    values, patients = np.repeat(per_patient, 10), np.repeat([f"p{n}" for n in range(20)], 10)

    clustered = bootstrap(np.mean, patients, values, draws=400)
    single = bootstrap(np.mean, [f"p{n}" for n in range(20)], per_patient, draws=400)

    assert (clustered.low, clustered.high) == pytest.approx((single.low, single.high))
    as_if_independent = bootstrap(np.mean, [f"n{n}" for n in range(200)], values, draws=400)
    assert as_if_independent.high - as_if_independent.low < 0.5 * (clustered.high - clustered.low)


def test_draws_without_both_classes_are_left_out() -> None:
    found = bootstrap(auc, ["a", "b", "c"], np.array([0, 1, 1]), np.array([0.1, 0.8, 0.9]), draws=50)

    assert (found.low, found.value, found.high) == (1.0, 1.0, 1.0)


def test_the_same_seed_gives_the_same_interval() -> None:
    values = np.arange(12.0)
    patients = [str(n) for n in range(12)]

    assert bootstrap(np.mean, patients, values, draws=50, seed=4) == bootstrap(
        np.mean, patients, values, draws=50, seed=4
    )


def test_perfectly_calibrated_probabilities_have_hardly_any_calibration_error() -> None:
    rng = np.random.default_rng(2)
    probability = rng.random(60_000)
    positive = (rng.random(60_000) < probability).astype(float)

    assert expected_calibration_error(positive, probability) < 0.01
    assert expected_calibration_error(positive, np.clip(probability + 0.2, 0, 1)) > 0.15


def test_a_constant_wrong_probability_is_off_by_its_distance() -> None:
    assert expected_calibration_error(np.ones(30), np.full(30, 0.7)) == pytest.approx(0.3)
    assert brier(np.ones(30), np.full(30, 0.7)) == pytest.approx(0.09)


def test_platt_scaling_recovers_slope_and_offset() -> None:
    rng = np.random.default_rng(3)
    logit = rng.normal(0, 2, 40_000)
    positive = (rng.random(40_000) < expit(0.6 * logit - 0.8)).astype(float)

    fit = fit_platt(positive, logit)

    assert (fit["slope"], fit["offset"]) == pytest.approx((0.6, -0.8), abs=0.05)
    assert apply_platt(np.array([1.0]), fit) == pytest.approx(expit(-0.2), abs=0.02)


def test_temperature_scaling_recovers_the_temperature() -> None:
    rng = np.random.default_rng(4)
    logits = rng.normal(0, 2, (20_000, 3))
    chances = np.exp(0.5 * logits)
    classes = (rng.random((20_000, 1)) > np.cumsum(chances / chances.sum(1, keepdims=True), axis=1)).sum(1)

    assert fit_temperature(classes, logits)["slope"] == pytest.approx(0.5, abs=0.03)


def test_the_area_under_the_curve_is_the_share_of_pairs_in_order() -> None:
    assert auc(np.array([0, 0, 1, 1]), np.array([0.1, 0.4, 0.3, 0.9])) == pytest.approx(0.75)
    with pytest.raises(ValueError, match="two classes"):
        auc(np.ones(3), np.arange(3.0))


def test_balanced_accuracy_is_the_mean_recall_of_the_classes_that_occur() -> None:
    truth = np.array([0, 0, 0, 0, 2, 2])
    chosen = np.array([0, 0, 0, 1, 2, 0])

    assert balanced_accuracy(truth, chosen) == pytest.approx((3 / 4 + 1 / 2) / 2)


def test_errors_and_correlation_of_ratings() -> None:
    assert mean_absolute_error(np.array([1.0, 2.0]), np.array([2.0, 2.0])) == 0.5
    assert pearson(np.array([1.0, 2.0, 3.0]), np.array([5.0, 3.0, 1.0])) == pytest.approx(-1.0)


def test_dice_counts_what_is_shared() -> None:
    one, other = np.array([1, 1, 1, 0], bool), np.array([0, 1, 1, 1], bool)

    assert dice(one, other) == pytest.approx(4 / 6)
    assert dice(one, one) == 1.0
    assert dice(one, ~one) == 0.0
    assert dice(one & False, one & False) == 1.0
