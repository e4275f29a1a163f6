from __future__ import annotations

import gc
from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy

import numpy as np
import pytest
import torch

from LungNoduleCADLib.classification.encoder import EncoderRunner, mirror_images
from LungNoduleCADLib.classification.gradcam import (
    Explainer,
    HeatMethod,
    Technique,
    doubts_of_map,
    explain,
    explain_malignancy,
    look,
)
from LungNoduleCADLib.domain.geometry import Geometry
from LungNoduleCADLib.domain.masks import NoduleMask
from LungNoduleCADLib.domain.nodule import MalignancyEstimate, Saliency
from LungNoduleCADLib.domain.provenance import Method
from LungNoduleCADLib.imaging.patch import patch_geometry
from LungNoduleCADLib.networks.nodule_encoder import NoduleEncoder

METHOD = Method("hand", "1")
NATIVE = Geometry((40, 100, 100), (-35.0, -35.0, -50.0), (2.5, 0.7, 0.7))
GRID = patch_geometry((0.0, 0.0, 0.0), 32, 1.0)
BLOB_KJI = (8, 24, 8)


def patch_with_blob(hu: float = 400.0) -> np.ndarray:
    patch = np.full(GRID.shape_kji, -900.0, np.float32)
    patch[tuple(slice(v - 3, v + 4) for v in BLOB_KJI)] = hu
    return patch


def map_of(runner: EncoderRunner, patch: np.ndarray | None = None, grid: Geometry = GRID) -> Saliency:
    return explain(look(runner, patch_with_blob() if patch is None else patch), grid, NATIVE, METHOD)


def at(saliency: Saliency, lps_mm: np.ndarray) -> float:
    return float(saliency.heat[tuple(np.rint(saliency.geometry.to_kji(lps_mm)).astype(int))])


def test_heat_is_where_the_score_comes_from_and_not_upside_down(runner: EncoderRunner) -> None:
    saliency = map_of(runner)

    hottest = np.unravel_index(saliency.heat.argmax(), saliency.heat.shape)
    place = saliency.geometry.to_lps_mm(hottest)
    assert np.linalg.norm(place - GRID.to_lps_mm(BLOB_KJI)) < 5.0
    opposite = GRID.to_lps_mm([31 - v for v in BLOB_KJI])
    assert at(saliency, GRID.to_lps_mm(BLOB_KJI)) > 10 * at(saliency, opposite)
    assert saliency.heat.min() >= 0.0
    assert np.median(saliency.heat) < 0.1 * saliency.heat.max()


def test_one_look_gives_the_answers_that_the_encoder_gives(runner: EncoderRunner) -> None:
    alone = runner.answers_of_members(mirror_images(patch_with_blob()))

    seen = look(runner, patch_with_blob())

    for mine, its in zip(seen.answers, alone, strict=True):
        assert mine.features == pytest.approx(its.features, rel=1e-3, abs=1e-5)
        assert mine.heads.keys() == its.heads.keys()
        assert all(mine.heads[name] == pytest.approx(its.heads[name], rel=1e-3, abs=1e-5) for name in its.heads)
    assert seen.score == pytest.approx(np.mean([one.heads["malignancy"] for one in seen.answers]))


def test_a_look_passes_each_network_once(runner: EncoderRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    passed, before = [], NoduleEncoder.before
    monkeypatch.setattr(NoduleEncoder, "before", lambda self, *given: passed.append(self) or before(self, *given))

    look(runner, patch_with_blob())

    assert len(passed) == len(runner.networks)


def test_maps_made_at_the_same_time_are_those_made_one_after_another(runner: EncoderRunner) -> None:
    patches = [patch_with_blob(100.0 * n) for n in range(8)]
    alone = [map_of(runner, patch).heat for patch in patches]

    with ThreadPoolExecutor(4) as threads:
        together = [saliency.heat for saliency in threads.map(lambda patch: map_of(runner, patch), patches)]

    for mine, its in zip(together, alone, strict=True):
        assert mine == pytest.approx(its, rel=1e-4, abs=1e-6)


def test_what_lowers_the_score_is_not_hot(runner: EncoderRunner) -> None:
    with torch.no_grad():
        runner.networks[0].heads["malignancy"].weight.neg_()

    saliency = map_of(runner)

    assert saliency.score < 0
    assert np.all(saliency.heat == 0.0)


def test_empty_lung_stays_cold_instead_of_being_stretched(runner: EncoderRunner) -> None:
    saliency = map_of(runner, np.full(GRID.shape_kji, -900.0))

    assert saliency.score == pytest.approx(0.0)
    assert np.all(saliency.heat == 0.0)


def test_the_score_is_the_one_that_the_encoder_answers(runner: EncoderRunner) -> None:
    """In evaluation mode: batch statistics of one patch would make it another score."""
    answered = runner.answer(mirror_images(patch_with_blob())).heads["malignancy"].mean()

    saliency = map_of(runner)

    assert saliency.score == pytest.approx(answered, rel=0.03)


@pytest.mark.parametrize("technique", [Technique.GRAD_CAM, Technique.HIRES_CAM])
def test_heat_has_an_absolute_scale(brightness_network: NoduleEncoder, technique: Technique) -> None:
    doubled = deepcopy(brightness_network)
    with torch.no_grad():
        doubled.heads["malignancy"].weight.mul_(2)
    (once, score), (twice, double_score) = (
        Explainer([network], 1.0, "malignancy", method=HeatMethod(technique, mirrored=False)).explain(patch_with_blob())
        for network in (brightness_network, doubled)
    )

    assert twice == pytest.approx(2 * once, rel=1e-4, abs=1e-6)
    assert double_score == pytest.approx(2 * score, rel=1e-4)


def test_heat_adds_up_to_the_logit_where_nothing_else_speaks(brightness_network: NoduleEncoder) -> None:
    for spacing_mm in (1.0, 2.0):
        heat, score = Explainer([brightness_network], spacing_mm, "malignancy").explain(patch_with_blob())

        assert heat.sum() * (spacing_mm / 10) ** 3 == pytest.approx(score, rel=0.1)


def test_the_map_lies_on_the_native_voxels_inside_the_patch(runner: EncoderRunner) -> None:
    box = map_of(runner).geometry

    start = NATIVE.to_kji(box.origin_lps_mm)
    assert start == pytest.approx(np.rint(start), abs=1e-6)
    assert box.spacing_kji_mm == NATIVE.spacing_kji_mm
    assert all(GRID.contains(box.to_lps_mm(corner)) for corner in ((0, 0, 0), [n - 1 for n in box.shape_kji]))


def test_a_patch_at_the_edge_of_the_scan_keeps_inside_it(runner: EncoderRunner) -> None:
    grid = patch_geometry((-30.0, 30.0, -48.0), 32, 1.0)

    saliency = map_of(runner, grid=grid)

    start = np.rint(NATIVE.to_kji(saliency.geometry.origin_lps_mm))
    assert np.all(start >= 0)
    assert np.all(start + saliency.heat.shape <= NATIVE.shape_kji)
    assert saliency.heat.shape == saliency.geometry.shape_kji


def test_explaining_leaves_the_network_as_it_was(runner: EncoderRunner) -> None:
    for _ in range(2):
        map_of(runner)

    assert not any(m.training for m in runner.networks[0].modules())
    assert not any(m._forward_hooks or m._backward_hooks for m in runner.networks[0].modules())
    assert all(p.grad is None for p in runner.networks[0].parameters())


def test_many_maps_keep_no_copies_of_the_network(runner: EncoderRunner) -> None:
    def networks() -> int:
        return sum(type(thing) is type(runner.networks[0]) for thing in gc.get_objects())

    map_of(runner)
    before = networks()
    for _ in range(3):
        map_of(runner)

    assert networks() == before


@pytest.mark.parametrize("technique", Technique)
@pytest.mark.parametrize("mirrored", [False, True])
def test_every_method_points_at_the_bright_corner_that_alone_makes_the_score(
    brightness_network: NoduleEncoder, technique: Technique, mirrored: bool
) -> None:
    explainer = Explainer([brightness_network], 1.0, "malignancy", method=HeatMethod(technique, mirrored=mirrored))

    heat, score = explainer.explain(patch_with_blob())

    assert score > 0
    assert np.linalg.norm(np.subtract(np.unravel_index(heat.argmax(), heat.shape), BLOB_KJI)) < 5
    assert heat[tuple(np.subtract(31, BLOB_KJI))] < 0.05 * heat.max()


def test_the_map_of_mirrored_views_turns_with_the_patch(brightness_network: NoduleEncoder) -> None:
    explainer = Explainer([one_sided(brightness_network)], 1.0, "malignancy", method=HeatMethod(mirrored=True))
    plain = Explainer([one_sided(brightness_network)], 1.0, "malignancy", method=HeatMethod(mirrored=False))
    patch, turned = patch_with_blob(), np.flip(patch_with_blob(), 2)

    assert np.flip(explainer.explain(turned)[0], 2) == pytest.approx(explainer.explain(patch)[0], rel=1e-5, abs=1e-5)
    assert np.flip(plain.explain(turned)[0], 2) != pytest.approx(plain.explain(patch)[0], rel=1e-5, abs=1e-5)


def one_sided(network: NoduleEncoder) -> NoduleEncoder:
    """Sees what lies to one side of each voxel."""
    copy = deepcopy(network)
    with torch.no_grad():
        copy.backbone.conv1.weight[..., :3] = 0
    return copy


def test_the_map_of_an_ensemble_is_the_mean_over_its_members(brightness_network: NoduleEncoder) -> None:
    silent = deepcopy(brightness_network)
    with torch.no_grad():
        silent.heads["malignancy"].weight.zero_()

    heat, score = Explainer([brightness_network], 1.0, "malignancy").explain(patch_with_blob())
    halved, half_score = Explainer([brightness_network, silent], 1.0, "malignancy").explain(patch_with_blob())

    assert halved == pytest.approx(heat / 2, abs=1e-6)
    assert half_score == pytest.approx(score / 2, rel=1e-5)


def malignancy_map(runner: EncoderRunner, reported: float, of_encoder: float) -> Saliency | None:
    estimate = MalignancyEstimate(reported, encoder_probability=of_encoder)
    return explain_malignancy(look(runner, patch_with_blob()), GRID, NATIVE, estimate, METHOD)


def test_a_low_malignancy_score_has_no_map_whichever_of_the_two_is_low(runner: EncoderRunner) -> None:
    assert malignancy_map(runner, 0.49, 0.9) is None
    assert malignancy_map(runner, 0.9, 0.49) is None


def test_a_high_malignancy_score_has_the_map_of_its_head(runner: EncoderRunner) -> None:
    found = malignancy_map(runner, 0.5, 0.5)

    assert found is not None
    assert found.target == "malignancy"
    assert found.heat == pytest.approx(map_of(runner).heat)


@pytest.mark.parametrize(("beside_mm", "told"), [(0.0, ""), (4.0, ""), (12.0, "10 mm beside the outline")])
def test_a_map_that_is_hottest_beside_the_nodule_says_so(beside_mm: float, told: str) -> None:
    grid = Geometry((9, 31, 31), (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
    voxels = np.zeros((3, 5, 5), bool)
    voxels[1, 2, :] = True
    outline = NoduleMask(voxels, (3, 10, 2), grid, METHOD)
    heat = np.zeros(grid.shape_kji, np.float32)
    heat[4, 12, 4 + int(beside_mm)] = 1.0

    flags = doubts_of_map(Saliency(heat, grid, "malignancy", 2.0, METHOD), outline)

    assert [flag.code for flag in flags] == ["heat_beside"] * bool(told)
    assert all(told in flag.message for flag in flags)
    assert not doubts_of_map(Saliency(0 * heat, grid, "malignancy", 2.0, METHOD), outline)
