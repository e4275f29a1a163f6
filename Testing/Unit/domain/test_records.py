from __future__ import annotations

import numpy as np
import pytest

from LungNoduleCADLib.domain.ct import CtVolume
from LungNoduleCADLib.domain.geometry import Geometry
from LungNoduleCADLib.domain.lung_rads import LungRadsCategory
from LungNoduleCADLib.domain.masks import Lung, LungMask, NoduleMask
from LungNoduleCADLib.domain.nodule import AxialAxes, Saliency
from LungNoduleCADLib.domain.provenance import Method
from LungNoduleCADLib.domain.study import SeriesDescription

GRID = Geometry((4, 5, 6), (10.0, 20.0, 30.0), (2.0, 0.5, 0.5))
METHOD = Method("hand", "1")
NOWHERE = ((0.0, 0.0, 0.0), (0.0, 0.0, 0.0))


@pytest.mark.parametrize(
    ("long_mm", "short_mm", "mean_mm"),
    [(6.2, 5.7, 6.0), (6.1, 5.8, 6.0), (8.0, 8.1, 8.1), (5.9, 6.0, 6.0), (7.9, 8.0, 8.0), (6.0, 5.8, 5.9)],
)
def test_the_mean_diameter_is_rounded_half_up_to_a_tenth(long_mm: float, short_mm: float, mean_mm: float) -> None:
    assert AxialAxes(long_mm, short_mm, 0, NOWHERE, NOWHERE).mean_diameter_mm == mean_mm


def test_a_nodule_mask_lies_where_its_box_starts() -> None:
    voxels = np.zeros((2, 3, 3), bool)
    voxels[0, 1, 1] = voxels[1, 1, 1] = True
    mask = NoduleMask(voxels, (1, 2, 3), GRID, METHOD)
    whole = np.zeros(GRID.shape_kji, bool)
    whole[mask.box] = voxels

    assert mask.centroid_lps_mm() == pytest.approx(GRID.to_lps_mm(np.argwhere(whole).mean(axis=0)))
    assert mask.box_geometry.shape_kji == (2, 3, 3)
    assert mask.box_geometry.to_lps_mm((0, 1, 1)) == pytest.approx(GRID.to_lps_mm((1, 3, 4)))


@pytest.mark.parametrize(
    "hu", [np.zeros((4, 5, 7), np.int16), np.zeros((4, 5, 6), np.float32), np.zeros((4, 5, 6), np.int32)]
)
def test_a_ct_of_another_shape_or_type_is_refused(hu: np.ndarray) -> None:
    with pytest.raises(ValueError, match="expected int16 HU of shape"):
        CtVolume(hu, GRID, SeriesDescription("1.2"))


@pytest.mark.parametrize("labels", [np.zeros((4, 5, 7), np.uint8), np.zeros((4, 5, 6), bool)])
def test_a_lung_mask_of_another_shape_or_type_is_refused(labels: np.ndarray) -> None:
    with pytest.raises(ValueError, match="expected uint8 labels of shape"):
        LungMask(labels, GRID, METHOD)


def test_each_lung_has_its_own_volume() -> None:
    labels = np.zeros(GRID.shape_kji, np.uint8)
    labels[0] = Lung.RIGHT
    labels[1, :2] = Lung.LEFT
    lungs = LungMask(labels, GRID, METHOD)

    assert lungs.volume_ml(Lung.RIGHT) == pytest.approx(30 * 0.5 / 1000)
    assert lungs.volume_ml(Lung.LEFT) == pytest.approx(12 * 0.5 / 1000)


def test_categories_sort_by_suspicion() -> None:
    names = ["4X", "1", "4A", "0", "3", "4B", "2"]

    assert sorted(map(LungRadsCategory, names), key=lambda c: c.suspicion) == ["0", "1", "2", "3", "4A", "4B", "4X"]


@pytest.mark.parametrize(
    ("probabilities", "low"),
    [((0.5, 0.5), False), ((0.49, 0.9), True), ((0.9, 0.49), True), ((None, 0.9), False), ((None, None), False)],
)
def test_a_malignancy_score_is_low_where_the_reported_or_the_explained_one_is(
    probabilities: tuple[float | None, float | None], low: bool
) -> None:
    assert Saliency.score_is_low(*probabilities) is low
