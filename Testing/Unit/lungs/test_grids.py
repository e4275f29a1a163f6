"""Outlines on the scan's grid are the same whether the whole scan is looked at or the boxes of the labels."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy import ndimage

from LungNoduleCADLib.domain.ct import CtVolume
from LungNoduleCADLib.domain.geometry import Geometry
from LungNoduleCADLib.imaging.sitk_bridge import resample
from LungNoduleCADLib.lungs.grids import (
    AIR_BELOW_HU,
    AIR_OUTLINE_AT,
    OUTLINE_AT,
    SMOOTH_MM,
    native_labels,
    on_coarse_grid,
)

TURNED = (0.9848, -0.1736, 0.0, 0.1736, 0.9848, 0.0, 0.0, 0.0, 1.0)


def test_labels_in_boxes_are_those_of_the_whole_scan(ct_of: Callable[..., CtVolume]) -> None:
    noise = ndimage.gaussian_filter(np.random.default_rng(0).normal(size=(24, 60, 64)), 3)
    ct = ct_of(np.where(noise > 0, -850, 40), (2.5, 0.9, 0.9), (-20.0, 7.0, 3.0), TURNED)
    grid = Geometry((30, 27, 28), (-20.0, 7.0, 3.0), (2.0, 2.0, 2.0), TURNED)
    shares = {label: np.zeros(grid.shape_kji, bool) for label in (1, 2, 3)}
    shares[1][4:20, 3:14, 0:9] = True
    shares[2][6:30, 8:20, 10:28] = True

    found = native_labels(shares, grid, ct)

    expected, best = np.zeros(ct.hu.shape, np.uint8), np.full(ct.hu.shape, AIR_OUTLINE_AT, np.uint8)
    for label, coarse in shares.items():
        soft = (ndimage.gaussian_filter(coarse.astype(np.float32), SMOOTH_MM / 2.0) * 250).astype(np.uint8)
        share = resample(soft, grid, ct.geometry)
        mine = (share > best) & ((share > OUTLINE_AT) | (ct.hu < AIR_BELOW_HU))
        expected[mine], best[mine] = label, share[mine]
    assert set(np.unique(expected)) == {0, 1, 2}
    assert np.array_equal(found, expected)


def test_the_share_of_a_mask_on_a_coarse_grid_is_its_block_average() -> None:
    mask = ndimage.gaussian_filter(np.random.default_rng(1).normal(size=(25, 61, 64)), 2) > 0
    fine = Geometry(mask.shape, (-20.0, 7.0, 3.0), (1.25, 0.61, 0.61), TURNED)  # type: ignore[arg-type]

    share, grid = on_coarse_grid(mask, fine, 3.0)

    average, same_grid = on_coarse_grid(mask.astype(np.float32), fine, 3.0)
    assert grid == same_grid
    assert np.array_equal(share > 0.5, average > 0.5)
    np.testing.assert_allclose(share, average, atol=1e-6)
