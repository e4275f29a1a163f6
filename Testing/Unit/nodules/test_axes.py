"""Rounding, and the line across the long axis."""

from __future__ import annotations

import numpy as np
import pytest

from LungNoduleCADLib.domain.geometry import Geometry
from LungNoduleCADLib.nodules.axes import axial_axes, round_to_tenth


@pytest.mark.parametrize(
    ("value", "rounded"),
    [(5.95, 6.0), (5.949, 5.9), (7.95, 8.0), (14.95, 15.0), (14.9499, 14.9), (0.05, 0.1), (6.0, 6.0)],
)
def test_half_a_tenth_rounds_up(value, rounded):
    assert round_to_tenth(value) == rounded


def test_mean_diameter_rounds_half_up_too():
    field = np.zeros((1, 14, 14))
    field[0, 4:6, 2:12] = 1.0
    axes = axial_axes(field, Geometry(field.shape, (0.0, 0.0, 0.0), (1.0, 0.5, 0.5)))
    assert axes is not None
    assert axes.mean_diameter_mm == round_to_tenth((axes.long_axis_mm + axes.short_axis_mm) / 2)


def test_the_short_axis_of_a_triangle_is_its_longest_chord_across_the_long_side():
    j, i = np.mgrid[:40, :60]
    # Long side 40 mm along i at j = 5, apex 15 mm above i = 40.
    inside = (j >= 5) & (i >= 10) & (j - 5 <= (i - 10) * 15 / 30) & (j - 5 <= (50 - i) * 15 / 10)
    axes = axial_axes(inside[None], Geometry((1, 40, 60), (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)))
    assert axes is not None
    assert axes.long_axis_mm == pytest.approx(41.0, abs=0.6)
    assert axes.short_axis_mm == pytest.approx(15.6, abs=0.8)
    assert np.array(axes.short_axis_lps_mm)[:, 0] == pytest.approx(40.0, abs=1.5)


def test_nothing_half_full_has_no_axes():
    assert axial_axes(np.full((2, 5, 5), 0.4), Geometry((2, 5, 5), (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))) is None


def test_a_shape_that_fills_its_box_is_measured_to_the_outer_edge():
    axes = axial_axes(np.ones((1, 4, 20), bool), Geometry((1, 4, 20), (0.0, 0.0, 0.0), (2.5, 0.5, 0.5)), first_slice=7)
    assert axes is not None
    assert axes.long_axis_mm == pytest.approx(np.hypot(10.0, 1.5), abs=0.15)
    assert axes.slice_index == 7
