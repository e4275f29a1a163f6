"""Whether 30 % means three in ten, and what to do about it: reliability, and fits from logits to probabilities.

A fit is JSON: ``method`` and its parameters. ``apply`` is the one way from logits to probabilities.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import expit, log_expit, log_softmax, softmax

from LungNoduleCADLib.errors import InputError

METHODS = ("none", "temperature", "platt", "isotonic")  # from the simplest on
Fit = dict[str, Any]


@dataclass(frozen=True)
class ReliabilityBin:
    """Cases of similar stated probability: ``stated`` is their mean, ``observed`` the share of positives.

    ``low``, ``high``: 95 % Wilson interval of ``observed`` with the number of patients as its sample size, since
    nodules of one patient are not independent.
    """

    stated: float
    observed: float
    low: float
    high: float
    cases: int
    patients: int


def reliability(
    positive: np.ndarray,
    probability: np.ndarray,
    patients: Sequence[str] | None = None,
    bins: int = 10,
    equal_mass: bool = True,
) -> list[ReliabilityBin]:
    """The reliability table, lowest probability first; without ``patients`` each case is one.

    Bins hold as many cases each (``equal_mass``; equal probabilities stay together, so there may be fewer bins), or
    are as wide each (empty ones are left out).
    """
    names = np.arange(len(positive)) if patients is None else np.asarray(patients)
    table = []
    for rows in _bins(probability, bins, equal_mass):
        observed, independent = float(positive[rows].mean()), len(np.unique(names[rows]))
        low, high = _wilson(observed, independent)
        table.append(ReliabilityBin(float(probability[rows].mean()), observed, low, high, len(rows), independent))
    return table


def expected_calibration_error(
    positive: np.ndarray, probability: np.ndarray, bins: int = 15, equal_mass: bool = True
) -> float:
    """Mean gap between stated and observed frequency over bins (ECE; 15 bins of equal mass unless told)."""
    gaps = [len(r) * abs(positive[r].mean() - probability[r].mean()) for r in _bins(probability, bins, equal_mass)]
    return float(sum(gaps) / len(probability))


def calibration_error_by_chance(
    probability: np.ndarray, bins: int = 15, equal_mass: bool = True, draws: int = 1000, seed: int = 0
) -> float:
    """Mean ECE that probabilities show that are exactly right (simulated outcomes): few cases never reach 0."""
    rng = np.random.default_rng(seed)
    outcomes = rng.random((draws, len(probability))) < probability
    return float(np.mean([expected_calibration_error(one, probability, bins, equal_mass) for one in outcomes]))


def brier(positive: np.ndarray, probability: np.ndarray) -> float:
    """Mean squared distance of probability from outcome."""
    return float(((probability - positive) ** 2).mean())


def log_loss(positive: np.ndarray, probability: np.ndarray) -> float:
    """Mean negative log likelihood of the outcomes."""
    likelihood = np.where(np.asarray(positive, bool), probability, 1 - probability)
    return float(-np.log(np.clip(likelihood, 1e-12, None)).mean())


def apply(logits: np.ndarray, fit: Mapping[str, Any]) -> np.ndarray:
    """Probabilities from logits: (N,) of yes for logits (N,), (N, C) of classes for logits (N, C).

    ``fit``: what a fit here returned; without ``method``: ``slope`` and ``offset`` where given.
    """
    if fit.get("method") == "isotonic":
        return np.interp(logits, fit["logits"], fit["probabilities"])
    scaled = logits * fit.get("slope", 1.0) + fit.get("offset", 0.0)
    return expit(scaled) if np.ndim(logits) == 1 else softmax(scaled, axis=1)


def apply_platt(logit: np.ndarray, fit: Mapping[str, Any]) -> np.ndarray:
    """``apply`` to logits of any shape, each of a yes/no question."""
    return apply(np.ravel(logit), fit).reshape(np.shape(logit))


def fit_platt(positive: np.ndarray, logit: np.ndarray) -> Fit:
    """``slope`` and ``offset`` for logits (Platt 1999: a logistic regression of the outcome on the logit)."""
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(C=1e3).fit(logit[:, None], positive)
    return {
        "method": "platt",
        "slope": round(float(model.coef_[0, 0]), 6),
        "offset": round(float(model.intercept_[0]), 6),
    }


def fit_temperature(classes: np.ndarray, logits: np.ndarray) -> Fit:
    """``slope`` (1 / temperature) that makes the classes most likely (Guo et al. 2017).

    Logits (N, C) of classes, or (N,) of a yes/no question with ``classes`` 0 or 1.
    """
    from scipy.optimize import minimize_scalar

    chosen = np.asarray(classes).astype(int)

    def loss(slope: float) -> float:
        if logits.ndim == 1:
            return -float(log_expit(np.where(chosen > 0, logits, -logits) * slope).mean())
        return -float(log_softmax(logits * slope, axis=1)[np.arange(len(chosen)), chosen].mean())

    best = minimize_scalar(loss, bounds=(0.1, 10.0), method="bounded").x
    return {"method": "temperature", "slope": round(float(best), 6)}


def fit_isotonic(positive: np.ndarray, logit: np.ndarray) -> Fit:
    """The rising curve nearest to the outcomes, as knots to interpolate between (Zadrozny & Elkan 2002).

    It never says 0 or 1: n cases support no less than 1 / (n + 2).
    """
    from sklearn.isotonic import IsotonicRegression

    least = 1 / (len(logit) + 2)
    model = IsotonicRegression(y_min=least, y_max=1 - least, out_of_bounds="clip").fit(logit, positive)
    return {
        "method": "isotonic",
        "logits": [round(float(v), 6) for v in model.X_thresholds_],
        "probabilities": [round(float(v), 6) for v in model.y_thresholds_],
    }


def fit(method: str, positive: np.ndarray, logit: np.ndarray) -> Fit:
    """Fit one of ``METHODS`` to logits (N,) of a yes/no question."""
    fits = {"temperature": fit_temperature, "platt": fit_platt, "isotonic": fit_isotonic}
    return {"method": "none"} if method == "none" else fits[method](positive, logit)


def choose_calibration(
    positive: np.ndarray,
    logit: np.ndarray,
    patients: Sequence[str],
    methods: Sequence[str] = METHODS,
    folds: int = 5,
    repeats: int = 5,
) -> Fit:
    """The method with the lowest log loss in repeated cross-validation by patient, fitted to all cases.

    Parameters
    ----------
    logit : (N,) of cases that the network was not trained on (validation folds).
    methods : from the simplest on; of equals the simpler is taken.

    Returns
    -------
    The fit, with ``cross_validated_log_loss`` of every method, ``cases`` and ``patients``.

    Raises
    ------
    InputError : a class has fewer than 2 cases.
    """
    from sklearn.model_selection import StratifiedGroupKFold

    count, rarer = len(np.unique(patients)), int(min(np.sum(positive > 0), np.sum(positive == 0)))
    splits = min(folds, count, rarer)
    if splits < 2:
        raise InputError("There are too few cases to calibrate on", expected="2 of each class", got=f"{rarer}")
    losses = dict.fromkeys(methods, 0.0)
    for repeat in range(repeats):
        splitter = StratifiedGroupKFold(splits, shuffle=True, random_state=repeat)
        for inside, outside in splitter.split(logit, positive, patients):
            for method in methods:
                held = apply(logit[outside], fit(method, positive[inside], logit[inside]))
                losses[method] += log_loss(positive[outside], held) * len(outside) / (len(logit) * repeats)
    losses = {method: round(loss, 6) for method, loss in losses.items()}
    best = min(methods, key=lambda method: losses[method])
    return {
        **fit(best, positive, logit),
        "cross_validated_log_loss": losses,
        "cases": len(logit),
        "patients": count,
    }


def _bins(probability: np.ndarray, bins: int, equal_mass: bool) -> list[np.ndarray]:
    """Rows of each bin that is not empty."""
    order = np.argsort(probability, kind="stable")
    if not equal_mass:
        number = np.minimum((probability * bins).astype(int), bins - 1)
        return [rows for rows in (np.flatnonzero(number == n) for n in range(bins)) if len(rows)]
    ends = np.cumsum([len(part) for part in np.array_split(order, min(bins, len(order)))])
    rising = probability[order]
    ends = np.unique(np.searchsorted(rising, rising[ends - 1], side="right"))  # equal probabilities stay together
    return np.split(order, ends[:-1])


def _wilson(share: float, count: int) -> tuple[float, float]:
    """95 % interval of a proportion (Wilson 1927)."""
    z2 = 1.959964**2
    middle = (share + z2 / (2 * count)) / (1 + z2 / count)
    reach = np.sqrt(share * (1 - share) * z2 / count + z2**2 / (4 * count**2)) / (1 + z2 / count)
    return float(max(middle - reach, 0.0)), float(min(middle + reach, 1.0))
