"""The bundled encoder at work: patches in, answers and features out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import torch
from scipy.special import expit, softmax

from LungNoduleCADLib.bundles.spec import Bundle
from LungNoduleCADLib.bundles.weights import load_network
from LungNoduleCADLib.imaging.patch import window
from LungNoduleCADLib.networks.build import autocast
from LungNoduleCADLib.networks.nodule_encoder import HEADS, NoduleEncoder

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

    def probability(self, head: str, calibration: dict[str, float] | None = None) -> np.ndarray:
        """Probability (N,) of a yes/no head or (N, C) of classes; ``calibration``: ``slope``, ``offset`` of logits."""
        fit = calibration or {}
        logits = self.heads[head] * fit.get("slope", 1.0) + fit.get("offset", 0.0)
        return expit(logits[:, 0]) if logits.shape[1] == 1 else softmax(logits, axis=1)


class EncoderRunner:
    """Runs an encoder on HU patches of ``size`` voxels at ``spacing_mm``."""

    def __init__(self, network: NoduleEncoder, size: int, spacing_mm: float, device: str) -> None:
        self.network, self.size, self.spacing_mm, self.device = network, size, spacing_mm, device

    @classmethod
    def from_bundle(cls, bundle: Bundle, device: str) -> EncoderRunner:
        patch = bundle.inference["patch"]
        return cls(load_network(bundle, device), patch["size"], patch["spacing_mm"], device)

    @torch.inference_mode()
    def answer(self, patches_hu: Sequence[np.ndarray] | np.ndarray, batch: int = 16) -> Answers:
        """Answers for HU patches (N, D, D, D)."""
        features, heads = [], {head.name: [] for head in HEADS}
        for start in range(0, len(patches_hu), batch):
            x = encoder_input(np.stack(list(patches_hu[start : start + batch])).astype(np.float32))[:, None].to(
                self.device
            )
            with autocast(self.device):
                pooled = self.network.features(x).float()
            features.append(pooled.cpu().numpy())
            for name, answer in self.network.answers(pooled).items():
                heads[name].append(answer.cpu().double().numpy())
        return Answers({name: np.concatenate(parts) for name, parts in heads.items()}, np.concatenate(features))


def mirror_images(patch_hu: np.ndarray) -> np.ndarray:
    """A patch (D, D, D) in its 8 mirror images (8, D, D, D): views of one nodule that should get one answer."""
    axes = [axes for count in range(4) for axes in combinations((0, 1, 2), count)]
    return np.stack([np.flip(patch_hu, which) if which else patch_hu for which in axes])
