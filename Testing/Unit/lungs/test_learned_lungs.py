"""What is made of a lung network's answer; the network here is one whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from LungNoduleCADLib.domain.ct import CtVolume
from LungNoduleCADLib.domain.geometry import Geometry
from LungNoduleCADLib.domain.masks import Lung
from LungNoduleCADLib.domain.provenance import Method
from LungNoduleCADLib.domain.study import SeriesDescription
from LungNoduleCADLib.lungs.learned import LungNetwork, lung_input

SPACING_KJI_MM = (2.5, 1.5, 1.5)
SHAPE = (70, 100, 150)
METHOD = Method("known", "1")


class ByDensity(nn.Module):
    """Right lung in the left half of the image where it is dark, left lung in the other half, nothing elsewhere."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: tuple[int, ...] = ()

    def forward(self, channels: Tensor) -> Tensor:
        self.seen = tuple(channels.shape)
        dark = (channels[:, 0] < -0.5).float()
        side = (torch.arange(channels.shape[-1]) < 37).float()
        return 20 * torch.stack([1 - dark, dark * side, dark * (1 - side), torch.zeros_like(dark)], dim=1)


def ball(centre_kji_mm: tuple[float, float, float], radius_mm: float) -> np.ndarray:
    at = np.meshgrid(*[np.arange(n) * s for n, s in zip(SHAPE, SPACING_KJI_MM, strict=True)], indexing="ij")
    return sum((a - c) ** 2 for a, c in zip(at, centre_kji_mm, strict=True)) < radius_mm**2


LUNGS = {Lung.RIGHT: ball((90, 75, 60), 42), Lung.LEFT: ball((90, 75, 165), 42)}


def ct_with(dark: np.ndarray) -> CtVolume:
    hu = np.where(dark, -850, 40).astype(np.int16)
    return CtVolume(hu, Geometry(SHAPE, (0.0, 0.0, 0.0), SPACING_KJI_MM), SeriesDescription(series_uid="1"))


def network() -> LungNetwork:
    return LungNetwork(ByDensity(), 3.0, 16, "cpu", METHOD)


def dice(a: np.ndarray, b: np.ndarray) -> float:
    return 2 * np.count_nonzero(a & b) / (np.count_nonzero(a) + np.count_nonzero(b))


@pytest.mark.parametrize("lung", list(Lung))
def test_the_outline_follows_the_scans_own_voxels(lung: Lung) -> None:
    answer = network()(ct_with(LUNGS[Lung.RIGHT] | LUNGS[Lung.LEFT]))
    assert answer.method == METHOD
    assert dice(answer.labels == lung, LUNGS[lung]) > 0.99


def test_the_network_sees_a_grid_that_its_poolings_divide() -> None:
    model = network()
    model(ct_with(LUNGS[Lung.RIGHT]))
    assert model.placed.networks[0].seen[0:2] == (1, 2)
    assert all(n % 16 == 0 for n in model.placed.networks[0].seen[2:])


def test_a_small_piece_apart_from_its_lung_is_dropped() -> None:
    bubble = ball((20, 130, 60), 10)
    answer = network()(ct_with(LUNGS[Lung.RIGHT] | LUNGS[Lung.LEFT] | bubble))
    assert not answer.labels[bubble].any()
    assert dice(answer.labels > 0, LUNGS[Lung.RIGHT] | LUNGS[Lung.LEFT]) > 0.99


def test_a_scan_without_lungs_gives_an_empty_mask() -> None:
    assert not network()(ct_with(np.zeros(SHAPE, bool))).labels.any()


def test_both_windows_are_scaled_to_the_unit_range() -> None:
    channels = lung_input(torch.tensor([-3000.0, -1024, 600, 3000, -160, 240]).reshape(1, 1, 1, 1, 6))
    np.testing.assert_allclose(channels[0, 0, 0, 0, :4].numpy(), [-1, -1, 1, 1])
    np.testing.assert_allclose(channels[0, 1, 0, 0].numpy(), [-1, -1, 1, 1, -1, 1])


def test_the_odds_of_dense_lung_alone_are_divided() -> None:
    class Even(nn.Module):
        def forward(self, channels: Tensor) -> Tensor:
            nothing = torch.zeros_like(channels[:, 0])
            return torch.stack([nothing, nothing + 1, nothing - 30, nothing - 30], dim=1)

    hu = np.full((16, 16, 16), -850, np.int16)
    hu[8:] = 40
    believed = LungNetwork(Even(), 3.0, 16, "cpu", METHOD).probability(hu)[1]
    corrected = LungNetwork(Even(), 3.0, 16, "cpu", METHOD, dense_odds=3.0).probability(hu)[1]
    odds = believed / (1 - believed) / (corrected / (1 - corrected))
    np.testing.assert_allclose(odds[:8], 1.0, rtol=1e-5)
    np.testing.assert_allclose(odds[8:], 3.0, rtol=1e-5)
