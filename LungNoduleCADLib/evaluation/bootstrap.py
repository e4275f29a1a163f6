"""Intervals from resampling patients, never nodules: nodules of one patient are not independent."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Estimate:
    """A figure with its 95 % interval, and how many cases and patients it stands on."""

    value: float
    low: float
    high: float
    cases: int
    patients: int


def bootstrap(
    metric: Callable[..., float], patients: Sequence[str], *columns: np.ndarray, draws: int = 1000, seed: int = 0
) -> Estimate:
    """``metric(*columns)`` and its percentile interval over resampled patients.

    Draws in which the metric cannot be computed (one class only) are left out.
    """
    names = np.asarray(patients)
    rows_of = [np.flatnonzero(names == patient) for patient in np.unique(names)]
    rng = np.random.default_rng(seed)
    values = []
    for _ in range(draws):
        rows = np.concatenate([rows_of[n] for n in rng.integers(0, len(rows_of), len(rows_of))])
        try:
            values.append(metric(*(column[rows] for column in columns)))
        except ValueError:
            continue
    finite = [v for v in values if np.isfinite(v)]
    low, high = np.percentile(finite, [2.5, 97.5]) if finite else (np.nan, np.nan)
    return Estimate(float(metric(*columns)), float(low), float(high), len(names), len(rows_of))
