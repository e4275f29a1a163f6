from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from LungNoduleCADLib.domain.geometry import Geometry
from LungNoduleCADLib.imaging.sitk_bridge import geometry_of, resample, to_sitk, write_image, write_transform

TURN = np.radians(15)
OBLIQUE = Geometry(
    (5, 6, 7),
    (-12.0, 30.5, -200.0),
    (2.5, 0.7, 0.8),
    (np.cos(TURN), -np.sin(TURN), 0.0, np.sin(TURN), np.cos(TURN), 0.0, 0.0, 0.0, 1.0),
)


@pytest.fixture
def noise() -> np.ndarray:
    return np.random.default_rng(1).normal(size=OBLIQUE.shape_kji).astype(np.float32)


def test_an_array_and_its_grid_come_back_from_simpleitk(noise: np.ndarray) -> None:
    image = to_sitk(noise, OBLIQUE)
    back = geometry_of(image)

    assert np.array_equal(sitk.GetArrayFromImage(image), noise)
    assert back.shape_kji == OBLIQUE.shape_kji
    assert back.affine_kji_to_lps == pytest.approx(OBLIQUE.affine_kji_to_lps)


def test_simpleitk_places_every_voxel_where_the_geometry_does(noise: np.ndarray) -> None:
    image = to_sitk(noise, OBLIQUE)

    assert image.TransformIndexToPhysicalPoint((6, 2, 3)) == pytest.approx(OBLIQUE.to_lps_mm((3, 2, 6)))


def test_a_bool_array_becomes_a_label_image() -> None:
    assert to_sitk(np.ones((2, 2, 2), bool), Geometry((2, 2, 2), (0, 0, 0), (1, 1, 1))).GetPixelID() == sitk.sitkUInt8


def test_an_array_resampled_onto_its_own_grid_is_unchanged(noise: np.ndarray) -> None:
    assert resample(noise, OBLIQUE, OBLIQUE) == pytest.approx(noise, abs=1e-5)


def test_outside_of_the_source_is_what_was_asked_for(noise: np.ndarray) -> None:
    away = Geometry((2, 2, 2), (500.0, 0.0, 0.0), (1.0, 1.0, 1.0))

    assert np.all(resample(noise, OBLIQUE, away, outside=-7.0) == -7.0)


def test_the_transform_takes_points_of_the_target_to_points_of_the_source() -> None:
    grid = Geometry((5, 5, 5), (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
    array = np.zeros(grid.shape_kji, np.float32)
    array[2, 2, 3] = 1.0

    moved = resample(array, grid, grid, transform=sitk.TranslationTransform(3, (1.0, 0.0, 0.0)))

    assert np.argwhere(moved == 1.0).tolist() == [[2, 2, 2]]


@contextmanager
def no_room() -> Iterator[None]:
    """No file can grow beyond 4 kB, as on a full disk; that of the test's own output neither."""
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def _shift() -> sitk.Transform:
    field = sitk.GetImageFromArray(np.zeros((20, 20, 20, 3)), isVector=True)
    return sitk.CompositeTransform([sitk.AffineTransform(3), sitk.DisplacementFieldTransform(field)])


@pytest.mark.parametrize(
    "write",
    [
        lambda folder: write_image(sitk.AdditiveGaussianNoise(sitk.Image([40] * 3, sitk.sitkInt16)), folder / "a.nrrd"),
        lambda folder: write_transform(_shift(), folder / "a.h5"),
    ],
    ids=["image", "transform"],
)
def test_a_full_disk_is_an_error_of_the_operating_system_that_names_the_file(
    write: Callable[[Path], None], tmp_path: Path
) -> None:
    with pytest.raises(OSError, match="too large"), no_room():
        write(tmp_path)


def test_a_transform_comes_back_as_it_was_written(tmp_path: Path) -> None:
    write_transform(_shift(), tmp_path / "a.h5")
    assert sitk.ReadTransform(str(tmp_path / "a.h5")).GetParameters() == _shift().GetParameters()
