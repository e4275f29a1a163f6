"""Volume doubling, its interval, and what a change is called."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from LungNoduleCADLib.domain.comparison import Change, DoublingBand, Growth
from LungNoduleCADLib.domain.nodule import Nodule, NoduleType
from LungNoduleCADLib.errors import InputError
from LungNoduleCADLib.followup.growth import (
    ERROR,
    classify_change,
    doubling_bands,
    log_volume_sd,
    measure_growth,
    volume_doubling_time_days,
    volume_interval_95_mm3,
)

Make = Callable[..., Nodule]
THIN, THICK = (1.0, 1.0), (2.5, 2.5)
V8 = 268.08  # mm3 of an 8 mm sphere


def changed(growth: Growth) -> Change:
    return classify_change(growth.volume_change_percent, growth.volume_change_interval_95_percent)


@pytest.mark.parametrize(
    ("before", "after", "days", "expected"),
    [
        (100, 200, 400, 400.0),
        (113, 268, 365, 292.96),
        (100, 125, 90, 279.57),
        (200, 100, 400, -400.0),
    ],
)
def test_doubling_times_agree_with_the_published_formula(
    before: float, after: float, days: int, expected: float
) -> None:
    assert volume_doubling_time_days(before, after, days) == pytest.approx(expected, abs=0.005)


def test_equal_volumes_and_no_elapsed_time_have_no_doubling_time() -> None:
    assert volume_doubling_time_days(100, 100, 365) is None
    assert volume_doubling_time_days(100, 200, 0) is None


def test_small_subsolid_and_thickly_sliced_nodules_are_less_certain() -> None:
    reference = log_volume_sd(V8, NoduleType.SOLID, 1.0)

    assert log_volume_sd(V8 / 4, NoduleType.SOLID, 1.0) > reference
    assert log_volume_sd(V8, NoduleType.GROUND_GLASS, 1.0) > reference
    assert log_volume_sd(V8, NoduleType.SOLID, 2.5) > reference
    assert log_volume_sd(V8, NoduleType.SOLID, 5.0) > log_volume_sd(V8, NoduleType.SOLID, 2.5)


def test_the_interval_holds_the_true_change_in_95_of_100_simulated_pairs(nodule: Make) -> None:
    rng = np.random.default_rng(0)
    truth = (V8, 1.6 * V8)
    sds = [log_volume_sd(v, NoduleType.SOLID, 1.0) for v in truth]
    held = []
    for first, second, by_change in rng.normal(size=(2000, 3)):
        before = nodule(volume_mm3=truth[0] * math.exp(sds[0] * first))
        error = sds[1] * second + ERROR.share_of_change * math.log(1.6) * by_change
        after = nodule(volume_mm3=truth[1] * math.exp(error))
        low, high = measure_growth(before, after, 200, THIN).volume_change_interval_95_percent
        held.append(low <= 60.0 <= high)

    assert 0.93 <= np.mean(held) <= 0.97


def test_sure_growth_has_a_bounded_doubling_time(nodule: Make) -> None:
    growth = measure_growth(nodule(volume_mm3=V8), nodule(volume_mm3=2 * V8), 400, THIN)
    shortest, longest = growth.vdt_interval_95_days

    assert growth.vdt_days == pytest.approx(400)
    assert 0 < shortest < 400 < longest
    assert growth.mean_diameter_change_mm == pytest.approx(2.1)
    assert growth.volume_change_percent == pytest.approx(100)
    assert changed(growth) is Change.GROWING


def test_a_rate_that_may_be_zero_leaves_the_slow_end_open(nodule: Make) -> None:
    growth = measure_growth(nodule(volume_mm3=V8), nodule(volume_mm3=1.05 * V8), 100, THIN)
    shortest, longest = growth.vdt_interval_95_days

    assert 0 < shortest < growth.vdt_days
    assert longest is None


def test_sure_shrinkage_is_a_negative_doubling_time_between_negative_ends(nodule: Make) -> None:
    growth = measure_growth(nodule(volume_mm3=2 * V8), nodule(volume_mm3=V8), 400, THIN)
    low, high = growth.vdt_interval_95_days

    assert low < growth.vdt_days < high < 0
    assert changed(growth) is Change.SHRINKING


def test_without_change_there_is_no_doubling_time_and_the_nodule_is_stable(nodule: Make) -> None:
    growth = measure_growth(nodule(volume_mm3=4000), nodule(volume_mm3=4000), 365, THIN)

    assert growth.volume_change_percent == 0
    assert growth.vdt_days is None
    assert changed(growth) is Change.STABLE


@pytest.mark.parametrize("days", [None, 0])
def test_without_elapsed_time_the_change_is_given_and_the_doubling_time_is_not(nodule: Make, days: int | None) -> None:
    growth = measure_growth(nodule(volume_mm3=V8), nodule(volume_mm3=2 * V8), days, THIN)

    assert growth.volume_change_percent == pytest.approx(100)
    assert growth.vdt_days is None
    assert growth.vdt_interval_95_days is None


def test_a_negative_interval_is_refused(nodule: Make) -> None:
    with pytest.raises(InputError, match="swap"):
        measure_growth(nodule(), nodule(), -1, THIN)


def test_a_nodule_that_was_not_measured_has_no_growth(nodule: Make) -> None:
    assert measure_growth(nodule(volume_mm3=None), nodule(), 365, THIN) is None


def test_growth_of_a_large_nodule_that_a_small_one_cannot_prove(nodule: Make) -> None:
    large = measure_growth(nodule(volume_mm3=2000), nodule(volume_mm3=2000 * 1.4), 365, THIN)
    small = measure_growth(nodule(volume_mm3=10), nodule(volume_mm3=10 * 1.3), 365, THICK)

    assert changed(large) is Change.GROWING
    assert changed(small) is Change.UNCERTAIN


def test_a_scan_compared_with_itself_has_no_measurement_error(nodule: Make) -> None:
    small = nodule(volume_mm3=10)
    itself = measure_growth(small, small, 0, THICK, same_image=True)

    assert itself.volume_change_percent == 0
    assert itself.volume_change_interval_95_percent == (0, 0)
    assert itself.vdt_days is None
    assert changed(itself) is Change.STABLE
    assert changed(measure_growth(small, small, 200, THICK)) is Change.UNCERTAIN


@pytest.mark.parametrize(
    ("change", "interval", "expected"),
    [
        (26.0, (2.0, 60.0), Change.GROWING),
        (24.0, (2.0, 60.0), Change.UNCERTAIN),
        (26.0, (-1.0, 60.0), Change.UNCERTAIN),
        (15.0, (7.0, 24.0), Change.STABLE),
        (0.0, (-19.0, 24.0), Change.STABLE),
        (0.0, (-20.0, 26.0), Change.UNCERTAIN),
        (-22.0, (-40.0, -2.0), Change.SHRINKING),
        (-22.0, (-50.0, 10.0), Change.UNCERTAIN),
    ],
)
def test_the_class_follows_the_interval_and_the_25_percent_rule(
    change: float, interval: tuple[float, float], expected: Change
) -> None:
    assert classify_change(change, interval) is expected


@pytest.mark.parametrize(
    ("low", "high", "bands"),
    [
        (0.70, 0.72, [DoublingBand.FAST]),
        (0.55, 0.65, [DoublingBand.MIDDLE]),
        (0.05, 0.40, [DoublingBand.SLOW]),
        (-0.3, -0.1, [DoublingBand.NOT_GROWING]),
        (-0.1, 0.60, [DoublingBand.MIDDLE, DoublingBand.SLOW, DoublingBand.NOT_GROWING]),
        (0.30, 1.00, [DoublingBand.FAST, DoublingBand.MIDDLE, DoublingBand.SLOW]),
    ],
)
def test_doubling_times_fall_into_the_bands_of_bts_and_nelson_that_their_interval_reaches(
    low: float, high: float, bands: list[DoublingBand]
) -> None:
    # over 400 days a doubling time of 400 days is a log ratio of 0.693, one of 600 days 0.462
    assert doubling_bands(low, high, 400) == tuple(bands)
    assert doubling_bands(low, high, None) == ()


def test_mass_grows_with_density_where_the_volume_stays(nodule: Make) -> None:
    before = nodule(volume_mm3=800, kind=NoduleType.GROUND_GLASS)
    denser = replace(before, measurements=replace(before.measurements, mass_mg=2 * before.measurements.mass_mg))
    growth = measure_growth(before, denser, 300, THIN)

    assert growth.volume_change_percent == 0
    assert growth.mass_change_percent == pytest.approx(100)
    assert growth.mdt_days == pytest.approx(300)
    assert growth.mdt_interval_95_days[0] < 300 < growth.mdt_interval_95_days[1]


def test_the_interval_of_one_volume_is_that_of_its_error() -> None:
    low, high = volume_interval_95_mm3(V8, NoduleType.SOLID, 1.0)

    assert low < V8 < high
    assert math.log(high / V8) == pytest.approx(1.96 * log_volume_sd(V8, NoduleType.SOLID, 1.0), rel=1e-3)


@pytest.mark.parametrize("again", [0.0, 0.4, 2.5])
def test_an_outline_that_is_not_drawn_twice_alike_makes_growth_uncertain(nodule: Make, again: float) -> None:
    before, after = nodule(volume_mm3=800), nodule(volume_mm3=1400)
    unsteady = replace(after, measurements=replace(after.measurements, volume_again_mm3=again * 1400))
    steady = replace(after, measurements=replace(after.measurements, volume_again_mm3=1400.0))

    assert changed(measure_growth(before, steady, 300, THIN)) is Change.GROWING
    assert measure_growth(before, steady, 300, THIN) == measure_growth(before, after, 300, THIN)
    assert changed(measure_growth(before, unsteady, 300, THIN)) is Change.UNCERTAIN
