from __future__ import annotations

import numpy as np
import pytest

from LungNoduleCADLib.evaluation.froc import ScanDetections, froc

NONE = np.empty((0, 4))


def scan(points: list, scores: list[float], targets: list, ignored: list = ()) -> ScanDetections:
    return ScanDetections(
        np.reshape(np.array(points, float), (-1, 3)),
        np.array(scores),
        np.reshape(np.array(targets, float), (-1, 4)),
        np.reshape(np.array(ignored, float), (-1, 4)),
    )


def two_scans() -> list[ScanDetections]:
    """Three targets. First scan: one hit twice, one never; a lesion to ignore, a false positive. Second: one hit."""
    first = scan(
        [(0, 0, 2.9), (0, 0, 1), (50, 0, 0), (0, 80, 0), (99, 0, 0)],
        [0.9, 0.4, 0.95, 0.6, 0.2],
        [(0, 0, 0, 6), (0, 40, 0, 10)],
        [(50, 0, 1, 8)],
    )
    return [first, scan([(10, 10, 10), (0, 0, 0)], [0.5, 0.7], [(10, 10, 13, 7)])]


def test_the_curve_of_two_scans_is_the_one_made_by_hand() -> None:
    curve = froc(two_scans())

    # hits: 0.9, never, 0.5; false: 0.6 and 0.2 in the first scan, 0.7 in the second; the ignored 0.95 counts nowhere
    assert curve.thresholds == pytest.approx([0.9, 0.7, 0.6, 0.5, 0.2])
    assert curve.sensitivity == pytest.approx([1 / 3, 1 / 3, 1 / 3, 2 / 3, 2 / 3])
    assert curve.false_positives_per_scan == pytest.approx([0.0, 0.5, 1.0, 1.0, 1.5])


def test_the_competition_metric_is_the_mean_over_seven_rates() -> None:
    curve = froc(two_scans())

    # 1/8, 1/4, 1/2 false positives a scan: 1/3; 1, 2, 4, 8: 2/3
    assert curve.sensitivity_at(0.5) == pytest.approx(1 / 3)
    assert curve.sensitivity_at(1.0) == pytest.approx(2 / 3)
    assert curve.competition_metric() == pytest.approx((3 / 3 + 4 * 2 / 3) / 7)


@pytest.mark.parametrize(("distance_mm", "hit"), [(2.9, 1.0), (3.0, 1.0), (3.1, 0.0)])
def test_a_target_is_hit_within_its_radius_only(distance_mm: float, hit: float) -> None:
    curve = froc([scan([(distance_mm, 0, 0)], [0.5], [(0, 0, 0, 6)])])

    assert curve.sensitivity[-1] == hit
    assert curve.false_positives_per_scan[-1] == 1.0 - hit


def test_a_point_on_an_ignored_lesion_is_neither_a_hit_nor_false() -> None:
    curve = froc([scan([(50, 0, 0)], [0.9], [(0, 0, 0, 6)], [(50, 0, 0, 6)]), scan([(0, 0, 0)], [0.1], [])])

    assert curve.thresholds.tolist() == [0.1]
    assert curve.sensitivity.tolist() == [0.0]
    assert curve.false_positives_per_scan.tolist() == [0.5]


def test_a_detector_that_says_nothing_finds_nothing() -> None:
    curve = froc([scan([], [], [(0, 0, 0, 6)])])

    assert curve.sensitivity_at(8.0) == 0.0
    assert curve.competition_metric() == 0.0


@pytest.mark.parametrize(
    ("threshold", "sensitivity", "false_positives"),
    [(0.95, 0.0, 0.0), (0.9, 1 / 3, 0.0), (0.65, 1 / 3, 0.5), (0.5, 2 / 3, 1.0), (0.05, 2 / 3, 1.5)],
)
def test_the_curve_at_a_threshold_counts_what_scores_at_least_that(
    threshold: float, sensitivity: float, false_positives: float
) -> None:
    assert froc(two_scans()).at(threshold) == pytest.approx((sensitivity, false_positives))
