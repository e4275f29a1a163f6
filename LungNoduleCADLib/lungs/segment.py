"""The lung stage's door: a right/left lung mask on the native grid of a chest CT.

Aerated lung is found by the classical method, whose outline follows the scan's own voxels; the bundled network, where
it is trained, adds dense lung (consolidation, masses, atelectasis), which has no such outline.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import numpy as np
from scipy import ndimage

from LungNoduleCADLib.bundles.registry import find_bundle, models_folder
from LungNoduleCADLib.domain.ct import CtVolume
from LungNoduleCADLib.domain.geometry import Geometry
from LungNoduleCADLib.domain.masks import Lung, LungMask
from LungNoduleCADLib.domain.provenance import Method
from LungNoduleCADLib.domain.quality import QualityFlag, Severity
from LungNoduleCADLib.errors import InputError
from LungNoduleCADLib.lungs.classical import classical_lungs
from LungNoduleCADLib.lungs.cleanup import dilate, opened
from LungNoduleCADLib.lungs.grids import AIR_BELOW_HU, native_labels, on_coarse_grid

BUNDLE = "lung_ct_segmentation"
MIN_LUNG_ML = 100.0
GRID_MM = 3.0
ADDED_RADIUS_MM = 7.0  # thinner sheets that the network alone takes for lung are its blur at the pleura
MUCH = 0.1  # of a lung

LITTLE_AIR = QualityFlag(
    "lungs_hardly_aerated", Severity.SERIOUS, "There is hardly any air in the lungs: only the model found them."
)
DENSE_LUNG = QualityFlag(
    "dense_lung",
    Severity.WARNING,
    "A tenth of a lung or more is dense and was found by the lung model alone: consolidation, fluid or an error.",
)

LungMethod = Callable[[CtVolume], LungMask]


def segment_lungs(ct: CtVolume, *, model: LungMethod | None = None, device: str = "cpu") -> LungMask:
    """Right and left lung of a chest CT, with consolidation and with nodules that touch the pleura inside.

    Parameters
    ----------
    ct : HU on its native grid.
    model : a learned segmenter; the bundled one, where it is trained, if none is given.

    Raises
    ------
    InputError : there are no lungs in the scan.
    """
    model = model or bundled_network(str(models_folder()), device)
    if model is None:
        return classical_lungs(ct)
    learned = model(ct)
    try:
        classical = classical_lungs(ct)
    except InputError:
        if max(learned.volume_ml(lung) for lung in Lung) < MIN_LUNG_ML:
            raise
        return replace(learned, flags=(LITTLE_AIR, *learned.flags))
    return with_dense_lung(classical, learned, ct)


@lru_cache(maxsize=2)
def bundled_network(models: str, device: str) -> LungMethod | None:
    """The bundle's network, loaded once; ``None`` where the bundle is absent or untrained.

    Raises
    ------
    ModelError : damaged weights.
    """
    if not Path(models, BUNDLE).is_dir() or not (bundle := find_bundle(BUNDLE)).trained:
        return None
    from LungNoduleCADLib.lungs.learned import LungNetwork

    return LungNetwork.from_bundle(bundle, device)


def with_dense_lung(classical: LungMask, learned: LungMask, ct: CtVolume) -> LungMask:
    """The classical lungs, and what the network adds to them where that is dense and thick."""
    unknown = (classical.labels == 0) & (ct.hu > AIR_BELOW_HU)
    labels = classical.labels.copy()
    for lung in Lung:
        share, grid = on_coarse_grid(unknown & (learned.labels == lung), ct.geometry, GRID_MM)
        thick = opened(share > 0.5, ADDED_RADIUS_MM, GRID_MM)
        if not thick.any():
            continue
        known, _ = on_coarse_grid(classical.labels == lung, ct.geometry, GRID_MM)
        together, added = thick | (known > 0.5), dilate(thick, GRID_MM, GRID_MM)
        if np.count_nonzero(together) * grid.voxel_volume_mm3 / 1000.0 < MIN_LUNG_ML:
            continue
        box = _box_around(added, grid, ct)
        part = CtVolume(ct.hu[box], ct.geometry.part(box), ct.series)
        whole, near = (native_labels({int(lung): mask}, grid, part) > 0 for mask in (together, added))
        here = labels[box]
        here[whole & near & (here == 0)] = lung
    mask = LungMask(labels, ct.geometry, _both(classical.method, learned.method), learned.flags)
    much = any(mask.volume_ml(lung) > (1 + MUCH) * classical.volume_ml(lung) for lung in Lung)
    return replace(mask, flags=(DENSE_LUNG, *mask.flags)) if much else mask


def _both(classical: Method, learned: Method) -> Method:
    """The outline is of the one, dense lung of the other; version and digest are those of the weights."""
    return replace(learned, name=f"{classical.name} {classical.version} + {learned.name}")


def _box_around(mask: np.ndarray, grid: Geometry, ct: CtVolume) -> tuple[slice, slice, slice]:
    """The scan's voxels around a mask on a coarse grid, with those into which its outline is smoothed."""
    sides = ndimage.find_objects(mask.astype(np.uint8))[0]
    return ct.geometry.box_around(grid.part(tuple(slice(side.start - 3, side.stop + 3) for side in sides)))
