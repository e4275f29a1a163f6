from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from LungNoduleCADLib.evaluation.saliency import (
    area_under,
    central_blob,
    heat_correlation,
    heat_share,
    hottest_first,
    random_map,
    rank_correlation,
    replaced_step_by_step,
)

SHAPE = (8, 8, 8)


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(5)


def test_rank_correlation_sees_the_order_of_voxels_and_not_the_scale(rng: np.random.Generator) -> None:
    heat = rng.random(SHAPE)

    assert rank_correlation(heat, 100 * heat**3) == pytest.approx(1.0)
    assert rank_correlation(heat, -heat) == pytest.approx(-1.0)
    assert abs(rank_correlation(heat, rng.random(SHAPE))) < 0.2


def test_heat_correlation_sees_what_is_hot_and_not_the_order_of_what_is_cold(rng: np.random.Generator) -> None:
    heat = 0.01 * rng.random(SHAPE)
    heat[2:4, 2:4, 2:4] = 1.0
    other = np.where(heat == 1.0, 1.0, 0.01 * rng.random(SHAPE))

    assert heat_correlation(heat, 100 * heat + 3) == pytest.approx(1.0)
    assert heat_correlation(heat, other) > 0.99 > 0.3 > rank_correlation(heat, other)
    assert heat_correlation(heat, np.flip(heat)) < 0.1


@pytest.mark.parametrize("like", [heat_correlation, rank_correlation])
def test_a_map_without_contrast_is_like_no_other(rng: np.random.Generator, like: Callable[..., float]) -> None:
    assert like(np.zeros(SHAPE), rng.random(SHAPE)) == 0.0
    assert like(np.zeros(SHAPE), np.zeros(SHAPE)) == 0.0


def test_the_share_of_heat_in_a_region() -> None:
    heat, region = np.zeros(SHAPE), np.zeros(SHAPE, bool)
    heat[0, 0, :4] = 1.0, 2.0, 3.0, 4.0
    region[0, 0, 2:] = True

    assert heat_share(heat, region) == pytest.approx(0.7)
    assert heat_share(np.zeros(SHAPE), region) == 0.0


def test_the_hottest_voxel_is_first_in_line_and_the_cold_follow_outwards() -> None:
    heat = np.zeros(SHAPE)
    heat[3, 4, 5], heat[3, 4, 4] = 2.0, 1.0

    places = hottest_first(heat)

    assert (places[3, 4, 5], places[3, 4, 4]) == (0, 1)
    assert sorted(places.ravel()) == list(range(heat.size))
    assert places[3, 4, 6] < places[3, 4, 7] < places[7, 0, 0]


def test_a_map_without_heat_still_has_a_line() -> None:
    assert sorted(hottest_first(np.zeros(SHAPE)).ravel()) == list(range(512))


def test_an_image_is_replaced_from_none_to_all_and_hottest_first(rng: np.random.Generator) -> None:
    heat = rng.random(SHAPE)

    steps = replaced_step_by_step(np.ones(SHAPE), np.zeros(SHAPE), hottest_first(heat), 4)

    assert [int(step.size - step.sum()) for step in steps] == [0, 8, 64, 216, 512]
    assert heat[steps[1] == 0].min() > heat[steps[1] == 1].max()


def test_the_area_under_a_curve_is_its_mean_height() -> None:
    assert area_under(np.full(9, 3.0)) == pytest.approx(3.0)
    assert area_under(np.linspace(0, 1, 9)) == pytest.approx(0.5)


def test_removing_the_evidence_first_lowers_the_score_sooner_than_removing_the_middle(rng: np.random.Generator) -> None:
    image = np.zeros(SHAPE)
    image[:2, :2, :2] = 1.0

    def deletion(heat: np.ndarray) -> float:
        steps = replaced_step_by_step(image, np.zeros(SHAPE), hottest_first(heat), 8)
        return area_under(steps.sum(axis=(1, 2, 3)))

    assert deletion(image) < deletion(random_map(SHAPE, 1.0, rng)) < deletion(1 - image)
    assert deletion(image) < deletion(central_blob(SHAPE))


def test_the_central_blob_is_hottest_where_patches_have_their_point() -> None:
    assert np.unravel_index(central_blob(SHAPE).argmax(), SHAPE) == (4, 4, 4)
    assert central_blob(SHAPE).min() == 0.0


def test_a_random_map_is_smooth_and_knows_no_place(rng: np.random.Generator) -> None:
    maps = np.stack([random_map((16, 16, 16), 2.0, rng) for _ in range(30)])

    assert maps.min() >= 0.0
    assert rank_correlation(maps[0, 1:], maps[0, :-1]) > 0.8
    assert abs(rank_correlation(maps.mean(axis=0), central_blob((16, 16, 16)))) < 0.5
