"""The outline of a nodule from one point inside it: a 3D U-Net on a cube around the point, back on the native grid."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np
import torch
from scipy import ndimage
from torch import nn

from LungNoduleCADLib.bundles.spec import Bundle
from LungNoduleCADLib.bundles.weights import load_network
from LungNoduleCADLib.domain.ct import CtVolume
from LungNoduleCADLib.domain.geometry import Geometry
from LungNoduleCADLib.domain.masks import NoduleMask
from LungNoduleCADLib.domain.nodule import Point
from LungNoduleCADLib.domain.provenance import Method
from LungNoduleCADLib.imaging.patch import extract_patch, network_patch, patch_geometry
from LungNoduleCADLib.imaging.sitk_bridge import resample
from LungNoduleCADLib.networks.build import autocast

WINDOW_HU = (-1000.0, 600.0)
POINT_SIGMA_VOXELS = 3.0
LARGE_EXTENT_FRACTION = 0.62
SEED_REACH_MM = 4.0
FAINTEST_PEAK = 0.2
SHELL_MM = (2.0, 5.0)
SOLID_HU = -400.0
SUBSOLID_EXTENT = 0.35
SOLID_PERCENTILE = 70
LUNG_PERCENTILE = 25
LEAST_CONTRAST_HU = 120.0
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


class NoduleSegmenter:
    """Segments nodules around points.

    Parameters
    ----------
    spacings_mm : cube spacings to try, fine first; a nodule that fills the fine cube is done again in the next.
    """

    def __init__(
        self, network: nn.Module, size: int, spacings_mm: tuple[float, ...], device: str, method: Method
    ) -> None:
        self.network, self.size, self.spacings_mm, self.device, self.method = network, size, spacings_mm, device, method

    @classmethod
    def from_bundle(cls, bundle: Bundle, device: str) -> NoduleSegmenter:
        patch = bundle.inference["patch"]
        return cls(load_network(bundle, device), patch["size"], tuple(patch["spacings_mm"]), device, bundle.method())

    def segment(self, ct: CtVolume, point_lps_mm: Point) -> NoduleMask | None:
        """The nodule at a point, or ``None`` where the network sees none within 4 mm of it."""
        found = None
        for spacing_mm in self.spacings_mm:
            grid = patch_geometry(point_lps_mm, self.size, spacing_mm)
            hu = network_patch(ct, grid)
            part = self._part_at_point(self.probability(hu), spacing_mm)
            if part is None:
                break
            found = part, hu, grid
            if not _fills(part):
                break
        return None if found is None else outline(*found, ct, self.method)

    @torch.inference_mode()
    def probability(self, hu: np.ndarray) -> np.ndarray:
        """Probability (float32) that each voxel of an HU cube is nodule, averaged over mirror images."""
        x = segmenter_input(torch.from_numpy(hu.astype(np.float32))[None, None].to(self.device))
        views = [(), (2,), (3,), (4,)]
        with autocast(self.device):
            logits = self.network(torch.cat([x.flip(view) if view else x for view in views])).float()
        mirrored_back = [logits[n : n + 1].flip(view) if view else logits[n : n + 1] for n, view in enumerate(views)]
        return torch.sigmoid(torch.cat(mirrored_back)).mean(0)[0].cpu().numpy()

    def _part_at_point(self, probability: np.ndarray, spacing_mm: float) -> np.ndarray | None:
        """Probabilities of the connected part nearest to the point, zero elsewhere."""
        middle = self.size // 2
        reach = max(1, round(SEED_REACH_MM / spacing_mm))
        near = tuple(slice(middle - reach, middle + reach + 1) for _ in range(3))
        peak = float(probability[near].max())
        if peak < FAINTEST_PEAK:
            return None
        threshold = 0.5 if peak >= 0.6 else peak / 2
        labels, _ = ndimage.label(probability >= threshold)
        window_labels = labels[near]
        distance = np.linalg.norm(np.indices(window_labels.shape) - reach, axis=0)
        distance[window_labels == 0] = np.inf
        part = labels == window_labels.ravel()[np.argmin(distance)]
        around = ndimage.binary_dilation(part, iterations=2)
        return np.where(around, probability * (0.5 / threshold), 0.0).astype(np.float32)


def _fills(probability: np.ndarray) -> bool:
    """Whether a part is so large in its cube that its border may be cut."""
    inside = np.argwhere(probability >= 0.5)
    extent = np.ptp(inside, axis=0).max() + 1
    return bool(extent > LARGE_EXTENT_FRACTION * probability.shape[0])


def outline(probability: np.ndarray, hu: np.ndarray, grid: Geometry, ct: CtVolume, method: Method) -> NoduleMask | None:
    """The nodule's voxels on the native grid, and the share that it takes of each.

    The network says where the nodule is and where it ends at vessels and walls; towards the lung its surface is where
    the density is midway between nodule and lung, the place that blur does not move. Both are sampled finer than
    either grid.
    """
    native = ct.geometry
    surface = _surface(probability, hu, grid.spacing_kji_mm[0])
    extent = SUBSOLID_EXTENT if surface and not surface.solid else 0.5
    inside = np.argwhere(probability >= extent)
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
    sampled = resample(probability, grid, fine) >= extent
    if surface is not None:
        sampled &= extract_patch(ct.hu, native, fine) >= surface.hu
        sampled = _largest_part(ndimage.binary_fill_holes(sampled))
    blocks = sampled.reshape(shape[0], parts[0], shape[1], parts[1], shape[2], parts[2])
    occupancy = blocks.mean(axis=(1, 3, 5), dtype=np.float32)
    if not occupancy.any():
        return None
    voxels = occupancy >= min(0.5, float(occupancy.max()))
    return NoduleMask(voxels, tuple(int(v) for v in start), native, method, occupancy)  # type: ignore[arg-type]


@dataclass(frozen=True)
class _Surface:
    """The density at which a nodule ends, and whether most of it is soft tissue."""

    hu: float
    solid: bool


def _surface(probability: np.ndarray, hu: np.ndarray, spacing_mm: float) -> _Surface | None:
    """Density midway between a nodule and the lung around it; ``None`` where the two cannot be told apart.

    The nodule's own level is a high percentile where most of it is soft tissue (the rest is blur at its rim), and the
    median where it is ground glass, with or without a solid core. Lung is the darker part of a shell around it.
    """
    inside = probability >= 0.5
    if not inside.any():
        return None
    distance_mm = ndimage.distance_transform_edt(~inside, spacing_mm)
    around = hu[(distance_mm > SHELL_MM[0]) & (distance_mm < SHELL_MM[1])]
    own = hu[inside]
    solid = bool(np.mean(own > SOLID_HU) > 0.5)
    level, lung = np.percentile(own, SOLID_PERCENTILE if solid else 50), np.percentile(around, LUNG_PERCENTILE)
    return _Surface(float((level + lung) / 2), solid) if level - lung >= LEAST_CONTRAST_HU else None


def _largest_part(mask: np.ndarray) -> np.ndarray:
    labels, count = ndimage.label(mask)
    return mask if count < 2 else labels == 1 + int(np.argmax(np.bincount(labels.ravel())[1:]))
