from __future__ import annotations

import numpy as np
import pytest

from LungNoduleCADLib.domain.geometry import Geometry


def turned(degrees: float) -> tuple[float, ...]:
    """A rotation about the patient's long axis, then about the left-right axis, row-major."""
    a = np.radians(degrees)
    about_s = np.array([[np.cos(a), -np.sin(a), 0], [np.sin(a), np.cos(a), 0], [0, 0, 1]])
    about_l = np.array([[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]])
    return tuple((about_l @ about_s).ravel())


OBLIQUE = Geometry((5, 6, 7), (-12.0, 30.5, -200.0), (2.5, 0.7, 0.8), turned(20))


def test_the_first_voxel_lies_at_the_origin() -> None:
    assert OBLIQUE.to_lps_mm((0, 0, 0)) == pytest.approx(OBLIQUE.origin_lps_mm)


def test_a_step_along_each_index_follows_its_column_of_the_direction() -> None:
    columns = np.asarray(OBLIQUE.direction).reshape(3, 3)
    for axis, column in ((0, 2), (1, 1), (2, 0)):
        step = OBLIQUE.to_lps_mm(np.eye(3)[axis]) - OBLIQUE.origin_lps_mm
        assert step == pytest.approx(columns[:, column] * OBLIQUE.spacing_kji_mm[axis])


def test_indices_come_back_through_an_oblique_grid() -> None:
    kji = np.random.default_rng(0).uniform(-3, 9, (20, 3))

    assert OBLIQUE.to_kji(OBLIQUE.to_lps_mm(kji)) == pytest.approx(kji)


def test_a_crop_keeps_voxels_where_they_are_in_the_patient() -> None:
    box = OBLIQUE.crop((1, 2, -3), (3, 2, 2))

    assert box.shape_kji == (3, 2, 2)
    assert box.to_lps_mm((1, 1, 1)) == pytest.approx(OBLIQUE.to_lps_mm((2, 3, -2)))


@pytest.mark.parametrize(
    ("kji", "inside"),
    [((-0.4, 0, 0), True), ((-0.6, 0, 0), False), ((4.4, 5.4, 6.4), True), ((4, 5.6, 6), False), ((4, 5, 6.6), False)],
)
def test_the_grid_ends_at_the_outer_faces_of_its_voxels(kji: tuple[float, ...], inside: bool) -> None:
    assert OBLIQUE.contains(OBLIQUE.to_lps_mm(kji)) is inside


def test_no_point_that_is_not_a_number_is_inside() -> None:
    assert not OBLIQUE.contains((float("nan"), 0.0, 0.0))


def test_a_voxel_has_the_volume_of_its_edges() -> None:
    assert OBLIQUE.voxel_volume_mm3 == pytest.approx(2.5 * 0.7 * 0.8)
    assert OBLIQUE.extent_kji_mm == pytest.approx((12.5, 4.2, 5.6))


@pytest.mark.parametrize(
    "wrong", [{"shape_kji": (0, 6, 7)}, {"spacing_kji_mm": (1.0, -1.0, 1.0)}, {"direction": (1.0, 0.0, 0.0)}]
)
def test_an_impossible_grid_is_refused(wrong: dict) -> None:
    good = {"shape_kji": (5, 6, 7), "origin_lps_mm": (0.0, 0.0, 0.0), "spacing_kji_mm": (1.0, 1.0, 1.0)}

    with pytest.raises(ValueError, match="a grid needs"):
        Geometry(**{**good, **wrong})


def test_the_box_around_another_grid_holds_all_of_it_with_its_margin_and_is_never_empty() -> None:
    whole = Geometry((40, 50, 60), (0.0, 0.0, 0.0), (2.0, 1.0, 1.0), turned(15))
    other = Geometry((3, 3, 3), tuple(whole.to_lps_mm((20, 25, 30))), (1.0, 1.0, 1.0))  # type: ignore[arg-type]

    box = whole.box_around(other)

    kji = whole.to_kji(other.to_lps_mm(np.argwhere(np.ones((3, 3, 3)))))
    assert np.all(kji.min(axis=0) - 2 >= [side.start for side in box])
    assert np.all(kji.max(axis=0) + 2 <= [side.stop - 1 for side in box])
    assert whole.part(box).to_lps_mm((0, 0, 0)) == pytest.approx(whole.to_lps_mm([side.start for side in box]))
    far = Geometry((3, 3, 3), (-900.0, 900.0, 900.0), (1.0, 1.0, 1.0))
    assert all(side.stop > side.start for side in whole.box_around(far))
