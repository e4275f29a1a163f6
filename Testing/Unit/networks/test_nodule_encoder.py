from __future__ import annotations

import pytest
import torch

from LungNoduleCADLib.networks.nodule_encoder import HEADS, STAGES, NoduleEncoder


@pytest.fixture(scope="module")
def answers() -> dict[str, torch.Tensor]:
    torch.manual_seed(3)
    network = NoduleEncoder((4, 8, 8, 8)).eval()
    for layer in network.heads.values():
        torch.nn.init.normal_(layer.weight, std=30.0)
    with torch.inference_mode():
        return network(torch.randn(5, 1, 16, 16, 16))


@pytest.mark.parametrize("head", HEADS, ids=lambda head: head.name)
def test_every_head_answers_with_its_number_of_outputs(answers: dict[str, torch.Tensor], head) -> None:
    assert answers[head.name].shape == (5, head.outputs)
    assert len(head.classes) in (0, head.outputs)


def test_ratings_stay_on_the_readers_scale_however_large_the_weights(answers: dict[str, torch.Tensor]) -> None:
    ratings = torch.cat([answers[head.name] for head in HEADS if head.kind == "rating"])

    assert float(ratings.min()) >= 1.0
    assert float(ratings.max()) <= 5.0
    assert float(ratings.max() - ratings.min()) > 1.0


def test_the_questions_of_this_project_are_asked() -> None:
    assert {"nodule", "nodule_type", "malignancy", "malignancy_rating", "small_cell", "nsclc_subtype"} <= {
        head.name for head in HEADS
    }


@pytest.mark.parametrize("size", [16, 20])
@pytest.mark.parametrize("stage", STAGES)
def test_a_patch_has_the_same_features_whatever_the_stage_at_which_its_way_is_cut(size: int, stage: str) -> None:
    torch.manual_seed(1)
    network = NoduleEncoder((4, 8, 8, 8)).eval()
    patch = torch.randn(1, 1, size, size, size)

    features = network.features(network.before(stage, patch), stage)

    assert features.shape == (1, 8)
    assert float(features.detach().std()) > 0
    assert torch.equal(features, network.features(network.before("layer1", patch), "layer1"))
