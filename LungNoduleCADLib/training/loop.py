"""The training loop of every recipe: mixed precision, warm-up and cosine, clipping, averaged weights, resume, stop."""

from __future__ import annotations

import csv
import math
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from LungNoduleCADLib.networks.build import autocast


@dataclass(frozen=True)
class LoopSettings:
    """Numbers of a recipe. ``patience``: epochs without a better score before stopping.

    ``cycle_epochs``: the learning rate starts again after so many epochs (0: never), at ``cycle_decay`` of its height
    (Loshchilov and Hutter 2017, SGDR); the last such cycle ends with the last epoch.
    """

    epochs: int
    learning_rate: float = 1e-3
    weight_decay: float = 1e-2
    warm_up_epochs: float = 1.0
    clip_norm: float = 5.0
    ema_decay: float = 0.995
    patience: int = 8
    cycle_epochs: int = 0
    cycle_decay: float = 0.5
    seed: int = 0


def fit(
    network: nn.Module,
    batches: Callable[[int], Iterable[Any]],
    loss_of: Callable[[nn.Module, Any], dict[str, Tensor]],
    validate: Callable[[nn.Module], dict[str, float]],
    settings: LoopSettings,
    folder: Path,
    device: str,
    report: Callable[[str], None],
) -> nn.Module:
    """Train until the last epoch or until ``validate``'s ``score`` stops rising; the best averaged weights come back.

    Parameters
    ----------
    batches : epoch -> batches of that epoch, drawn from a generator seeded by the epoch so that a resumed run sees the
        same ones.
    folder : ``last.pt`` and ``best.pt`` (read with ``weights_only=True``) and ``log.csv``; an unfinished run in it is
        taken up where it stopped.
    """
    folder.mkdir(parents=True, exist_ok=True)
    network.to(device)
    averaged = AveragedModel(network, multi_avg_fn=get_ema_multi_avg_fn(settings.ema_decay), use_buffers=True)
    optimizer = torch.optim.AdamW(network.parameters(), settings.learning_rate, weight_decay=settings.weight_decay)
    state = _resume(folder / "last.pt", network, averaged, optimizer)
    for epoch in range(state["epoch"], settings.epochs):
        if state["stale"] >= settings.patience:
            break
        start = time.perf_counter()
        row = _train_epoch(network, averaged, optimizer, batches(epoch), loss_of, settings, epoch, device)
        row |= validate(averaged.module.eval())
        row |= {"epoch": epoch, "seconds": round(time.perf_counter() - start, 1)}
        better = row["score"] > state["best"]
        state = {
            "epoch": epoch + 1,
            "best": max(row["score"], state["best"]),
            "stale": 0 if better else state["stale"] + 1,
        }
        if better:
            _save(folder / "best.pt", {"network": averaged.module.state_dict(), "row": row})
        _save(
            folder / "last.pt",
            {
                "network": network.state_dict(),
                "averaged": averaged.state_dict(),
                "optimizer": optimizer.state_dict(),
                **state,
            },
        )
        _log(folder / "log.csv", row)
        report(" ".join(f"{name} {value:.4g}" for name, value in row.items()))
    best = torch.load(folder / "best.pt", weights_only=True, map_location=device)
    network.load_state_dict(best["network"])
    return network.eval()


def _train_epoch(
    network: nn.Module,
    averaged: AveragedModel,
    optimizer: torch.optim.Optimizer,
    batches: Iterable[Any],
    loss_of: Callable[[nn.Module, Any], dict[str, Tensor]],
    settings: LoopSettings,
    epoch: int,
    device: str,
) -> dict[str, float]:
    network.train()
    torch.manual_seed(settings.seed * 1000 + epoch)  # a resumed run draws what the first would have drawn
    sums: dict[str, float] = {}
    batch_list = batches if hasattr(batches, "__len__") else list(batches)
    for step, batch in enumerate(batch_list):
        rate = learning_rate_at(settings, epoch + step / len(batch_list))
        for group in optimizer.param_groups:
            group["lr"] = rate
        with autocast(device):
            losses = loss_of(network, batch)
        optimizer.zero_grad(set_to_none=True)
        losses["total"].backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), settings.clip_norm)
        optimizer.step()
        averaged.update_parameters(network)
        for name, loss in losses.items():
            sums[name] = sums.get(name, 0.0) + float(loss.detach())
    return {f"loss_{name}": total / len(batch_list) for name, total in sums.items()}


def learning_rate_at(settings: LoopSettings, epoch: float) -> float:
    """Linear warm-up, then half a cosine down to 1 %; so again in every cycle."""
    length = settings.cycle_epochs or settings.epochs
    cycle = int(epoch // length)
    highest, epoch = settings.learning_rate * settings.cycle_decay**cycle, epoch - cycle * length
    length = min(length, settings.epochs - cycle * length)
    if epoch < settings.warm_up_epochs:
        return highest * max(epoch / settings.warm_up_epochs, 0.02)
    done = (epoch - settings.warm_up_epochs) / max(length - settings.warm_up_epochs, 1e-9)
    return highest * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * min(done, 1.0))))


def _resume(
    file: Path, network: nn.Module, averaged: AveragedModel, optimizer: torch.optim.Optimizer
) -> dict[str, Any]:
    if not file.is_file():
        return {"epoch": 0, "best": -math.inf, "stale": 0}
    saved = torch.load(file, weights_only=True, map_location="cpu")
    network.load_state_dict(saved["network"])
    averaged.load_state_dict(saved["averaged"])
    optimizer.load_state_dict(saved["optimizer"])
    return {name: saved[name] for name in ("epoch", "best", "stale")}


def _save(file: Path, content: dict[str, Any]) -> None:
    partial = file.with_suffix(".partial")
    torch.save(content, partial)
    partial.replace(file)


def _log(file: Path, row: dict[str, float]) -> None:
    new = not file.is_file()
    with file.open("a", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, list(row))
        if new:
            writer.writeheader()
        writer.writerow(row)
