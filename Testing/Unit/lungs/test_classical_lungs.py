"""Classical lung mask on an analytic thorax: ellipsoids whose truth is known to the voxel."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from LungNoduleCADLib.domain.ct import CtVolume
from LungNoduleCADLib.domain.geometry import Geometry
from LungNoduleCADLib.domain.masks import Lung, LungMask
from LungNoduleCADLib.domain.study import SeriesDescription
from LungNoduleCADLib.errors import InputError
from LungNoduleCADLib.lungs.classical import classical_lungs
from LungNoduleCADLib.lungs.quality import lung_quality

SPACING_KJI_MM = (2.5, 1.6, 1.6)
LUNG_AXES_MM = (100.0, 75.0, 52.0)  # semi-axes along k, j, i
LUNG_CENTRE_I_MM = {Lung.RIGHT: -72.0, Lung.LEFT: 72.0}
AIR, TISSUE, LUNG = -1000, 40, -850


class Thorax:
    """Body, two lungs with a few vessels, trachea with main bronchi, stomach gas and a table; millimetres, k up."""

    def __init__(self) -> None:
        shape = (116, 164, 226)
        axes = [(np.arange(n) - (n - 1) / 2) * s for n, s in zip(shape, SPACING_KJI_MM, strict=True)]
        self.k, self.j, self.i = np.meshgrid(*axes, indexing="ij", sparse=True)
        origin = tuple(float(a[0]) for a in axes[::-1])
        self.geometry = Geometry(shape, origin, SPACING_KJI_MM)  # type: ignore[arg-type]
        self.hu = np.full(shape, AIR, np.int16)
        self.hu[np.broadcast_to((self.j / 105) ** 2 + (self.i / 160) ** 2 < 1, shape)] = TISSUE
        self.hu[np.broadcast_to((abs(self.j - 118) < 3) & (abs(self.i) < 150), shape)] = 0
        self.truth = {lung: self.ellipsoid((0, 0, i), LUNG_AXES_MM) for lung, i in LUNG_CENTRE_I_MM.items()}
        for lung in self.truth.values():
            self.hu[lung] = LUNG
            for j in range(-60, 61, 12):
                vessel = (abs(self.j - j) < 2) & (abs(self.k - j / 2) < 2.5)
                self.hu[lung & vessel] = TISSUE
        self.airways = np.broadcast_to((self.j + 5) ** 2 + self.i**2 < 8**2, shape) & (self.k > 15)
        for side in (-1, 1):  # from the carina to the hilum, downwards
            drop = (self.k - 15) + side * self.i * 0.5
            self.airways |= (drop**2 + (self.j + 5) ** 2 < 6**2) & (side * self.i >= 0) & (side * self.i < 30)
        self.hu[self.airways] = AIR
        self.stomach = self.ellipsoid((-122, 10, 75), (14, 30, 40))
        self.hu[self.stomach] = AIR

    def ellipsoid(self, centre_kji: tuple[float, ...], axes_kji: tuple[float, ...]) -> np.ndarray:
        (k, j, i), (a, b, c) = centre_kji, axes_kji
        return ((self.k - k) / a) ** 2 + ((self.j - j) / b) ** 2 + ((self.i - i) / c) ** 2 < 1

    def ct(self, noise_hu: float = 0.0) -> CtVolume:
        noise = np.random.default_rng(0).normal(0, noise_hu, self.hu.shape) if noise_hu else 0
        return ct_of((self.hu + noise).astype(np.int16), self.geometry)


def ct_of(hu: np.ndarray, geometry: Geometry) -> CtVolume:
    return CtVolume(np.ascontiguousarray(hu), geometry, SeriesDescription(series_uid="1.2.3"))


def dice(a: np.ndarray, b: np.ndarray) -> float:
    return 2 * np.count_nonzero(a & b) / (np.count_nonzero(a) + np.count_nonzero(b))


@pytest.fixture(scope="module")
def healthy() -> tuple[Thorax, LungMask]:
    thorax = Thorax()
    return thorax, classical_lungs(thorax.ct())


@pytest.mark.parametrize("lung", list(Lung))
def test_each_lung_is_found_with_its_vessels_on_its_own_side(healthy: tuple[Thorax, LungMask], lung: Lung) -> None:
    thorax, mask = healthy
    assert dice(mask.labels == lung, thorax.truth[lung]) > 0.97
    expected_ml = 4 / 3 * np.pi * np.prod(LUNG_AXES_MM) / 1000
    assert mask.volume_ml(lung) == pytest.approx(expected_ml, rel=0.04)


def test_trachea_stomach_gas_and_the_air_around_the_patient_are_no_lung(healthy: tuple[Thorax, LungMask]) -> None:
    thorax, mask = healthy
    lungs = mask.labels > 0
    outside_lungs = thorax.airways & ~thorax.truth[Lung.RIGHT] & ~thorax.truth[Lung.LEFT]
    assert np.count_nonzero(lungs & outside_lungs) < 0.05 * np.count_nonzero(outside_lungs)
    assert not lungs[thorax.stomach].any()
    assert not lungs[:, :3].any()
    assert not lungs[:, -10:].any()


def test_a_healthy_thorax_raises_no_flag(healthy: tuple[Thorax, LungMask]) -> None:
    thorax, mask = healthy
    assert lung_quality(mask, thorax.ct()) == ()


NODULES = {  # centre (k, j, i) and radius, mm
    "on the ribs": ((-50, 20, -112), 8),
    "on the back wall": ((0, 72, 72), 10),
    "on the mediastinum": ((-20, -10, 27), 9),
    "near the apex": ((70, 10, -95), 12),
    "a mass of 50 mm on the ribs": ((10, 0, 120), 25),
}


@pytest.fixture(scope="module")
def diseased() -> tuple[Thorax, LungMask]:
    """Noise of a low-dose scan, nodules on the pleura, and lungs that touch in front of the heart."""
    thorax = Thorax()
    thorax.hu[(abs(thorax.i) < 40) & (abs(thorax.j + 20) < 6) & (abs(thorax.k + 30) < 25)] = LUNG
    for centre, radius in NODULES.values():
        thorax.hu[thorax.ellipsoid(centre, (radius,) * 3)] = TISSUE
    return thorax, classical_lungs(thorax.ct(noise_hu=120))


@pytest.mark.parametrize("name", NODULES)
def test_a_nodule_on_the_pleura_lies_in_the_mask(diseased: tuple[Thorax, LungMask], name: str) -> None:
    thorax, mask = diseased
    centre, radius = NODULES[name]
    nodule = thorax.ellipsoid(centre, (radius,) * 3) & (thorax.truth[Lung.RIGHT] | thorax.truth[Lung.LEFT])
    # A rolled ball and a chord both cut a little off the base of a nodule on a curved wall.
    assert (mask.labels[nodule] > 0).mean() > 0.85


@pytest.mark.parametrize("lung", list(Lung))
def test_noisy_lungs_that_touch_in_front_of_the_heart_are_parted(diseased: tuple[Thorax, LungMask], lung: Lung) -> None:
    thorax, mask = diseased
    assert dice(mask.labels == lung, thorax.truth[lung]) > 0.95


@pytest.mark.parametrize(("lung", "columns"), [(Lung.RIGHT, slice(41, 120)), (Lung.LEFT, slice(106, 185))])
def test_a_crop_that_cuts_an_only_lung_still_knows_its_side(lung: Lung, columns: slice) -> None:
    """The image ends 9 mm inside the lung's outer side, so that no body lies beside it there."""
    thorax = Thorax()
    thorax.hu[thorax.truth[Lung.LEFT if lung is Lung.RIGHT else Lung.RIGHT]] = TISSUE
    truth = thorax.truth[lung][:, :, columns]
    assert np.count_nonzero(truth[:, :, 0 if lung is Lung.RIGHT else -1]) > 100
    ct = ct_of(thorax.hu[:, :, columns], thorax.geometry.crop((0, 0, columns.start), truth.shape))
    mask = classical_lungs(ct)
    assert dice(mask.labels == lung, truth) > 0.96
    assert {"one_lung_only", f"lungs_cut_at_{lung.name.lower()}"} <= {flag.code for flag in lung_quality(mask, ct)}


def test_an_oblique_grid_changes_nothing(healthy: tuple[Thorax, LungMask]) -> None:
    thorax, mask = healthy
    c, s = np.cos(0.3), np.sin(0.3)
    oblique = replace(thorax.geometry, direction=(1.0, 0.0, 0.0, 0.0, c, -s, 0.0, s, c))
    labels = classical_lungs(ct_of(thorax.hu, oblique)).labels
    assert np.count_nonzero(labels != mask.labels) < 1e-5 * labels.size  # rounding at the outline


@pytest.mark.parametrize("hu", [0, -1000, 40])
def test_a_scan_without_lungs_is_refused_in_one_sentence(hu: int) -> None:
    geometry = Geometry((40, 64, 64), (0.0, 0.0, 0.0), (5.0, 5.0, 5.0))
    with pytest.raises(InputError, match=r"No lungs were found in this scan: expected at least 100 ml.*got 0 ml"):
        classical_lungs(ct_of(np.full((40, 64, 64), hu, np.int16), geometry))
