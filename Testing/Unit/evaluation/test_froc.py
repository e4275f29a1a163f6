from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from LungNoduleCADLib.evaluation.froc import LUNA16_RATES, ScanDetections, froc, froc_band, match, most_suspicious


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
    assert curve.interpolated(LUNA16_RATES) == pytest.approx([1 / 3] * 3 + [2 / 3] * 4)
    assert curve.sensitivity_at(0.5) == pytest.approx(1 / 3)
    assert curve.sensitivity_at(1.0) == pytest.approx(2 / 3)
    assert curve.competition_metric() == pytest.approx((3 / 3 + 4 * 2 / 3) / 7)


@pytest.mark.parametrize(("distance_mm", "hit"), [(2.9, 1.0), (3.0, 0.0), (3.1, 0.0)])
def test_a_target_is_hit_nearer_than_its_radius_only(distance_mm: float, hit: float) -> None:
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


def test_between_its_points_the_curve_is_read_off_a_line_as_the_challenge_does() -> None:
    """One nodule at 0.9 (no false positive before), the other at 0.1 after two false positives in one scan."""
    curve = froc(
        [scan([(0, 0, 0), (40, 0, 0), (60, 0, 0), (0, 9, 0)], [0.9, 0.8, 0.1, 0.1], [(0, 0, 0, 6), (0, 9, 0, 6)])]
    )

    # points (0, 1/2), (1, 1/2), (2, 1): 1.5 false positives lie half-way; a threshold reaches only 1/2 there
    assert curve.interpolated([0.5, 1.5, 2.0, 8.0]) == pytest.approx([0.5, 0.75, 1.0, 1.0])
    assert curve.sensitivity_at(1.5) == pytest.approx(0.5)
    assert curve.competition_metric() == pytest.approx((4 * 0.5 + 3 * 1.0) / 7)


def test_the_curve_starts_where_nothing_is_marked() -> None:
    """The first mark is false: from (0, 0) it goes to (1, 0), and up to (1, 1) with the nodule."""
    curve = froc([scan([(40, 0, 0), (0, 0, 0)], [0.9, 0.5], [(0, 0, 0, 6)])])

    assert curve.interpolated(LUNA16_RATES) == pytest.approx([0, 0, 0, 1, 1, 1, 1])


def test_a_second_mark_on_a_nodule_is_neither_a_hit_nor_false_and_the_best_one_counts() -> None:
    found = match(scan([(1, 0, 0), (0, 0, 0), (30, 0, 0)], [0.2, 0.7, 0.6], [(0, 0, 0, 6), (90, 0, 0, 6)]))

    assert found.found_by.tolist() == [1, -1]
    assert found.false.tolist() == [False, False, True]


def test_a_mark_on_a_nodule_and_on_an_irrelevant_finding_is_a_hit() -> None:
    curve = froc([scan([(0, 0, 0)], [0.5], [(0, 0, 1, 6)], [(0, 0, -1, 6)])])

    assert (curve.sensitivity.tolist(), curve.false_positives_per_scan.tolist()) == ([1.0], [0.0])


def test_one_mark_on_two_nodules_finds_both() -> None:
    assert match(scan([(0, 0, 0)], [0.5], [(0, 0, 1, 6), (0, 0, -1, 6)])).found_by.tolist() == [0, 0]


def test_an_irrelevant_finding_of_unknown_size_counts_as_10_mm() -> None:
    found = match(scan([(4.9, 0, 0), (5.1, 0, 0)], [0.5, 0.5], [], [(0, 0, 0, -1)]))

    assert found.false.tolist() == [False, True]


def test_of_a_scan_with_too_many_marks_only_the_most_suspicious_count() -> None:
    crowded = scan([(n, 0, 0) for n in range(5)], [0.9, 0.1, 0.5, 0.3, 0.3], [])

    assert most_suspicious(crowded, 5).scores.tolist() == [0.9, 0.1, 0.5, 0.3, 0.3]
    assert most_suspicious(crowded, 4).scores.tolist() == [0.9, 0.5, 0.3, 0.3]
    assert most_suspicious(crowded, 3).scores.tolist() == [0.9, 0.5]  # the two 0.3 tie over the border


def random_scans(seed: int) -> list[ScanDetections]:
    """Twelve scans, scores in steps of 0.05 (many ties), some without marks, some without nodules."""
    rng = np.random.default_rng(seed)
    scans = []
    for _ in range(12):
        count = rng.integers(0, 4)
        targets = np.c_[rng.uniform(0, 60, (count, 3)), rng.uniform(4, 30, count)]
        ignored = np.c_[rng.uniform(0, 60, (2, 3)), rng.uniform(4, 30, 2)]
        near = np.repeat(targets[:, :3], 2, axis=0) + rng.normal(0, 5, (2 * count, 3))
        points = np.concatenate([near, rng.uniform(0, 60, (rng.integers(0, 12), 3))])
        scans.append(ScanDetections(points, rng.integers(1, 21, len(points)) / 20, targets, ignored))
    return scans


def scores_by_the_rules(scans: list[ScanDetections]) -> tuple[list[float], list[float]]:
    """Best score of each nodule (0: missed) and scores of the false positives, mark by mark."""
    hits, false = [], []
    for one in scans:
        marks = list(zip(one.points.tolist(), one.scores.tolist(), strict=True))

        def on(place: list[float], finding: list[float]) -> bool:
            return sum((a - b) ** 2 for a, b in zip(place, finding, strict=False)) < (finding[3] / 2) ** 2

        hits += [max((s for place, s in marks if on(place, nodule)), default=0.0) for nodule in one.targets.tolist()]
        findings = [*one.targets.tolist(), *one.ignored.tolist()]
        false += [s for place, s in marks if not any(on(place, finding) for finding in findings)]
    return hits, false


@pytest.mark.parametrize("seed", range(6))
def test_curve_and_metric_agree_with_a_count_by_hand_and_with_monai(seed: int) -> None:
    from monai.metrics import compute_froc_curve_data, compute_froc_score

    scans = random_scans(seed)
    hits, false = scores_by_the_rules(scans)
    curve = froc(scans)

    for threshold in np.arange(1, 21) / 20:
        counted = sum(h >= threshold for h in hits) / len(hits), sum(f >= threshold for f in false) / len(scans)
        assert curve.at(threshold) == pytest.approx(counted)
    # MONAI leaves the lowest of all scores out of the curve: a missed nodule at -1 takes that place
    rates, sensitivity = compute_froc_curve_data(np.array(false), np.array([h or -1.0 for h in hits]), len(hits), 12)
    if 0.0 in hits:
        assert compute_froc_score(rates, sensitivity, LUNA16_RATES) == pytest.approx(curve.competition_metric())


def test_the_band_holds_the_curve_and_counts_nodules_and_patients() -> None:
    scans = random_scans(0)

    band = froc_band(scans, draws=200)

    assert band.rates.tolist() == list(LUNA16_RATES)
    assert np.all((band.low <= band.sensitivity) & (band.sensitivity <= band.high))
    assert band.sensitivity == pytest.approx(froc(scans).interpolated(LUNA16_RATES))
    metric = band.competition_metric
    assert metric.low < metric.value < metric.high
    assert metric.value == pytest.approx(froc(scans).competition_metric())
    assert (metric.cases, metric.patients) == (sum(len(s.targets) for s in scans), 12)


def test_scans_of_one_patient_are_drawn_together() -> None:
    """A scan that finds its nodule and one that does not: of one patient, every draw is the same."""
    found, missed = scan([(0, 0, 0)], [0.5], [(0, 0, 0, 6)]), scan([], [], [(0, 0, 0, 6)])

    together = froc_band([replace(found, patient="A"), replace(missed, patient="A")], draws=50).competition_metric
    apart = froc_band([found, missed], draws=50).competition_metric

    assert (together.low, together.value, together.high, together.patients) == (0.5, 0.5, 0.5, 1)
    assert (apart.low, apart.high, apart.patients) == (0.0, 1.0, 2)


def test_draws_without_a_nodule_are_left_out_of_the_band() -> None:
    band = froc_band([scan([(0, 0, 0)], [0.5], [(0, 0, 0, 6)]), scan([(0, 0, 0)], [0.4], [])], draws=50)

    assert (band.competition_metric.low, band.competition_metric.high) == (1.0, 1.0)


def test_without_any_nodule_the_sensitivity_is_not_a_number_and_false_positives_are_counted() -> None:
    curve = froc([scan([(0, 0, 0)], [0.5], [])])

    assert np.isnan(curve.sensitivity).all()
    assert curve.false_positives_per_scan.tolist() == [1.0]
