"""Losses of the recipes."""

from __future__ import annotations

from typing import Any

import torch
from monai.losses import DiceLoss, FocalLoss
from torch import Tensor
from torch.nn import functional

from LungNoduleCADLib.errors import InputError
from LungNoduleCADLib.networks.nodule_encoder import HEADS

SMALL_NODULE_VOXELS = 500.0
FOCAL_GAMMA = 2.0


def encoder_loss(answers: dict[str, Tensor], labels: dict[str, Tensor], settings: dict[str, Any]) -> dict[str, Tensor]:
    """Weighted loss a head, masked where a sample has no label, and their sum under ``total``.

    Logits: binary cross-entropy; classes: cross-entropy against the readers' votes; ratings: smooth L1, so malignancy
    is asked of nodules only.

    Parameters
    ----------
    settings : ``weights`` of heads (0.2 where not named), ``class_weights`` of heads, and optionally
        ``nodule``: "focal" (Lin et al. 2017) instead of cross-entropy for nodule or not.
    """
    losses = {}
    for head in HEADS:
        weight = labels[f"{head.name}_weight"]
        if not bool(weight.any()):
            continue
        answer, target = answers[head.name], labels[head.name]
        if head.kind == "logit" and settings.get(head.name) == "focal":
            loss = FocalLoss(gamma=FOCAL_GAMMA, reduction="none")(answer, target)[:, 0]
        elif head.kind == "logit":
            loss = functional.binary_cross_entropy_with_logits(answer, target, reduction="none")[:, 0]
        elif head.kind == "classes":
            of_classes = settings.get("class_weights", {}).get(head.name, [1.0] * head.outputs)
            loss = functional.cross_entropy(answer, target, torch.tensor(of_classes).to(answer), reduction="none")
        else:
            loss = functional.smooth_l1_loss(answer, target, reduction="none", beta=0.5)[:, 0]
        mean = (loss * weight).sum() / weight.sum().clamp_min(1.0)
        losses[head.name] = mean * settings["weights"].get(head.name, 0.2)
    losses["total"] = torch.stack(list(losses.values())).sum()
    return losses


def segmentation_loss(
    logits: Tensor, occupancy: Tensor, kind: str = "dice+cross-entropy", weight: Tensor | None = None
) -> dict[str, Tensor]:
    """Loss against the share of each voxel that is nodule, (B, 1, D, D, D).

    The voxelwise part of a cube is divided by its nodule's size, so that small nodules count as much as large ones; it
    keeps the surface where it is, which Dice alone moves outwards for small nodules.

    Parameters
    ----------
    kind : "dice+cross-entropy", "dice+focal", "cross-entropy" or "focal".
    weight : of each voxel, 0..1; everywhere 1 if not given.

    Raises
    ------
    InputError : another kind.
    """
    overlap, _, voxelwise = kind.rpartition("+")
    if overlap not in ("", "dice") or voxelwise not in ("cross-entropy", "focal"):
        raise InputError("Unknown loss in a recipe", expected="[dice+]cross-entropy or [dice+]focal", got=kind)
    if voxelwise == "focal":
        each = FocalLoss(gamma=FOCAL_GAMMA, reduction="none")(logits, occupancy)
    else:
        each = functional.binary_cross_entropy_with_logits(logits, occupancy, reduction="none")
    weight = torch.ones_like(occupancy) if weight is None else weight
    each, inside = each * weight, occupancy * weight
    losses = {voxelwise: (each.sum((1, 2, 3, 4)) / (inside.sum((1, 2, 3, 4)) + SMALL_NODULE_VOXELS)).mean()}
    if overlap:
        losses["dice"] = 0.5 * DiceLoss(smooth_nr=1e-3, smooth_dr=1e-3)(torch.sigmoid(logits) * weight, inside)
    return losses | {"total": torch.stack(list(losses.values())).sum()}
