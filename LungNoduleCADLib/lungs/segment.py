"""The lung stage's door: a right/left lung mask on the native grid of a chest CT.

The bundled network answers where it is trained, the classical method where it is not. Both are run and compared: the
classical mask stands in where the network misses lung, and a reader is told where they differ.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import numpy as np

from LungNoduleCADLib.bundles.registry import find_bundle, models_folder
from LungNoduleCADLib.domain.ct import CtVolume
from LungNoduleCADLib.domain.masks import Lung, LungMask
from LungNoduleCADLib.domain.quality import QualityFlag, Severity
from LungNoduleCADLib.errors import InputError
from LungNoduleCADLib.evaluation.overlap import dice
from LungNoduleCADLib.lungs.classical import classical_lungs

BUNDLE = "lung_ct_segmentation"
MIN_LUNG_ML = 100.0
LEAST_COVERED = 0.9  # of what the classical method takes for a lung of that size
LEAST_DICE = 0.9

LITTLE_AIR = QualityFlag(
    "lungs_hardly_aerated", Severity.SERIOUS, "There is hardly any air in the lungs: only the model found them."
)
MODEL_FAILED = QualityFlag(
    "lung_model_failed",
    Severity.WARNING,
    "The lung model missed aerated lung; the lungs are those of the classical method, please check them.",
)
METHODS_DIFFER = QualityFlag(
    "lung_methods_differ",
    Severity.WARNING,
    "The lung model and the classical method disagree about a tenth of a lung or more: dense lung, fluid or an error.",
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
        return cross_checked(learned, classical_lungs(ct))
    except InputError:
        if max(learned.volume_ml(lung) for lung in Lung) < MIN_LUNG_ML:
            raise
        return cross_checked(learned, None)


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


def cross_checked(learned: LungMask, classical: LungMask | None) -> LungMask:
    """The learned lungs, or the classical ones where those hold lung that the model misses or takes for the other side.

    ``classical`` is ``None`` where that method found no lung-like air.
    """
    if classical is None:
        return replace(learned, flags=(LITTLE_AIR,))
    large = [lung for lung in Lung if classical.volume_ml(lung) >= MIN_LUNG_ML]
    pairs = [(learned.labels == lung, classical.labels == lung) for lung in large]
    if any(np.count_nonzero(a & b) < LEAST_COVERED * np.count_nonzero(b) for a, b in pairs):
        return replace(classical, flags=(MODEL_FAILED,))
    if any(dice(a, b) < LEAST_DICE for a, b in pairs):
        return replace(learned, flags=(METHODS_DIFFER,))
    return learned
