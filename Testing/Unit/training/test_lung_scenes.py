"""Simulated disease and scanners: what they do to the image and what they leave of the reference."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from LungNoduleCADLib.training import lung_scenes
from LungNoduleCADLib.training.lung_scenes import LungScene, make_scene, plain_scene
from LungNoduleCADLib.training.lung_volumes import FULL, LungVolume

GRID_MM = 5.0
SHAPE = (48, 48, 64)


@pytest.fixture(scope="module")
def chest() -> LungVolume:
    """A box of tissue with two boxes of lung in it and an airway between them; the right lung is the smaller one."""
    hu = np.full((60, 60, 80), -1000, np.int16)
    hu[:, 10:50, 10:70] = 40
    shares = np.zeros((3, 60, 60, 80), np.uint8)
    shares[0, 14:46, 16:44, 18:34] = FULL
    shares[1, 14:46, 16:44, 44:64] = FULL
    shares[2, 30:56, 28:32, 38:41] = FULL
    hu[shares[:2].max(axis=0) > 0] = -850
    hu[shares[2] > 0] = -1000
    return LungVolume("chest", hu, shares)


@pytest.fixture
def scene(chest: LungVolume) -> LungScene:
    plain = plain_scene(chest, SHAPE, GRID_MM)
    return LungScene(plain.hu, plain.shares, GRID_MM, np.random.default_rng(3))


def test_a_plain_scene_is_the_chest_itself(scene: LungScene) -> None:
    assert scene.shares.sum(axis=(1, 2, 3))[:2] == pytest.approx([32 * 28 * 16, 32 * 28 * 20], rel=1e-3)
    assert np.median(scene.hu[scene.lungs > 0.9]) == -850


def test_a_scene_is_the_same_each_time_it_is_drawn(chest: LungVolume) -> None:
    one, other = (make_scene(chest, SHAPE, GRID_MM, np.random.default_rng(8)) for _ in range(2))
    np.testing.assert_array_equal(one.hu, other.hu)
    np.testing.assert_array_equal(one.shares, other.shares)


def test_lungs_keep_their_names_by_the_side_they_lie_on(chest: LungVolume) -> None:
    """Also in mirrored bodies: right is where i is small."""
    larger = set()
    for seed in range(12):
        scene = make_scene(chest, SHAPE, GRID_MM, np.random.default_rng(seed), ())
        columns = [np.average(np.arange(SHAPE[2]), weights=share.sum(axis=(0, 1))) for share in scene.shares[:2]]
        assert columns[0] < columns[1]
        larger.add(int(scene.shares[0].sum() > scene.shares[1].sum()))
    assert larger == {0, 1}


@pytest.mark.parametrize("change", [lung_scenes.masses, lung_scenes.consolidation])
def test_disease_makes_lung_dense_and_leaves_it_lung(scene: LungScene, change: Callable[[LungScene], None]) -> None:
    before, shares = scene.hu.copy(), scene.shares.copy()
    change(scene)
    denser = scene.hu > before + 100
    assert denser.sum() > 20
    assert (scene.lungs[denser] > 0.05).all()
    np.testing.assert_array_equal(scene.shares, shares)


def test_fluid_takes_its_place_from_one_lung_at_its_back(scene: LungScene) -> None:
    before = scene.shares.copy()
    lung_scenes.fluid(scene)
    lost = before[:2].sum(axis=0) - scene.lungs
    changed = [not np.array_equal(a, b) for a, b in zip(before[:2], scene.shares[:2], strict=True)]
    assert sum(changed) == 1
    assert np.median(scene.hu[lost > 0.99]) == pytest.approx(10, abs=40)
    rows = np.arange(SHAPE[1])
    kept = scene.shares[changed.index(True)]
    assert np.average(rows, weights=lost.sum(axis=(0, 2))) > np.average(rows, weights=kept.sum(axis=(0, 2)))


def test_gas_in_the_bowel_is_no_lung(scene: LungScene) -> None:
    before, lungs = scene.hu.copy(), scene.lungs.copy()
    lung_scenes.gas(scene)
    gas = scene.hu < before - 500
    assert gas.any()
    assert (lungs[gas] < 0.5).all()
    np.testing.assert_array_equal(scene.lungs, lungs)


def test_thick_slices_blur_along_the_body_only(scene: LungScene) -> None:
    before = scene.hu.copy()
    lung_scenes.thick_slices(scene)
    assert scene.hu.mean() == pytest.approx(before.mean(), abs=15)
    middle = SHAPE[0] // 2
    lung = scene.lungs[middle] > 0.9
    np.testing.assert_allclose(scene.hu[middle][lung], before[middle][lung], atol=1)
    assert not np.allclose(scene.hu, before, atol=50)


def test_nothing_is_known_beyond_the_end_of_a_scan(scene: LungScene) -> None:
    before = scene.lungs.sum()
    for _ in range(6):
        lung_scenes.cut(scene)
    assert scene.lungs.sum() < before
    assert (scene.lungs[scene.hu <= -1024] == 0).all()
