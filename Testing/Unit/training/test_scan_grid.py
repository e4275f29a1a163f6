from __future__ import annotations

from collections.abc import Callable
from itertools import product

import numpy as np
import pytest
import SimpleITK as sitk

from LungNoduleCADLib.dicom.load import load_ct
from LungNoduleCADLib.domain.ct import CtVolume
from LungNoduleCADLib.domain.geometry import Geometry
from LungNoduleCADLib.errors import InputError
from LungNoduleCADLib.imaging.sitk_bridge import to_sitk
from LungNoduleCADLib.training.scan_grid import LastScan, context_box, cut_box, loaded_grid

SHAPE = (12, 30, 40)


@pytest.mark.parametrize("signs", list(product((1.0, -1.0), repeat=3)))
def test_the_grid_told_from_a_header_is_that_of_the_loaded_scan(tmp_path, signs: tuple[float, ...]) -> None:
    turn = np.deg2rad(3.0)
    slanted = np.array([[np.cos(turn), -np.sin(turn), 0], [np.sin(turn), np.cos(turn), 0], [0, 0, 1.0]])
    stored = Geometry(SHAPE, (3.0, -4.0, 5.0), (2.0, 0.7, 0.9), tuple((slanted * signs).ravel()))
    hu = np.full(SHAPE, -900, np.int16)
    hu[:, 10:20, 10:20] = 30
    sitk.WriteImage(to_sitk(hu, stored), tmp_path / "scan.mha")

    loaded, told = load_ct(tmp_path / "scan.mha").geometry, loaded_grid(stored)

    assert told.shape_kji == loaded.shape_kji
    assert told.affine_kji_to_lps == pytest.approx(loaded.affine_kji_to_lps, abs=1e-5)


def test_a_scan_that_is_not_axial_has_no_such_grid() -> None:
    with pytest.raises(InputError, match="not axial"):
        loaded_grid(Geometry(SHAPE, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0), (0, 0, 1, 1, 0, 0, 0, 1, 0)))


def test_a_box_has_40_mm_around_it_as_far_as_the_scan_goes() -> None:
    grid = Geometry((100, 200, 200), (0.0, 0.0, 0.0), (4.0, 1.0, 2.0))

    box = context_box(grid, np.array([20, 10, 195]), np.array([22, 12, 199]))

    assert box == (slice(10, 33), slice(0, 53), slice(175, 200))


def test_a_scan_that_lies_elsewhere_than_its_header_said_is_refused(ct_of: Callable[..., CtVolume]) -> None:
    ct = ct_of(np.arange(27).reshape(3, 3, 3))
    box = (slice(0, 2), slice(1, 3), slice(0, 3))

    hu, grid = cut_box(ct, ct.geometry, box)

    assert hu.tolist() == (ct.hu[0:2, 1:3, 0:3] // 8 * 8).tolist()
    assert grid.origin_lps_mm == (0.0, 1.0, 0.0)
    with pytest.raises(InputError, match="has changed since it was opened"):
        cut_box(ct, ct.geometry.crop((0, 0, 1), (3, 3, 3)), box)


def test_a_scan_is_read_again_only_after_another(ct_of: Callable[..., CtVolume]) -> None:
    read: list[str] = []

    def reader(uid: str) -> Callable[[], CtVolume]:
        return lambda: (read.append(uid), ct_of(np.zeros((1, 1, 1))))[1]

    last = LastScan()
    for uid in ("a", "a", "b", "a"):
        last.get(uid, reader(uid))

    assert read == ["a", "b", "a"]
