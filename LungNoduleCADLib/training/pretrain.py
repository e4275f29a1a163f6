"""A start for the encoder that needs no labels: from the visible rest of a cube, predict the features of hidden blocks.

The joint-embedding prediction of I-JEPA (Assran et al., CVPR 2023) carried over to a convolutional 3D encoder: the
student sees the cube with blocks blanked; a small predictor answers what the teacher, a slow average of the student,
makes of the whole cube at the hidden places.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import torch
from monai.networks.nets.resnet import ResNet
from monai.transforms import CenterSpatialCrop
from torch import Tensor, nn
from torch.nn import functional

from LungNoduleCADLib.classification.encoder import encoder_input
from LungNoduleCADLib.errors import InputError
from LungNoduleCADLib.networks.build import autocast, build_network
from LungNoduleCADLib.networks.nodule_encoder import NoduleEncoder
from LungNoduleCADLib.training.augment import training_transform
from LungNoduleCADLib.training.loader import CubeDataset, batches
from LungNoduleCADLib.training.loop import LoopSettings, fit
from LungNoduleCADLib.training.samples import SampleStore

PREDICTOR_WIDTH = 96
LEAST_STD, VARIANCE_WEIGHT = 0.4, 0.25
COLLAPSED_VARIANCE = 0.02
WATCHED_CUBES = 64


def pretrain_backbone(
    stores: list[SampleStore],
    recipe: dict[str, Any],
    held_out: int,
    folder: Path,
    device: str,
    report: Callable[[str], None],
) -> dict[str, Tensor]:
    """State dictionary for the ``backbone`` of the recipe's encoder, learned without labels and without a fold.

    The last epoch counts, for the loss against one teacher cannot be compared with that against another; an epoch whose
    features have collapsed never counts.

    Parameters
    ----------
    recipe : of the encoder; ``recipe["pretraining"]`` has ``samples_per_epoch``, ``batch``, ``hidden_share`` (of a
        cube), ``teacher_decay`` (a step) and ``loop`` (see ``LoopSettings``).
    folder : for checkpoints and ``log.csv``; an unfinished run in it is taken up where it stopped.

    Raises
    ------
    InputError : nothing that may be seen, or the features collapsed.
    """
    settings, size, seed = recipe["pretraining"], recipe["patch"]["size"], recipe["seed"] + held_out
    rows = seen_rows(stores, {held_out, *recipe["folds"]["test"]})
    transform = training_transform(size, **recipe["augmentation"])
    torch.manual_seed(seed)
    encoder = build_network(recipe["network"], recipe["arguments"])
    pupil = LatentPrediction(encoder, settings["hidden_share"], settings["teacher_decay"])
    watched = _watched(stores, rows, size).to(device)
    now = {"epoch": 0}

    def epoch_batches(epoch: int) -> Any:
        now["epoch"] = epoch
        rng, count = np.random.default_rng([seed, epoch]), settings["samples_per_epoch"]
        picked = [rows[n] for n in rng.choice(len(rows), count, replace=count > len(rows))]
        data = CubeDataset(stores, picked, {}, transform, seed + 100 * epoch, outlines=False)
        return batches(data, settings["batch"], recipe["workers"])

    def loss_of(net: nn.Module, batch: dict[str, Any]) -> dict[str, Tensor]:
        return net.step(encoder_input(batch["hu"]).to(device))

    def validate(net: nn.Module) -> dict[str, float]:
        with autocast(device):
            seen = net.watch(watched)
        return seen | {"score": now["epoch"] if seen["feature_variance"] > COLLAPSED_VARIANCE else -1.0}

    best = fit(
        pupil, epoch_batches, loss_of, validate, LoopSettings(**settings["loop"], seed=seed), folder, device, report
    )
    with autocast(device):
        variance = best.watch(watched)["feature_variance"]
    if variance <= COLLAPSED_VARIANCE:
        raise InputError(
            "Pretraining came to the same features for every cube",
            expected=f"a variance of more than {COLLAPSED_VARIANCE}",
            got=f"{variance:.3g}",
            todo="lower the learning rate or raise teacher_decay in the recipe",
        )
    return best.teacher.state_dict()


def seen_rows(stores: list[SampleStore], hidden_folds: set[int]) -> list[tuple[int, int]]:
    """(store, row) of every cube of which neither the patient nor the lung around is in a hidden fold.

    Raises
    ------
    InputError : there is none.
    """
    rows = [
        (number, row)
        for number, store in enumerate(stores)
        for row, sample in enumerate(store.samples)
        if not any(sample.hidden_from(fold) for fold in hidden_folds)
    ]
    if not rows:
        raise InputError("There is nothing to learn from", expected="cubes of other folds", got="none")
    return rows


def hide_blocks(count: int, grid: int, share: float) -> Tensor:
    """(count, 1, grid, grid, grid): 1 where hidden; boxes of up to half the width, until ``share`` of a cube is."""
    hidden = torch.zeros((count, 1, grid, grid, grid))
    for cube in hidden[:, 0]:
        while float(cube.mean()) < share:
            sides = torch.randint(1, max(grid // 2, 1) + 1, (3,)).tolist()
            starts = [int(torch.randint(0, grid - side + 1, ())) for side in sides]
            cube[tuple(slice(start, start + side) for start, side in zip(starts, sides, strict=True))] = 1.0
    return hidden


class LatentPrediction(nn.Module):
    """Student, teacher and predictor over the feature maps of an encoder's last two stages.

    The features are those of every place of the third stage: its own, and those of the last stage around it, each
    normalised over channels.
    """

    def __init__(self, encoder: NoduleEncoder, hidden_share: float, teacher_decay: float) -> None:
        super().__init__()
        self.hidden_share, self.teacher_decay = hidden_share, teacher_decay
        self.student = encoder.backbone
        self.teacher = deepcopy(encoder.backbone).requires_grad_(False)
        first = encoder.backbone.layer4[0].conv1
        features = first.in_channels + first.out_channels
        self.predictor = nn.Sequential(
            nn.Conv3d(features + 1, PREDICTOR_WIDTH, 1),
            nn.GELU(),
            nn.Conv3d(PREDICTOR_WIDTH, PREDICTOR_WIDTH, 3, padding=1),
            nn.GELU(),
            nn.Conv3d(PREDICTOR_WIDTH, features, 1),
        )

    def step(self, cubes: Tensor) -> dict[str, Tensor]:
        """Losses of a batch (B, 1, D, D, D) in -1..1, after the teacher has followed the student."""
        self._follow()
        predicted, wanted, hidden, own = self._predict(cubes)
        apart = functional.smooth_l1_loss(predicted, wanted, reduction="none").mean(1, keepdim=True)
        prediction = (apart * hidden).sum() / hidden.sum()
        spread = torch.sqrt(own.var(0, correction=0) + 1e-4)
        variance = VARIANCE_WEIGHT * functional.relu(LEAST_STD - spread).mean()
        return {"prediction": prediction, "variance": variance, "total": prediction + variance}

    @torch.no_grad()
    def watch(self, cubes: Tensor) -> dict[str, float]:
        """How well hidden features are predicted, and whether there is anything to predict.

        ``explained``: share of the hidden features' variance over the cubes that the predictor explains;
        ``feature_variance``: of the teacher's features over the cubes, 0 (every cube alike) to 1.
        """
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            predicted, wanted, hidden, _ = self._predict(cubes)
        missed = ((predicted - wanted) ** 2 * hidden).sum()
        there = ((wanted - wanted.mean(0, keepdim=True)) ** 2 * hidden).sum()
        pooled = _normalised(_stages(self.teacher, cubes)[1].mean((2, 3, 4)))
        return {
            "explained": float(1 - missed / there.clamp_min(1e-9)),
            "feature_variance": float(pooled.var(0, correction=0).mean()),
        }

    def _predict(self, cubes: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Predicted and wanted features (B, F, G, G, G), where they are hidden, and the student's own."""
        with torch.no_grad():
            wanted = _features(self.teacher, cubes)
        hidden = hide_blocks(len(cubes), wanted.shape[-1], self.hidden_share).to(cubes)
        visible = cubes * (1 - functional.interpolate(hidden, cubes.shape[2:]))
        own = _features(self.student, visible)
        with torch.autocast(cubes.device.type, enabled=False):
            predicted = self.predictor(torch.cat([own, hidden], dim=1))
        return predicted, wanted, hidden, own

    @torch.no_grad()
    def _follow(self) -> None:
        for mine, its in zip(self.teacher.parameters(), self.student.parameters(), strict=True):
            mine.lerp_(its, 1 - self.teacher_decay)


def _stages(backbone: ResNet, cubes: Tensor) -> tuple[Tensor, Tensor]:
    """Feature maps of the last two stages, in float32 (why: see ``NoduleEncoder.features``)."""
    x = backbone.act(backbone.bn1(backbone.conv1(cubes.contiguous(memory_format=torch.channels_last_3d))))
    third = backbone.layer3(backbone.layer2(backbone.layer1(x)))
    with torch.autocast(x.device.type, enabled=False):
        return third.float(), backbone.layer4(third.float())


def _features(backbone: ResNet, cubes: Tensor) -> Tensor:
    third, last = _stages(backbone, cubes)
    return torch.cat([_normalised(third), functional.interpolate(_normalised(last), third.shape[2:])], dim=1)


def _normalised(features: Tensor) -> Tensor:
    """Mean 0 and variance 1 over the channels (dimension 1) of each place."""
    centred = features - features.mean(1, keepdim=True)
    return centred / torch.sqrt((centred**2).mean(1, keepdim=True) + 1e-5)


def _watched(stores: list[SampleStore], rows: list[tuple[int, int]], size: int) -> Tensor:
    """Some cubes of those that may be seen, unchanged: (N, 1, D, D, D) in -1..1."""
    some = rows[:: -(-len(rows) // WATCHED_CUBES)]
    cubes = np.stack([stores[store].hu[row] for store, row in some]).astype(np.float32)
    return encoder_input(CenterSpatialCrop(size)(torch.from_numpy(cubes)).as_subclass(Tensor))[:, None]
