"""Recipe of ``nodule_ct_segmentation``: a 3D U-Net that outlines the nodule at the middle of a cube."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from LungNoduleCADLib.domain.nodule import NoduleType
from LungNoduleCADLib.evaluation.overlap import dice
from LungNoduleCADLib.networks.build import autocast, build_network
from LungNoduleCADLib.nodules.segment import segmenter_input
from LungNoduleCADLib.training.augment import transforms_by_epoch
from LungNoduleCADLib.training.data import PackNodule, TrainingData
from LungNoduleCADLib.training.loader import CubeDataset, batches
from LungNoduleCADLib.training.loop import LoopSettings, fit
from LungNoduleCADLib.training.losses import segmentation_loss
from LungNoduleCADLib.training.samples import Sample, SampleStore
from LungNoduleCADLib.training.train_encoder import middle

SUBSOLID_WEIGHT = 3.0
PHANTOM_WEIGHT = 6.0
Report = Callable[[str], None]


def train_segmenter(
    data: TrainingData,
    stores: list[SampleStore],
    recipe: dict[str, Any],
    held_out: int,
    run: Path,
    device: str,
    report: Report,
) -> nn.Module:
    """Train without a fold, and choose on it; returns the best network."""
    nodules = {nodule.nodule_id: nodule for nodule in data.nodules}
    size, seed = recipe["patch"]["size"], recipe["seed"] + held_out
    torch.manual_seed(seed)
    network = build_network(recipe["network"], recipe["arguments"])
    transform = transforms_by_epoch(size, recipe)
    rows, chances = _rows_and_chances(stores, nodules, held_out)

    def epoch_batches(epoch: int) -> Any:
        rng = np.random.default_rng([seed, epoch])
        picked = [rows[n] for n in rng.choice(len(rows), recipe["samples_per_epoch"], p=chances)]
        cubes = CubeDataset(stores, picked, nodules, transform(epoch), seed + 100 * epoch, outlines=True)
        return batches(cubes, recipe["batch"], recipe["workers"])

    def loss_of(net: nn.Module, batch: dict[str, Any]) -> dict[str, Tensor]:
        logits = net(segmenter_input(batch["hu"].to(device)))
        return segmentation_loss(logits.float(), batch["occupancy"].to(device), recipe["loss"])

    def validate(net: nn.Module) -> dict[str, float]:
        return score_segmenter(net, stores, nodules, held_out, size, device, recipe["validation_nodules"])

    return fit(
        network, epoch_batches, loss_of, validate, LoopSettings(**recipe["loop"], seed=seed), run, device, report
    )


@torch.inference_mode()
def score_segmenter(
    network: nn.Module,
    stores: list[SampleStore],
    nodules: dict[str, PackNodule],
    held_out: int,
    size: int,
    device: str,
    count: int,
) -> dict[str, float]:
    """Mean Dice and geometric mean of the volume ratio, by scale, on nodules of >= 3 readers in the held-out fold."""
    scores = {}
    for store in stores:
        wanted = {n.nodule_id for n in nodules.values() if n.fold == held_out and n.n_readers >= 3}
        own = [row for row in store.own_rows(held_out) if store.samples[row].nodule_id in wanted]
        rows = list({store.samples[row].nodule_id: row for row in own}.values())[:count]
        dices, ratios = [], []
        for start in range(0, len(rows), 8):
            part = rows[start : start + 8]
            hu = torch.from_numpy(middle(store.hu[part], size).astype(np.float32))[:, None].to(device)
            with autocast(device):
                inside = network(segmenter_input(hu)).float().cpu().numpy()[:, 0] > 0
            truth = middle(store.occupancy[part], size) >= 128
            dices += [dice(mine, readers) for mine, readers in zip(inside, truth, strict=True)]
            ratios += [max(m.sum(), 1) / max(r.sum(), 1) for m, r in zip(inside, truth, strict=True)]
        if dices:
            scores[f"dice_{store.name}"] = float(np.mean(dices))
            scores[f"volume_ratio_{store.name}"] = float(np.exp(np.mean(np.log(ratios))))
    return scores | {"score": float(np.mean([v for name, v in scores.items() if name.startswith("dice")]))}


def _rows_and_chances(
    stores: list[SampleStore], nodules: dict[str, PackNodule], held_out: int
) -> tuple[list[tuple[int, int]], np.ndarray]:
    """Every nodule cube that may be seen; the subsolid and those of more readers more often."""
    rows, chances = [], []
    for number, store in enumerate(stores):
        for row, sample in enumerate(store.samples):
            if sample.nodule_id and not sample.hidden_from(held_out):
                rows.append((number, row))
                chances.append(_chance(sample, nodules.get(sample.nodule_id)))
    return rows, np.asarray(chances) / np.sum(chances)


def _chance(sample: Sample, nodule: PackNodule | None) -> float:
    chance = 0.25 + 0.25 * min(nodule.n_readers, 3) if nodule else PHANTOM_WEIGHT
    kind = nodule.type if nodule else NoduleType(sample.synthetic_type)
    return chance * (1.0 if kind is NoduleType.SOLID else SUBSOLID_WEIGHT)
