"""Recipe of ``lung_ct_segmentation``: a 3D U-Net for right lung, left lung and central airways on a coarse grid.

Scenes (``lung_scenes``) are drawn once and kept in the working folder; training crops and mirrors them again.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from monai.losses import DiceLoss
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset

from LungNoduleCADLib.domain.masks import Lung
from LungNoduleCADLib.evaluation.overlap import dice
from LungNoduleCADLib.lungs.learned import DENSE_HU, lung_input
from LungNoduleCADLib.networks.build import autocast, build_network
from LungNoduleCADLib.training.data import TrainingData
from LungNoduleCADLib.training.loop import LoopSettings, fit
from LungNoduleCADLib.training.lung_scenes import LungScene, make_scene, plain_scene
from LungNoduleCADLib.training.lung_volumes import FULL, LungVolume, phantom_volume, scan_volumes

AIR_HU = -1024

Report = Callable[[str], None]


def train_lungs(
    pack: TrainingData, scans: Path, recipe: dict[str, Any], run: Path, device: str, report: Report
) -> nn.Module:
    """Train on scenes of the training folds' scans and of phantoms, choose on those of the validation folds.

    Parameters
    ----------
    scans : folder of whole marked scans (``training.scans``).
    run : scenes, checkpoints and log; an unfinished run in it is taken up.
    """
    files = {
        split: scene_files(pack, scans, recipe, split, run / "scenes", report) for split in ("train", "validation")
    }
    torch.manual_seed(recipe["seed"])
    network = build_network(recipe["network"], recipe["arguments"])
    overlap = DiceLoss(include_background=False, softmax=True, smooth_nr=1e-3, smooth_dr=1e-3)

    def epoch_batches(epoch: int) -> Any:
        rng = np.random.default_rng([recipe["seed"], epoch])
        picked = [files["train"][n] for n in rng.permutation(len(files["train"]))[: recipe["scenes_per_epoch"]]]
        return DataLoader(SceneCrops(picked, recipe["crop"], recipe["seed"] + epoch), batch_size=recipe["batch"])

    def loss_of(net: nn.Module, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        hu, target = batch["hu"].to(device), batch["target"].to(device)
        logits = net(lung_input(hu)).float()
        dense = (hu > DENSE_HU) * target[:, 1:3].sum(dim=1, keepdim=True)
        entropy = functional.cross_entropy(logits, target, reduction="none") * (
            1 + (recipe["dense_weight"] - 1) * dense[:, 0]
        )
        losses = {"dice": overlap(logits, target), "cross_entropy": entropy.mean()}
        return losses | {"total": losses["dice"] + losses["cross_entropy"]}

    def validate(net: nn.Module) -> dict[str, float]:
        return score_lungs(net, files["validation"], device)

    return fit(network, epoch_batches, loss_of, validate, LoopSettings(**recipe["loop"]), run, device, report)


def scene_files(
    pack: TrainingData, scans: Path, recipe: dict[str, Any], split: str, folder: Path, report: Report
) -> list[Path]:
    """The scenes of a split, each drawn from its own seed; those that are there already are taken as they are."""
    count = recipe["scenes"][split]
    files = [folder / f"{split}-{n:04d}.npz" for n in range(count)]
    missing = [n for n, file in enumerate(files) if not file.is_file()]
    if not missing:
        return files
    folder.mkdir(parents=True, exist_ok=True)
    volumes = _volumes(pack, scans, recipe, split, report)
    for n in missing:
        volume = volumes[n % len(volumes)]
        plain = split == "validation" and n < len(volumes)
        shape, grid_mm = recipe["scene"], recipe["patch"]["spacing_mm"]
        rng = np.random.default_rng([recipe["seed"], split == "train", n])
        save_scene(files[n], plain_scene(volume, shape, grid_mm) if plain else make_scene(volume, shape, grid_mm, rng))
        if n % 50 == 0:
            report(f"scene {n + 1} of {count} ({split})")
    return files


def _volumes(pack: TrainingData, scans: Path, recipe: dict[str, Any], split: str, report: Report) -> list[LungVolume]:
    """Real scans as often as the recipe says, then phantoms. Patients whom the pack does not know are for training."""
    folds = (*recipe["folds"][split], *((None,) if split == "train" else ()))
    grid_mm = recipe["patch"]["spacing_mm"]
    real = list(scan_volumes(pack, scans, folds, grid_mm, report))
    return real * recipe["scan_copies"] + [phantom_volume(seed, grid_mm) for seed in recipe["phantom_seeds"][split]]


def save_scene(file: Path, scene: LungScene) -> None:
    """HU as int16 and shares as uint8 of 250."""
    partial = file.with_name(file.name + ".partial.npz")
    np.savez(partial, hu=np.rint(scene.hu).astype(np.int16), shares=np.rint(scene.shares * FULL).astype(np.uint8))
    partial.replace(file)


def load_scene(file: Path) -> tuple[np.ndarray, np.ndarray]:
    """HU int16 (K, J, I) and shares uint8 (3, K, J, I)."""
    with np.load(file) as stored:
        return stored["hu"], stored["shares"]


class SceneCrops(Dataset):
    """A random crop of each scene, at times mirrored (right and left lung then change their names)."""

    def __init__(self, files: list[Path], crop: list[int], seed: int) -> None:
        self._files, self._crop, self._seed = files, crop, seed

    def __len__(self) -> int:
        return len(self._files)

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        rng = np.random.default_rng([self._seed, index])
        hu, shares = load_scene(self._files[index])
        start = [int(rng.integers(n - c + 1)) for n, c in zip(hu.shape, self._crop, strict=True)]
        box = tuple(slice(s, s + c) for s, c in zip(start, self._crop, strict=True))
        hu, shares = hu[box], shares[(slice(None), *box)]
        if rng.random() < 0.5:
            hu, shares = hu[:, :, ::-1], shares[[1, 0, 2], :, :, ::-1]
        inside = shares.astype(np.float32) / FULL
        target = np.concatenate([np.clip(1 - inside.sum(axis=0, keepdims=True), 0, 1), inside])
        return {
            "hu": torch.from_numpy(hu.astype(np.float32))[None] + float(rng.uniform(-10, 10)),
            "target": torch.from_numpy(target),
        }


@torch.inference_mode()
def score_lungs(network: nn.Module, files: list[Path], device: str) -> dict[str, float]:
    """Mean Dice of the lungs in whole scenes, the worst of them, and the share of dense lung that is found."""
    dices, dense_found = [], []
    for file in files:
        hu, shares = load_scene(file)
        with autocast(device):
            logits = network(lung_input(torch.from_numpy(hu.astype(np.float32))[None, None].to(device)))
        labels = logits[0].float().argmax(dim=0).cpu().numpy()
        truth = shares > FULL // 2
        dices += [dice(labels == lung, truth[lung - 1]) for lung in Lung if truth[lung - 1].any()]
        dense = truth[:2].any(axis=0) & (hu > DENSE_HU)
        if dense.any():
            dense_found.append(float(np.isin(labels[dense], list(Lung)).mean()))
    found = float(np.mean(dense_found))
    return {
        "dice": float(np.mean(dices)),
        "worst": float(np.min(dices)),
        "dense_found": found,
        "score": float(np.mean(dices)),
    }
