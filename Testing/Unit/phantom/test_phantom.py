"""The phantom keeps its promises: volumes, densities, places, growth, and valid DICOM."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pydicom
import pytest

from LungNoduleCADLib.dicom.load import load_ct
from LungNoduleCADLib.domain.comparison import Change
from LungNoduleCADLib.domain.masks import Side
from LungNoduleCADLib.phantom.anatomy import lung_distance
from LungNoduleCADLib.phantom.deformation import to_baseline, to_follow_up
from LungNoduleCADLib.phantom.dicom import write_dicom_series
from LungNoduleCADLib.phantom.nodules import (
    DEFAULT_NODULES,
    Shape,
    ball_volume_mm3,
    filled_share,
    place,
    share_of_voxels,
)
from LungNoduleCADLib.phantom.thorax import Phantom, make_phantom

COARSE = {"shape_kji": (88, 106, 106), "spacing_kji_mm": (2.5, 3.0, 3.0)}


@pytest.fixture(scope="module")
def baseline() -> Phantom:
    return make_phantom(3, **COARSE)


@pytest.fixture(scope="module")
def follow_up() -> Phantom:
    return make_phantom(3, True, **COARSE)


def test_a_lobulated_shape_has_the_volume_it_was_given() -> None:
    shape = Shape.of_volume(np.random.default_rng(1), 10.0, 0.14)
    box, inside, _ = filled_share(shape, np.array([20.3, 20.6, 19.9]), (40, 40, 40), (1.25, 0.8, 0.8))
    volume = share_of_voxels(inside).sum() * 1.25 * 0.8 * 0.8
    assert volume == pytest.approx(ball_volume_mm3(10.0), rel=0.005)
    assert inside.shape == tuple(5 * (s.stop - s.start) for s in box)


def test_the_deformation_is_undone_exactly_and_is_smooth_and_small() -> None:
    points = np.random.default_rng(0).uniform(-110, 110, (500, 3))
    there = to_follow_up(points)
    back = np.stack(to_baseline(*there.T), axis=-1)
    assert back == pytest.approx(points, abs=1e-3)
    assert 2.0 < np.linalg.norm(there - points, axis=1).mean() < 15.0
    step = to_follow_up(points + 0.1) - there
    assert np.all((step > 0.05) & (step < 0.15))  # no folding, no jump


def test_the_same_seed_gives_the_same_scan_and_another_seed_another(baseline: Phantom) -> None:
    again = make_phantom(3, **COARSE)
    assert np.array_equal(again.ct.hu, baseline.ct.hu)
    assert again.truth == baseline.truth
    here, elsewhere = (place(np.random.default_rng(seed), DEFAULT_NODULES) for seed in (3, 4))
    assert not np.allclose(here, elsewhere, atol=5.0)


def test_nodules_have_the_planned_volumes_at_both_times(baseline: Phantom, follow_up: Phantom) -> None:
    plans = {plan.id: plan for plan in DEFAULT_NODULES}
    for phantom, growth in ((baseline, False), (follow_up, True)):
        for nodule in phantom.truth:
            plan = plans[nodule.id]
            expected = ball_volume_mm3(plan.diameter_mm) * (plan.growth_factor if growth else 1.0)
            if nodule.on_pleura:
                assert 0.6 * expected < nodule.volume_mm3 < expected  # cut off by the chest wall
            else:
                assert nodule.volume_mm3 == pytest.approx(expected, rel=0.03), nodule.id


def test_new_and_gone_nodules_are_in_one_scan_only(baseline: Phantom, follow_up: Phantom) -> None:
    before, after = ({n.id: n for n in phantom.truth} for phantom in (baseline, follow_up))
    assert {n.change for key, n in before.items() if key not in after} == {Change.RESOLVED}
    assert {n.change for key, n in after.items() if key not in before} == {Change.NEW}
    grown = next(n for n in after.values() if n.change is Change.GROWING)
    assert grown.volume_mm3 / before[grown.id].volume_mm3 == pytest.approx(2.0, rel=0.03)
    assert grown.vdt_days == pytest.approx(270.0)
    assert follow_up.ct.series.study_date.toordinal() - baseline.ct.series.study_date.toordinal() == 270


def test_nodules_lie_in_their_lung_and_apart_from_each_other(baseline: Phantom) -> None:
    centres = np.array([n.centre_lps_mm for n in baseline.truth])
    assert np.all(lung_distance(*centres.T) < 0)
    assert [Side.LEFT if x > 0 else Side.RIGHT for x in centres[:, 0]] == [n.side for n in baseline.truth]
    distances = np.linalg.norm(centres[:, None] - centres[None], axis=-1) + np.eye(len(centres)) * 1e3
    assert distances.min() > 30.0


def test_tissues_have_their_densities(baseline: Phantom) -> None:
    hu, geometry = baseline.ct.hu, baseline.ct.geometry

    def around(point: tuple[float, float, float]) -> float:
        k, j, i = np.rint(geometry.to_kji(point)).astype(int)
        return float(np.mean(hu[k - 1 : k + 2, j - 1 : j + 2, i - 1 : i + 2]))

    assert around((18.0, -16.0, -44.0)) == pytest.approx(42, abs=25)  # heart
    assert around((0.0, 14.0, 70.0)) < -900  # trachea
    assert around((-55.0, -10.0, -85.0)) == pytest.approx(58, abs=25)  # liver
    assert around((0.0, 66.0, 0.0)) > 120  # vertebra
    assert around((-70.0, 0.0, 0.0)) == pytest.approx(-860, abs=60)  # lung
    large = {n.id: n for n in baseline.truth}
    assert around(large["P8"].centre_lps_mm) == pytest.approx(large["P8"].hu, abs=80)
    assert around(large["P3"].centre_lps_mm) == pytest.approx(large["P3"].hu, abs=80)


def test_the_written_series_is_found_and_read_back_unchanged(baseline: Phantom, tmp_path: Path) -> None:
    files = write_dicom_series(baseline.ct, tmp_path / "scan", patient_id="PHANTOM-3")
    ct = load_ct(tmp_path / "scan")
    assert np.array_equal(ct.hu, baseline.ct.hu)
    assert ct.geometry.origin_lps_mm == pytest.approx(baseline.ct.geometry.origin_lps_mm, abs=1e-5)
    assert ct.series == baseline.ct.series
    header = pydicom.dcmread(files[0], stop_before_pixels=True)
    assert (header.PatientName, header.Modality) == ("Phantom^Thorax", "CT")


def test_writing_twice_gives_the_same_bytes(baseline: Phantom, tmp_path: Path) -> None:
    first = write_dicom_series(baseline.ct, tmp_path / "a")
    second = write_dicom_series(baseline.ct, tmp_path / "b")
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]
