from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from LungNoduleCADLib.domain.ct import CtVolume
from LungNoduleCADLib.imaging.patch import AIR_HU, extract_patch, patch_geometry, window

TURN = np.radians(25)
AXIAL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)
OBLIQUE = (1.0, 0.0, 0.0, 0.0, np.cos(TURN), -np.sin(TURN), 0.0, np.sin(TURN), np.cos(TURN))


def ramp(lps_mm: np.ndarray) -> np.ndarray:
    """HU that linear interpolation keeps exactly."""
    return lps_mm @ np.array([3.0, -2.0, 5.0])


@pytest.mark.parametrize("direction", [AXIAL, OBLIQUE], ids=["axial", "oblique"])
@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (2.5, 0.7, 0.7)], ids=["isotropic", "anisotropic"])
@pytest.mark.parametrize("size", [8, 9])
def test_every_voxel_of_a_patch_has_the_hu_of_its_place(
    ct_of: Callable[..., CtVolume], direction: tuple, spacing: tuple, size: int
) -> None:
    shape = tuple(round(40 / s) for s in spacing)
    grid = ct_of(np.zeros(shape), spacing, (-20.0, -15.0, 7.0), direction).geometry
    voxels = np.moveaxis(np.indices(shape), 0, -1)
    ct = ct_of(100 * np.rint(ramp(grid.to_lps_mm(voxels))) / 100, spacing, (-20.0, -15.0, 7.0), direction)
    point = tuple(float(v) for v in grid.to_lps_mm([n / 2 + 0.3 for n in shape]))
    target = patch_geometry(point, size, 0.8)

    patch = extract_patch(ct.hu, ct.geometry, target)

    middle = (size // 2,) * 3
    assert target.to_lps_mm(middle) == pytest.approx(point)
    assert patch[middle] == pytest.approx(ramp(np.array(point)), abs=1.0)
    assert patch == pytest.approx(ramp(target.to_lps_mm(np.moveaxis(np.indices((size,) * 3), 0, -1))), abs=1.0)


def test_the_voxel_at_the_point_shows_the_voxel_that_lies_there(ct_of: Callable[..., CtVolume]) -> None:
    hu = np.full((9, 9, 9), -900.0)
    hu[3, 5, 2] = 250
    ct = ct_of(hu, (2.5, 0.7, 0.7), (4.0, 5.0, 6.0), OBLIQUE)
    point = tuple(ct.geometry.to_lps_mm((3, 5, 2)))

    assert extract_patch(ct.hu, ct.geometry, patch_geometry(point, 4, 0.8))[2, 2, 2] == pytest.approx(250, abs=0.01)


def test_outside_of_the_ct_is_air(ct_of: Callable[..., CtVolume]) -> None:
    ct = ct_of(np.full((6, 6, 6), 40))

    half = extract_patch(ct.hu, ct.geometry, patch_geometry((0.0, 2.5, 2.5), 8, 1.0))
    away = extract_patch(ct.hu, ct.geometry, patch_geometry((300.0, 2.5, 2.5), 8, 1.0))

    assert np.all(half[:, :, :3] == AIR_HU)
    assert half[4, 4, 4] == 40
    assert np.all(away == AIR_HU)


def test_the_window_is_clipped_and_scaled() -> None:
    assert window(np.array([-2000, -1000, -200, 600, 900]), -1000, 600) == pytest.approx([0, 0, 0.5, 1, 1])
