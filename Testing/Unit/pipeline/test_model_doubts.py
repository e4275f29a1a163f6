"""How a doubt of the models, and the spread of their answers, come to the nodule of the list and leave it again."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np

from LungNoduleCADLib.domain.ct import CtVolume
from LungNoduleCADLib.domain.geometry import Geometry
from LungNoduleCADLib.domain.masks import LungMask, NoduleMask
from LungNoduleCADLib.domain.nodule import Nodule, NoduleCandidate, Point
from LungNoduleCADLib.domain.provenance import Method
from LungNoduleCADLib.domain.quality import QualityFlag, Severity
from LungNoduleCADLib.domain.study import SeriesDescription
from LungNoduleCADLib.nodule_list import OVERLAPS, Looks, Models

GEOMETRY = Geometry((30, 40, 40), (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
METHOD = Method("stub", "1")
PLACE = (20.0, 20.0, 15.0)
DOUBT = QualityFlag("unfamiliar", Severity.WARNING, "strange")


class CubeSegmenter:
    def segment(self, _ct: CtVolume, point: Point) -> NoduleMask:
        start = tuple(int(v) - 3 for v in GEOMETRY.to_kji(point))
        return NoduleMask(np.ones((6, 6, 6), bool), start, GEOMETRY, METHOD)  # type: ignore[arg-type]


class DoubtfulCharacteriser:
    """Finds every nodule strange, and spreads 0.1 about its probability."""

    encoder = SimpleNamespace(size=3, spacing_mm=1.0)

    def nodule_probability(self, patches: list[np.ndarray]) -> np.ndarray:
        return np.full(len(patches), 0.7)

    def characterise(self, _ct: CtVolume, nodule: Nodule) -> Nodule:
        probability = nodule.candidate.probability
        spread = None if probability is None else (round(probability - 0.1, 2), round(probability + 0.1, 2))
        return replace(nodule, candidate=replace(nodule.candidate, spread_95=spread), flags=(*nodule.flags, DOUBT))


def looks(known: tuple[Nodule, ...] = ()) -> Looks:
    ct = CtVolume(np.zeros(GEOMETRY.shape_kji, np.int16), GEOMETRY, SeriesDescription("1.2"))
    lungs = LungMask(np.ones(GEOMETRY.shape_kji, np.uint8), GEOMETRY, METHOD)
    return Looks(ct, lungs, lambda: Models(CubeSegmenter(), DoubtfulCharacteriser(), 0.5), known)  # type: ignore[arg-type]


def test_the_doubt_and_the_spread_come_with_the_nodule_however_often_it_is_asked_for() -> None:
    seen = looks()
    (candidate,) = seen.rated([NoduleCandidate(PLACE)])
    nodule = replace(seen.outlined(PLACE), id="N1", candidate=candidate, flags=(OVERLAPS,))

    once = seen.characterised(nodule)
    again = seen.characterised(once)

    assert once.flags == again.flags == (OVERLAPS, DOUBT)
    assert once.candidate.spread_95 == again.candidate.spread_95 == (0.6, 0.8)


def test_a_place_looked_at_ahead_has_its_spread_when_it_is_listed() -> None:
    seen = looks()
    while not seen.knows(PLACE):
        seen.look(PLACE)
    (candidate,) = seen.rated([NoduleCandidate(PLACE)])

    listed = seen.characterised(replace(seen.outlined(PLACE), candidate=candidate))

    assert listed.candidate.spread_95 == (0.6, 0.8)
    assert listed.flags == (DOUBT,)


def test_what_the_list_once_said_of_a_known_nodule_does_not_come_back() -> None:
    first = looks()
    known = replace(first.characterised(first.outlined(PLACE)), flags=(OVERLAPS, DOUBT))
    seen = looks((known,))

    assert seen.characterised(replace(known, flags=())).flags == (DOUBT,)
