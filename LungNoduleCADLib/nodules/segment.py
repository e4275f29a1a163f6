"""The outline of a nodule from one point inside it: a 3D U-Net on a cube around the point, back on the native grid."""

from __future__ import annotations

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
from LungNoduleCADLib.imaging.patch import extract_patch, patch_geometry
from LungNoduleCADLib.imaging.sitk_bridge import resample
from LungNoduleCADLib.networks.build import autocast

WINDOW_HU = (-1000.0, 600.0)
POINT_SIGMA_VOXELS = 3.0
LARGE_EXTENT_FRACTION = 0.62
SEED_REACH_MM = 4.0
FAINTEST_PEAK = 0.2


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
            inside = self._part_at_point(self.probability(extract_patch(ct.hu, ct.geometry, grid)), spacing_mm)
            if inside is None:
                break
            found = _on_native_grid(inside, grid, ct.geometry, self.method)
            if not _fills(inside):
                break
        return found

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
        around = ndimage.binary_dilation(part)
        return np.where(around, probability * (0.5 / threshold), 0.0).astype(np.float32)


def _fills(probability: np.ndarray) -> bool:
    """Whether a part is so large in its cube that its border may be cut."""
    inside = np.argwhere(probability >= 0.5)
    extent = np.ptp(inside, axis=0).max() + 1
    return bool(extent > LARGE_EXTENT_FRACTION * probability.shape[0])


def _on_native_grid(probability: np.ndarray, grid: Geometry, native: Geometry, method: Method) -> NoduleMask | None:
    """Which native voxels a nodule takes, and what share of each: the 0.5 surface, sampled finer than both grids."""
    inside = np.argwhere(probability >= 0.5)
    if not len(inside):
        return None
    corners = native.to_kji(grid.to_lps_mm(list(product(*zip(inside.min(0) - 1.5, inside.max(0) + 1.5, strict=True)))))
    start = np.clip(np.floor(corners.min(axis=0)).astype(int), 0, np.asarray(native.shape_kji) - 1)
    stop = np.clip(np.ceil(corners.max(axis=0)).astype(int) + 1, start + 1, native.shape_kji)
    shape = stop - start
    parts = np.maximum(2, np.ceil(np.asarray(native.spacing_kji_mm) / 0.4)).astype(int)
    fine_spacing = np.asarray(native.spacing_kji_mm) / parts
    first = native.to_lps_mm(start - 0.5 + 0.5 / parts)
    fine = Geometry(
        tuple(int(v) for v in shape * parts),
        tuple(float(v) for v in first),  # type: ignore[arg-type]
        tuple(float(v) for v in fine_spacing),
        native.direction,
    )  # type: ignore[arg-type]
    sampled = resample(probability, grid, fine) >= 0.5
    blocks = sampled.reshape(shape[0], parts[0], shape[1], parts[1], shape[2], parts[2])
    occupancy = blocks.mean(axis=(1, 3, 5), dtype=np.float32)
    voxels = occupancy >= 0.5
    if not voxels.any():
        voxels = occupancy == occupancy.max()
    return NoduleMask(voxels, tuple(int(v) for v in start), native, method, occupancy)  # type: ignore[arg-type]
