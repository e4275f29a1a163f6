"""Free-response ROC by the rules of the LUNA16 challenge (Setio et al., Med Image Anal 2017).

- A mark hits a nodule if it lies nearer to its centre than the nodule's radius.
- A nodule has the score of its best mark; further marks on it are neither hits nor false positives.
- Marks on irrelevant findings are neither; a mark on a nodule and on an irrelevant finding is a hit.
- Scans without marks or without nodules count in the number of scans.
- Between the points of the curve the sensitivity is interpolated; beyond the last it stays.
- The challenge takes no more than 100 marks a scan: ``LUNA16_MARKS``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from LungNoduleCADLib.evaluation.bootstrap import DRAWS, SEED, Estimate, bootstrap, interval, resampled_rows

LUNA16_RATES = (0.125, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0)
LUNA16_MARKS = 100
LUNA16_UNKNOWN_DIAMETER_MM = 10.0


@dataclass(frozen=True)
class ScanDetections:
    """Detections and truth of one scan, LPS mm.

    ``targets`` (T, 4): centre and diameter of what must be found; ``ignored`` (I, 4): neither hit nor false positive
    (a negative diameter, as in LUNA16's list, means 10 mm); ``points`` (N, 3) with ``scores`` (N,).
    ``patient``: whose scan it is, for intervals; empty: a patient of its own.
    """

    points: np.ndarray
    scores: np.ndarray
    targets: np.ndarray
    ignored: np.ndarray
    patient: str = ""


@dataclass(frozen=True)
class Matches:
    """What the marks of a scan were worth.

    ``found_by`` (T,): index of the best mark on each target, -1 where it was missed; ``false`` (N,): false positives.
    """

    found_by: np.ndarray
    false: np.ndarray


@dataclass(frozen=True)
class Froc:
    """Sensitivity and false positives a scan at each threshold, most cautious first."""

    thresholds: np.ndarray
    sensitivity: np.ndarray
    false_positives_per_scan: np.ndarray

    def sensitivity_at(self, rate: float) -> float:
        """Highest sensitivity that a threshold reaches at no more than ``rate`` false positives a scan."""
        allowed = self.false_positives_per_scan <= rate
        return float(self.sensitivity[allowed].max()) if allowed.any() else 0.0

    def interpolated(self, rates: Sequence[float] | np.ndarray) -> np.ndarray:
        """Sensitivity at rates of false positives a scan as LUNA16 reads it off: on lines between the points."""
        points = np.r_[0.0, self.false_positives_per_scan], np.r_[0.0, self.sensitivity]
        return np.interp(np.asarray(rates, float), *points)

    def at(self, threshold: float) -> tuple[float, float]:
        """Sensitivity and false positives a scan of what scores at least that much; zeros where nothing does."""
        reached = np.flatnonzero(self.thresholds >= threshold)
        if not len(reached):
            return 0.0, 0.0
        return float(self.sensitivity[reached[-1]]), float(self.false_positives_per_scan[reached[-1]])

    def competition_metric(self) -> float:
        """Mean interpolated sensitivity at 1/8 to 8 false positives a scan (LUNA16's CPM)."""
        return float(self.interpolated(LUNA16_RATES).mean())


@dataclass(frozen=True)
class FrocBand:
    """95 % intervals over resampled patients: of the interpolated sensitivity at ``rates``, and of the CPM.

    The CPM counts targets as cases. Draws without any target are left out.
    """

    rates: np.ndarray
    sensitivity: np.ndarray
    low: np.ndarray
    high: np.ndarray
    competition_metric: Estimate


def most_suspicious(scan: ScanDetections, count: int = LUNA16_MARKS) -> ScanDetections:
    """The scan with no more than ``count`` marks; marks that tie with the first one left out are left out too."""
    if len(scan.scores) <= count:
        return scan
    kept = scan.scores > np.sort(scan.scores)[::-1][count]
    return replace(scan, points=scan.points[kept], scores=scan.scores[kept])


def match(scan: ScanDetections) -> Matches:
    """Which mark found which target, and which marks are false."""
    used = np.zeros(len(scan.points), bool)
    found_by = np.full(len(scan.targets), -1)
    for row, target in enumerate(scan.targets):
        near = _within(scan.points, target)
        used |= near
        if near.any():
            found_by[row] = np.flatnonzero(near)[np.argmax(scan.scores[near])]
    for finding in scan.ignored:
        used |= _within(scan.points, finding)
    return Matches(found_by, ~used)


def froc(scans: Sequence[ScanDetections]) -> Froc:
    """The curve over scans; its sensitivity is NaN where there is no target at all."""
    return _curve([_scores(scan) for scan in scans])


def froc_band(
    scans: Sequence[ScanDetections],
    rates: Sequence[float] | np.ndarray = LUNA16_RATES,
    draws: int = DRAWS,
    seed: int = SEED,
) -> FrocBand:
    """The curve at ``rates`` with its 95 % interval; what is resampled are patients with all their scans."""
    curve, grid = froc(scans), np.asarray(rates, float)
    drawn = list(_drawn_curves(scans, draws, seed))
    values = np.array([one.interpolated(grid) for one in drawn]).reshape(-1, len(grid))
    bounds = np.array([interval(of_rate) for of_rate in values.T])
    metric = _estimate(curve.competition_metric(), [one.competition_metric() for one in drawn], scans)
    return FrocBand(grid, curve.interpolated(grid), bounds[:, 0], bounds[:, 1], metric)


def sensitivity_estimates(
    scans: Sequence[ScanDetections], rates: Sequence[float], draws: int = DRAWS, seed: int = SEED
) -> list[Estimate]:
    """Highest sensitivity that a threshold reaches at no more than each rate of false positives a scan (not on lines).

    With 95 % intervals over resampled patients; the cases are targets.
    """
    curve, drawn = froc(scans), list(_drawn_curves(scans, draws, seed))
    return [_estimate(curve.sensitivity_at(rate), [one.sensitivity_at(rate) for one in drawn], scans) for rate in rates]


def at_threshold(
    scans: Sequence[ScanDetections], threshold: float, draws: int = DRAWS, seed: int = SEED
) -> tuple[Estimate | None, Estimate]:
    """Sensitivity (cases: targets) and false positives a scan (cases: scans) of what scores at least ``threshold``.

    With 95 % intervals over resampled patients. No sensitivity where there is no target at all; draws without any are
    left out of its interval.
    """
    scored = [_scores(scan) for scan in scans]
    patients = _patients(scans)
    found = np.array([np.count_nonzero(hits >= threshold) for hits, _ in scored])
    targets = np.array([len(hits) for hits, _ in scored])
    false = np.array([np.count_nonzero(wrong >= threshold) for _, wrong in scored], float)

    def sensitivity(found: np.ndarray, targets: np.ndarray) -> float:
        if not targets.sum():
            raise ValueError("expected a target, got none")
        return float(found.sum() / targets.sum())

    alarms = bootstrap(lambda values: float(np.mean(values)), patients, false, draws=draws, seed=seed)
    if not targets.sum():
        return None, alarms
    share = bootstrap(sensitivity, patients, found, targets, draws=draws, seed=seed)
    return replace(share, cases=int(targets.sum())), alarms


def _patients(scans: Sequence[ScanDetections]) -> list[str]:
    return [scan.patient or f"scan {n}" for n, scan in enumerate(scans)]


def _drawn_curves(scans: Sequence[ScanDetections], draws: int, seed: int) -> Iterator[Froc]:
    """Curves of resampled patients; draws without any target are left out."""
    scored = [_scores(scan) for scan in scans]
    for rows in resampled_rows(_patients(scans), draws, seed):
        some = [scored[n] for n in rows]
        if any(len(hits) for hits, _ in some):
            yield _curve(some)


def _estimate(value: float, drawn: list[float], scans: Sequence[ScanDetections]) -> Estimate:
    targets = sum(len(scan.targets) for scan in scans)
    return Estimate(value, *interval(drawn), targets, len(set(_patients(scans))))


def _scores(scan: ScanDetections) -> tuple[np.ndarray, np.ndarray]:
    """Score of each target (-inf: missed) and of each false positive."""
    found = match(scan)
    hits = np.full(len(found.found_by), -np.inf)
    hits[found.found_by >= 0] = scan.scores[found.found_by[found.found_by >= 0]]
    return hits, scan.scores[found.false]


def _curve(scored: Sequence[tuple[np.ndarray, np.ndarray]]) -> Froc:
    hits = np.sort(np.concatenate([hits for hits, _ in scored]))
    false = np.sort(np.concatenate([false for _, false in scored]))
    thresholds = np.unique(np.concatenate([hits[np.isfinite(hits)], false]))[::-1]
    reached = len(hits) - np.searchsorted(hits, thresholds)
    wrong = len(false) - np.searchsorted(false, thresholds)
    sensitivity = reached / len(hits) if len(hits) else np.full(len(thresholds), np.nan)
    return Froc(thresholds, sensitivity, wrong / len(scored))


def _within(points: np.ndarray, finding: np.ndarray) -> np.ndarray:
    diameter_mm = finding[3] if finding[3] >= 0 else LUNA16_UNKNOWN_DIAMETER_MM
    return np.linalg.norm(points.reshape(-1, 3) - finding[:3], axis=1) < diameter_mm / 2
