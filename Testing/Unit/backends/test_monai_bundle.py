from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from monai.networks.nets import UNet

from LungNoduleCADLib.backends.monai_bundle import SegmentationBundle
from LungNoduleCADLib.domain.ct import CtVolume
from LungNoduleCADLib.domain.masks import LungMask
from LungNoduleCADLib.errors import ModelError

BALL_LPS_MM, BALL_VOLUME_MM3 = (-6.0, 5.0, 3.0), 4 / 3 * np.pi * 6.0**3
Ball = tuple[CtVolume, LungMask]
MakeBundle = Callable[..., Path]


@pytest.fixture
def backend(bundle: MakeBundle, bright_is_nodule: torch.nn.Module) -> SegmentationBundle:
    return replace(SegmentationBundle.from_folder(bundle(), "cpu"), network=bright_is_nodule)


def test_the_ball_is_found_where_it_is_through_the_bundles_own_preprocessing(
    backend: SegmentationBundle, ball: Ball
) -> None:
    found = backend(*ball)

    assert len(found) == 1
    assert found[0].centre_lps_mm == pytest.approx(BALL_LPS_MM, abs=0.4)
    assert found[0].diameter_mm == pytest.approx(12.0, abs=0.6)
    assert found[0].probability == pytest.approx(1.0, abs=1e-3)
    assert (backend.method.name, backend.threshold) == ("elsewhere", 0.5)


def test_the_network_sees_the_axes_spacing_and_intensities_that_it_was_trained_on(
    backend: SegmentationBundle, ball: Ball
) -> None:
    seen = []
    watched = replace(backend, inferer=lambda image, network: seen.append(image) or network(image))

    watched(*ball)

    (image,) = seen
    inside = torch.argwhere(image[0, 0] > 0.5).float().mean(dim=0).numpy()
    middle = (np.array(image.shape[2:]) - 1) / 2
    turned = np.array([np.cos(np.radians(10)) * -6 + np.sin(np.radians(10)) * 5, 0, 3])
    assert image.min() >= 0.0
    assert image.max() <= 1.0
    assert image.shape[2:] == (26, 27, 27)
    assert (inside - middle)[[0, 2]] * 1.5 == pytest.approx(turned[[0, 2]] * (-1, 1), abs=0.8)


@pytest.mark.parametrize("codes", ["RAS", "LPS", "ASL"])
def test_whatever_axes_the_bundle_asks_for_the_ball_stays_where_it_is(
    bundle: MakeBundle, bright_is_nodule: torch.nn.Module, ball: Ball, codes: str
) -> None:
    def change(inference: dict[str, Any]) -> None:
        inference["preprocessing"]["transforms"][2]["axcodes"] = codes
        inference["spacing"] = [1.0, 1.3, 1.6]

    backend = replace(SegmentationBundle.from_folder(bundle(change), "cpu"), network=bright_is_nodule)

    assert backend(*ball)[0].centre_lps_mm == pytest.approx(BALL_LPS_MM, abs=0.4)


def test_without_a_spacing_the_ct_is_taken_as_it_is(
    bundle: MakeBundle, bright_is_nodule: torch.nn.Module, ball: Ball
) -> None:
    def change(inference: dict[str, Any]) -> None:
        del inference["preprocessing"]["transforms"][3]

    backend = replace(SegmentationBundle.from_folder(bundle(change), "cpu"), network=bright_is_nodule)

    assert backend.spacing_mm is None
    assert np.array_equal(backend.probability(ball[0]) > 0.5, ball[0].hu > -500)


@pytest.mark.parametrize(("step", "value"), [(2, {"axcodes": "RAR"}), (3, {"pixdim": [1.0, -1.0, 1.0]})])
def test_unknown_axes_and_spacings_are_refused(bundle: MakeBundle, step: int, value: dict[str, Any]) -> None:
    with pytest.raises(ModelError, match="turns or scales images in a way that is not known here"):
        SegmentationBundle.from_folder(
            bundle(lambda inference: inference["preprocessing"]["transforms"][step].update(value)), "cpu"
        )


def test_the_outline_at_a_point_lies_on_the_native_grid(backend: SegmentationBundle, ball: Ball) -> None:
    ct, _ = ball

    mask = backend.segment(ct, BALL_LPS_MM)

    assert mask is not None
    assert mask.geometry == ct.geometry
    assert mask.centroid_lps_mm() == pytest.approx(BALL_LPS_MM, abs=0.4)
    assert mask.voxels.sum() * ct.geometry.voxel_volume_mm3 == pytest.approx(BALL_VOLUME_MM3, rel=0.12)


def test_far_from_every_nodule_there_is_no_outline(backend: SegmentationBundle, ball: Ball) -> None:
    assert backend.segment(ball[0], (12.0, -14.0, -15.0)) is None


def test_what_lies_outside_of_the_lungs_is_no_candidate(backend: SegmentationBundle, ball: Ball) -> None:
    ct, lungs = ball
    far = np.zeros_like(lungs.labels)
    far[:3] = 1

    assert backend(ct, replace(lungs, labels=far)) == []


def test_specks_are_no_candidates(backend: SegmentationBundle, ct_of: Callable[..., CtVolume], ball: Ball) -> None:
    hu = np.full((20, 20, 20), -1000)
    hu[10, 10, 10:12] = 0
    ct = ct_of(hu, (1.5, 1.5, 1.5))
    lungs = replace(ball[1], labels=np.ones(ct.hu.shape, np.uint8), geometry=ct.geometry)

    assert backend(ct, lungs) == []


def test_a_scan_is_run_once_and_another_scan_again(backend: SegmentationBundle, ball: Ball) -> None:
    ct, lungs = ball
    runs = []
    counted = replace(backend, inferer=lambda image, network: runs.append(1) or network(image))

    counted(ct, lungs)
    counted.segment(ct, BALL_LPS_MM)
    counted(replace(ct), lungs)

    assert len(runs) == 2


def channels(**meaning: str) -> dict[str, Any]:
    numbered = {name.removeprefix("c"): text for name, text in meaning.items()}
    return {"version": "1", "network_data_format": {"outputs": {"pred": {"channel_def": numbered}}}}


@pytest.mark.parametrize(
    ("metadata", "channel", "exclusive"),
    [
        (channels(c0="background", c1="lung", c2="Tumour"), 2, True),
        (channels(c0="background", c1="thing"), 1, True),
        (channels(c0="nodule"), 0, False),
    ],
)
def test_the_metadata_say_which_output_is_the_nodule(
    bundle: MakeBundle, metadata: dict[str, Any], channel: int, exclusive: bool
) -> None:
    backend = SegmentationBundle.from_folder(bundle(metadata=metadata), "cpu")

    assert (backend.channel, backend.exclusive) == (channel, exclusive)


def test_outputs_that_the_bundle_passes_through_a_sigmoid_do_not_exclude_each_other(bundle: MakeBundle) -> None:
    def change(inference: dict[str, Any]) -> None:
        inference["postprocessing"]["transforms"] = [{"_target_": "Activationsd", "keys": "pred", "sigmoid": True}]

    assert not SegmentationBundle.from_folder(bundle(change), "cpu").exclusive


@pytest.mark.parametrize("metadata", [channels(), channels(c0="lung", c1="airway"), channels(c0="nodule", c1="mass")])
def test_a_bundle_that_does_not_say_where_nodules_are_is_refused(bundle: MakeBundle, metadata: dict[str, Any]) -> None:
    with pytest.raises(ModelError, match="does not say which of its outputs is the nodule"):
        SegmentationBundle.from_folder(bundle(metadata=metadata), "cpu")


def test_an_answer_of_another_shape_than_promised_is_refused(backend: SegmentationBundle, ball: Ball) -> None:
    short = replace(backend, network=torch.nn.Identity())

    with pytest.raises(ModelError, match=r"expected \(1, 2, .* got \(1, 1, "):
        short(*ball)


def test_a_real_network_with_the_bundles_weights_answers_on_the_native_grid(bundle: MakeBundle, ball: Ball) -> None:
    backend = SegmentationBundle.from_folder(bundle(), "cpu")

    probability = backend.probability(ball[0])

    assert isinstance(backend.network, UNet)
    assert probability.shape == ball[0].hu.shape
    assert np.isfinite(probability).all()
    assert probability.std() > 0
