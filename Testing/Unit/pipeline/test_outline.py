"""Which candidates become nodules, and what a reader's point does."""

from __future__ import annotations

import numpy as np
import pytest

from LungNoduleCADLib.domain.ct import CtVolume
from LungNoduleCADLib.domain.geometry import Geometry
from LungNoduleCADLib.domain.masks import LungMask, NoduleMask
from LungNoduleCADLib.domain.nodule import Nodule, NoduleCandidate, Origin, Point
from LungNoduleCADLib.domain.provenance import Method
from LungNoduleCADLib.domain.study import SeriesDescription
from LungNoduleCADLib.nodule_list import Looks, Models, with_candidates

GEOMETRY = Geometry((40, 60, 60), (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
METHOD = Method("stub", "1")


class BoxSegmenter:
    """Outlines a cube of ``size`` voxels around the point, or nothing where ``size`` is 0."""

    def __init__(self, size: int) -> None:
        self.size = size

    def segment(self, _ct: CtVolume, point: Point) -> NoduleMask | None:
        if not self.size:
            return None
        start = tuple(int(v) - self.size // 2 for v in GEOMETRY.to_kji(point))
        return NoduleMask(np.ones((self.size,) * 3, bool), start, GEOMETRY, METHOD)  # type: ignore[arg-type]


def outlined(size: int, *candidates: NoduleCandidate) -> list[Nodule]:
    ct = CtVolume(np.full(GEOMETRY.shape_kji, -850, np.int16), GEOMETRY, SeriesDescription("1"))
    lungs = LungMask(np.ones(GEOMETRY.shape_kji, np.uint8), GEOMETRY, METHOD)
    models = Models(BoxSegmenter(size), None, 0.8)  # type: ignore[arg-type]
    return with_candidates((), candidates, Looks(ct, lungs, lambda: models))


def found(*point: float) -> NoduleCandidate:
    return NoduleCandidate(point, probability=0.9)  # type: ignore[arg-type]


def clicked(*point: float) -> NoduleCandidate:
    return NoduleCandidate(point, probability=0.5, origin=Origin.READER)  # type: ignore[arg-type]


def test_two_candidates_in_one_nodule_are_one_nodule() -> None:
    assert len(outlined(9, found(20, 20, 20), found(22, 20, 20))) == 1


def test_a_point_in_a_found_nodule_marks_it_as_the_readers() -> None:
    (nodule,) = outlined(9, found(20, 20, 20), clicked(23, 20, 20))
    assert nodule.candidate.origin is Origin.READER
    assert nodule.candidate.centre_lps_mm == (20, 20, 20)
    assert nodule.flags == ()


def test_a_point_beside_a_found_nodule_is_kept_and_the_overlap_is_told() -> None:
    first, second = outlined(11, found(20, 20, 20), clicked(27, 20, 20))
    assert (first.candidate.origin, first.flags) == (Origin.DETECTOR, ())
    assert [flag.code for flag in second.flags] == ["overlaps"]


def test_a_point_where_nothing_is_seen_stays_without_measurements() -> None:
    (nodule,) = outlined(0, found(20, 20, 20), clicked(30, 30, 20))
    assert nodule.measurements is None
    assert [flag.code for flag in nodule.flags] == ["no_outline"]


@pytest.mark.parametrize(("candidate", "kept"), [(found(20, 20, 20), 0), (clicked(20, 20, 20), 1)])
def test_what_is_smaller_than_3_mm_is_listed_only_where_a_reader_pointed(candidate: NoduleCandidate, kept: int) -> None:
    assert len(outlined(1, candidate)) == kept


def test_a_point_that_the_detector_does_not_take_for_a_nodule_says_so() -> None:
    (nodule,) = outlined(9, NoduleCandidate((20, 20, 20), probability=0.01, origin=Origin.READER))
    assert [flag.code for flag in nodule.flags] == ["unlikely_nodule"]
