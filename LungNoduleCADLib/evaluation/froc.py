"""Free-response ROC as LUNA16 defines it: which marks were hit, and at what price in false positives a scan."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

LUNA16_RATES = (0.125, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0)


@dataclass(frozen=True)
class ScanDetections:
    """Detections and truth of one scan, LPS mm.

    ``targets`` (T, 4): centre and diameter of what must be found; ``ignored`` (I, 4): neither hit nor false positive;
    ``points`` (N, 3) with ``scores`` (N,).
    """

    points: np.ndarray
    scores: np.ndarray
    targets: np.ndarray
    ignored: np.ndarray


@dataclass(frozen=True)
class Froc:
    """Sensitivity and false positives a scan at each threshold, most cautious first."""

    thresholds: np.ndarray
    sensitivity: np.ndarray
    false_positives_per_scan: np.ndarray

    def sensitivity_at(self, rate: float) -> float:
        """Highest sensitivity at no more than ``rate`` false positives a scan."""
        allowed = self.false_positives_per_scan <= rate
        return float(self.sensitivity[allowed].max()) if allowed.any() else 0.0

    def at(self, threshold: float) -> tuple[float, float]:
        """Sensitivity and false positives a scan of what scores at least that much; zeros where nothing does."""
        reached = np.flatnonzero(self.thresholds >= threshold)
        if not len(reached):
            return 0.0, 0.0
        return float(self.sensitivity[reached[-1]]), float(self.false_positives_per_scan[reached[-1]])

    def competition_metric(self) -> float:
        """Mean sensitivity at 1/8 to 8 false positives a scan (LUNA16's CPM)."""
        return float(np.mean([self.sensitivity_at(rate) for rate in LUNA16_RATES]))


def froc(scans: Sequence[ScanDetections]) -> Froc:
    """The curve over scans: a target is hit by a point within half its diameter; its score is that of its best hit."""
    hits: list[float] = []
    false_scores: list[float] = []
    for scan in scans:
        used = np.zeros(len(scan.points), bool)
        for target in scan.targets:
            near = _within(scan.points, target)
            used |= near
            hits.append(scan.scores[near].max() if near.any() else -np.inf)
        for lesion in scan.ignored:
            used |= _within(scan.points, lesion)
        false_scores.extend(scan.scores[~used])
    best, wrong = np.asarray(hits), np.asarray(false_scores)
    thresholds = np.unique(np.concatenate([best[np.isfinite(best)], wrong]))[::-1]
    return Froc(
        thresholds,
        np.array([(best >= t).mean() if len(best) else np.nan for t in thresholds]),
        np.array([(wrong >= t).sum() / len(scans) for t in thresholds]),
    )


def _within(points: np.ndarray, lesion: np.ndarray) -> np.ndarray:
    return np.linalg.norm(points.reshape(-1, 3) - lesion[:3], axis=1) <= lesion[3] / 2
