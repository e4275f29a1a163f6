"""The lung stage's door: a right/left lung mask on the native grid of a chest CT."""

from __future__ import annotations

from collections.abc import Callable

from LungNoduleCADLib.domain.ct import CtVolume
from LungNoduleCADLib.domain.masks import LungMask
from LungNoduleCADLib.lungs.classical import classical_lungs


def segment_lungs(ct: CtVolume, *, model: Callable[[CtVolume], LungMask] | None = None) -> LungMask:
    """Right and left lung of a chest CT, with nodules that touch the pleura inside.

    Parameters
    ----------
    ct : HU on its native grid.
    model : a learned segmenter; the classical one where none is given.

    Raises
    ------
    InputError : there is no lung-like air in the scan.
    """
    return (model or classical_lungs)(ct)
