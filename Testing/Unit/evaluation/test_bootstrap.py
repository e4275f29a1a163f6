from __future__ import annotations

import json

import numpy as np
import pytest

from LungNoduleCADLib.evaluation.bootstrap import Estimate, bootstrap
from LungNoduleCADLib.evaluation.discrimination import auc


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


def test_the_same_seed_gives_the_same_interval_and_another_seed_another_one() -> None:
    values = np.random.default_rng(5).normal(size=12)
    patients = [str(n) for n in range(12)]
    first, again, other = (bootstrap(np.mean, patients, values, draws=50, seed=seed) for seed in (4, 4, 5))

    assert first == again
    assert first.low != other.low


def test_an_estimate_as_json_is_rounded_and_has_none_for_what_is_not_a_number() -> None:
    estimate = Estimate(0.123456, float("nan"), 0.5, 7, 3)

    assert json.loads(json.dumps(estimate.as_json(), allow_nan=False)) == {
        "value": 0.1235,
        "low": None,
        "high": 0.5,
        "cases": 7,
        "patients": 3,
    }
