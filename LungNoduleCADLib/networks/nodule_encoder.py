"""One 3D ResNet-18 encoder with a head per question asked of a nodule."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from monai.networks.nets.resnet import ResNet
from torch import Tensor, nn


@dataclass(frozen=True)
class Head:
    """A question and how its answer is encoded: ``logit`` (one), ``classes`` (softmax) or ``rating`` (a number)."""

    name: str
    kind: str
    outputs: int
    classes: tuple[str, ...] = ()


STAGES = ("layer1", "layer2", "layer3", "layer4")
DESCRIPTORS = ("subtlety", "sphericity", "margin", "lobulation", "spiculation")

HEADS: tuple[Head, ...] = (
    Head("nodule", "logit", 1),
    Head("nodule_type", "classes", 3, ("solid", "part-solid", "ground-glass")),
    Head("malignancy", "logit", 1),
    Head("malignancy_rating", "rating", 1),
    Head("calcified", "logit", 1),
    *(Head(name, "rating", 1) for name in DESCRIPTORS),
    Head("small_cell", "logit", 1),
    Head("nsclc_subtype", "classes", 3, ("adenocarcinoma", "squamous", "large-cell")),
)


class NoduleEncoder(nn.Module):
    """ResNet-18 (3D) to a feature vector, then linear heads.

    Input (B, 1, D, D, D): HU scaled to -1..1. ``forward`` gives {head name: (B, outputs)}; ``rating`` heads answer on
    the scale 1..5. With ``widths=(64, 128, 256, 512)``, ``stem_kernel=7`` and ``stem_stride=1`` the encoder has
    MedicalNet's shape.
    """

    def __init__(
        self,
        widths: tuple[int, ...] = (32, 64, 128, 256),
        stem_stride: int = 2,
        dropout: float = 0.2,
        stem_kernel: int = 7,
    ) -> None:
        super().__init__()
        self.backbone = ResNet(
            "basic",
            [2, 2, 2, 2],
            list(widths),
            spatial_dims=3,
            n_input_channels=1,
            conv1_t_size=stem_kernel,
            conv1_t_stride=stem_stride,
            no_max_pool=True,
            shortcut_type="B",
            feed_forward=False,
        )
        self.dropout = nn.Dropout(dropout)
        self.heads = nn.ModuleDict({head.name: nn.Linear(widths[-1], head.outputs) for head in HEADS})

    def before(self, stage: str, patches: Tensor) -> Tensor:
        """(B, C, d, d, d): what a stage of the backbone (``layer1`` to ``layer4``) is given."""
        net = self.backbone
        x = net.act(net.bn1(net.conv1(patches.contiguous(memory_format=torch.channels_last_3d))))
        for earlier in STAGES[: STAGES.index(stage)]:
            x = getattr(net, earlier)(x)
        return x

    def features(self, given: Tensor, stage: str) -> Tensor:
        """(B, F) pooled features, from what a stage is given.

        The last stage computes in float32: oneDNN's bfloat16 weight gradients of convolutions whose output is 2 voxels
        wide hold memory that was never written (seen with torch 2.13 on an AVX512-BF16 CPU); larger ones are right.
        """
        *middle, last = STAGES[STAGES.index(stage) :]
        for later in middle:
            given = getattr(self.backbone, later)(given)
        with torch.autocast(given.device.type, enabled=False):
            return self.backbone.avgpool(getattr(self.backbone, last)(given.float())).flatten(1)

    def answers(self, features: Tensor) -> dict[str, Tensor]:
        """{head: (B, outputs)} from features; ratings are mapped to 1..5."""
        dropped = self.dropout(features)
        answers = {name: layer(dropped).float() for name, layer in self.heads.items()}
        for head in HEADS:
            if head.kind == "rating":
                answers[head.name] = 1.0 + 4.0 * torch.sigmoid(answers[head.name])
        return answers

    def forward(self, patches: Tensor) -> dict[str, Tensor]:
        return self.answers(self.features(self.before(STAGES[0], patches), STAGES[0]))
