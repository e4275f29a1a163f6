"""Recipe of ``nodule_ct_segmentation``: a 3D U-Net that outlines the nodule at the middle of a cube."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from LungNoduleCADLib.domain.nodule import NoduleType
from LungNoduleCADLib.domain.provenance import Method
from LungNoduleCADLib.evaluation.overlap import dice
from LungNoduleCADLib.networks.build import autocast, build_network
from LungNoduleCADLib.nodules.measure import nodule_volume_mm3
from LungNoduleCADLib.nodules.segment import Look, NoduleSegmenter, outline, segmenter_input
from LungNoduleCADLib.training.augment import transforms_by_epoch
from LungNoduleCADLib.training.cases import POINT, NoduleCase, nodule_cases
from LungNoduleCADLib.training.data import PackNodule, TrainingData
from LungNoduleCADLib.training.loader import CubeDataset, batches
from LungNoduleCADLib.training.loop import LoopSettings, fit
from LungNoduleCADLib.training.losses import segmentation_loss
from LungNoduleCADLib.training.prepare import few_donors
from LungNoduleCADLib.training.samples import Sample, SampleStore
from LungNoduleCADLib.training.train_encoder import middle

SUBSOLID_WEIGHT = 3.0
PHANTOM_WEIGHT = 6.0
THRESHOLDS = (0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.55, 0.6)
SCALE_THRESHOLD = 0.45
DICE_TOLERANCE = 0.005
LARGE_MM = 14.0
FEWEST_NODULES = 10
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


def choose_thresholds(
    networks: dict[int, nn.Module], data: TrainingData, recipe: dict[str, Any], device: str, report: Report
) -> dict[str, Any]:
    """For each scale the probability at which outlines have the readers' volume, in folds that the networks never saw.

    Of the thresholds whose mean Dice is within 0.005 of the scale's best, that whose geometric mean of the volume ratio
    is nearest to 1. Judged on the scans' own voxels from the middle of the consensus: nodules of >= 3 readers, all of
    the large ones and every third of the others, each at the scale at which it is outlined at 0.45. A scale with fewer
    than 10 nodules takes the threshold of the finer one.

    Parameters
    ----------
    networks : {fold that it never saw: network}.

    Returns
    -------
    ``thresholds`` by scale, and ``threshold_choice``: what was measured at each.
    """
    measured: dict[float, list[np.ndarray]] = {spacing_mm: [] for spacing_mm in recipe["patch"]["spacings_mm"]}
    for held_out, network in networks.items():
        segmenter = NoduleSegmenter((network,), **recipe["patch"], device=device, method=Method("training", "1"))
        around = few_donors(data, (held_out,), 1, report)
        for case in nodule_cases(data, _judged(data, held_out), around, recipe["seed"]):
            drawn = _dice_and_ratio(segmenter, case)
            if drawn is not None:
                measured[drawn[0]].append(drawn[1])
    thresholds: dict[str, float] = {}
    choice = {}
    for spacing_mm, rows in measured.items():
        scale, finer = f"{spacing_mm:g}", next(reversed(thresholds.values()), SCALE_THRESHOLD)
        if rows:
            choice[scale] = _choice(np.array(rows))
            report(f"{scale} mm: {choice[scale]}")
        thresholds[scale] = choice[scale]["best"] if len(rows) >= FEWEST_NODULES else finer
    return {"thresholds": thresholds, "threshold_choice": choice}


def _judged(data: TrainingData, fold: int) -> list[PackNodule]:
    clear = data.of_folds((fold,), lambda n: n.n_readers >= 3)
    small = [n for n in clear if n.eq_diameter_mm < LARGE_MM]
    return small[::3] + [n for n in clear if n.eq_diameter_mm >= LARGE_MM]


def _dice_and_ratio(segmenter: NoduleSegmenter, case: NoduleCase) -> tuple[float, np.ndarray] | None:
    """The scale at which a nodule is outlined, and Dice and volume ratio at each of ``THRESHOLDS``, (T, 2).

    The networks are asked once a scale. ``None`` where they see no nodule.
    """
    probability = cache(lambda spacing_mm: segmenter.probability_around(case.ct, POINT, spacing_mm))

    def look(spacing_mm: float, threshold: float = SCALE_THRESHOLD) -> Look | None:
        return segmenter.look(probability(spacing_mm), POINT, spacing_mm, threshold)

    chosen = segmenter.choose(look)
    if chosen is None:
        return None
    rows = []
    for threshold in THRESHOLDS:
        seen = look(chosen.spacing_mm, threshold)
        mask = None if seen is None else outline(seen.probability, seen.grid, case.ct, segmenter.method)
        mine = np.zeros_like(case.reference)
        if mask is not None:
            mine[mask.box] = mask.voxels
        volume_mm3 = 0.0 if mask is None else nodule_volume_mm3(mask)
        rows.append((dice(mine, case.reference), volume_mm3 / case.reference_volume_mm3()))
    return chosen.spacing_mm, np.array(rows)


def _choice(measured: np.ndarray) -> dict[str, Any]:
    """The best of ``THRESHOLDS`` by Dice and volume ratio of nodules, (N, T, 2)."""
    overlap = measured[..., 0].mean(axis=0)
    ratio = np.exp(np.log(np.clip(measured[..., 1], 0.05, 20)).mean(axis=0))
    good = np.flatnonzero(overlap >= overlap.max() - DICE_TOLERANCE)
    best = int(good[np.argmin(np.abs(np.log(ratio[good])))])

    def table(values: np.ndarray) -> dict[str, float]:
        return {str(threshold): round(float(v), 4) for threshold, v in zip(THRESHOLDS, values, strict=True)}

    return {
        "best": THRESHOLDS[best],
        "nodules": len(measured),
        "dice": table(overlap),
        "volume_ratio": table(ratio),
    }


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
