"""Right and left lung by a 3D U-Net that sees the whole chest at once on a coarse grid."""

from __future__ import annotations

import math

import numpy as np
import torch
from scipy import ndimage
from torch import nn
from torch.nn import functional

from LungNoduleCADLib.bundles.spec import Bundle
from LungNoduleCADLib.bundles.weights import load_network
from LungNoduleCADLib.domain.ct import CtVolume
from LungNoduleCADLib.domain.geometry import Geometry
from LungNoduleCADLib.domain.masks import Lung, LungMask
from LungNoduleCADLib.domain.provenance import Method
from LungNoduleCADLib.lungs.grids import AIRWAYS, coarse_grid, native_labels
from LungNoduleCADLib.networks.placed import CPU, Placed, mean_logits

WINDOWS_HU = ((-1024.0, 600.0), (-160.0, 240.0))
AIR_HU = -1024
DENSE_HU = -400.0  # denser lung holds little air
LABELS = (*Lung, AIRWAYS)  # classes 1 to 3 of the network; class 0 is everything else
MIN_PIECE_SHARE = 0.02  # of the lung; smaller pieces apart from it are no lung


def lung_input(hu: torch.Tensor) -> torch.Tensor:
    """HU (B, 1, K, J, I) to the network's two channels: a wide and a soft-tissue window, each scaled to -1..1."""
    channels = [(hu.clamp(low, high) - low) / (high - low) * 2 - 1 for low, high in WINDOWS_HU]
    return torch.cat(channels, dim=1).contiguous(memory_format=torch.channels_last_3d)


class LungNetwork:
    """Segments both lungs.

    Parameters
    ----------
    network : (B, 2, K, J, I) to logits of nothing, right lung, left lung, central airways.
    spacing_mm : of the grid that it sees.
    multiple : the grid's shape is padded with air to multiples of this.
    dense_odds : the odds of dense lung are divided by this: by what it counted in training, times the certainty wanted.
    """

    def __init__(
        self,
        network: nn.Module,
        spacing_mm: float,
        multiple: int,
        device: str,
        method: Method,
        dense_odds: float = 1.0,
    ) -> None:
        self.placed, self.spacing_mm, self.multiple = Placed((network,), device), spacing_mm, multiple
        self.method, self.dense_odds = method, dense_odds

    @classmethod
    def from_bundle(cls, bundle: Bundle, device: str) -> LungNetwork:
        patch = bundle.inference["patch"]
        return cls(
            load_network(bundle, CPU),
            patch["spacing_mm"],
            patch["multiple"],
            device,
            bundle.method(),
            bundle.inference["dense_odds"],
        )

    def __call__(self, ct: CtVolume) -> LungMask:
        """The lungs on the native grid; an empty mask where the network sees none."""
        shares, grid = self.shares(ct)
        labels = native_labels(dict(zip(LABELS, shares, strict=True)), grid, ct)
        labels[labels == AIRWAYS] = 0
        return LungMask(labels, ct.geometry, self.method, self.placed.flags)

    def shares(self, ct: CtVolume) -> tuple[np.ndarray, Geometry]:
        """Probability of right lung, left lung and airways (3, K, J, I) float32, without small pieces; and its grid."""
        hu, grid = coarse_grid(ct, self.spacing_mm)
        probability = self.probability(hu)[1:]
        winner = np.concatenate([1 - probability.sum(axis=0, keepdims=True), probability]).argmax(axis=0)
        for lung in Lung:
            probability[lung - 1] = np.where(_pieces_to_drop(winner == lung), 0.0, probability[lung - 1])
        return probability, grid

    @torch.inference_mode()
    def probability(self, hu: np.ndarray) -> np.ndarray:
        """Probability (4, K, J, I) float32 of each class for HU on the network's grid."""
        pads = [(-n) % self.multiple for n in hu.shape]
        ends = [end for pad in reversed(pads) for end in (0, pad)]
        x = torch.from_numpy(hu.astype(np.float32))[None, None]
        (logits,) = self.placed(mean_logits, lung_input(functional.pad(x, ends, value=AIR_HU)))
        inside = logits[0, :, : hu.shape[0], : hu.shape[1], : hu.shape[2]]
        inside[1:3] -= math.log(self.dense_odds) * torch.from_numpy(hu > DENSE_HU)
        return torch.softmax(inside, dim=0).numpy()


def _pieces_to_drop(mask: np.ndarray) -> np.ndarray:
    """Where pieces lie that are much smaller than the lung, with the voxels beside them."""
    parts, n = ndimage.label(mask)
    if n < 2:
        return np.zeros_like(mask)
    sizes = np.bincount(parts.ravel())
    small = sizes < MIN_PIECE_SHARE * sizes[1:].sum()
    small[0] = False
    return ndimage.binary_dilation(small[parts]) & ~mask | small[parts]
