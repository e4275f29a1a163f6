"""A nodule over several exams."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta

import pytest

from LungNoduleCADLib.domain.comparison import Change, Growth, NoduleMatch, NoduleSeries, StudyComparison
from LungNoduleCADLib.domain.findings import StudyFindings
from LungNoduleCADLib.domain.nodule import Nodule
from LungNoduleCADLib.followup.growth import classify_change, measure_growth
from LungNoduleCADLib.followup.series import earlier_points, series_of, time_point, with_series

MakeNodule = Callable[..., Nodule]
MakeStudy = Callable[..., StudyFindings]
TODAY = date(2024, 1, 1)


@pytest.fixture
def over(nodule: MakeNodule, study: MakeStudy) -> Callable[..., StudyComparison]:
    """The comparison of a nodule with volumes (oldest first, ``None``: not seen) at days before today."""

    def make(volumes: list[float | None], days: list[int | None]) -> StudyComparison:
        exams = [
            study([] if v is None else [nodule("N1", volume_mm3=v)], None if d is None else TODAY - timedelta(days=d))
            for v, d in zip(volumes, days, strict=True)
        ]
        *older, prior, current = exams
        points = {"N1": [time_point(exam, current, next(iter(exam.nodules), None)) for exam in older]}
        old, new = next(iter(prior.nodules), None), current.nodules[0]
        interval = None if None in days[-2:] else days[-2]
        growth = measure_growth(old, new, interval, (1.0, 1.0)) if old else None
        change = class_of(growth) if growth else Change.NEW
        match = NoduleMatch(old.id if old else None, new.id, change, growth=growth)
        return with_series(StudyComparison((match,), interval, None), current, prior, points)

    return make


def class_of(growth: Growth) -> Change:
    return classify_change(growth.volume_change_percent, growth.volume_change_interval_95_percent)


def only(comparison: StudyComparison) -> NoduleSeries:
    (series,) = comparison.series
    return series


def test_every_exam_is_a_point_with_its_error(over: Callable[..., StudyComparison]) -> None:
    series = only(over([300.0, None, 330.0, 350.0], [800, 600, 300, 0]))

    assert [point.days for point in series.points] == [800, 600, 300, 0]
    assert [point.volume_mm3 for point in series.points] == [300.0, None, 330.0, 350.0]
    assert series.points[1].nodule_id is None
    for point in series.points[::3]:
        low, high = point.volume_interval_95_mm3
        assert low < point.volume_mm3 < high


def test_steady_doubling_gives_its_doubling_time(over: Callable[..., StudyComparison]) -> None:
    days = [900, 600, 300, 0]
    series = only(over([400 * 2 ** ((900 - d) / 450) for d in days], days))

    assert series.change is Change.GROWING
    assert series.volume_change_percent == pytest.approx(300)
    assert series.vdt_days == pytest.approx(450)
    low, high = series.vdt_interval_95_days
    assert low < 450 < high


def test_more_exams_make_the_doubling_time_surer(over: Callable[..., StudyComparison]) -> None:
    def width(days: list[int]) -> float:
        low, high = only(over([400 * 2 ** ((900 - d) / 450) for d in days], days)).vdt_interval_95_days
        return high - low

    assert width([900, 720, 540, 360, 180, 0]) < width([900, 450, 0])


def test_slow_growth_over_several_exams_is_told_where_the_last_two_do_not_show_it(
    over: Callable[..., StudyComparison],
) -> None:
    days = [1460, 1095, 730, 365, 0]
    comparison = over([700 * math.exp(0.13 * n) for n in range(5)], days)

    (match,) = comparison.matches
    assert match.change is not Change.GROWING
    assert only(comparison).slow_growth
    (flag,) = match.flags
    assert flag.code == "slow_growth"
    assert "5 exams since 2020-01-02" in flag.message
    assert "+68%" in flag.message


def test_fast_growth_is_not_called_slow(over: Callable[..., StudyComparison]) -> None:
    comparison = over([400.0, 800.0, 1600.0], [400, 200, 0])

    assert only(comparison).change is Change.GROWING
    assert not only(comparison).slow_growth
    assert comparison.matches[0].flags == ()


def test_an_unchanged_nodule_is_stable_over_all_exams(over: Callable[..., StudyComparison]) -> None:
    assert only(over([3000.0] * 5, [800, 600, 400, 200, 0])).change is Change.STABLE


@pytest.mark.parametrize("days", [[300, 0], [600, None, 0], [300, 300, 0]])
def test_fewer_than_three_dated_exams_have_no_trend(over: Callable[..., StudyComparison], days: list) -> None:
    series = only(over([400.0] * len(days), days))

    assert (series.change, series.vdt_days) == (None, None)
    assert len(series.points) == len(days)


def test_a_corrected_volume_moves_the_last_points_and_keeps_the_earlier_ones(
    over: Callable[..., StudyComparison], nodule: MakeNodule, study: MakeStudy
) -> None:
    comparison = over([400.0, 420.0, 440.0], [600, 300, 0])
    current = study([nodule("N1", volume_mm3=900.0)], TODAY)
    prior = study([nodule("N1", volume_mm3=420.0)], TODAY - timedelta(days=300))

    series = only(with_series(comparison, current, prior, earlier_points(comparison)))

    assert [point.volume_mm3 for point in series.points] == [400.0, 420.0, 900.0]


def test_results_without_series_give_that_of_the_last_two_exams(nodule: MakeNodule, study: MakeStudy) -> None:
    prior, current = study([nodule("P1")], TODAY - timedelta(days=100)), study([nodule("N1"), nodule("N2")], TODAY)
    rows = (NoduleMatch("P1", "N1", Change.STABLE), NoduleMatch(None, "N2", Change.NEW))
    findings = replace(current, prior=prior, comparison=StudyComparison(rows, 100, None))

    assert [point.nodule_id for point in series_of(findings, "N1").points] == ["P1", "N1"]
    assert [point.nodule_id for point in series_of(findings, "N2").points] == [None, "N2"]
    assert series_of(current, "N1") is None
