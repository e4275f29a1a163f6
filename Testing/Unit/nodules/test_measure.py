"""Sizes, density and place of shapes whose truth is known by formula."""

from __future__ import annotations

import numpy as np
import pytest

from LungNoduleCADLib.domain.ct import CtVolume
from LungNoduleCADLib.domain.geometry import Geometry
from LungNoduleCADLib.domain.masks import LungMask, NoduleMask, Side
from LungNoduleCADLib.domain.provenance import Method
from LungNoduleCADLib.domain.study import SeriesDescription
from LungNoduleCADLib.errors import InputError
from LungNoduleCADLib.nodules.measure import measure_nodule, nodule_volume_mm3

METHOD = Method("test", "0")
# Slices tilted by 30 degrees about the patient's left-right axis.
TILTED = (1.0, 0.0, 0.0, 0.0, np.cos(np.pi / 6), -np.sin(np.pi / 6), 0.0, np.sin(np.pi / 6), np.cos(np.pi / 6))
UPRIGHT = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)


def grid(spacing_kji_mm, extent_mm=60.0, direction=UPRIGHT) -> Geometry:
    shape = tuple(round(extent_mm / s) for s in spacing_kji_mm)
    return Geometry(shape, (-31.0, 12.0, -200.0), spacing_kji_mm, direction)


def ellipsoid(geometry: Geometry, centre_kji, semi_kji_mm, samples=1) -> np.ndarray:
    """Share of each voxel inside an ellipsoid aligned with the grid, from ``samples`` points an axis."""
    shifts = (np.arange(samples) - (samples - 1) / 2) / samples
    inside = np.zeros(geometry.shape_kji, np.float32)
    squares = [
        [((np.arange(n) + shift - c) * s / r) ** 2 for shift in shifts]
        for n, s, c, r in zip(geometry.shape_kji, geometry.spacing_kji_mm, centre_kji, semi_kji_mm, strict=True)
    ]
    for along_k in squares[0]:
        for along_j in squares[1]:
            for along_i in squares[2]:
                inside += along_k[:, None, None] + along_j[:, None] + along_i <= 1.0
    return inside / samples**3


def middle(geometry: Geometry, offset=(0.3, -0.2, 0.1)) -> np.ndarray:
    return np.array(geometry.shape_kji) // 2 + np.array(offset)


def boxed(filling: np.ndarray, geometry: Geometry, *, with_occupancy=False) -> NoduleMask:
    marks = np.argwhere(filling > 0)
    start, stop = marks.min(axis=0), marks.max(axis=0) + 1
    cut = filling[tuple(slice(a, b) for a, b in zip(start, stop, strict=True))]
    return NoduleMask(
        cut >= 0.5, tuple(int(v) for v in start), geometry, METHOD, cut.astype(np.float32) if with_occupancy else None
    )


def ct_of(hu: np.ndarray, geometry: Geometry) -> CtVolume:
    return CtVolume(hu.astype(np.int16), geometry, SeriesDescription("1.2.3"))


def all_lung(geometry: Geometry, label=1) -> LungMask:
    return LungMask(np.full(geometry.shape_kji, label, np.uint8), geometry, METHOD)


def measured(filling, geometry, *, hu=None, lungs=None, with_occupancy=False):
    hu = np.where(filling >= 0.5, 20, -860) if hu is None else hu
    mask = boxed(filling, geometry, with_occupancy=with_occupancy)
    return measure_nodule(ct_of(hu, geometry), lungs or all_lung(geometry), mask)


@pytest.mark.parametrize("spacing", [(1.25, 0.7, 0.7), (2.5, 0.8, 0.8)])
@pytest.mark.parametrize("diameter_mm", [4.0, 8.0, 15.0, 30.0])
def test_the_volume_of_a_ball_is_right_with_partial_volumes(spacing, diameter_mm):
    geometry = grid(spacing, diameter_mm + 12.0)
    filling = ellipsoid(geometry, middle(geometry), (diameter_mm / 2,) * 3, samples=5)
    volume = nodule_volume_mm3(boxed(filling, geometry, with_occupancy=True))
    assert volume == pytest.approx(np.pi / 6 * diameter_mm**3, rel=0.02)


@pytest.mark.parametrize("diameter_mm", [4.0, 6.0, 10.0, 20.0])
def test_counting_voxels_of_a_ball_is_unbiased_over_its_position_in_the_grid(diameter_mm):
    geometry = grid((1.25, 0.7, 0.7), diameter_mm + 8.0)
    generator = np.random.default_rng(7)
    volumes = [
        nodule_volume_mm3(boxed(ellipsoid(geometry, middle(geometry, shift), (diameter_mm / 2,) * 3), geometry))
        for shift in generator.uniform(-0.5, 0.5, (40, 3))
    ]
    assert np.mean(volumes) == pytest.approx(np.pi / 6 * diameter_mm**3, rel=0.03)


@pytest.mark.parametrize("direction", [UPRIGHT, TILTED])
@pytest.mark.parametrize("spacing", [(1.0, 0.6, 0.6), (1.25, 0.9, 0.5)])
def test_axes_of_an_ellipsoid_lie_in_its_middle_slice_at_right_angles(spacing, direction):
    geometry = grid(spacing, 40.0, direction)
    centre = middle(geometry, (0.0, 0.2, -0.3))
    axes = measured(ellipsoid(geometry, centre, (4.0, 9.0, 6.0), samples=5), geometry, with_occupancy=True).axes
    assert axes.long_axis_mm == pytest.approx(18.0, abs=0.3)
    assert axes.short_axis_mm == pytest.approx(12.0, abs=0.3)
    assert axes.slice_index == int(centre[0])
    lines = axes.long_axis_lps_mm, axes.short_axis_lps_mm
    long_line, short_line = (np.subtract(*line) for line in lines)
    assert np.linalg.norm(long_line) == pytest.approx(axes.long_axis_mm, abs=0.051)
    assert np.linalg.norm(short_line) == pytest.approx(axes.short_axis_mm, abs=0.051)
    assert abs(long_line @ short_line) < 1e-6 * axes.long_axis_mm * axes.short_axis_mm
    assert np.allclose(np.mean(axes.long_axis_lps_mm, axis=0), geometry.to_lps_mm(centre), atol=0.4)
    assert np.allclose(geometry.to_kji(np.array(axes.long_axis_lps_mm))[:, 0], axes.slice_index, atol=1e-6)


def test_axes_of_a_binary_ball_are_within_a_pixel():
    geometry = grid((1.25, 0.7, 0.7), 24.0)
    axes = measured(ellipsoid(geometry, middle(geometry), (6.0,) * 3), geometry).axes
    assert axes.long_axis_mm == pytest.approx(12.0, abs=0.7)
    assert axes.short_axis_mm == pytest.approx(12.0, abs=0.7)


def test_a_speck_beside_the_nodule_does_not_lengthen_it():
    geometry = grid((1.25, 0.7, 0.7), 30.0)
    filling = ellipsoid(geometry, middle(geometry), (4.0,) * 3)
    alone = measured(filling, geometry).axes
    filling[geometry.shape_kji[0] // 2, 2, 2] = 1.0
    beside = measured(filling, geometry).axes
    assert (beside.long_axis_mm, beside.short_axis_mm) == (alone.long_axis_mm, alone.short_axis_mm)
    assert beside.slice_index == alone.slice_index


def test_one_voxel_is_as_wide_as_a_voxel():
    geometry = grid((1.25, 0.7, 0.7), 10.0)
    filling = np.zeros(geometry.shape_kji, np.float32)
    filling[4, 7, 7] = 1.0
    result = measured(filling, geometry)
    assert result.axes.long_axis_mm == 0.7
    assert result.volume_mm3 == pytest.approx(1.25 * 0.49)


def test_an_empty_outline_is_refused_in_words():
    geometry = grid((1.0, 1.0, 1.0), 10.0)
    mask = NoduleMask(np.zeros((3, 3, 3), bool), (2, 2, 2), geometry, METHOD)
    with pytest.raises(InputError, match="outline is empty"):
        measure_nodule(ct_of(np.full(geometry.shape_kji, -860), geometry), all_lung(geometry), mask)


def test_mass_is_volume_times_density():
    geometry = grid((1.0, 1.0, 1.0), 20.0)
    filling = ellipsoid(geometry, middle(geometry), (5.0,) * 3)
    result = measured(filling, geometry, hu=np.where(filling > 0, -400, -860))
    assert result.mean_hu == -400.0
    assert result.mass_mg == pytest.approx(result.volume_mm3 * 0.6)


def test_a_solid_core_in_ground_glass_is_measured_by_itself():
    geometry = grid((1.0, 0.7, 0.7), 36.0)
    whole = ellipsoid(geometry, middle(geometry), (10.0,) * 3, samples=3)
    core = ellipsoid(geometry, middle(geometry), (4.0,) * 3, samples=3)
    hu = -860 + 260 * whole + 620 * core
    result = measured(whole, geometry, hu=hu, with_occupancy=True)
    assert result.solid_volume_mm3 == pytest.approx(4 / 3 * np.pi * 4.0**3, rel=0.08)
    assert result.solid_axes.long_axis_mm == pytest.approx(8.0, abs=0.4)
    assert result.solid_axes.short_axis_mm == pytest.approx(8.0, abs=0.4)


def test_pure_ground_glass_has_no_solid_part_even_with_noise():
    geometry = grid((1.25, 0.7, 0.7), 30.0)
    whole = ellipsoid(geometry, middle(geometry), (9.0,) * 3, samples=3)
    noise = np.random.default_rng(3).normal(0.0, 60.0, geometry.shape_kji)
    result = measured(whole, geometry, hu=-860 + 240 * whole + noise, with_occupancy=True)
    assert result.solid_volume_mm3 is None
    assert result.solid_axes is None


def two_lungs(geometry: Geometry) -> LungMask:
    """Two boxes, 10 mm apart; low i is the patient's right."""
    labels = np.zeros(geometry.shape_kji, np.uint8)
    labels[5:-5, 10:-10, 10:55] = 1
    labels[5:-5, 10:-10, 65:110] = 2
    return LungMask(labels, geometry, METHOD)


@pytest.mark.parametrize(("gap_mm", "first_i"), [(0.0, 10), (2.0, 12), (15.0, 25)])
def test_distance_to_the_pleura_is_the_gap_between_the_surfaces(gap_mm, first_i):
    geometry = Geometry((80, 100, 120), (-60.0, -50.0, -40.0), (1.0, 1.0, 1.0))
    filling = np.zeros(geometry.shape_kji, np.float32)
    filling[38:42, 48:52, first_i : first_i + 5] = 1.0
    result = measured(filling, geometry, lungs=two_lungs(geometry))
    assert result.distance_to_pleura_mm == pytest.approx(gap_mm, abs=1e-6)
    assert result.side == Side.RIGHT


def test_the_other_lung_does_not_count_as_near():
    geometry = Geometry((80, 100, 120), (-60.0, -50.0, -40.0), (1.0, 1.0, 1.0), TILTED)
    filling = np.zeros(geometry.shape_kji, np.float32)
    filling[38:42, 48:52, 70:74] = 1.0
    result = measured(filling, geometry, lungs=two_lungs(geometry))
    assert result.side == Side.LEFT
    assert result.distance_to_pleura_mm == pytest.approx(5.0)


def test_a_nodule_just_outside_of_the_mask_belongs_to_the_nearest_lung_and_touches_it():
    geometry = Geometry((80, 100, 120), (-60.0, -50.0, -40.0), (1.0, 1.0, 1.0))
    filling = np.zeros(geometry.shape_kji, np.float32)
    filling[38:42, 48:52, 61:64] = 1.0
    result = measured(filling, geometry, lungs=two_lungs(geometry))
    assert result.side == Side.LEFT
    assert result.distance_to_pleura_mm == 0.0


def test_no_lung_at_all_leaves_the_place_open():
    geometry = grid((2.0, 1.0, 1.0), 20.0)
    result = measured(ellipsoid(geometry, middle(geometry), (4.0,) * 3), geometry, lungs=all_lung(geometry, 0))
    assert (result.side, result.zone, result.distance_to_pleura_mm) == (None, None, None)


@pytest.mark.parametrize(("slice_index", "zone"), [(10, "lower"), (38, "middle"), (66, "upper")])
def test_zone_is_the_third_of_the_lungs_height(slice_index, zone):
    geometry = Geometry((80, 100, 120), (-60.0, -50.0, -40.0), (1.0, 1.0, 1.0))
    filling = np.zeros(geometry.shape_kji, np.float32)
    filling[slice_index : slice_index + 3, 48:52, 30:34] = 1.0
    assert measured(filling, geometry, lungs=two_lungs(geometry)).zone == zone
