"""The bundled encoder at work: patches in, answers and features out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
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
        parts = [self.placed(_answer, network_input(some)) for some in batches]
        return self.by_member([torch.cat(part) for part in zip(*parts, strict=True)])

    def by_member(self, tensors: Sequence[torch.Tensor]) -> list[Answers]:
        """Answers of each network, from what ``said`` gives of one after the other."""
        each = iter(tensors)
        return [
            Answers({head.name: next(each).double().numpy() for head in HEADS}, next(each).numpy())
            for _ in self.networks
        ]


def network_input(patches_hu: Sequence[np.ndarray] | np.ndarray) -> torch.Tensor:
    """(N, 1, D, D, D) from HU patches (N, D, D, D)."""
    return encoder_input(np.ascontiguousarray(np.stack(list(patches_hu)), np.float32))[:, None]


def _answer(networks: Sequence[Any], x: torch.Tensor) -> tuple[torch.Tensor, ...]:
    return tuple(chain.from_iterable(said(network, _start(network, x), STAGES[0]) for network in networks))


def _start(network: NoduleEncoder, x: torch.Tensor) -> torch.Tensor:
    with autocast(x.device.type):
        return network.before(STAGES[0], x)


def said(network: NoduleEncoder, given: torch.Tensor, stage: str) -> tuple[torch.Tensor, ...]:
    """The answer of each of ``HEADS`` and, last, the pooled features, each (B, …), from what a stage is given."""
    with autocast(given.device.type):
        pooled = network.features(given, stage).float()
    answers = network.answers(pooled)
    return *(answers[head.name] for head in HEADS), pooled


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
