from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from LungNoduleCADLib.evaluation.discrimination import (
    auc,
    balanced_accuracy,
    confusions,
    mean_absolute_error,
    pearson,
    precision_at_recall,
    recalls,
    sensitivity_at_specificity,
)

POSITIVE = np.array([1, 1, 0, 1, 0, 0, 1, 0])
SCORE = np.array([0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2])


def test_the_area_under_the_curve_is_the_share_of_pairs_in_order() -> None:
    assert auc(np.array([0, 0, 1, 1]), np.array([0.1, 0.4, 0.3, 0.9])) == pytest.approx(0.75)
    assert auc(np.array([0, 1]), np.array([0.5, 0.5])) == 0.5
    with pytest.raises(ValueError, match="two classes"):
        auc(np.ones(3), np.arange(3.0))


def test_the_area_under_the_curve_is_that_of_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    positive, score = rng.random(80) < 0.3, rng.integers(0, 12, 80) / 12  # many ties

    assert auc(positive, score) == pytest.approx(roc_auc_score(positive, score))
    assert auc(positive.astype(float), score) == pytest.approx(roc_auc_score(positive, score))


@pytest.mark.parametrize(("recall", "precision"), [(0.5, 1.0), (0.75, 3 / 4), (0.76, 4 / 7), (1.0, 4 / 7), (0.2, 1.0)])
def test_precision_is_taken_at_the_highest_threshold_that_reaches_the_recall(recall: float, precision: float) -> None:
    assert precision_at_recall(POSITIVE, SCORE, recall) == pytest.approx(precision)


@pytest.mark.parametrize(("specificity", "sensitivity"), [(1.0, 0.5), (0.75, 0.75), (0.7, 0.75), (0.25, 1.0)])
def test_sensitivity_is_the_highest_at_no_less_than_the_specificity(specificity: float, sensitivity: float) -> None:
    assert sensitivity_at_specificity(POSITIVE, SCORE, specificity) == pytest.approx(sensitivity)


@pytest.mark.parametrize("figure", [precision_at_recall, sensitivity_at_specificity])
def test_figures_at_a_threshold_need_two_classes(figure: object) -> None:
    with pytest.raises(ValueError, match="two classes"):
        figure(np.zeros(3), np.arange(3.0), 0.9)


def test_recalls_and_confusions_are_counted_by_true_class() -> None:
    truth, chosen = np.array([0, 0, 0, 0, 2, 2]), np.array([0, 0, 0, 1, 2, 0])

    assert confusions(truth, chosen, 3).tolist() == [[3, 1, 0], [0, 0, 0], [1, 0, 1]]
    assert recalls(truth, chosen, 3) == pytest.approx([3 / 4, np.nan, 1 / 2], nan_ok=True)


def test_balanced_accuracy_is_the_mean_recall_of_the_classes_that_occur() -> None:
    truth, chosen = np.array([0, 0, 0, 0, 2, 2]), np.array([0, 0, 0, 1, 2, 0])

    assert balanced_accuracy(truth, chosen) == pytest.approx((3 / 4 + 1 / 2) / 2)


def test_errors_and_correlation_of_ratings() -> None:
    assert mean_absolute_error(np.array([1.0, 2.0]), np.array([2.0, 2.0])) == 0.5
    assert pearson(np.array([1.0, 2.0, 3.0]), np.array([5.0, 3.0, 1.0])) == pytest.approx(-1.0)
