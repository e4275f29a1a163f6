"""Candidates on a box of lung with vessels and things of known place and size."""

from __future__ import annotations

import csv
import tarfile

import numpy as np
import pytest
from scipy import ndimage

from LungNoduleCADLib.dicom.load import load_ct
from LungNoduleCADLib.domain.ct import CtVolume
from LungNoduleCADLib.domain.geometry import Geometry
from LungNoduleCADLib.domain.masks import LungMask
from LungNoduleCADLib.domain.provenance import Method
from LungNoduleCADLib.domain.study import SeriesDescription
from LungNoduleCADLib.lungs.segment import segment_lungs
from LungNoduleCADLib.nodules.candidates import find_candidates

UPRIGHT = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)
ABOUT_S = (np.cos(0.3), -np.sin(0.3), 0.0, np.sin(0.3), np.cos(0.3), 0.0, 0.0, 0.0, 1.0)
WALL_MM = 8.0


class Box:
    """A box of noisy lung with a soft-tissue wall and two vessels along its length."""

    def __init__(self, direction: tuple[float, ...] = UPRIGHT) -> None:
        self.geometry = Geometry((52, 120, 120), (20.0, -60.0, -150.0), (2.0, 0.9, 0.9), direction)
        self.mm = np.stack(
            np.meshgrid(
                *(np.arange(n) * s for n, s in zip(self.geometry.shape_kji, self.geometry.spacing_kji_mm, strict=True)),
                indexing="ij",
            )
        )
        far = np.array(self.geometry.shape_kji) * self.geometry.spacing_kji_mm
        edge = np.minimum(self.mm, far[:, None, None, None] - self.mm).min(axis=0)
        self.lung = edge > WALL_MM
        self.hu = np.where(self.lung, -860.0, 40.0)
        for j_mm, i_mm, radius_mm in ((40.0, 60.0, 2.5), (75.0, 35.0, 1.5)):
            self.hu[np.hypot(self.mm[1] - j_mm, self.mm[2] - i_mm) < radius_mm] = 40.0

    def ball(self, centre_mm, diameter_mm, hu) -> np.ndarray:
        """Put a ball there; its centre in LPS mm."""
        apart = np.linalg.norm(self.mm - np.reshape(centre_mm, (3, 1, 1, 1)), axis=0)
        self.hu[(apart <= diameter_mm / 2) & self.lung] = hu
        return self.geometry.to_lps_mm(np.asarray(centre_mm) / self.geometry.spacing_kji_mm)

    def found(self, **options):
        noise = np.random.default_rng(5).normal(0.0, 40.0, self.hu.shape)
        hu = ndimage.gaussian_filter(self.hu, (0.4, 0.7, 0.7)) + noise
        ct = CtVolume(hu.astype(np.int16), self.geometry, SeriesDescription("1.2.3"))
        return find_candidates(ct, LungMask(self.lung.astype(np.uint8), self.geometry, Method("test", "0")), **options)


def nearest(candidates, centre_lps_mm):
    return min(candidates, key=lambda c: np.linalg.norm(np.subtract(c.centre_lps_mm, centre_lps_mm)))


@pytest.mark.parametrize("direction", [UPRIGHT, ABOUT_S])
@pytest.mark.parametrize(("diameter_mm", "hu"), [(4.0, 40), (8.0, 40), (20.0, 40), (8.0, -620), (20.0, -650)])
def test_a_ball_in_the_lung_is_among_the_first(direction, diameter_mm, hu):
    box = Box(direction)
    centre = box.ball((52.0, 60.0, 78.0), diameter_mm, hu)
    candidate = nearest(box.found()[:10], centre)
    assert np.linalg.norm(np.subtract(candidate.centre_lps_mm, centre)) < max(1.5, diameter_mm / 8)
    assert 0.6 * diameter_mm < candidate.diameter_mm < 2.1 * diameter_mm
    assert candidate.probability is None


@pytest.mark.parametrize("centre_mm", [(52.0, 60.0, WALL_MM + 3.0), (52.0, 40.0, 65.0)])
def test_a_nodule_on_the_wall_or_on_a_vessel_is_found(centre_mm):
    box = Box()
    centre = box.ball(centre_mm, 8.0, 40)
    assert np.linalg.norm(np.subtract(nearest(box.found()[:20], centre).centre_lps_mm, centre)) < 4.0


def test_a_cavity_is_found_as_a_whole():
    box = Box()
    centre = box.ball((52.0, 60.0, 78.0), 24.0, 40)
    box.ball((52.0, 60.0, 78.0), 14.0, -1000)
    candidate = nearest(box.found()[:10], centre)
    assert np.linalg.norm(np.subtract(candidate.centre_lps_mm, centre)) < 4.0
    assert candidate.diameter_mm > 12.0


def test_no_candidate_lies_outside_of_the_lungs_and_the_number_is_kept():
    box = Box()
    candidates = box.found(max_candidates=15)
    assert 0 < len(candidates) <= 15
    voxels = np.round(box.geometry.to_kji(np.array([c.centre_lps_mm for c in candidates]))).astype(int)
    assert ndimage.binary_dilation(box.lung)[tuple(voxels.T)].all()


def test_without_lungs_there_are_no_candidates():
    box = Box()
    box.lung[:] = False
    assert box.found() == []


@pytest.mark.real_data
@pytest.mark.slow
def test_every_known_nodule_of_a_real_scan_is_a_candidate(shared_data, tmp_path):
    with tarfile.open(shared_data / "ct" / "lidc-1011.tar") as archive:
        archive.extractall(tmp_path, filter="data")
    ct = load_ct(tmp_path)
    centres = np.array([c.centre_lps_mm for c in find_candidates(ct, segment_lungs(ct))])
    with (shared_data / "ct" / "nodules.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["series"] == "lidc-1011" and int(row["n_readers"]) >= 3]
    assert len(centres) <= 250
    for row in rows:
        apart = np.linalg.norm(centres - [float(row[c]) for c in ("l_mm", "p_mm", "s_mm")], axis=1)
        assert apart.min() <= float(row["eq_diameter_mm"]) / 2, row["nodule_id"]
