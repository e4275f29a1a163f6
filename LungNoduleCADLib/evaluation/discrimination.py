"""How well scores tell classes apart, and how far ratings are off."""

from __future__ import annotations

import numpy as np
from sklearn.metrics import roc_auc_score


def auc(positive: np.ndarray, score: np.ndarray) -> float:
    """Area under the ROC curve; ValueError where only one class is there."""
    if len(np.unique(positive)) < 2:
        raise ValueError("expected two classes, got one")
    return float(roc_auc_score(positive, score))


def balanced_accuracy(truth: np.ndarray, chosen: np.ndarray) -> float:
    """Mean recall over the classes that occur in ``truth``."""
    return float(np.mean([(chosen[truth == c] == c).mean() for c in np.unique(truth)]))


def mean_absolute_error(truth: np.ndarray, value: np.ndarray) -> float:
    return float(np.abs(truth - value).mean())


def pearson(truth: np.ndarray, value: np.ndarray) -> float:
    return float(np.corrcoef(truth, value)[0, 1])
