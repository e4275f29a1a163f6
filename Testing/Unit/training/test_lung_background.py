from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from LungNoduleCADLib.domain.ct import CtVolume
from LungNoduleCADLib.domain.masks import LungMask
from LungNoduleCADLib.domain.provenance import Method
from LungNoduleCADLib.training.lung_background import Donor, LungBackground
from LungNoduleCADLib.training.nodule_pack import NodulePack

SIZE, SPACING_MM = 56, 0.8
LUNG_HU = -896.0


@pytest.fixture
def donor(ct_of: Callable[..., CtVolume]) -> Callable[[float], Donor]:
    """Flat lung of a given HU."""

    def make(hu: float) -> Donor:
        ct = ct_of(np.full((40, 60, 60), hu), (3.0, 2.0, 2.0))
        labels = np.zeros(ct.hu.shape, np.uint8)
        labels[10:30, 15:45, 15:45] = 1  # cubes around these places stay inside of the scan
        return Donor(ct, LungMask(labels, ct.geometry, Method("middle", "1")), np.empty((0, 4)))

    return make


def background(donors: list[Donor]) -> LungBackground:
    return LungBackground(donors, SIZE, SPACING_MM, 60, np.random.default_rng(0))


def test_the_block_keeps_its_pixels_and_the_nodule_its_volume(pack: NodulePack, donor: Callable) -> None:
    nodule = pack.nodules[0]

    hu, occupancy = background([donor(-850)]).set_into(pack.load(nodule), nodule.centre_kji)

    middle = SIZE // 2
    assert hu.shape == occupancy.shape == (SIZE,) * 3
    assert hu[middle, middle, middle] == pytest.approx(40, abs=1)
    assert occupancy[middle, middle, middle] == pytest.approx(1.0)
    assert hu[middle, middle, middle + 15] == pytest.approx(LUNG_HU, abs=1)
    assert occupancy.sum() * SPACING_MM**3 == pytest.approx(nodule.volume_mm3, rel=0.03)


def test_background_is_shifted_to_the_blocks_own_lung_so_that_no_seam_shows(pack: NodulePack, donor: Callable) -> None:
    hu, _ = background([donor(-850)]).set_into(pack.load(pack.nodules[0]), pack.nodules[0].centre_kji)

    assert hu[0] == pytest.approx(np.full((SIZE, SIZE), LUNG_HU), abs=1)


def test_background_is_shifted_by_eighty_hu_at_most(pack: NodulePack, donor: Callable) -> None:
    hu, _ = background([donor(-700)]).set_into(pack.load(pack.nodules[0]), pack.nodules[0].centre_kji)

    assert hu[0] == pytest.approx(np.full((SIZE, SIZE), -780.0), abs=1)


def test_a_disc_keeps_the_blocks_pixels_near_the_nodule_only(pack: NodulePack, donor: Callable) -> None:
    nodule = pack.nodules[0]

    hu, occupancy = background([donor(-700)]).set_into(pack.load(nodule), nodule.centre_kji, disc_radius_mm=9.0)

    middle = SIZE // 2
    assert hu[middle, middle, middle] == pytest.approx(40, abs=1)
    assert hu[middle, middle, middle + 10] == pytest.approx(LUNG_HU, abs=1)
    assert hu[middle, middle, middle + 20] == pytest.approx(-780, abs=1)
    assert occupancy.sum() * SPACING_MM**3 == pytest.approx(nodule.volume_mm3, rel=0.03)


def test_without_donors_the_blocks_ends_are_continued(pack: NodulePack) -> None:
    nodule = pack.nodules[0]
    block = pack.load(nodule)

    hu, occupancy = background([]).set_into(block, nodule.centre_kji)

    middle = SIZE // 2
    assert hu[0, middle, middle] == pytest.approx(float(block.hu[0, 37, 37]), abs=1)
    assert occupancy[0].max() == 0.0
    assert occupancy.sum() * SPACING_MM**3 == pytest.approx(nodule.volume_mm3, rel=0.03)


def test_background_keeps_away_from_marked_places(ct_of: Callable[..., CtVolume], pack: NodulePack) -> None:
    """Dense on one side, which is marked."""
    hu = np.full((30, 40, 40), 500.0)
    hu[:, :, 20:] = -850
    ct = ct_of(hu, (3.0, 2.0, 2.0))
    lungs = LungMask(np.ones(ct.hu.shape, np.uint8), ct.geometry, Method("all", "1"))
    marks = np.array([[-60.0, 40.0, 45.0, 130.0]])

    cubes = LungBackground([Donor(ct, lungs, marks)], 16, SPACING_MM, 60, np.random.default_rng(0))
    found, _ = cubes.set_into(pack.load(pack.nodules[0]), pack.nodules[0].centre_kji, disc_radius_mm=1.0)

    assert found.max() < 100
