"""The bundled encoder at work: patches in, answers and features out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain, combinations
from typing import Any

import numpy as np
import torch

from LungNoduleCADLib.bundles.spec import Bundle
from LungNoduleCADLib.bundles.weights import load_members
from LungNoduleCADLib.evaluation.calibration import apply
from LungNoduleCADLib.imaging.patch import window
from LungNoduleCADLib.networks.build import autocast
from LungNoduleCADLib.networks.nodule_encoder import HEADS, STAGES, NoduleEncoder
from LungNoduleCADLib.networks.placed import CPU, Placed

WINDOW_HU = (-1000.0, 600.0)


def encoder_input(hu: torch.Tensor | np.ndarray) -> torch.Tensor:
    """HU (..., D, D, D) to the network's -1..1."""
    if isinstance(hu, np.ndarray):
        return torch.from_numpy(window(hu, *WINDOW_HU) * 2 - 1)
    low, high = WINDOW_HU
    return (hu.clamp(low, high) - low) / (high - low) * 2 - 1


@dataclass(frozen=True)
class Answers:
    """Per patch: logits and ratings of every head, (N, outputs) float64, and pooled features (N, F) float32."""

    heads: dict[str, np.ndarray]
    features: np.ndarray

    def probability(self, head: str, calibration: dict[str, Any] | None = None) -> np.ndarray:
        """Probability (N,) of a yes/no head or (N, C) of classes; ``calibration``: a fit of its logits."""
        logits = self.heads[head]
        return apply(logits[:, 0] if logits.shape[1] == 1 else logits, calibration or {})


class EncoderRunner:
    """Runs an ensemble of encoders on HU patches of ``size`` voxels at ``spacing_mm``; answers are their means."""

    def __init__(self, networks: tuple[NoduleEncoder, ...], size: int, spacing_mm: float, device: str) -> None:
        self.placed, self.size, self.spacing_mm = Placed(networks, device), size, spacing_mm

    @property
    def networks(self) -> tuple[NoduleEncoder, ...]:
        """Those at work."""
        return self.placed.networks  # type: ignore[return-value]

    @classmethod
    def from_bundle(cls, bundle: Bundle, device: str, *, unseen_fold: int | None = None) -> EncoderRunner:
        """All members, or only that which never saw ``unseen_fold`` in training."""
        patch = bundle.inference["patch"]
        return cls(load_members(bundle, CPU, unseen_fold), patch["size"], patch["spacing_mm"], device)

    def answer(self, patches_hu: Sequence[np.ndarray] | np.ndarray, batch: int = 16) -> Answers:
        """Mean answers of the ensemble for HU patches (N, D, D, D)."""
        return mean_answers(self.answers_of_members(patches_hu, batch))

    @torch.inference_mode()
    def answers_of_members(self, patches_hu: Sequence[np.ndarray] | np.ndarray, batch: int = 16) -> list[Answers]:
        """Answers of each network for HU patches (N, D, D, D)."""
        batches = (patches_hu[start : start + batch] for start in range(0, len(patches_hu), batch))
        parts = [self.placed(_answer, _inputs(some)) for some in batches]
        return self._by_member([torch.cat(part) for part in zip(*parts, strict=True)])

    @torch.no_grad()
    def look(self, patches_hu: np.ndarray, stage: str) -> tuple[list[Answers], torch.Tensor]:
        """Answers of each network for HU patches (N, D, D, D), and what each network's stage was given.

        The latter, (N, networks, C, d, d, d), is where a heat map goes on from (``gradcam``).
        """
        given, *tensors = self.placed(partial(_look, stage=stage), _inputs(patches_hu))
        return self._by_member(tensors), given

    def _by_member(self, tensors: Sequence[torch.Tensor]) -> list[Answers]:
        each = iter(tensors)
        return [
            Answers({head.name: next(each).double().numpy() for head in HEADS}, next(each).numpy())
            for _ in self.networks
        ]


def _inputs(patches_hu: Sequence[np.ndarray] | np.ndarray) -> torch.Tensor:
    return encoder_input(np.ascontiguousarray(np.stack(list(patches_hu)), np.float32))[:, None]


def _answer(networks: Sequence[Any], x: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """Of each network the answer of each head and, last, the pooled features; each (B, …)."""
    return tuple(chain.from_iterable(tensors for _, tensors in _passes(networks, x, STAGES[0])))


def _look(networks: Sequence[Any], x: torch.Tensor, stage: str) -> tuple[torch.Tensor, ...]:
    """What ``stage`` of each network was given, (B, networks, …), and then as ``_answer``."""
    given, tensors = zip(*_passes(networks, x, stage), strict=True)
    return torch.stack(given, dim=1), *chain.from_iterable(tensors)


def _passes(
    networks: Sequence[Any], x: torch.Tensor, stage: str
) -> Iterator[tuple[torch.Tensor, tuple[torch.Tensor, ...]]]:
    for network in networks:
        with autocast(x.device.type):
            given = network.before(stage, x)
            pooled = network.features(given, stage).float()
        answers = network.answers(pooled)
        yield given, (*(answers[head.name] for head in HEADS), pooled)


def mean_answers(members: Sequence[Answers]) -> Answers:
    """Logits and ratings averaged over an ensemble; features are put side by side, for each network has its own."""
    return Answers(
        {head.name: np.mean([member.heads[head.name] for member in members], axis=0) for head in HEADS},
        np.concatenate([member.features for member in members], axis=1),
    )


def mirror_images(patch_hu: np.ndarray) -> np.ndarray:
    """A patch (D, D, D) in its 8 mirror images (8, D, D, D): views of one nodule that should get one answer."""
    axes = [axes for count in range(4) for axes in combinations((0, 1, 2), count)]
    return np.stack([np.flip(patch_hu, which) if which else patch_hu for which in axes])
