"""Landmark files and landmark errors."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from LungNoduleCADLib.domain.geometry import Geometry
from LungNoduleCADLib.errors import InputError
from LungNoduleCADLib.evaluation.registration import folding, landmark_error_mm, read_landmarks


def test_errors_are_distances_after_the_transform_and_the_start_is_kept() -> None:
    current = np.array([[0.0, 0.0, 0.0], [10.0, 0.0, 0.0], [0.0, 20.0, 0.0]])
    prior = current + np.array([0.0, 0.0, 30.0])
    prior[2] += [3.0, 4.0, 0.0]

    error = landmark_error_mm(sitk.TranslationTransform(3, (0.0, 0.0, 30.0)), current, prior)

    assert (error.n, error.n_left_out) == (3, 0)
    assert error.initial_mean_mm == pytest.approx((30 + 30 + np.sqrt(925)) / 3)
    assert (error.mean_mm, error.median_mm, error.max_mm) == pytest.approx((5 / 3, 0.0, 5.0))
    assert error.p95_mm == pytest.approx(4.5)
    assert error.mean_95_mm[0] == 0.0
    assert error.mean_95_mm[1] > error.mean_mm
    assert error.as_json()["mean_mm"] == 1.667


def test_landmarks_outside_of_the_images_are_left_out_and_counted() -> None:
    points = np.array([[1.0, 1.0, 1.0], [50.0, 1.0, 1.0]])
    grid = Geometry((10, 10, 10), (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))

    error = landmark_error_mm(sitk.Transform(3, sitk.sitkIdentity), points, points, grid, grid)

    assert (error.n, error.n_left_out) == (1, 1)


def test_landmarks_that_miss_the_images_altogether_are_refused() -> None:
    points = np.full((2, 3), 100.0)
    grid = Geometry((10, 10, 10), (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))

    with pytest.raises(InputError, match="LPS"):
        landmark_error_mm(sitk.Transform(3, sitk.sitkIdentity), points, points, grid)


def test_lists_of_different_length_are_refused() -> None:
    with pytest.raises(InputError, match="2 points in both"):
        landmark_error_mm(sitk.Transform(3, sitk.sitkIdentity), np.zeros((2, 3)), np.zeros((3, 3)))


def test_a_landmark_file_is_read(tmp_path: Path) -> None:
    file = tmp_path / "points.txt"
    file.write_text("point\n2\n-36.351 -36.974 -1204.5\n98.883 -26.046 -1324.5\n")

    assert read_landmarks(file).tolist() == [[-36.351, -36.974, -1204.5], [98.883, -26.046, -1324.5]]


@pytest.mark.parametrize("text", ["", "index\n1\n1 2 3\n", "point\n2\n1 2 3\n", "point\n1\n1 2\n", "point\n1\n1 2 x\n"])
def test_a_broken_landmark_file_is_refused_with_its_name(tmp_path: Path, text: str) -> None:
    file = tmp_path / "points.txt"
    file.write_text(text)

    with pytest.raises(InputError, match=r"points\.txt"):
        read_landmarks(file)


def test_a_missing_landmark_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.txt"):
        read_landmarks(tmp_path / "none.txt")


GRID = Geometry((40, 30, 30), (-15.0, -15.0, -50.0), (2.5, 1.0, 1.0))


def lungs_left_of(l_mm: float) -> np.ndarray:
    return GRID.to_lps_mm(np.moveaxis(np.indices(GRID.shape_kji), 0, -1))[..., 0] < l_mm


def field_along_l(shift_mm: np.ndarray) -> sitk.Transform:
    """A displacement along L that depends on L alone; 1 mm apart from -30 mm on."""
    vectors = np.zeros((120, 60, len(shift_mm), 3))
    vectors[..., 0] = shift_mm
    image = sitk.GetImageFromArray(vectors, isVector=True)
    image.SetOrigin((-30.0, -30.0, -60.0))
    return sitk.DisplacementFieldTransform(image)


def test_the_jacobian_of_a_stretch_is_its_volume_change() -> None:
    stretch = sitk.AffineTransform(3)
    stretch.SetMatrix([1.0, 0, 0, 0, 1.0, 0, 0, 0, 1.25])

    found = folding(stretch, lungs_left_of(0.0), GRID)

    assert (found.jacobian_min, found.jacobian_p99) == pytest.approx((1.25, 1.25))
    assert found.folding_fraction == 0.0


def test_a_fold_counts_where_the_lungs_are() -> None:
    l_mm = np.arange(60) - 30.0
    turned = field_along_l(np.where(l_mm > 5, -2.0 * (l_mm - 5), 0.0))  # beyond L 5 mm everything lies mirrored

    assert folding(turned, lungs_left_of(0.0), GRID).folding_fraction == 0.0
    found = folding(turned, ~lungs_left_of(0.0), GRID)
    assert found.folding_fraction > 0.5
    assert found.jacobian_min == pytest.approx(-1.0, abs=0.05)


def test_folding_without_lungs_is_refused() -> None:
    with pytest.raises(InputError, match="lung mask"):
        folding(sitk.Transform(3, sitk.sitkIdentity), np.zeros(GRID.shape_kji, bool), GRID)
