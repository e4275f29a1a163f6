"""What a detector or segmenter made elsewhere has to be, to take the place of the bundled one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from LungNoduleCADLib.domain.ct import CtVolume
from LungNoduleCADLib.domain.masks import LungMask, NoduleMask
from LungNoduleCADLib.domain.nodule import NoduleCandidate, Point
from LungNoduleCADLib.domain.provenance import Method

REACH_MM = 5.0


class Detector(Protocol):
    """Finds nodules in a scan: called with a CT and its lungs it gives candidates in LPS mm, most probable first.

    ``method`` is how results name it. ``threshold`` is the probability from which its candidates are reported; a
    detector that gives no probabilities has none (``None``), and the bundled encoder rates its candidates.
    """

    @property
    def method(self) -> Method: ...

    @property
    def threshold(self) -> float | None: ...

    def __call__(self, ct: CtVolume, lungs: LungMask) -> list[NoduleCandidate]: ...


class Segmenter(Protocol):
    """Outlines the nodule at a point of a scan (LPS mm); ``None`` where it sees none within 4 mm."""

    @property
    def method(self) -> Method: ...

    def segment(self, ct: CtVolume, point_lps_mm: Point) -> NoduleMask | None: ...


def in_lungs(candidates: Sequence[NoduleCandidate], lungs: LungMask) -> list[NoduleCandidate]:
    """Candidates within 5 mm of a lung, most probable first."""
    reach = np.ceil(REACH_MM / np.asarray(lungs.geometry.spacing_kji_mm)).astype(int)

    def near(candidate: NoduleCandidate) -> bool:
        middle = np.rint(lungs.geometry.to_kji(candidate.centre_lps_mm)).astype(int)
        around = tuple(slice(max(m - r, 0), max(m + r + 1, 0)) for m, r in zip(middle, reach, strict=True))
        return bool(lungs.labels[around].any())

    return sorted(filter(near, candidates), key=lambda c: -(c.probability or 0.0))
