"""Intervals from resampling patients, never nodules: nodules of one patient are not independent."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass

import numpy as np

DRAWS, SEED = 1000, 0


@dataclass(frozen=True)
class Estimate:
    """A figure with its 95 % interval, and how many cases and patients it stands on."""

    value: float
    low: float
    high: float
    cases: int
    patients: int

    def as_json(self, digits: int = 4) -> dict[str, float | int | None]:
        """Its fields, rounded; ``None`` for what could not be computed."""
        return {name: number(v, digits) if isinstance(v, float) else v for name, v in asdict(self).items()}


def number(value: float, digits: int = 4) -> float | None:
    """A figure as JSON takes it: rounded, ``None`` where it is not finite."""
    return round(float(value), digits) if np.isfinite(value) else None


def resampled_rows(patients: Sequence[str], draws: int = DRAWS, seed: int = SEED) -> Iterator[np.ndarray]:
    """Rows of each of ``draws`` sets: as many patients, drawn with replacement, with everything that is theirs."""
    names = np.asarray(patients)
    rows_of = [np.flatnonzero(names == patient) for patient in np.unique(names)]
    rng = np.random.default_rng(seed)
    for _ in range(draws):
        yield np.concatenate([rows_of[n] for n in rng.integers(0, len(rows_of), len(rows_of))])


def interval(values: Iterable[float]) -> tuple[float, float]:
    """2.5 and 97.5 percentile of what is finite; NaN where nothing is."""
    finite = [v for v in values if np.isfinite(v)]
    low, high = np.percentile(finite, [2.5, 97.5]) if finite else (np.nan, np.nan)
    return float(low), float(high)


def bootstrap(
    metric: Callable[..., float], patients: Sequence[str], *columns: np.ndarray, draws: int = DRAWS, seed: int = SEED
) -> Estimate:
    """``metric(*columns)`` and its percentile interval over resampled patients.

    Draws in which the metric cannot be computed (ValueError: one class only) are left out.
    """
    value, values = float(metric(*columns)), []
    for rows in resampled_rows(patients, draws, seed):
        try:
            values.append(metric(*(column[rows] for column in columns)))
        except ValueError:
            continue
    return Estimate(value, *interval(values), len(patients), len(set(patients)))
