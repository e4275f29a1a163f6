"""Cubes for the detector: everything marked in them is labelled, wherever it lies."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from LungNoduleCADLib.domain.ct import CtVolume
from LungNoduleCADLib.domain.geometry import Geometry
from LungNoduleCADLib.domain.masks import LungMask
from LungNoduleCADLib.domain.nodule import NoduleType
from LungNoduleCADLib.domain.provenance import Method
from LungNoduleCADLib.imaging.patch import patch_geometry
from LungNoduleCADLib.training import detection_samples
from LungNoduleCADLib.training.data import Mark, MarkedScan
from LungNoduleCADLib.training.detection_samples import (
    UNKNOWN,
    Marked,
    detection_cubes,
    marks_of_scan,
    occupancy_on,
)
from LungNoduleCADLib.training.losses import segmentation_loss
from LungNoduleCADLib.training.lung_background import Donor
from LungNoduleCADLib.training.nodule_pack import NodulePack
from LungNoduleCADLib.training.train_detector import decidedness

GRID = patch_geometry((0.0, 0.0, 0.0), 32, 1.0)
SPACING = (2.0, 0.8, 0.8)
RECIPE = {
    "samples": {
        "size": 32,
        "backgrounds_each": 2,
        "beside_each_nodule": 1,
        "phantoms": {"first_seed": 1000, "count": 0, "background_each": 0},
    },
    "folds": {"cross_fitted": [0, 3]},
}


def volume_mm3(occupancy: np.ndarray) -> float:
    return float(occupancy.sum())


def test_a_tiny_nodule_is_at_least_a_ball_of_three_millimetres() -> None:
    one_voxel = np.pad(np.ones((1, 1, 1), np.float32), 1)
    place = Geometry((3, 3, 3), (3.0, 4.0, 5.0), (1.0, 1.0, 1.0))
    centre = (4.0, 5.0, 6.0)

    occupancy = occupancy_on(GRID, [Marked(centre, "n", one_voxel, place)])

    assert volume_mm3(occupancy) == pytest.approx(4 / 3 * np.pi * 27, rel=0.05)
    middle = np.argwhere(occupancy > 0.5).mean(axis=0)
    assert GRID.to_lps_mm(middle) == pytest.approx(centre, abs=0.1)


def test_a_mark_without_an_outline_is_neither_nodule_nor_background_but_hides_no_nodule() -> None:
    nodule = Marked((0.0, 0.0, 0.0), "n", np.ones((9, 9, 9), np.float32), Geometry((9,) * 3, (-4.0,) * 3, (1.0,) * 3))

    occupancy = occupancy_on(GRID, [nodule, Marked((4.0, 0.0, 0.0)), Marked((-10.0, 0.0, 0.0))])

    assert occupancy[16, 16, 18] == 1.0
    assert occupancy[16, 16, 6] == UNKNOWN
    assert occupancy[2, 2, 2] == 0.0


def test_what_lies_elsewhere_marks_nothing_here() -> None:
    far = Marked(
        (90.0, 0.0, 0.0), "n", np.ones((9, 9, 9), np.float32), Geometry((9,) * 3, (86.0, -4.0, -4.0), (1.0,) * 3)
    )

    assert not occupancy_on(GRID, [far]).any()


def test_nothing_is_learned_where_nobody_knows() -> None:
    occupancy = torch.zeros(1, 1, 8, 8, 8)
    occupancy[..., :4] = UNKNOWN
    here, there = torch.full_like(occupancy, -3.0), torch.full_like(occupancy, -3.0)
    here[..., :4] = 9.0
    there[..., 4:] = 9.0

    def loss(logits: torch.Tensor) -> float:
        return float(segmentation_loss(logits, occupancy, weight=decidedness(occupancy))["total"])

    quiet = loss(torch.full_like(occupancy, -3.0))
    assert loss(here) == pytest.approx(quiet)
    assert loss(there) > quiet + 1.0


def test_a_nodule_that_nobody_outlined_is_a_ball_of_its_diameter(
    pack: NodulePack, ct_of: Callable[..., CtVolume]
) -> None:
    ct = ct_of(np.full((30, 60, 60), -888.0), SPACING)
    lungs = LungMask(np.ones(ct.hu.shape, np.uint8), ct.geometry, Method("all", "1"))
    mark = Mark("of another source", 3, (2.0, 1.0, 0.0), 10.0, NoduleType.SOLID)

    occupancy = occupancy_on(GRID, marks_of_scan(pack, MarkedScan("s", ct, lungs, (mark,))))

    assert volume_mm3(occupancy) == pytest.approx(4 / 3 * np.pi * 125, rel=0.05)


@pytest.fixture
def lung(ct_of: Callable[..., CtVolume]) -> Donor:
    ct = ct_of(np.full((60, 90, 90), -888.0), SPACING)
    return Donor(ct, LungMask(np.ones(ct.hu.shape, np.uint8), ct.geometry, Method("all", "1")), np.zeros((0, 4)))


def test_cubes_of_a_pack_label_what_is_dense_in_them_and_nothing_else(
    pack: NodulePack, lung: Donor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(detection_samples, "PLACES_EACH", 20)

    cubes = list(detection_cubes(pack, [], {-1: [lung], 0: [lung]}, RECIPE, 1.0, np.random.default_rng(0)))

    names = [sample.nodule_id for *_, sample in cubes]
    assert sorted(name for name in names if name) == sorted(2 * [n.nodule_id for n in pack.nodules])
    assert {sample.background_fold for *_, sample in cubes} == {-1, 0}
    for hu, occupancy, sample in cubes:
        assert hu.shape == occupancy.shape == (32, 32, 32)
        assert not (occupancy[hu < -850] > 0.9).any() or sample.nodule_id
        assert np.all(occupancy[hu > -300] > 0.1), "a nodule taken for background"
        if sample.nodule_id:
            assert occupancy[16, 16, 16] == 1.0


def test_cubes_of_a_scan_lie_around_its_marks_and_away_from_them(
    pack: NodulePack, ct_of: Callable[..., CtVolume], monkeypatch: pytest.MonkeyPatch
) -> None:
    block, nodule = pack.load(pack.nodules[0]), pack.nodules[0]
    hu = np.full((60, 260, 360), -888.0)
    start = nodule.start_kji
    hu[tuple(slice(s, s + n) for s, n in zip(start, block.hu.shape, strict=True))] = block.hu
    ct = ct_of(hu, SPACING)
    centre = tuple(float(v) for v in ct.geometry.to_lps_mm(np.add(nodule.centre_kji, start)))
    lungs = LungMask(np.ones(hu.shape, np.uint8), ct.geometry, Method("all", "1"))
    mark = Mark(nodule.nodule_id, 3, centre, 10.0, NoduleType.SOLID)
    small = np.add([centre], (20.0, 0.0, 0.0))
    scan = MarkedScan("s", ct, lungs, (mark,), 0, small)
    beside = np.add(centre, (0.0, 25.0, 0.0))
    candidates = [type("C", (), {"centre_lps_mm": tuple(place)}) for place in (centre, small[0], beside)]
    monkeypatch.setattr(detection_samples, "find_candidates", lambda *_: candidates)

    (of_mark, of_candidate) = detection_samples._scan_cubes(pack, scan, 0, 32, 1.0)

    assert len(marks_of_scan(pack, scan)) == 2
    assert (of_mark[2].nodule_id, of_mark[2].patient) == (nodule.nodule_id, nodule.patient_id)
    assert of_mark[1][16, 16, 16] == 1.0
    assert volume_mm3(of_mark[1] > 0.9) == pytest.approx(4 / 3 * np.pi * 125, rel=0.35)
    assert (of_candidate[2].nodule_id, of_candidate[2].fold) == ("", 0)
    assert not of_candidate[1].any()
