"""Recipe of ``nodule_ct_attributes``: the encoder and its heads."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from LungNoduleCADLib.classification.encoder import Answers, EncoderRunner, encoder_input
from LungNoduleCADLib.domain.nodule import NoduleType
from LungNoduleCADLib.errors import UsageError
from LungNoduleCADLib.evaluation.discrimination import auc, balanced_accuracy
from LungNoduleCADLib.networks.build import build_network
from LungNoduleCADLib.networks.nodule_encoder import NoduleEncoder
from LungNoduleCADLib.training.augment import transforms_by_epoch
from LungNoduleCADLib.training.balance import KINDS, balanced_rows, groups_by_kind
from LungNoduleCADLib.training.data import PackNodule, TrainingData
from LungNoduleCADLib.training.labels import reference_type
from LungNoduleCADLib.training.loader import CubeDataset, batches
from LungNoduleCADLib.training.loop import LoopSettings, fit
from LungNoduleCADLib.training.losses import encoder_loss
from LungNoduleCADLib.training.pretrain import pretrain_backbone
from LungNoduleCADLib.training.pretrained import load_encoder_weights
from LungNoduleCADLib.training.samples import SampleStore


def train_encoder(
    data: TrainingData,
    stores: list[SampleStore],
    recipe: dict[str, Any],
    held_out: int,
    run: Path,
    device: str,
    report: Callable[[str], None],
) -> nn.Module:
    """Train without a fold, and choose on it; returns the best network.

    ``recipe["pretraining"]``, where there is one, starts the backbone from ``pretrain_backbone``;
    ``recipe["late_augmentation"]`` holds changes of the augmentation from an epoch on (``from_epoch``).

    Raises
    ------
    UsageError : the recipe names two starts.
    """
    nodules = {nodule.nodule_id: nodule for nodule in data.nodules}
    (store,) = stores
    size, spacing_mm, seed = recipe["patch"]["size"], recipe["patch"]["spacing_mm"], recipe["seed"] + held_out
    torch.manual_seed(seed)
    network = build_network(recipe["network"], recipe["arguments"])
    _start(network, stores, recipe, held_out, run, device, report)
    transform = transforms_by_epoch(size, recipe)
    groups = groups_by_kind(store, held_out, lambda sample: _chance(nodules.get(sample.nodule_id)))
    judged = held_out_rows(store, held_out, recipe["validation_non_nodules"])

    def epoch_batches(epoch: int) -> Any:
        rng = np.random.default_rng([seed, epoch])
        rows = [(0, row) for row in balanced_rows(groups, SHARES, recipe["samples_per_epoch"], rng)]
        cubes = CubeDataset(stores, rows, nodules, transform(epoch), seed + 100 * epoch, outlines=False)
        return batches(cubes, recipe["batch"], recipe["workers"])

    def loss_of(net: nn.Module, batch: dict[str, Any]) -> dict[str, Tensor]:
        labels = {name: tensor.to(device) for name, tensor in batch["labels"].items()}
        return encoder_loss(net(encoder_input(batch["hu"]).to(device)), labels, recipe["losses"])

    def validate(net: nn.Module) -> dict[str, float]:
        runner = EncoderRunner((net,), size, spacing_mm, device)
        return score_encoder(runner, store, judged, nodules)

    return fit(
        network, epoch_batches, loss_of, validate, LoopSettings(**recipe["loop"], seed=seed), run, device, report
    )


def _start(
    network: NoduleEncoder,
    stores: list[SampleStore],
    recipe: dict[str, Any],
    held_out: int,
    run: Path,
    device: str,
    report: Callable[[str], None],
) -> None:
    """Weights to begin with: those of a file, or learned without labels; else as they were drawn."""
    file, pretraining = recipe.get("encoder_weights"), recipe.get("pretraining")
    if file and pretraining:
        raise UsageError(
            "Training can begin from one start only", expected="encoder weights or pretraining", got="both"
        )
    if file:
        taken = load_encoder_weights(network, Path(file))
        report(f"{taken} tensors from {file}")
    if pretraining:
        network.backbone.load_state_dict(
            pretrain_backbone(stores, recipe, held_out, run / "pretraining", device, report)
        )


def held_out_rows(store: SampleStore, fold: int, most_non_nodules: int) -> list[int]:
    """Of a fold: each nodule once, as real as it is there, and evenly spread non-nodules."""
    own = store.own_rows(fold)
    nodules = list({store.samples[row].nodule_id: row for row in own if store.samples[row].nodule_id}.values())
    others = [row for row in own if not store.samples[row].nodule_id]
    step = max(1, -(-len(others) // most_non_nodules))
    return nodules + others[::step]


def middle(cubes: np.ndarray, size: int) -> np.ndarray:
    """Central ``size`` voxels of cubes (N, D, D, D)."""
    start = (cubes.shape[-1] - size) // 2
    inner = slice(start, start + size)
    return cubes[..., inner, inner, inner]


def score_encoder(
    runner: EncoderRunner, store: SampleStore, rows: list[int], nodules: dict[str, PackNodule]
) -> dict[str, float]:
    """Area under the curve of each question on rows of a store, rating error; ``score`` is the mean of the areas."""
    samples = [store.samples[row] for row in rows]
    answers = runner.answer([middle(store.hu[row], runner.size) for row in rows])
    is_nodule = np.array([bool(s.nodule_id) for s in samples])
    scores = {"auc_nodule": auc(is_nodule, answers.heads["nodule"][:, 0])}
    asked = [(n, nodules.get(s.nodule_id)) for n, s in enumerate(samples)]
    rated = [(n, nodule) for n, nodule in asked if nodule and nodule.ratings and nodule.n_readers >= 3]
    if rated:
        scores |= _scores_of_rated(answers, np.array([n for n, _ in rated]), [nodule for _, nodule in rated])
    return scores | {"score": float(np.mean([v for name, v in scores.items() if name.startswith("auc")]))}


def _scores_of_rated(answers: Answers, rows: np.ndarray, nodules: list[PackNodule]) -> dict[str, float]:
    rating = np.array([n.mean("malignancy") for n in nodules])
    median = np.array([n.median("malignancy") for n in nodules])
    decided = median != 3
    logits = answers.heads["malignancy"][rows, 0]
    kind = np.array([reference_type(n) for n in nodules])
    types = answers.probability("nodule_type")[rows]
    return {
        "auc_malignancy_median": auc(median[decided] > 3, logits[decided]),
        "auc_malignancy_mean": auc(rating >= 3, logits),
        "mae_rating": float(np.abs(answers.heads["malignancy_rating"][rows, 0] - rating).mean()),
        "auc_subsolid": auc(kind > 0, 1 - types[:, 0]),
        "balanced_accuracy_type": balanced_accuracy(kind, types.argmax(1)),
    }


SHARES = {  # of an epoch
    KINDS["nodules"]: 0.52,
    KINDS["nodules_of_scans"]: 0.05,
    KINDS["beside_nodules"]: 0.20,
    KINDS["background_of_scans"]: 0.15,
    KINDS["synthetic_nodules"]: 0.04,
    KINDS["synthetic_background"]: 0.04,
}
TYPE_CHANCES = {NoduleType.SOLID: 1.0, NoduleType.PART_SOLID: 2.5, NoduleType.GROUND_GLASS: 1.5}


def _chance(nodule: PackNodule | None) -> float:
    """Nodules of more readers, and subsolid ones, more often."""
    return TYPE_CHANCES.get(nodule.type, 1.0) * (0.4 + 0.2 * nodule.n_readers) if nodule else 1.0  # type: ignore[arg-type]
