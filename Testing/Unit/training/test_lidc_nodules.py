"""Outlines on a grid of 4 slices of 20 x 30 pixels to voxels and nodules."""

from __future__ import annotations

import numpy as np
import pytest

from LungNoduleCADLib.domain.geometry import Geometry
from LungNoduleCADLib.training.lidc_nodules import ReaderMask, SliceGrid, joined, reader_mask, same_lesion
from LungNoduleCADLib.training.lidc_xml import ReaderNodule, Region

SHAPE = (4, 20, 30)
SUPINE, PRONE = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0), (-1.0, 0.0, 0.0, 0.0, -1.0, 0.0, 0.0, 0.0, 1.0)


def grid(direction: tuple[float, ...] = SUPINE) -> SliceGrid:
    return SliceGrid(Geometry(SHAPE, (5.0, 6.0, 7.0), (2.0, 0.7, 0.7), direction), [f"s{k}" for k in range(SHAPE[0])])


def outline(x0: int, y0: int, x1: int, y1: int, k: int = 1, included: bool = True) -> Region:
    """The pixels drawn around a rectangle, one after another."""
    top = [(x, y0) for x in range(x0, x1)]
    right = [(x1, y) for y in range(y0, y1)]
    bottom = [(x, y1) for x in range(x1, x0, -1)]
    left = [(x0, y) for y in range(y1, y0, -1)]
    return Region(f"s{k}", np.array(top + right + bottom + left), included)


def voxels(mask: ReaderMask) -> np.ndarray:
    """On the whole grid."""
    whole = np.zeros(SHAPE, bool)
    whole[tuple(slice(a, b) for a, b in zip(mask.start_kji, mask.stop_kji, strict=True))] = mask.voxels
    return whole


def mark(*regions: Region, reader: int = 0) -> ReaderMask:
    found = reader_mask(ReaderNodule(reader, regions, {}), grid())
    assert found is not None
    return found


def test_drawn_pixels_lie_outside_of_the_nodule() -> None:
    expected = np.zeros(SHAPE, bool)
    expected[1, 6:9, 11:14] = True

    assert np.array_equal(voxels(mark(outline(10, 5, 14, 9))), expected)


def test_corners_are_joined_by_lines_that_count_as_drawn() -> None:
    corners = Region("s1", np.array([(10, 5), (14, 5), (14, 9), (10, 9)]))

    assert np.array_equal(voxels(mark(corners)), voxels(mark(outline(10, 5, 14, 9))))


def test_a_hole_is_cut_out_with_its_drawn_pixels_whatever_the_order() -> None:
    around, hole = outline(10, 5, 18, 13), outline(12, 7, 16, 11, included=False)
    expected = np.zeros(SHAPE, bool)
    expected[1, 6:13, 11:18] = True
    expected[1, 7:12, 12:17] = False

    assert np.array_equal(voxels(mark(around, hole)), expected)
    assert np.array_equal(voxels(mark(hole, around)), expected)


def test_parts_on_one_slice_and_on_others_are_one_mark() -> None:
    whole = voxels(mark(outline(2, 2, 5, 5), outline(8, 2, 11, 5), outline(2, 2, 4, 4, k=2)))

    assert [int(plane.sum()) for plane in whole] == [0, 8, 1, 0]


def test_an_outline_that_encloses_no_pixel_is_no_mask() -> None:
    assert reader_mask(ReaderNodule(0, (outline(10, 5, 11, 6),), {}), grid()) is None


def test_pixels_of_a_prone_scan_lie_where_the_scan_is_loaded() -> None:
    prone = grid(PRONE)
    found = reader_mask(ReaderNodule(0, (outline(10, 5, 14, 9),), {}), prone)
    stored = Geometry(SHAPE, (5.0, 6.0, 7.0), (2.0, 0.7, 0.7), PRONE)

    assert found is not None
    assert np.array_equal(voxels(found), voxels(mark(outline(10, 5, 14, 9)))[:, ::-1, ::-1])
    assert prone.loaded.direction == SUPINE
    assert prone.loaded.to_lps_mm((1, 19 - 5, 29 - 10)) == pytest.approx(stored.to_lps_mm((1, 5, 10)))


def test_a_slice_that_is_not_there_is_told() -> None:
    with pytest.raises(KeyError, match="s9"):
        reader_mask(ReaderNodule(0, (outline(10, 5, 14, 9, k=9),), {}), grid())


def test_overlapping_marks_of_different_readers_are_one_lesion_and_others_are_not() -> None:
    first, second = mark(outline(2, 2, 8, 8)), mark(outline(4, 4, 10, 10), reader=1)
    elsewhere, other_slice = mark(outline(20, 2, 24, 8), reader=1), mark(outline(2, 2, 8, 8, k=2), reader=2)

    groups = same_lesion([first, elsewhere, second, other_slice])

    assert sorted(len(group) for group in groups) == [1, 1, 2]
    assert [first, second] in groups


def test_marks_that_only_touch_are_two_lesions() -> None:
    assert len(same_lesion([mark(outline(2, 2, 6, 6)), mark(outline(5, 2, 9, 6), reader=1)])) == 2


def test_readers_are_joined_through_one_whom_both_overlap() -> None:
    marks = [mark(outline(2 + 4 * n, 2, 9 + 4 * n, 8), reader=n) for n in range(3)]

    assert [len(group) for group in same_lesion(marks)] == [3]


def test_a_reader_has_one_mark_in_a_lesion_so_a_whole_goes_with_the_part_it_overlaps_most() -> None:
    small, large = mark(outline(2, 2, 6, 12)), mark(outline(6, 2, 16, 12))
    whole = mark(outline(2, 2, 16, 12), reader=1)

    groups = same_lesion([small, large, whole])

    assert [small] in groups
    assert [large, whole] in groups


@pytest.mark.parametrize(("readers", "columns"), [(1, 4), (2, 6), (3, 6), (4, 8)])
def test_the_consensus_is_what_at_least_half_of_the_readers_marked(readers: int, columns: int) -> None:
    """The first reader's outline encloses 4 columns, each further one's 2 more."""
    lesion = joined([mark(outline(2, 2, 7 + 2 * n, 6), reader=n) for n in range(readers)])

    assert lesion.counts.max() == readers
    assert np.count_nonzero(lesion.consensus.any(axis=(0, 1))) == columns


def test_the_centroid_is_that_of_the_consensus_in_the_scan() -> None:
    lesion = joined([mark(outline(10, 5, 14, 9)), mark(outline(10, 5, 14, 9), outline(10, 5, 14, 9, k=2), reader=1)])

    assert lesion.centroid_kji() == pytest.approx((1.5, 7.0, 12.0))
