"""What a CT's densities say of how it was made: a chest of air, fat, muscle, bone and two lungs."""

from __future__ import annotations

import numpy as np
import pytest

from LungNoduleCADLib.domain.ct import CtVolume
from LungNoduleCADLib.domain.geometry import Geometry
from LungNoduleCADLib.domain.masks import LungMask
from LungNoduleCADLib.domain.provenance import Method
from LungNoduleCADLib.domain.study import SeriesDescription
from LungNoduleCADLib.lungs.image_quality import image_quality, noise_hu

SHAPE = (40, 96, 96)


def chest(noise: float = 20.0) -> np.ndarray:
    """HU (K, J, I), float."""
    hu = np.full(SHAPE, -1000.0)
    hu[:, 6:-6, 6:-6] = -100
    hu[:, 14:-14, 14:-14] = 50
    hu[:, 70:74, 44:52] = 900  # spine
    for lung in _lungs():
        hu[lung] = -870
    return hu + np.random.default_rng(0).normal(0, noise, SHAPE)


def _lungs() -> list[tuple[slice, slice, slice]]:
    return [(slice(5, 35), slice(25, 65), slice(start, start + 24)) for start in (20, 52)]


def codes(hu: np.ndarray, pixel_mm: float = 0.7) -> list[str]:
    geometry = Geometry(SHAPE, (0.0, 0.0, 0.0), (2.0, pixel_mm, pixel_mm))
    labels = np.zeros(SHAPE, np.uint8)
    for label, lung in enumerate(_lungs(), 1):
        labels[lung] = label
    ct = CtVolume(np.clip(np.rint(hu), -1024, 3071).astype(np.int16), geometry, SeriesDescription("1.2"))
    return [flag.code for flag in image_quality(ct, LungMask(labels, geometry, Method("hand", "1")))]


def test_nothing_is_said_of_an_ordinary_chest() -> None:
    assert codes(chest()) == codes(chest(60.0)) == []


@pytest.mark.parametrize(
    ("hu", "code"),
    [
        (chest(260.0), "noisy"),
        (chest() + 110, "densities_shifted"),
        (chest() - 220, "densities_shifted"),
        (np.clip(chest(), -880, None), "clipped_below"),
        (np.clip(chest(), None, 400), "clipped_above"),
    ],
)
def test_what_is_wrong_with_the_densities_is_told(hu: np.ndarray, code: str) -> None:
    assert code in codes(hu)


def test_pixels_wider_than_the_models_know_are_told() -> None:
    assert codes(chest(), 0.98) == []
    assert codes(chest(), 1.2) == ["wide_pixels"]


def test_padding_outside_of_the_body_is_no_clipping() -> None:
    hu = chest()
    hu[:, :6] = hu[:, -6:] = -2000
    assert codes(hu) == []


@pytest.mark.parametrize("sigma", [10.0, 40.0, 90.0])
def test_the_measured_noise_is_that_of_the_image_in_spite_of_vessels(sigma: float) -> None:
    tissue = np.random.default_rng(0).normal(-870, sigma, (6, 80, 80))
    vessels = tissue.copy()
    vessels[:, ::16, :] += 500
    plain, crossed = (noise_hu(hu, (2.0, 0.7, 0.7)) for hu in (tissue, vessels))
    assert 0.75 * sigma < plain < sigma
    assert crossed == pytest.approx(plain, rel=0.15)


def test_without_lung_tissue_there_is_no_noise_to_measure() -> None:
    assert np.isnan(noise_hu(np.zeros((4, 40, 40)), (2.0, 0.7, 0.7)))
