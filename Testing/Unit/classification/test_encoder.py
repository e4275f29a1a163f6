from __future__ import annotations

from copy import deepcopy

import numpy as np
import pytest
import torch
from scipy.special import expit, softmax

from LungNoduleCADLib.classification.encoder import Answers, EncoderRunner, encoder_input, mirror_images
from LungNoduleCADLib.networks.nodule_encoder import HEADS, NoduleEncoder

HU = np.array([[-1024, -1000, -200, 600, 3071]], np.float32)


def test_the_window_becomes_minus_one_to_one_for_arrays_and_tensors_alike() -> None:
    wanted = [[-1.0, -1.0, 0.0, 1.0, 1.0]]

    assert encoder_input(HU).numpy() == pytest.approx(np.array(wanted))
    assert encoder_input(torch.from_numpy(HU)).numpy() == pytest.approx(np.array(wanted))
    assert encoder_input(HU).dtype == encoder_input(torch.from_numpy(HU)).dtype == torch.float32


def test_a_patch_has_eight_different_mirror_images_the_first_of_which_is_itself() -> None:
    patch = np.random.default_rng(0).normal(size=(4, 4, 4))
    views = mirror_images(patch)

    assert views.shape == (8, 4, 4, 4)
    assert np.array_equal(views[0], patch)
    assert len({view.tobytes() for view in views}) == 8
    assert all(np.array_equal(np.sort(view.ravel()), np.sort(patch.ravel())) for view in views)


def test_probabilities_follow_logits_and_calibration() -> None:
    logits = {"nodule": np.array([[0.0], [2.0]]), "nodule_type": np.array([[1.0, 0.0, -1.0], [0.0, 0.0, 0.0]])}
    answers = Answers(logits, np.zeros((2, 3), np.float32))

    assert answers.probability("nodule") == pytest.approx(expit([0.0, 2.0]))
    fitted = answers.probability("nodule", {"slope": 0.5, "offset": -1.0})
    assert fitted == pytest.approx(expit([-1.0, 0.0]))
    tempered = answers.probability("nodule_type", {"slope": 3.0})
    assert tempered == pytest.approx(softmax([[3.0, 0.0, -3.0], [0.0, 0.0, 0.0]], axis=1))
    assert tempered.sum(axis=1) == pytest.approx([1.0, 1.0])


def test_answers_do_not_depend_on_how_patches_are_batched(runner: EncoderRunner) -> None:
    patches = np.random.default_rng(1).normal(-200, 400, (5, 16, 16, 16)).astype(np.float32)

    whole, parts = runner.answer(patches, batch=5), runner.answer(list(patches), batch=2)

    assert whole.features.shape == (5, 8)
    for head in HEADS:
        assert whole.heads[head.name].shape == (5, head.outputs)
        assert parts.heads[head.name] == pytest.approx(whole.heads[head.name], rel=0.02, abs=0.02)


def test_an_ensemble_answers_with_the_mean_of_its_members(brightness_network: NoduleEncoder) -> None:
    doubled = deepcopy(brightness_network)
    with torch.no_grad():
        doubled.heads["malignancy"].weight.mul_(2)
    both = EncoderRunner((brightness_network, doubled), 32, 1.0, "cpu")
    patches = np.full((2, 32, 32, 32), 100.0, np.float32)

    members, mean = both.answers_of_members(patches), both.answer(patches)

    one, two = (member.heads["malignancy"] for member in members)
    assert two == pytest.approx(2 * one)
    assert float(one.min()) > 0.5
    assert mean.heads["malignancy"] == pytest.approx(1.5 * one)
    assert mean.features.shape == (2, 16)


def test_the_hand_made_encoder_scores_brightness(runner: EncoderRunner) -> None:
    patches = np.full((2, 32, 32, 32), -900.0, np.float32)
    patches[1, 10:20, 10:20, 10:20] = 300

    scores = runner.answer(patches).heads["malignancy"][:, 0]

    assert scores[0] == pytest.approx(0.0, abs=1e-6)
    assert scores[1] > 1.0
