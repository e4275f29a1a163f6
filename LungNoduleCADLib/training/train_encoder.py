"""Recipe of ``nodule_ct_attributes``: the encoder and its heads."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.metrics import roc_auc_score
from torch import Tensor, nn

from LungNoduleCADLib.classification.encoder import EncoderRunner, encoder_input
from LungNoduleCADLib.networks.build import build_network
from LungNoduleCADLib.training.augment import training_transform
from LungNoduleCADLib.training.labels import reference_type
from LungNoduleCADLib.training.loader import CubeDataset, batches
from LungNoduleCADLib.training.loop import LoopSettings, fit
from LungNoduleCADLib.training.losses import encoder_loss
from LungNoduleCADLib.training.nodule_pack import NodulePack, PackNodule
from LungNoduleCADLib.training.samples import SampleStore


def train_encoder(
    pack: NodulePack,
    stores: dict[str, dict[str, SampleStore]],
    recipe: dict[str, Any],
    run: Path,
    device: str,
    report: Callable[[str], None],
) -> nn.Module:
    """Train on the split ``train``, choose on ``validation``; returns the best network."""
    nodules = {nodule.nodule_id: nodule for nodule in pack.nodules}
    size, spacing_mm = recipe["patch"]["size"], recipe["patch"]["spacing_mm"]
    torch.manual_seed(recipe["seed"])
    network = build_network(recipe["network"], recipe["arguments"])
    train = [stores["train"]["fine"], stores["train"]["phantom"]]
    validation = stores["validation"]["fine"]
    transform = training_transform(size)

    def epoch_batches(epoch: int) -> Any:
        rng = np.random.default_rng([recipe["seed"], epoch])
        rows = _balanced_rows(train, recipe["samples_per_epoch"], rng)
        data = CubeDataset(train, rows, nodules, transform, recipe["seed"] + 100 * epoch)
        return batches(data, recipe["batch"], recipe["workers"])

    def loss_of(net: nn.Module, batch: dict[str, Any]) -> dict[str, Tensor]:
        labels = {name: tensor.to(device) for name, tensor in batch["labels"].items()}
        return encoder_loss(net(encoder_input(batch["hu"]).to(device)), labels)

    def validate(net: nn.Module) -> dict[str, float]:
        return score_encoder(EncoderRunner(net, size, spacing_mm, device), validation, nodules)

    return fit(network, epoch_batches, loss_of, validate, LoopSettings(**recipe["loop"]), run, device, report)


def middle(cubes: np.ndarray, size: int) -> np.ndarray:
    """Central ``size`` voxels of cubes (N, D, D, D)."""
    start = (cubes.shape[-1] - size) // 2
    inner = slice(start, start + size)
    return cubes[..., inner, inner, inner]


def score_encoder(runner: EncoderRunner, store: SampleStore, nodules: dict[str, PackNodule]) -> dict[str, float]:
    """Area under the curve of each question on a store, rating error, and their mean as ``score``."""
    answers = runner.answer(middle(store.hu, runner.size))
    is_nodule = np.array([bool(s.nodule_id) for s in store.samples])
    known = [nodules.get(s.nodule_id) for s in store.samples]
    clear = np.array([n is not None and n.n_readers >= 3 for n in known])
    scores = {"auc_nodule": float(roc_auc_score(is_nodule, answers.heads["nodule"][:, 0]))}
    rating = np.array([n.mean("malignancy") if n else np.nan for n in known])
    median = np.array([n.median("malignancy") if n else np.nan for n in known])
    decided = clear & (median != 3)
    logits = answers.heads["malignancy"][:, 0]
    scores["auc_malignancy_median"] = float(roc_auc_score(median[decided] > 3, logits[decided]))
    scores["auc_malignancy_mean"] = float(roc_auc_score(rating[clear] >= 3, logits[clear]))
    scores["mae_rating"] = float(np.abs(answers.heads["malignancy_rating"][clear, 0] - rating[clear]).mean())
    kind = np.array([reference_type(n) if n else -1 for n in known])
    probabilities = answers.probability("nodule_type")
    scores["auc_subsolid"] = float(roc_auc_score(kind[clear] > 0, 1 - probabilities[clear, 0]))
    recalls = [float((probabilities[clear & (kind == c)].argmax(1) == c).mean()) for c in range(3)]
    scores["balanced_accuracy_type"] = float(np.mean(recalls))
    scores["score"] = (
        float(
            np.mean(
                [
                    scores[n]
                    for n in (
                        "auc_nodule",
                        "auc_malignancy_median",
                        "auc_malignancy_mean",
                        "auc_subsolid",
                        "balanced_accuracy_type",
                    )
                ]
            )
        )
        - 0.2 * scores["mae_rating"]
    )
    return scores


SHARES = {  # of an epoch, by (phantom, nodule, as it lies in a scan)
    (False, True, False): 0.38,
    (False, True, True): 0.08,
    (False, False, False): 0.28,
    (False, False, True): 0.16,
    (True, True, True): 0.05,
    (True, False, True): 0.05,
}


def _balanced_rows(stores: list[SampleStore], count: int, rng: np.random.Generator) -> list[tuple[int, int]]:
    """(store, row) of an epoch: half nodules, half not, a share from where the finder proposed them in whole scans."""
    groups: dict[tuple[bool, bool, bool], list[tuple[int, int]]] = {key: [] for key in SHARES}
    for number, store in enumerate(stores):
        for row, sample in enumerate(store.samples):
            groups[number > 0, bool(sample.nodule_id), sample.real_context].append((number, row))
    picked = [
        members[n]
        for key, members in groups.items()
        if members
        for n in rng.integers(0, len(members), round(count * SHARES[key]))
    ]
    return [picked[n] for n in rng.permutation(len(picked))]
