"""Whether 30 % means three in ten: calibration error, Brier score, Platt scaling."""

from __future__ import annotations

import numpy as np
from scipy.special import expit
from sklearn.linear_model import LogisticRegression


def expected_calibration_error(positive: np.ndarray, probability: np.ndarray, bins: int = 15) -> float:
    """Mean gap between stated and observed frequency over bins of equal mass (ECE, 15 bins)."""
    order = np.argsort(probability)
    parts = [part for part in np.array_split(order, min(bins, len(order))) if len(part)]
    return float(sum(len(p) * abs(positive[p].mean() - probability[p].mean()) for p in parts) / len(order))


def brier(positive: np.ndarray, probability: np.ndarray) -> float:
    """Mean squared distance of probability from outcome."""
    return float(((probability - positive) ** 2).mean())


def fit_platt(positive: np.ndarray, logit: np.ndarray) -> dict[str, float]:
    """``slope`` and ``offset`` for logits (Platt 1999: a logistic regression of the outcome on the logit)."""
    model = LogisticRegression(C=1e3).fit(logit[:, None], positive)
    return {"slope": round(float(model.coef_[0, 0]), 6), "offset": round(float(model.intercept_[0]), 6)}


def apply_platt(logit: np.ndarray, fit: dict[str, float]) -> np.ndarray:
    return expit(fit["slope"] * logit + fit["offset"])


def fit_temperature(classes: np.ndarray, logits: np.ndarray) -> dict[str, float]:
    """``slope`` (1 / temperature) that makes softmax(logits) most likely (Guo et al. 2017)."""
    from scipy.optimize import minimize_scalar
    from scipy.special import log_softmax

    def loss(slope: float) -> float:
        return -float(log_softmax(logits * slope, axis=1)[np.arange(len(classes)), classes].mean())

    return {"slope": round(float(minimize_scalar(loss, bounds=(0.1, 10.0), method="bounded").x), 6)}
