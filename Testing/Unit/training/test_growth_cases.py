"""Simulated follow-up: the change that is put in is the change that is in the images."""

from __future__ import annotations

import numpy as np
import pytest

from LungNoduleCADLib.domain.geometry import Geometry
from LungNoduleCADLib.domain.masks import LungMask
from LungNoduleCADLib.domain.nodule import NoduleType
from LungNoduleCADLib.domain.provenance import Method
from LungNoduleCADLib.training.growth_cases import APART_MM, Acquisition, Breath, Source, noise, places_in, scanned

GRID = Geometry((80, 80, 80), (-31.6, -31.6, -31.6), (0.8, 0.8, 0.8))
DIAMETER_MM = 9.0
QUIET = Acquisition(1.25, 0.7, 1.0)


@pytest.fixture
def breath() -> Breath:
    return Breath.drawn(np.random.default_rng(3), np.array([0.0, 0.0, -150.0]))


@pytest.fixture(scope="module")
def source() -> Source:
    """A ball of 0 HU in lung of -900 HU."""
    lps = GRID.to_lps_mm(np.moveaxis(np.indices(GRID.shape_kji), 0, -1))
    share = np.clip((DIAMETER_MM / 2 - np.linalg.norm(lps, axis=-1)) / 0.8 + 0.5, 0, 1)
    return Source("ball", "nobody", NoduleType.SOLID, DIAMETER_MM, -900 + 900 * share, GRID, DIAMETER_MM / 2)


def volume_mm3(ct) -> float:
    """By the share of each voxel that is not lung."""
    near = np.linalg.norm(ct.geometry.to_lps_mm(np.moveaxis(np.indices(ct.hu.shape), 0, -1)), axis=-1) < 12
    return float(np.clip((ct.hu[near] + 900) / 900, 0, 1).sum()) * ct.geometry.voxel_volume_mm3


def test_a_breath_is_undone_by_its_inverse_and_folds_nowhere(breath: Breath) -> None:
    rng = np.random.default_rng(0)
    points = rng.uniform((-140, -100, -300), (140, 100, 0), (200, 3))

    assert np.abs(breath.to_prior(breath.to_current(points)) - points).max() < 1e-3
    steps = np.stack(
        [breath.to_prior(points + np.eye(3)[axis]) - breath.to_prior(points) for axis in range(3)], axis=-1
    )
    assert np.linalg.det(steps).min() > 0.5


@pytest.mark.parametrize("factor", [0.5, 1.0, 1.3, 3.0])
@pytest.mark.parametrize("acquisition", [QUIET, Acquisition(2.5, 0.6, 1.0)])
def test_the_nodule_changes_by_the_factor_whatever_the_lung_does(
    source: Source, breath: Breath, factor: float, acquisition: Acquisition
) -> None:
    rng = np.random.default_rng(1)
    before = scanned(source, acquisition, rng)
    after = scanned(source, acquisition, rng, factor, breath, np.array([40.0, -20.0, -120.0]))

    assert volume_mm3(before) == pytest.approx(np.pi / 6 * DIAMETER_MM**3, rel=0.05)
    assert volume_mm3(after) / volume_mm3(before) == pytest.approx(factor, rel=0.04)
    assert (
        before.geometry.spacing_kji_mm
        == after.geometry.spacing_kji_mm
        == (acquisition.slice_mm, *[acquisition.pixel_mm] * 2)
    )
    assert before.geometry.origin_lps_mm != after.geometry.origin_lps_mm


def test_thick_slices_blur_along_the_body_and_noise_is_as_asked(source: Source) -> None:
    rng = np.random.default_rng(2)
    loud = noise((20, 64, 64), 25.0, rng)

    assert loud.std() == pytest.approx(25.0, rel=0.01)
    assert np.corrcoef(loud[:, :, 1:].ravel(), loud[:, :, :-1].ravel())[0, 1] > 0.2
    thin, thick = (scanned(source, Acquisition(mm, 0.7, 1.0), rng).hu.max() for mm in (1.25, 5.0))
    assert thick < thin + 20


def test_slices_are_not_made_thinner_than_they_were() -> None:
    rng = np.random.default_rng(0)

    assert {Acquisition.drawn(rng, 2.5).slice_mm for _ in range(30)} <= {2.5, 3.0}
    assert {Acquisition.drawn(rng, 0.7).slice_mm for _ in range(60)} == {1.0, 1.25, 2.0}


def test_places_lie_in_the_lungs_apart_from_each_other_and_from_what_was_marked() -> None:
    labels = np.zeros((40, 60, 60), np.uint8)
    labels[5:35, 10:50, 10:50] = 1
    geometry = Geometry(labels.shape, (0.0, 0.0, 0.0), (2.0, 1.5, 1.5))
    lungs = LungMask(labels, geometry, Method("box", "1"))
    marked = np.array([[45.0, 45.0, 40.0, 8.0]])

    places = list(places_in(geometry, lungs, np.random.default_rng(0), marked))

    assert len(places) > 10
    everything = np.array([*places, marked[0, :3]])
    distances = np.linalg.norm(everything[:, None] - everything[None], axis=-1)
    assert distances[~np.eye(len(everything), dtype=bool)].min() >= APART_MM
    for place in places:
        assert labels[tuple(np.rint(geometry.to_kji(place)).astype(int))] == 1
