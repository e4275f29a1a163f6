"""Whole chests with their lungs on the coarse grid of ``lung_ct_segmentation``: real scans and phantoms.

A scan's reference is its classical mask (looked at: good in the scans it is taken of), a phantom's is exact.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from LungNoduleCADLib.dicom.load import load_ct
from LungNoduleCADLib.domain.ct import CtVolume
from LungNoduleCADLib.domain.geometry import Geometry
from LungNoduleCADLib.domain.masks import Lung
from LungNoduleCADLib.lungs.classical import classical_labels
from LungNoduleCADLib.lungs.grids import AIRWAYS, coarse_grid, on_coarse_grid
from LungNoduleCADLib.phantom.anatomy import lung_distance
from LungNoduleCADLib.phantom.thorax import make_phantom
from LungNoduleCADLib.training.data import TrainingData
from LungNoduleCADLib.training.scans import scan_folders, scan_folds

FULL = 250


@dataclass(frozen=True)
class LungVolume:
    """HU (int16, K J I) and the share (uint8 of 250; right lung, left lung, central airways) of each coarse voxel."""

    name: str
    hu: np.ndarray
    shares: np.ndarray


def scan_volumes(
    pack: TrainingData, folder: Path, folds: Collection[int | None], grid_mm: float, report: Callable[[str], None]
) -> Iterator[LungVolume]:
    """The whole scans of patients in the given folds (``None``: patients whom the pack does not know)."""
    fold_of = scan_folds(pack, folder)
    for name, (path, _) in scan_folders(folder).items():
        if fold_of[name] in folds:
            report(f"lungs of {name}")
            ct = load_ct(path)
            yield volume_of(name, ct, classical_labels(ct), grid_mm)


def phantom_volume(seed: int, grid_mm: float) -> LungVolume:
    """A synthetic thorax with exact lungs; its airways are the classical ones outside of them."""
    ct = make_phantom(seed).ct
    labels = classical_labels(ct)
    exact = phantom_lungs(ct.geometry)
    return volume_of(f"phantom-{seed}", ct, np.where((labels == AIRWAYS) & (exact == 0), AIRWAYS, exact), grid_mm)


def phantom_lungs(geometry: Geometry) -> np.ndarray:
    """Labels (uint8) of a baseline phantom's lungs on its grid; the same for every seed."""
    (i0, j0, k0), (sk, sj, si) = geometry.origin_lps_mm, geometry.spacing_kji_mm
    k, j, i = (np.arange(n, dtype=np.float32) for n in geometry.shape_kji)
    x = (i * si + i0)[None, None]
    inside = lung_distance(x, (j * sj + j0)[None, :, None], (k * sk + k0)[:, None, None]) < 0
    return np.where(inside, np.where(x < 0, Lung.RIGHT, Lung.LEFT), 0).astype(np.uint8)


def volume_of(name: str, ct: CtVolume, labels: np.ndarray, grid_mm: float) -> LungVolume:
    """A scan and its labels (1 right lung, 2 left lung, 3 central airways) on the coarse grid."""
    hu, _ = coarse_grid(ct, grid_mm)
    shares = [
        on_coarse_grid((labels == label).astype(np.uint8) * FULL, ct.geometry, grid_mm)[0] for label in (*Lung, AIRWAYS)
    ]
    return LungVolume(name, hu, np.stack(shares))
