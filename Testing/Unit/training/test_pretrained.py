from __future__ import annotations

from pathlib import Path

import pytest
import torch

from LungNoduleCADLib.errors import InputError
from LungNoduleCADLib.networks.nodule_encoder import NoduleEncoder
from LungNoduleCADLib.training.pretrained import load_encoder_weights

WIDTHS = (4, 8, 8, 8)


def encoder(seed: int, widths: tuple[int, ...] = WIDTHS) -> NoduleEncoder:
    torch.manual_seed(seed)
    return NoduleEncoder(widths)


@pytest.mark.parametrize("wrapped", [True, False])
def test_a_backbone_in_medicalnets_form_is_taken_over(tmp_path: Path, wrapped: bool) -> None:
    teacher, pupil = encoder(1), encoder(2)
    tensors = {f"module.{name}": tensor for name, tensor in teacher.backbone.state_dict().items()}
    torch.save({"state_dict": tensors} if wrapped else tensors, tmp_path / "resnet_18.pth")

    taken = load_encoder_weights(pupil, tmp_path / "resnet_18.pth")

    own = pupil.backbone.state_dict()
    assert taken == sum("num_batches" not in name for name in own)
    assert all(torch.equal(own[name], tensor) for name, tensor in teacher.backbone.state_dict().items())
    assert not torch.equal(pupil.heads["nodule"].weight, teacher.heads["nodule"].weight)


def test_another_networks_weights_are_refused_and_change_nothing(tmp_path: Path) -> None:
    pupil = encoder(2)
    before = {name: tensor.clone() for name, tensor in pupil.state_dict().items()}
    torch.save(encoder(1, (8, 16, 16, 16)).backbone.state_dict(), tmp_path / "wide.pth")

    with pytest.raises(InputError, match="of another network"):
        load_encoder_weights(pupil, tmp_path / "wide.pth")
    assert all(torch.equal(tensor, before[name]) for name, tensor in pupil.state_dict().items())


def test_a_file_with_code_in_it_is_not_opened(tmp_path: Path) -> None:
    torch.save({"state_dict": encoder(1).backbone}, tmp_path / "pickled.pth")

    with pytest.raises(InputError, match="cannot be read"):
        load_encoder_weights(encoder(2), tmp_path / "pickled.pth")
