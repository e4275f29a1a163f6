"""The outline of a nodule from one point inside it: a 3D U-Net on a cube around the point, back on the native grid."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import product

import numpy as np
import torch
from scipy import ndimage
from torch import nn

from LungNoduleCADLib.bundles.spec import Bundle
from LungNoduleCADLib.bundles.weights import load_members
from LungNoduleCADLib.domain.ct import CtVolume
from LungNoduleCADLib.domain.geometry import Geometry
from LungNoduleCADLib.domain.masks import NoduleMask
from LungNoduleCADLib.domain.nodule import Point
from LungNoduleCADLib.domain.provenance import Method
from LungNoduleCADLib.errors import ModelError
from LungNoduleCADLib.imaging.patch import network_patch, patch_geometry
from LungNoduleCADLib.imaging.sitk_bridge import resample
from LungNoduleCADLib.networks.placed import CPU, Placed, mean_logits

WINDOW_HU = (-1000.0, 600.0)
POINT_SIGMA_VOXELS = 3.0
LARGE_EXTENT_FRACTION = 0.68
SEED_REACH_MM = 4.0
FAINTEST_PEAK = 0.2
FINE_MM = 0.4


def segmenter_input(hu: torch.Tensor) -> torch.Tensor:
    """HU (B, 1, D, D, D) to the network's two channels: HU in -1..1, and a blob at the middle voxel (the point)."""
    low, high = WINDOW_HU
    size = hu.shape[-1]
    distance = (torch.arange(size, device=hu.device) - size // 2).float()
    bell = torch.exp(-0.5 * (distance / POINT_SIGMA_VOXELS) ** 2)
    blob = (bell[:, None, None] * bell[None, :, None] * bell[None, None]).expand_as(hu)
    channels = torch.cat([(hu.clamp(low, high) - low) / (high - low) * 2 - 1, blob], dim=1)
    return channels.contiguous(memory_format=torch.channels_last_3d)


@dataclass(frozen=True)
class Look:
    """What the networks saw in one cube: probability (D, D, D) on ``grid``, scaled so that the outline is at 0.5."""

    probability: np.ndarray
    grid: Geometry

    @property
    def spacing_mm(self) -> float:
        return self.grid.spacing_kji_mm[0]

    def fills(self, cube_mm: float) -> bool:
        """Whether the nodule is so large that a cube of this width may cut its border."""
        extent = np.ptp(np.argwhere(self.probability >= 0.5), axis=0).max() + 1
        return bool(extent * self.spacing_mm > LARGE_EXTENT_FRACTION * cube_mm)


class NoduleSegmenter:
    """Segments nodules around points with an ensemble of networks.

    Parameters
    ----------
    spacings_mm : cube spacings to look at, fine first.
    thresholds : probability at which the outline is drawn, by spacing; 0.5 where not given.
    """

    def __init__(
        self,
        networks: tuple[nn.Module, ...],
        size: int,
        spacings_mm: tuple[float, ...],
        device: str,
        method: Method,
        thresholds: Mapping[float, float] | None = None,
    ) -> None:
        self.placed, self.size, self.spacings_mm = Placed(networks, device), size, spacings_mm
        self.method, self.thresholds = method, dict(thresholds or {})

    @property
    def networks(self) -> tuple[nn.Module, ...]:
        """Those at work."""
        return self.placed.networks

    @classmethod
    def from_bundle(cls, bundle: Bundle, device: str, *, unseen_fold: int | None = None) -> NoduleSegmenter:
        """All members of the ensemble, or only that which never saw ``unseen_fold`` in training.

        Raises
        ------
        ModelError : untrained or damaged, or a scale has no threshold.
        """
        patch = bundle.inference["patch"]
        spacings_mm = tuple(patch["spacings_mm"])
        given = {float(spacing): value for spacing, value in bundle.inference.get("thresholds", {}).items()}
        if set(given) != set(spacings_mm):
            raise ModelError(
                f"The outlines' thresholds in {bundle.path / 'configs/inference.json'} do not fit",
                expected="thresholds with one value for each of " + ", ".join(f"{mm:g}" for mm in spacings_mm) + " mm",
                got=", ".join(f"{mm:g}" for mm in given) or "none",
                todo="train the model again",
            )
        networks = load_members(bundle, CPU, unseen_fold)
        return cls(networks, patch["size"], spacings_mm, device, bundle.method(), given)

    def segment(self, ct: CtVolume, point_lps_mm: Point) -> NoduleMask | None:
        """The nodule at a point, or ``None`` where the network sees none within 4 mm of it."""

        def look(spacing_mm: float) -> Look | None:
            probability = self.probability_around(ct, point_lps_mm, spacing_mm)
            return self.look(probability, point_lps_mm, spacing_mm, self.thresholds.get(spacing_mm, 0.5))

        chosen = self.choose(look)
        return None if chosen is None else outline(chosen.probability, chosen.grid, ct, self.method)

    def choose(self, look: Callable[[float], Look | None]) -> Look | None:
        """The scale that shows the nodule best, from looks by spacing.

        Every scale but the coarsest is looked at. A coarser answer is taken where what it shows would fill the finer
        cube, which then held only a part of it; the finer one otherwise.
        """
        chosen = None
        for finer_mm, spacing_mm in zip((None, *self.spacings_mm), self.spacings_mm, strict=False):
            if spacing_mm == self.spacings_mm[-1] and (chosen is None or not chosen.fills(spacing_mm * self.size / 2)):
                break
            seen = look(spacing_mm)
            if seen is not None and (finer_mm is None or chosen is None or seen.fills(finer_mm * self.size)):
                chosen = seen
        return chosen

    def probability_around(self, ct: CtVolume, point_lps_mm: Point, spacing_mm: float) -> np.ndarray:
        """Probability (D, D, D) of nodule in the cube of this spacing around a point."""
        return self.probability(network_patch(ct, patch_geometry(point_lps_mm, self.size, spacing_mm)))

    def look(self, probability: np.ndarray, point_lps_mm: Point, spacing_mm: float, threshold: float) -> Look | None:
        """The part at the point of what the networks say of a cube around it; ``None`` where they see nothing there."""
        part = _part_at_point(probability, spacing_mm, threshold)
        return None if part is None else Look(part, patch_geometry(point_lps_mm, self.size, spacing_mm))

    @torch.inference_mode()
    def probability(self, hu: np.ndarray) -> np.ndarray:
        """Probability (float32) that each voxel of an HU cube is nodule, averaged over networks and mirror images."""
        x = segmenter_input(torch.from_numpy(hu.astype(np.float32))[None, None])
        views = [(), (2,), (3,), (4,)]
        (logits,) = self.placed(mean_logits, torch.cat([x.flip(view) if view else x for view in views]))
        mirrored_back = [logits[n : n + 1].flip(view) if view else logits[n : n + 1] for n, view in enumerate(views)]
        return torch.sigmoid(torch.cat(mirrored_back)).mean(0)[0].numpy()


def _part_at_point(probability: np.ndarray, spacing_mm: float, threshold: float) -> np.ndarray | None:
    """Probabilities of the connected part nearest to the middle, scaled to 0.5 at its outline; zero elsewhere.

    A faint nodule, which hardly reaches the threshold, is outlined at half its own peak.
    """
    middle = len(probability) // 2
    reach = max(1, round(SEED_REACH_MM / spacing_mm))
    near = tuple(slice(middle - reach, middle + reach + 1) for _ in range(3))
    peak = float(probability[near].max())
    if peak < FAINTEST_PEAK:
        return None
    height = threshold if peak >= threshold + 0.1 else peak / 2
    labels, _ = ndimage.label(probability >= height)
    window_labels = labels[near]
    distance = np.linalg.norm(np.indices(window_labels.shape) - reach, axis=0)
    distance[window_labels == 0] = np.inf
    part = labels == window_labels.ravel()[np.argmin(distance)]
    around = ndimage.binary_dilation(part, iterations=2)
    return np.where(around, probability * (0.5 / height), 0.0).astype(np.float32)


def outline(probability: np.ndarray, grid: Geometry, ct: CtVolume, method: Method) -> NoduleMask | None:
    """The nodule on the native grid, where ``probability`` is at least 0.5: its voxels and its share of each.

    Sampled finer than either grid, so that the share of a voxel is known.
    """
    native = ct.geometry
    inside = np.argwhere(probability >= 0.5)
    if not len(inside):
        return None
    ends = zip(inside.min(axis=0) - 1.5, inside.max(axis=0) + 1.5, strict=True)
    corners = native.to_kji(grid.to_lps_mm(np.array(list(product(*ends)))))
    start = np.clip(np.floor(corners.min(axis=0)).astype(int), 0, np.asarray(native.shape_kji) - 1)
    stop = np.clip(np.ceil(corners.max(axis=0)).astype(int) + 1, start + 1, native.shape_kji)
    shape = stop - start
    parts = np.maximum(2, np.ceil(np.asarray(native.spacing_kji_mm) / FINE_MM)).astype(int)
    first = native.to_lps_mm(start - 0.5 + 0.5 / parts)
    fine = Geometry(
        tuple(int(v) for v in shape * parts),  # type: ignore[arg-type]
        tuple(float(v) for v in first),  # type: ignore[arg-type]
        tuple(float(v) for v in np.asarray(native.spacing_kji_mm) / parts),  # type: ignore[arg-type]
        native.direction,
    )
    sampled = ndimage.binary_fill_holes(resample(probability, grid, fine) >= 0.5)
    blocks = sampled.reshape(shape[0], parts[0], shape[1], parts[1], shape[2], parts[2])
    occupancy = blocks.mean(axis=(1, 3, 5), dtype=np.float32)
    if not occupancy.any():
        return None
    voxels = occupancy >= min(0.5, float(occupancy.max()))
    return NoduleMask(voxels, tuple(int(v) for v in start), native, method, occupancy)  # type: ignore[arg-type]
