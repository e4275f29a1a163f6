"""What is said of a doubtful lung mask."""

from __future__ import annotations

import numpy as np

from LungNoduleCADLib.domain.ct import CtVolume
from LungNoduleCADLib.domain.geometry import Geometry
from LungNoduleCADLib.domain.masks import LungMask
from LungNoduleCADLib.domain.provenance import Method
from LungNoduleCADLib.domain.study import SeriesDescription
from LungNoduleCADLib.lungs.quality import lung_quality

GEOMETRY = Geometry((60, 60, 60), (0.0, 0.0, 0.0), (5.0, 5.0, 5.0))  # 8 voxels a millilitre
RIGHT = np.s_[10:50, 10:50, 5:25]
LEFT = np.s_[10:50, 10:50, 35:53]


def blocks(right: tuple[slice, ...] | None = RIGHT, left: tuple[slice, ...] | None = LEFT) -> np.ndarray:
    labels = np.zeros(GEOMETRY.shape_kji, np.uint8)
    for value, box in ((1, right), (2, left)):
        if box is not None:
            labels[box] = value
    return labels


def codes(labels: np.ndarray, hu: np.ndarray | None = None) -> list[str]:
    hu = np.full(GEOMETRY.shape_kji, -850, np.int16) if hu is None else hu
    ct = CtVolume(hu, GEOMETRY, SeriesDescription(series_uid="1"))
    return [flag.code for flag in lung_quality(LungMask(labels, GEOMETRY, Method("test", "1")), ct)]


def test_plausible_lungs_raise_no_flag() -> None:
    assert codes(blocks()) == []


def test_an_empty_mask_is_said_to_be_empty() -> None:
    assert codes(blocks(None, None)) == ["no_lungs"]


def test_half_a_litre_is_implausible() -> None:
    assert codes(blocks(np.s_[20:40, 20:40, 15:20], np.s_[20:40, 20:40, 35:40])) == ["lung_volume_implausible"]


def test_eleven_litres_are_implausible() -> None:
    assert codes(blocks(np.s_[3:57, 3:57, 3:29], np.s_[3:57, 3:57, 31:57])) == ["lung_volume_implausible"]


def test_a_missing_lung_is_named() -> None:
    assert codes(blocks(left=None)) == ["one_lung_only"]


def test_lungs_of_very_different_size_are_flagged() -> None:
    assert codes(blocks(left=np.s_[10:50, 10:50, 35:42])) == ["lung_sides_unequal"]


def test_a_scan_that_ends_inside_the_lungs_is_flagged_at_that_end() -> None:
    assert codes(blocks(right=np.s_[0:40, 10:50, 5:25], left=np.s_[20:60, 10:50, 35:53])) == [
        "lungs_cut_at_bottom",
        "lungs_cut_at_top",
    ]


def test_a_mask_full_of_soft_tissue_is_flagged() -> None:
    hu = np.full(GEOMETRY.shape_kji, -850, np.int16)
    hu[:25] = 40
    assert codes(blocks(), hu) == ["lungs_poorly_aerated"]


def test_closed_holes_are_flagged() -> None:
    labels = blocks()
    labels[20:30, 20:30, 10:16] = 0
    assert codes(labels) == ["lung_mask_has_holes"]
