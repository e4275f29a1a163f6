from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from LungNoduleCADLib.errors import InputError
from LungNoduleCADLib.networks.nodule_encoder import HEADS
from LungNoduleCADLib.training.labels import labels_of, reference_type
from LungNoduleCADLib.training.losses import encoder_loss, segmentation_loss
from LungNoduleCADLib.training.nodule_pack import NodulePack

SETTINGS = {"weights": {"nodule": 2.0, "malignancy": 1.0}, "class_weights": {"nodule_type": [0.6, 2.0, 1.6]}}


def batch(*labels: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name: torch.stack([one[name] for one in labels]) for name in labels[0]}


def answers(count: int) -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    return {head.name: torch.randn(count, head.outputs) for head in HEADS}


def asked(labels: dict[str, torch.Tensor]) -> set[str]:
    return {head.name for head in HEADS if float(labels[f"{head.name}_weight"]) > 0}


def test_a_nodule_answers_what_its_readers_rated(pack: NodulePack) -> None:
    labels = labels_of(pack.nodules[0])

    assert float(labels["nodule"]) == 1.0
    assert float(labels["malignancy"]) == 1.0
    assert float(labels["malignancy_rating"]) == pytest.approx(13 / 3)
    assert float(labels["margin"]) == pytest.approx(4.0)
    assert float(labels["calcified"]) == pytest.approx(1 / 3)
    assert labels["nodule_type"].tolist() == pytest.approx([1.0, 0.0, 0.0])
    assert asked(labels) == {head.name for head in HEADS} - {"small_cell", "nsclc_subtype"}


def test_an_undecided_malignancy_is_half_a_vote(pack: NodulePack) -> None:
    labels = labels_of(pack.nodules[1])

    assert float(labels["malignancy"]) == 0.5
    assert float(labels["malignancy_rating"]) == 3.0
    assert {"malignancy", "malignancy_rating"} <= asked(labels)


def test_a_part_solid_nodule_leans_on_its_readers_votes(pack: NodulePack) -> None:
    votes = labels_of(pack.nodules[1])["nodule_type"]

    assert votes.tolist() == pytest.approx([1 / 6, 5 / 6, 0.0])
    assert float(votes.sum()) == pytest.approx(1.0)
    assert [reference_type(n) for n in pack.nodules] == [0, 1, 2]


def test_a_benign_nodule_is_asked_and_negative(pack: NodulePack) -> None:
    labels = labels_of(pack.nodules[2])

    assert "malignancy" in asked(labels)
    assert float(labels["malignancy"]) == 0.0


def test_a_non_nodule_is_only_asked_whether_it_is_one() -> None:
    labels = labels_of(None)

    assert asked(labels) == {"nodule"}
    assert float(labels["nodule"]) == 0.0


def test_what_was_not_asked_does_not_change_the_loss(pack: NodulePack) -> None:
    labels = batch(labels_of(pack.nodules[0]), labels_of(pack.nodules[1]), labels_of(None))
    given = answers(3)
    other = {name: answer.clone() for name, answer in given.items()}
    other["malignancy"][2] += 50.0
    other["malignancy_rating"][2] += 50.0
    other["small_cell"] += 50.0

    first, second = encoder_loss(given, labels, SETTINGS), encoder_loss(other, labels, SETTINGS)

    assert "small_cell" not in first
    assert float(first["total"]) == pytest.approx(float(second["total"]))
    assert float(
        encoder_loss({**given, "malignancy": given["malignancy"] + 1}, labels, SETTINGS)["total"]
    ) != pytest.approx(float(first["total"]))


def test_the_total_is_the_sum_of_its_heads(pack: NodulePack) -> None:
    losses = encoder_loss(answers(2), batch(labels_of(pack.nodules[0]), labels_of(pack.nodules[2])), SETTINGS)

    assert float(losses["total"]) == pytest.approx(sum(float(v) for k, v in losses.items() if k != "total"), rel=1e-5)
    assert all(float(loss) >= 0 for loss in losses.values())


def test_a_batch_of_non_nodules_has_the_plain_cross_entropy() -> None:
    given = answers(4)

    losses = encoder_loss(given, batch(*[labels_of(None)] * 4), SETTINGS)

    assert set(losses) == {"nodule", "total"}
    wanted = functional.binary_cross_entropy_with_logits(given["nodule"], torch.zeros(4, 1))
    assert float(losses["total"]) == pytest.approx(float(wanted) * 2.0)


def test_focal_loss_forgives_what_is_nearly_right() -> None:
    given, labels = answers(2), batch(labels_of(None), labels_of(None))
    given["nodule"] = torch.tensor([[-4.0], [1.0]])

    plain = encoder_loss(given, labels, SETTINGS)["nodule"]
    focal = encoder_loss(given, labels, {**SETTINGS, "nodule": "focal"})["nodule"]

    wrong = torch.sigmoid(given["nodule"])
    wanted = (wrong**2 * functional.softplus(given["nodule"])).mean() * 2.0
    assert float(focal) == pytest.approx(float(wanted), rel=1e-4)
    assert float(focal) < float(plain)


def cube_of(count: int) -> torch.Tensor:
    """A cube of 16 voxels with a bar of ``count`` nodule voxels."""
    cube = torch.zeros(16**3)
    cube[:count] = 1.0
    return cube.reshape(1, 1, 16, 16, 16)


@pytest.mark.parametrize("kind", ["dice+cross-entropy", "dice+focal", "cross-entropy", "focal"])
def test_a_perfect_outline_costs_nothing_and_a_missed_one_much(kind: str) -> None:
    truth = cube_of(300)

    right = float(segmentation_loss(40 * truth - 20, truth, kind)["total"])
    missed = float(segmentation_loss(torch.full_like(truth, -20.0), truth, kind)["total"])

    assert right < 1e-3
    assert missed > 0.5


def test_a_missed_small_nodule_costs_nearly_as_much_a_voxel_as_a_missed_large_one() -> None:
    none = torch.full((1, 1, 16, 16, 16), -6.0)
    small, large = (float(segmentation_loss(none, cube_of(n), "cross-entropy")["total"]) for n in (500, 2000))

    assert small / large == pytest.approx((500 / 1000) / (2000 / 2500), rel=0.05)


def test_an_unknown_loss_is_named() -> None:
    with pytest.raises(InputError, match="got hinge"):
        segmentation_loss(cube_of(1), cube_of(1), "hinge")
