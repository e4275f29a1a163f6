"""How the outlines' thresholds are chosen."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from LungNoduleCADLib.domain.ct import CtVolume
from LungNoduleCADLib.domain.masks import LungMask
from LungNoduleCADLib.domain.provenance import Method
from LungNoduleCADLib.nodules.segment import NoduleSegmenter
from LungNoduleCADLib.training import outline_thresholds
from LungNoduleCADLib.training.cases import POINT, NoduleCase
from LungNoduleCADLib.training.nodule_pack import NodulePack
from LungNoduleCADLib.training.outline_thresholds import (
    THRESHOLDS,
    _choice,
    _dice_and_ratio,
    _outlines,
    choose_thresholds,
)

MIDDLE = THRESHOLDS.index(0.4)
NONE = np.zeros((0, len(THRESHOLDS)))


def measured(dice: dict[float, float], ratio: dict[float, float]) -> np.ndarray:
    """One nodule for which every other threshold is bad."""
    return np.array([[(dice.get(t, 0.5), ratio.get(t, 0.5)) for t in THRESHOLDS]])


def test_of_thresholds_with_as_good_a_dice_the_one_with_the_readers_volume_is_taken() -> None:
    choice = _choice(measured({0.3: 0.801, 0.35: 0.803, 0.4: 0.805}, {0.3: 1.02, 0.35: 0.95, 0.4: 0.9}), NONE)

    assert choice["best"] == 0.3
    assert choice["nodules"] == 1
    assert choice["dice"]["0.4"] == 0.805


def test_a_right_volume_does_not_buy_a_worse_dice() -> None:
    choice = _choice(measured({0.3: 0.79, 0.35: 0.803, 0.4: 0.805}, {0.3: 1.0, 0.35: 0.95, 0.4: 1.1}), NONE)

    assert choice["best"] == 0.35


def test_too_large_counts_as_much_as_too_small_and_a_lost_nodule_is_no_infinity() -> None:
    both = np.concatenate([measured({0.4: 0.8}, {0.4: 2.0}), measured({0.4: 0.8}, {0.4: 0.5})])
    assert _choice(both, NONE)["volume_ratio"]["0.4"] == 1.0
    assert np.isfinite(_choice(measured({0.4: 0.8}, {0.4: 0.0}), NONE)["volume_ratio"]["0.4"])


def synthetic(ratio: dict[float, float], count: int) -> np.ndarray:
    return np.array([[ratio.get(t, 0.5) for t in THRESHOLDS]] * count)


def test_the_readers_nodules_and_those_of_known_volume_are_both_to_be_as_large_as_they_are() -> None:
    readers = measured({0.3: 0.8, 0.35: 0.8, 0.4: 0.8}, {0.3: 1.01, 0.35: 0.97, 0.4: 0.9})
    known = {0.3: 1.12, 0.35: 1.08, 0.4: 1.05}

    choice = _choice(readers, synthetic(known, 10))

    assert choice["best"] == 0.35
    assert choice["synthetic_nodules"] == 10
    assert choice["synthetic_volume_ratio"]["0.35"] == 1.08
    assert _choice(readers, synthetic(known, 9))["best"] == 0.3


def test_the_networks_are_asked_once_a_scale_however_many_thresholds_are_tried(
    ball_ct: Callable[..., CtVolume], pack: NodulePack
) -> None:
    class Counting(nn.Module):
        asked = 0

        def forward(self, x: Tensor) -> Tensor:
            Counting.asked += 1
            return 2.0 * (x[:, :1] + 0.375)

    ct = ball_ct(9.0, (1.0, 1.0, 1.0), extent_mm=40.0)
    lungs = LungMask(np.ones(ct.hu.shape, np.uint8), ct.geometry, Method("all", "1"))
    case = NoduleCase(pack.nodules[0], ct, lungs, ct.hu > -500)
    segmenter = NoduleSegmenter((Counting(),), 32, (0.8, 1.6), "cpu", Method("stub", "1"))

    spacing_mm, outlines = _outlines(segmenter, case.ct, POINT)
    rows = _dice_and_ratio(outlines, case)

    assert Counting.asked == 2
    assert spacing_mm == 1.6
    assert rows.shape == (len(THRESHOLDS), 2)
    assert rows[MIDDLE, 0] > 0.9
    assert np.all(np.diff(rows[:, 1]) <= 0)


def test_a_nodule_that_is_not_seen_chooses_nothing(ball_ct: Callable[..., CtVolume]) -> None:
    class Blind(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.full_like(x[:, :1], -9.0)

    segmenter = NoduleSegmenter((Blind(),), 32, (0.8, 1.6), "cpu", Method("stub", "1"))
    assert _outlines(segmenter, ball_ct(5.0), POINT) is None


def test_synthetic_nodules_are_measured_against_the_volume_that_is_known(
    ball_ct: Callable[..., CtVolume], pack: NodulePack, monkeypatch: pytest.MonkeyPatch
) -> None:
    class ByDensity(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return 2.0 * (x[:, :1] + 0.375)

    ct = ball_ct(9.0, (1.0, 1.0, 1.0), extent_mm=40.0)
    case = NoduleCase(pack.nodules[0], ct, None, ct.hu > -500)
    truth = SimpleNamespace(centre_lps_mm=POINT, volume_mm3=4 / 3 * np.pi * 9.0**3)
    monkeypatch.setattr(outline_thresholds, "make_phantom", lambda *_, **__: SimpleNamespace(ct=ct, truth=[truth] * 5))
    monkeypatch.setattr(outline_thresholds, "PHANTOM_SEEDS", (1, 2))
    monkeypatch.setattr(outline_thresholds, "few_donors", lambda *_: [])
    monkeypatch.setattr(outline_thresholds, "nodule_cases", lambda *_: [case] * 10)
    recipe = {"patch": {"size": 32, "spacings_mm": (0.8, 1.6)}, "seed": 0}

    found = choose_thresholds({3: ByDensity()}, pack, recipe, "cpu", str)

    (choice,) = found["threshold_choice"].values()
    assert choice["synthetic_nodules"] == choice["nodules"] == 10
    assert choice["synthetic_volume_ratio"]["0.4"] == pytest.approx(1.0, abs=0.15)
    assert found["thresholds"]["1.6"] == choice["best"]
