from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest

from LungNoduleCADLib.domain.ct import CtVolume
from LungNoduleCADLib.domain.geometry import Geometry
from LungNoduleCADLib.domain.masks import NoduleMask
from LungNoduleCADLib.domain.nodule import NoduleCandidate, Origin
from LungNoduleCADLib.domain.provenance import Method
from LungNoduleCADLib.nodules.detect import rate_candidates, same_nodule

GRID = Geometry((20, 20, 20), (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))


def cube_mask(start: tuple[int, int, int], size: int) -> NoduleMask:
    return NoduleMask(np.ones((size,) * 3, bool), start, GRID, Method("hand", "1"))


@pytest.fixture
def ct(ct_of: Callable[..., CtVolume]) -> CtVolume:
    """HU tells the place: 100 i - 1000 in LPS x."""
    return ct_of(np.broadcast_to(np.arange(20) * 100.0 - 1000, (20, 20, 20)))


def middle_value(patches: Sequence[np.ndarray]) -> np.ndarray:
    return np.array([(patch[4, 4, 4] + 1000) / 2000 for patch in patches])


def test_candidates_come_back_most_probable_first_each_with_its_own_patch(ct: CtVolume) -> None:
    candidates = [NoduleCandidate((x, 10.0, 10.0), 6.0, origin=Origin.READER) for x in (3.0, 17.0, 9.0, 12.0, 6.0)]
    shares: list[float] = []

    rated = rate_candidates(ct, candidates, middle_value, 8, 0.8, shares.append, chunk=2)

    assert [c.centre_lps_mm[0] for c in rated] == [17.0, 12.0, 9.0, 6.0, 3.0]
    assert [c.probability for c in rated] == pytest.approx([0.85, 0.6, 0.45, 0.3, 0.15], abs=8e-3)  # HU in steps of 8
    assert {(c.diameter_mm, c.origin) for c in rated} == {(6.0, Origin.READER)}
    assert shares == pytest.approx([0.4, 0.8, 1.0])


def test_patches_have_the_size_that_was_asked_for(ct: CtVolume) -> None:
    shapes = []

    def probability(patches: Sequence[np.ndarray]) -> np.ndarray:
        shapes.extend(patch.shape for patch in patches)
        return np.zeros(len(patches))

    rate_candidates(ct, [NoduleCandidate((1.0, 1.0, 1.0))], probability, 12, 0.8)

    assert shapes == [(12, 12, 12)]


def test_no_candidates_are_rated_without_asking(ct: CtVolume) -> None:
    assert rate_candidates(ct, [], lambda _: 1 / 0, 8, 0.8) == []


@pytest.mark.parametrize(
    ("start", "size", "same"),
    [
        ((2, 2, 2), 6, True),
        ((2, 2, 5), 6, True),  # half of it is shared
        ((2, 2, 6), 6, False),  # exactly a third is not more than a third
        ((2, 2, 7), 6, False),
        ((3, 3, 3), 2, True),  # a small one wholly inside
        ((12, 12, 12), 6, False),
        ((8, 2, 2), 6, False),  # face to face
    ],
)
def test_two_outlines_are_one_nodule_when_they_share_more_than_a_third_of_the_smaller(
    start: tuple[int, int, int], size: int, same: bool
) -> None:
    one, other = cube_mask((2, 2, 2), 6), cube_mask(start, size)

    assert same_nodule(one, other) is same
    assert same_nodule(other, one) is same


def test_boxes_that_overlap_without_common_voxels_are_two_nodules() -> None:
    one, other = cube_mask((2, 2, 2), 6), cube_mask((2, 2, 2), 6)
    one.voxels[:3] = False
    other.voxels[3:] = False

    assert same_nodule(one, other) is False
