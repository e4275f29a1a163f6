from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from monai.networks.nets.resnet import resnet50

from LungNoduleCADLib.backends.bundle_config import BundleConfig
from LungNoduleCADLib.backends.choose import open_detector
from LungNoduleCADLib.backends.remote import find_remote
from LungNoduleCADLib.backends.retinanet import (
    STEM_SIZE,
    STEM_STRIDE,
    PyramidFeatures,
    RetinaNetBackend,
    RetinaNetSettings,
    build_retinanet,
    is_retinanet,
)
from LungNoduleCADLib.domain.ct import CtVolume
from LungNoduleCADLib.domain.masks import LungMask
from LungNoduleCADLib.domain.provenance import Method
from LungNoduleCADLib.errors import ModelError

BALL_LPS_MM = (-6.0, 5.0, 3.0)
SETTINGS = RetinaNetSettings(
    ((6, 8, 4), (8, 6, 5), (10, 10, 6)), (1, 2, 4), (0.703125, 0.703125, 1.25), (-1024.0, 300.0), (64, 64, 32)
)
Ball = tuple[CtVolume, LungMask]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """What ``bundles fetch`` leaves, but for the weights."""
    folder = tmp_path / "lung_nodule_ct_detection"
    for path, content in find_remote("lung_nodule_ct_detection").configs.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(json.dumps(content), encoding="utf-8")
    return folder


class BrightestPlace:
    """Stands in for the network: one box, 10 by 8 by 6 voxels, around the middle of what is bright."""

    pred_score_key, target_box_key = "label_scores", "box"

    def __init__(self) -> None:
        self.roi: tuple[int, ...] = ()

    def set_sliding_window_inferer(self, roi_size: tuple[int, ...], **_: Any) -> None:
        self.roi = roi_size

    def __call__(self, images: list[torch.Tensor], use_inferer: bool) -> list[dict[str, torch.Tensor]]:
        assert use_inferer
        middle = torch.argwhere(images[0][0] > 0.5).float().mean(dim=0)
        half = torch.tensor([5.0, 4.0, 3.0])
        return [{"box": torch.cat([middle - half, middle + half])[None], "label_scores": torch.tensor([0.7])}]


def test_a_box_becomes_a_candidate_at_its_place_in_the_patient(ball: Ball) -> None:
    backend = RetinaNetBackend(BrightestPlace(), SETTINGS, Method("stand-in", "1"), "cpu")

    (found,) = backend(*ball)

    assert found.centre_lps_mm == pytest.approx(BALL_LPS_MM, abs=0.3)
    assert found.diameter_mm == pytest.approx((10 * 0.703125 + 8 * 0.703125 + 6 * 1.25) / 3)
    assert found.probability == pytest.approx(0.7)


def test_patches_are_no_larger_than_the_image_and_fit_the_network(ball: Ball) -> None:
    stand_in = BrightestPlace()

    RetinaNetBackend(stand_in, SETTINGS, Method("stand-in", "1"), "cpu")(*ball)

    assert stand_in.roi == (64, 64, 32)
    assert all(side % step == 0 for side, step in zip(stand_in.roi, (16, 16, 8), strict=True))


def test_only_the_lungs_and_what_is_around_them_are_looked_at(ball: Ball) -> None:
    ct, lungs = ball
    part = np.zeros_like(lungs.labels)
    part[12:16, 30:34, 20:24] = 1
    backend = RetinaNetBackend(BrightestPlace(), SETTINGS, Method("stand-in", "1"), "cpu")

    grid = backend._grid(LungMask(part, lungs.geometry, lungs.method))

    assert grid.spacing_kji_mm == (1.25, 0.703125, 0.703125)
    assert max(grid.extent_kji_mm) < 50.0
    assert grid.contains(ct.geometry.to_lps_mm((14, 32, 22)))


def test_without_lungs_there_are_no_candidates(ball: Ball) -> None:
    ct, lungs = ball
    nothing = LungMask(np.zeros_like(lungs.labels), lungs.geometry, lungs.method)

    assert RetinaNetBackend(BrightestPlace(), SETTINGS, Method("stand-in", "1"), "cpu")(ct, nothing) == []


def test_the_fetched_bundle_runs_with_random_weights(folder: Path, ball_ct: Callable[..., CtVolume]) -> None:
    torch.manual_seed(0)
    ct = ball_ct(4.0, extent_mm=24.0)
    lungs = LungMask(np.ones(ct.hu.shape, np.uint8), ct.geometry, Method("all", "1"))
    state = build_retinanet(SETTINGS).network.state_dict()
    (folder / "models").mkdir()
    torch.save(state, folder / "models/model.pt")

    backend = open_detector(str(folder), "cpu")
    assert isinstance(backend, RetinaNetBackend)
    backend.detector.set_box_selector_parameters(0.0, topk_candidates_per_level=20)
    found = backend(ct, lungs)

    assert backend.settings.patch_xyz == (512, 512, 192)
    assert backend.settings.anchor_shapes == SETTINGS.anchor_shapes
    assert (backend.method.name, backend.method.version) == ("lung_nodule_ct_detection", "0.6.8")
    scores = [c.probability or 0.0 for c in found]
    assert found
    assert all(0.0 < score < 1.0 for score in scores)
    assert scores == sorted(scores, reverse=True)
    assert all(np.linalg.norm(c.centre_lps_mm) < 24.0 for c in found)


def test_weights_of_another_network_are_refused(folder: Path) -> None:
    (folder / "models").mkdir()
    torch.save({"feature_extractor.body.conv1.weight": torch.zeros(1)}, folder / "models/model.pt")

    with pytest.raises(ModelError, match="do not fit its network"):
        RetinaNetBackend.from_folder(folder, "cpu")


@pytest.mark.parametrize("missing", ["anchor_generator", "infer_patch_size", "preprocessing"])
def test_a_configuration_without_a_number_that_is_needed_is_refused(folder: Path, missing: str) -> None:
    config = BundleConfig(folder)
    del config.inference[missing]

    with pytest.raises(ModelError, match="is no RetinaNet bundle as MONAI's zoo has it"):
        RetinaNetSettings.of(config)


def test_numbers_given_as_code_are_refused_not_run(folder: Path) -> None:
    config = BundleConfig(folder)
    config.inference["infer_patch_size"] = "$[512, 512, 192]"

    assert is_retinanet(config)
    with pytest.raises(ModelError, match="is no RetinaNet bundle"):
        RetinaNetSettings.of(config)


def test_features_and_names_are_those_of_monais_own_extractor() -> None:
    pytest.importorskip("torchvision", reason="MONAI's own extractor needs torchvision, which has no CPU build here")
    from monai.apps.detection.networks.retinanet_network import resnet_fpn_feature_extractor

    def backbone() -> Any:
        return resnet50(spatial_dims=3, n_input_channels=1, conv1_t_stride=STEM_STRIDE, conv1_t_size=STEM_SIZE)

    theirs = resnet_fpn_feature_extractor(backbone(), 3, False, [1, 2], None).eval()
    mine = PyramidFeatures(backbone()).eval()
    mine.load_state_dict(theirs.state_dict())
    x = torch.randn(1, 1, 32, 32, 16)

    with torch.inference_mode():
        wanted, got = theirs(x), mine(x)

    assert list(got) == list(wanted)
    for name, features in wanted.items():
        assert torch.equal(got[name], features), name
