from __future__ import annotations

import gc

import numpy as np
import pytest
import torch

from LungNoduleCADLib.classification.encoder import EncoderRunner
from LungNoduleCADLib.classification.gradcam import explain
from LungNoduleCADLib.domain.geometry import Geometry
from LungNoduleCADLib.domain.nodule import Saliency
from LungNoduleCADLib.domain.provenance import Method
from LungNoduleCADLib.imaging.patch import patch_geometry

METHOD = Method("hand", "1")
NATIVE = Geometry((40, 100, 100), (-35.0, -35.0, -50.0), (2.5, 0.7, 0.7))
GRID = patch_geometry((0.0, 0.0, 0.0), 32, 1.0)
BLOB_KJI = (8, 24, 8)


def patch_with_blob(hu: float = 400.0) -> np.ndarray:
    patch = np.full(GRID.shape_kji, -900.0, np.float32)
    patch[tuple(slice(v - 3, v + 4) for v in BLOB_KJI)] = hu
    return patch


def at(saliency: Saliency, lps_mm: np.ndarray) -> float:
    return float(saliency.heat[tuple(np.rint(saliency.geometry.to_kji(lps_mm)).astype(int))])


def test_heat_is_where_the_score_comes_from_and_not_upside_down(runner: EncoderRunner) -> None:
    saliency = explain(runner, patch_with_blob(), GRID, NATIVE, "malignancy", METHOD)

    hottest = np.unravel_index(saliency.heat.argmax(), saliency.heat.shape)
    place = saliency.geometry.to_lps_mm(hottest)
    assert np.linalg.norm(place - GRID.to_lps_mm(BLOB_KJI)) < 5.0
    opposite = GRID.to_lps_mm([31 - v for v in BLOB_KJI])
    assert at(saliency, GRID.to_lps_mm(BLOB_KJI)) > 10 * at(saliency, opposite)
    assert saliency.heat.min() >= 0.0
    assert np.median(saliency.heat) < 0.1 * saliency.heat.max()


def test_what_lowers_the_score_is_not_hot(runner: EncoderRunner) -> None:
    with torch.no_grad():
        runner.network.heads["malignancy"].weight.neg_()

    saliency = explain(runner, patch_with_blob(), GRID, NATIVE, "malignancy", METHOD)

    assert saliency.score < 0
    assert np.all(saliency.heat == 0.0)


def test_empty_lung_stays_cold_instead_of_being_stretched(runner: EncoderRunner) -> None:
    saliency = explain(runner, np.full(GRID.shape_kji, -900.0), GRID, NATIVE, "malignancy", METHOD)

    assert saliency.score == pytest.approx(0.0)
    assert np.all(saliency.heat == 0.0)


def test_the_score_is_the_one_that_the_encoder_answers(runner: EncoderRunner) -> None:
    """In evaluation mode: batch statistics of one patch would make it another score."""
    answered = runner.answer(patch_with_blob()[None]).heads["malignancy"][0, 0]

    saliency = explain(runner, patch_with_blob(), GRID, NATIVE, "malignancy", METHOD)

    assert saliency.score == pytest.approx(answered, rel=0.03)


def test_heat_has_an_absolute_scale(runner: EncoderRunner) -> None:
    once = explain(runner, patch_with_blob(), GRID, NATIVE, "malignancy", METHOD)
    with torch.no_grad():
        runner.network.heads["malignancy"].weight.mul_(2)
    doubled = EncoderRunner(runner.network, runner.size, runner.spacing_mm, runner.device)
    twice = explain(doubled, patch_with_blob(), GRID, NATIVE, "malignancy", METHOD)

    assert twice.heat == pytest.approx(2 * once.heat, rel=1e-4, abs=1e-6)
    assert twice.score == pytest.approx(2 * once.score, rel=1e-4)


def test_the_map_lies_on_the_native_voxels_inside_the_patch(runner: EncoderRunner) -> None:
    box = explain(runner, patch_with_blob(), GRID, NATIVE, "malignancy", METHOD).geometry

    start = NATIVE.to_kji(box.origin_lps_mm)
    assert start == pytest.approx(np.rint(start), abs=1e-6)
    assert box.spacing_kji_mm == NATIVE.spacing_kji_mm
    assert all(GRID.contains(box.to_lps_mm(corner)) for corner in ((0, 0, 0), [n - 1 for n in box.shape_kji]))


def test_a_patch_at_the_edge_of_the_scan_keeps_inside_it(runner: EncoderRunner) -> None:
    grid = patch_geometry((-30.0, 30.0, -48.0), 32, 1.0)

    saliency = explain(runner, patch_with_blob(), grid, NATIVE, "malignancy", METHOD)

    start = np.rint(NATIVE.to_kji(saliency.geometry.origin_lps_mm))
    assert np.all(start >= 0)
    assert np.all(start + saliency.heat.shape <= NATIVE.shape_kji)
    assert saliency.heat.shape == saliency.geometry.shape_kji


def test_explaining_leaves_the_network_as_it_was(runner: EncoderRunner) -> None:
    for _ in range(2):
        explain(runner, patch_with_blob(), GRID, NATIVE, "malignancy", METHOD)

    assert not any(m.training for m in runner.network.modules())
    assert not any(m._forward_hooks or m._backward_hooks for m in runner.network.modules())
    assert all(p.grad is None for p in runner.network.parameters())


def test_many_maps_keep_no_copies_of_the_network(runner: EncoderRunner) -> None:
    def networks() -> int:
        return sum(type(thing) is type(runner.network) for thing in gc.get_objects())

    explain(runner, patch_with_blob(), GRID, NATIVE, "malignancy", METHOD)
    before = networks()
    for _ in range(3):
        explain(runner, patch_with_blob(), GRID, NATIVE, "malignancy", METHOD)

    assert networks() == before
