"""How well scores tell classes apart, and how far ratings are off."""

from __future__ import annotations

import numpy as np
from scipy.stats import rankdata
from sklearn.metrics import confusion_matrix, precision_recall_curve, roc_curve


def auc(positive: np.ndarray, score: np.ndarray) -> float:
    """Area under the ROC curve, by ranks (Hanley & McNeil 1982), which is quick enough for a bootstrap.

    ValueError where only one class is there.
    """
    _two_classes(positive)
    yes = np.asarray(positive) > 0
    n_yes, n_no = np.count_nonzero(yes), np.count_nonzero(~yes)
    return float((rankdata(score)[yes].sum() - n_yes * (n_yes + 1) / 2) / (n_yes * n_no))


def precision_at_recall(positive: np.ndarray, score: np.ndarray, recall: float) -> float:
    """Share of true positives among what scores at least t, t the highest threshold that reaches ``recall``.

    ValueError where only one class is there.
    """
    _two_classes(positive)
    precisions, recalls, _ = precision_recall_curve(positive, score)
    reached = np.flatnonzero(recalls >= recall - 1e-12)
    return float(precisions[reached[-1]])


def sensitivity_at_specificity(positive: np.ndarray, score: np.ndarray, specificity: float) -> float:
    """Highest sensitivity that a threshold reaches at no less than ``specificity``.

    ValueError where only one class is there.
    """
    _two_classes(positive)
    false_positive_rate, sensitivity, _ = roc_curve(positive, score)
    return float(sensitivity[false_positive_rate <= 1 - specificity + 1e-12].max())


def recalls(truth: np.ndarray, chosen: np.ndarray, classes: int) -> np.ndarray:
    """(classes,): share of each class that was chosen rightly; NaN for a class that does not occur in ``truth``."""
    counts = confusions(truth, chosen, classes)
    rows = counts.sum(axis=1)
    return np.where(rows > 0, np.diag(counts) / np.maximum(rows, 1), np.nan)


def confusions(truth: np.ndarray, chosen: np.ndarray, classes: int) -> np.ndarray:
    """(classes, classes) counts: row the true class, column the chosen one."""
    return confusion_matrix(truth, chosen, labels=np.arange(classes))


def balanced_accuracy(truth: np.ndarray, chosen: np.ndarray) -> float:
    """Mean recall over the classes that occur in ``truth``."""
    return float(np.mean([(chosen[truth == c] == c).mean() for c in np.unique(truth)]))


def mean_absolute_error(truth: np.ndarray, value: np.ndarray) -> float:
    return float(np.abs(truth - value).mean())


def pearson(truth: np.ndarray, value: np.ndarray) -> float:
    return float(np.corrcoef(truth, value)[0, 1])


def _two_classes(positive: np.ndarray) -> None:
    if len(np.unique(positive)) < 2:
        raise ValueError("expected two classes, got one")
