"""Recipe of ``nodule_ct_detection``: a fully convolutional 3D U-Net that marks every nodule of a cube."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from LungNoduleCADLib.domain.nodule import NoduleType
from LungNoduleCADLib.evaluation.discrimination import auc
from LungNoduleCADLib.networks.build import autocast, build_network
from LungNoduleCADLib.nodules.detector import detector_input
from LungNoduleCADLib.training.augment import training_transform
from LungNoduleCADLib.training.balance import KINDS, balanced_rows, groups_by_kind
from LungNoduleCADLib.training.data import PackNodule, TrainingData
from LungNoduleCADLib.training.loader import CubeDataset, batches
from LungNoduleCADLib.training.loop import LoopSettings, fit
from LungNoduleCADLib.training.losses import segmentation_loss
from LungNoduleCADLib.training.samples import Sample, SampleStore
from LungNoduleCADLib.training.train_encoder import middle

SUBSOLID_WEIGHT, SMALL_WEIGHT, SMALL_MM = 2.0, 1.5, 6.0
CLEAR_READERS = 3
SHARE_OF_NODULE = 0.01
AWAY_VOXELS, LOWEST_LOGIT, QUARTER_LOGIT = 3, -20.0, -1.0986


def train_detector(
    data: TrainingData,
    stores: list[SampleStore],
    recipe: dict[str, Any],
    held_out: int,
    run: Path,
    device: str,
    report: Callable[[str], None],
) -> nn.Module:
    """Train without a fold, and choose on it; returns the best network."""
    nodules = {nodule.nodule_id: nodule for nodule in data.nodules}
    (store,) = stores
    size, seed = recipe["patch"]["size"], recipe["seed"] + held_out
    torch.manual_seed(seed)
    network = build_network(recipe["network"], recipe["arguments"])
    network.expect(SHARE_OF_NODULE)  # type: ignore[operator]
    transform = training_transform(size, **recipe["augmentation"])
    groups = groups_by_kind(store, held_out, lambda sample: _chance(sample, nodules.get(sample.nodule_id)))
    shares = {KINDS[name]: share for name, share in recipe["shares"].items()}

    def epoch_batches(epoch: int) -> Any:
        rng = np.random.default_rng([seed, epoch])
        rows = [(0, row) for row in balanced_rows(groups, shares, recipe["samples_per_epoch"], rng)]
        cubes = CubeDataset(stores, rows, nodules, transform, seed + 100 * epoch, outlines=True)
        return batches(cubes, recipe["batch"], recipe["workers"])

    def loss_of(net: nn.Module, batch: dict[str, Any]) -> dict[str, Tensor]:
        occupancy = batch["occupancy"].to(device)
        logits = net(_images(batch["hu"].to(device)))
        return segmentation_loss(logits.float(), occupancy, recipe["loss"], weight=decidedness(occupancy))

    def validate(net: nn.Module) -> dict[str, float]:
        return score_detector(net, store, data, held_out, size, device, recipe["validation_cubes"])

    return fit(
        network, epoch_batches, loss_of, validate, LoopSettings(**recipe["loop"], seed=seed), run, device, report
    )


def decidedness(occupancy: Tensor) -> Tensor:
    """How much each voxel says: 1 where it is nodule or is not, 0 where it is half of it or nobody knows."""
    return (2.0 * occupancy - 1.0).abs()


@torch.inference_mode()
def score_detector(
    network: nn.Module, store: SampleStore, data: TrainingData, held_out: int, size: int, device: str, count: int
) -> dict[str, float]:
    """How well the held-out fold's nodules of >= 3 readers stand out from the highest peaks away from all marks.

    ``score``: area under the curve of the highest logit near a nodule's middle against the highest in a cube further
    than 3 voxels from everything marked.
    """
    clear = {n.nodule_id for n in data.of_folds((held_out,), lambda n: n.n_readers >= CLEAR_READERS)}
    own = store.own_rows(held_out)
    with_nodule = list({s.nodule_id: row for row in own if (s := store.samples[row]).nodule_id in clear}.values())
    others = [row for row in own if not store.samples[row].nodule_id]
    rows = [*_spread(with_nodule, count // 2), *_spread(others, count // 2)]
    inner = slice(size // 2 - 1, size // 2 + 2)
    nodule, background = [], []
    for start in range(0, len(rows), 8):
        part = rows[start : start + 8]
        hu = torch.from_numpy(middle(store.hu[part], size).astype(np.float32))[:, None].to(device)
        marked = torch.from_numpy(middle(store.occupancy[part], size).astype(np.float32))[:, None].to(device)
        with autocast(device):
            logits = network(_images(hu)).float()
        near = functional.max_pool3d(marked, 2 * AWAY_VOXELS + 1, 1, AWAY_VOXELS) > 0
        background += logits.masked_fill(near, LOWEST_LOGIT).amax((1, 2, 3, 4)).tolist()
        here = [n for n, row in enumerate(part) if store.samples[row].nodule_id]
        nodule += logits[here, 0, inner, inner, inner].amax((1, 2, 3)).tolist()
    return {
        "nodules_at_0.25": float(np.mean(np.array(nodule) >= QUARTER_LOGIT)),
        "background_at_0.25": float(np.mean(np.array(background) >= QUARTER_LOGIT)),
        "score": auc(np.repeat([True, False], [len(nodule), len(background)]), np.array(nodule + background)),
    }


def _images(hu: Tensor) -> Tensor:
    return detector_input(hu).contiguous(memory_format=torch.channels_last_3d)


def _spread(rows: list[int], count: int) -> list[int]:
    return rows[:: max(1, -(-len(rows) // max(count, 1)))]


def _chance(sample: Sample, nodule: PackNodule | None) -> float:
    """Nodules of more readers, subsolid and small ones more often."""
    if not sample.nodule_id:
        return 1.0
    kind = nodule.type if nodule else NoduleType(sample.synthetic_type)
    chance = 0.4 + 0.2 * min(nodule.n_readers, 3) if nodule else 1.0
    small = nodule is not None and nodule.eq_diameter_mm < SMALL_MM
    return chance * (1.0 if kind is NoduleType.SOLID else SUBSOLID_WEIGHT) * (SMALL_WEIGHT if small else 1.0)
