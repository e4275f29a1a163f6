"""Recipe of ``nodule_ct_segmentation``: a 3D U-Net that outlines the nodule at the middle of a cube."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from monai.losses import DiceLoss
from torch import Tensor, nn
from torch.nn import functional

from LungNoduleCADLib.domain.nodule import NoduleType
from LungNoduleCADLib.networks.build import autocast, build_network
from LungNoduleCADLib.nodules.segment import segmenter_input
from LungNoduleCADLib.training.augment import training_transform
from LungNoduleCADLib.training.loader import CubeDataset, batches
from LungNoduleCADLib.training.loop import LoopSettings, fit
from LungNoduleCADLib.training.nodule_pack import NodulePack, PackNodule
from LungNoduleCADLib.training.prepare import KINDS
from LungNoduleCADLib.training.samples import SampleStore
from LungNoduleCADLib.training.train_encoder import middle

LARGE_MM, LARGE_WEIGHT = 8.0, 1.5
SUBSOLID_WEIGHT = 3.0
PHANTOM_WEIGHT = 2.0


def train_segmenter(
    pack: NodulePack,
    stores: dict[str, dict[str, SampleStore]],
    recipe: dict[str, Any],
    run: Path,
    device: str,
    report: Callable[[str], None],
) -> nn.Module:
    """Train on the split ``train``, choose on ``validation``; returns the best network."""
    nodules = {nodule.nodule_id: nodule for nodule in pack.nodules}
    size = recipe["patch"]["size"]
    torch.manual_seed(recipe["seed"])
    network = build_network(recipe["network"], recipe["arguments"])
    train = [stores["train"][kind] for kind in KINDS]
    transform = training_transform(size, affine_probability=recipe["affine_probability"])
    overlap = DiceLoss(sigmoid=True, smooth_nr=1e-3, smooth_dr=1e-3)
    rows, chances = _rows_and_chances(train, nodules, recipe["largest_fine_mm"])

    def epoch_batches(epoch: int) -> Any:
        rng = np.random.default_rng([recipe["seed"], epoch])
        picked = [rows[n] for n in rng.choice(len(rows), recipe["samples_per_epoch"], p=chances)]
        data = CubeDataset(train, picked, nodules, transform, recipe["seed"] + 100 * epoch)
        return batches(data, recipe["batch"], recipe["workers"])

    def loss_of(net: nn.Module, batch: dict[str, Any]) -> dict[str, Tensor]:
        logits = net(segmenter_input(batch["hu"].to(device))).float()
        target = batch["occupancy"].to(device)
        entropy = functional.binary_cross_entropy_with_logits(logits, target, reduction="none")
        losses = {"dice": overlap(logits, target), "cross_entropy": 5.0 * entropy.mean()}
        return losses | {"total": losses["dice"] + losses["cross_entropy"]}

    def validate(net: nn.Module) -> dict[str, float]:
        return score_segmenter(net, stores["validation"]["fine"], size, device, recipe["validation_nodules"])

    return fit(network, epoch_batches, loss_of, validate, LoopSettings(**recipe["loop"]), run, device, report)


@torch.inference_mode()
def score_segmenter(network: nn.Module, store: SampleStore, size: int, device: str, count: int) -> dict[str, float]:
    """Mean Dice on the fine cubes of the first ``count`` nodules of a store (reader consensus at 0.5)."""
    rows = [n for n, sample in enumerate(store.samples) if sample.nodule_id][:count]
    dices = []
    for start in range(0, len(rows), 8):
        part = rows[start : start + 8]
        hu = torch.from_numpy(middle(store.hu[part], size).astype(np.float32))[:, None].to(device)
        with autocast(device):
            inside = network(segmenter_input(hu)).float().cpu().numpy()[:, 0] > 0
        truth = middle(store.occupancy[part], size) >= 128
        for mine, readers in zip(inside, truth, strict=True):
            total = mine.sum() + readers.sum()
            dices.append(2 * (mine & readers).sum() / total if total else 1.0)
    return {"dice": float(np.mean(dices)), "score": float(np.mean(dices))}


def _rows_and_chances(
    stores: list[SampleStore], nodules: dict[str, PackNodule], largest_fine_mm: float
) -> tuple[list[tuple[int, int]], np.ndarray]:
    """Every nodule cube that holds its nodule whole; the larger, the subsolid and those of more readers more often."""
    rows, chances = [], []
    for number, store in enumerate(stores):
        for row, sample in enumerate(store.samples):
            nodule = nodules.get(sample.nodule_id)
            if not sample.nodule_id or (nodule and KINDS[number] == "fine" and nodule.eq_diameter_mm > largest_fine_mm):
                continue
            rows.append((number, row))
            chance = 0.25 + 0.25 * min(nodule.n_readers, 3) if nodule else PHANTOM_WEIGHT
            chance *= LARGE_WEIGHT if nodule and nodule.eq_diameter_mm > LARGE_MM else 1.0
            kind = nodule.type if nodule else NoduleType(sample.synthetic_type)
            chances.append(chance * (1.0 if kind is NoduleType.SOLID else SUBSOLID_WEIGHT))
    return rows, np.asarray(chances) / np.sum(chances)
