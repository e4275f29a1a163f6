"""Losses of the recipes."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from LungNoduleCADLib.networks.nodule_encoder import HEADS

HEAD_WEIGHTS = {"nodule": 2.0, "nodule_type": 1.0, "malignancy": 1.0, "malignancy_rating": 1.0, "calcified": 0.3}
DESCRIPTOR_WEIGHT = 0.2
TYPE_CLASS_WEIGHTS = (0.6, 2.0, 1.6)


def encoder_loss(answers: dict[str, Tensor], labels: dict[str, Tensor]) -> dict[str, Tensor]:
    """Weighted loss a head, masked where a sample has no label, and their sum under ``total``.

    Logits: binary cross-entropy; classes: cross-entropy against the readers' votes; ratings: smooth L1.
    """
    losses = {}
    for head in HEADS:
        weight = labels[f"{head.name}_weight"]
        if not bool(weight.any()):
            continue
        answer, target = answers[head.name], labels[head.name]
        if head.kind == "logit":
            loss = functional.binary_cross_entropy_with_logits(answer, target, reduction="none")[:, 0]
        elif head.kind == "classes":
            classes = torch.tensor(TYPE_CLASS_WEIGHTS, device=answer.device)
            loss = functional.cross_entropy(answer, target, weight=classes, reduction="none")
        else:
            loss = functional.smooth_l1_loss(answer, target, reduction="none", beta=0.5)[:, 0]
        losses[head.name] = (
            (loss * weight).sum() / weight.sum().clamp_min(1.0) * HEAD_WEIGHTS.get(head.name, DESCRIPTOR_WEIGHT)
        )
    losses["total"] = torch.stack(list(losses.values())).sum()
    return losses
