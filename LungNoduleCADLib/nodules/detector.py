"""Where a network sees nodules: a 3D U-Net slid over the lungs, together with the classical finder.

An encoder sorts out afterwards what the two propose (see ``detect``).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from monai.inferers import SlidingWindowInferer
from scipy import ndimage
from torch import nn

from LungNoduleCADLib.bundles.registry import find_bundle
from LungNoduleCADLib.bundles.spec import Bundle
from LungNoduleCADLib.bundles.weights import load_members
from LungNoduleCADLib.domain.ct import CtVolume
from LungNoduleCADLib.domain.geometry import Geometry
from LungNoduleCADLib.domain.masks import LungMask
from LungNoduleCADLib.domain.nodule import NoduleCandidate
from LungNoduleCADLib.domain.provenance import Method
from LungNoduleCADLib.imaging.patch import network_patch
from LungNoduleCADLib.networks.placed import CPU, Placed, mean_logits
from LungNoduleCADLib.nodules.candidates import find_candidates, lung_grid, lungs_on_grid

BUNDLE = "nodule_ct_detection"
WINDOW_HU = (-1000.0, 600.0)
TILE, OVERLAP = 96, 1 / 6
PLEURA_MM = 4.0
LEVELS = (0.9, 0.7, 0.5, 0.35, 0.25, 0.15, 0.1, 0.05)
SAME_PLACE_MM = 4.0
SMALLEST_MM3 = 4.0
NOTHING_LOGIT = -20.0


def detector_input(hu: torch.Tensor) -> torch.Tensor:
    """HU, of any shape, to what the networks see: -1..1."""
    low, high = WINDOW_HU
    return (hu.clamp(low, high) - low) / (high - low) * 2 - 1


class NoduleDetector:
    """Proposes places with an ensemble of fully convolutional networks and the classical finder.

    Parameters
    ----------
    spacing_mm : voxels that the networks were trained on.
    least_score : of a place that the networks propose.
    most, most_classical : places that the networks and the classical finder may propose.
    """

    threshold = None

    def __init__(
        self,
        networks: tuple[nn.Module, ...],
        spacing_mm: float,
        device: str,
        method: Method,
        *,
        least_score: float,
        most: int,
        most_classical: int,
    ) -> None:
        self.placed, self.spacing_mm, self.method = Placed(networks, device), spacing_mm, method
        self.least_score, self.most, self.most_classical = least_score, most, most_classical

    @classmethod
    def from_bundle(cls, bundle: Bundle, device: str, *, unseen_fold: int | None = None) -> NoduleDetector:
        """All members of the ensemble, or only that which never saw ``unseen_fold`` in training."""
        networks, spacing_mm = load_members(bundle, CPU, unseen_fold), bundle.inference["patch"]["spacing_mm"]
        return cls(networks, spacing_mm, device, bundle.method(), **bundle.inference["candidates"])

    def __call__(self, ct: CtVolume, lungs: LungMask) -> list[NoduleCandidate]:
        """Places worth a closer look, the networks' first; ``probability`` is ``None``: the encoder gives it."""
        if not lungs.labels.any():
            return []
        seen = [place for place, score in self.scored(ct, lungs) if score >= self.least_score][: self.most]
        return merged(seen, find_candidates(ct, lungs, max_candidates=self.most_classical))

    def scored(self, ct: CtVolume, lungs: LungMask) -> list[tuple[NoduleCandidate, float]]:
        """What the networks alone see in the lungs, and how sure (0..1) they are, surest first."""
        grid = lung_grid(lungs, self.spacing_mm)
        inside = lungs_on_grid(lungs, grid)
        near = ndimage.maximum_filter(inside, 2 * round(PLEURA_MM / self.spacing_mm) + 1)
        return places(np.where(near, self.probability(ct, grid, near), np.float32(0.0)), grid)

    @torch.inference_mode()
    def probability(self, ct: CtVolume, grid: Geometry, wanted: np.ndarray) -> np.ndarray:
        """Probability (float32) that each voxel of a grid is nodule, of the networks' mean logit.

        Parameters
        ----------
        wanted : bool, of the grid's shape; tiles in which nothing is wanted are not looked at.
        """
        hu = torch.from_numpy(network_patch(ct, grid))
        image = torch.stack([detector_input(hu), torch.from_numpy(wanted).float()])[None]
        slide = SlidingWindowInferer((TILE,) * 3, sw_batch_size=1, overlap=OVERLAP, mode="gaussian")
        return torch.sigmoid(slide(image, self._logits))[0, 0].numpy()

    def _logits(self, tile: torch.Tensor) -> torch.Tensor:
        """Of a tile (1, 2, D, H, W): the network's input, and where an answer is wanted."""
        if not bool(tile[:, 1].any()):
            return torch.full_like(tile[:, :1], NOTHING_LOGIT)
        seen = tile[:, :1].contiguous(memory_format=torch.channels_last_3d)
        return self.placed(mean_logits, seen)[0]


def places(probability: np.ndarray, grid: Geometry) -> list[tuple[NoduleCandidate, float]]:
    """Peaks of a probability map with their heights, highest first.

    Seen from above, as the level falls: a part that holds no place yet is a place, at its middle and as large as it is;
    so a nodule is one place however rugged its top is, and a faint one beside a clear one is not lost.
    """
    found: list[tuple[NoduleCandidate, float]] = []
    smallest = max(1, round(SMALLEST_MM3 / grid.voxel_volume_mm3))
    everything, _ = ndimage.label(probability >= LEVELS[-1])
    for number, box in enumerate(ndimage.find_objects(everything), 1):
        part = np.where(everything[box] == number, probability[box], 0.0)
        for middle, voxels, peak in _peaks(part, smallest):
            centre = tuple(float(v) for v in grid.to_lps_mm(np.add(middle, [side.start for side in box])))
            diameter_mm = float(np.cbrt(6.0 / np.pi * voxels * grid.voxel_volume_mm3))
            found.append((NoduleCandidate(centre, diameter_mm), peak))  # type: ignore[arg-type]
    return sorted(found, key=lambda one: -one[1])


def _peaks(probability: np.ndarray, smallest: int) -> Iterator[tuple[np.ndarray, int, float]]:
    """(middle in voxels, voxels, height) of each part that stands alone at some level."""
    taken = np.zeros(probability.shape, bool)
    for level in LEVELS:
        labels, count = ndimage.label(probability >= level)
        sizes, held = np.bincount(labels.ravel(), minlength=count + 1), set(np.unique(labels[taken]))
        for number in range(1, count + 1):
            if number in held or sizes[number] < smallest:
                continue
            here = labels == number
            taken |= here
            yield np.argwhere(here).mean(axis=0), int(sizes[number]), float(probability[here].max())


def merged(first: Sequence[NoduleCandidate], second: Sequence[NoduleCandidate]) -> list[NoduleCandidate]:
    """The first list, and what of the second lies more than 4 mm from all of the first."""
    if not first:
        return list(second)
    centres = np.array([c.centre_lps_mm for c in first])
    apart = [np.linalg.norm(centres - c.centre_lps_mm, axis=1).min() > SAME_PLACE_MM for c in second]
    return [*first, *(c for c, far in zip(second, apart, strict=True) if far)]


@lru_cache(maxsize=8)
def bundled_detector(models: str, device: str, unseen_fold: int | None = None) -> NoduleDetector | None:
    """The bundle's detector, loaded once; ``None`` where the bundle is absent, untrained or not used by default.

    Raises
    ------
    ModelError : damaged weights.
    """
    if not Path(models, BUNDLE).is_dir():
        return None
    bundle = find_bundle(BUNDLE)
    if not bundle.trained or not bundle.inference["used_by_default"]:
        return None
    return NoduleDetector.from_bundle(bundle, device, unseen_fold=unseen_fold)
