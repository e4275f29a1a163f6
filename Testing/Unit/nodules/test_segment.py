from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from LungNoduleCADLib.bundles.spec import Bundle
from LungNoduleCADLib.domain.ct import CtVolume
from LungNoduleCADLib.domain.masks import NoduleMask
from LungNoduleCADLib.domain.provenance import Method
from LungNoduleCADLib.errors import ModelError
from LungNoduleCADLib.nodules.segment import NoduleSegmenter, segmenter_input

TURN = np.radians(30)
OBLIQUE = (1.0, 0.0, 0.0, 0.0, np.cos(TURN), -np.sin(TURN), 0.0, np.sin(TURN), np.cos(TURN))
AXIAL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)


class Brightness(nn.Module):
    """Half way between lung (-1000 HU) and ball (0 HU) is the border; remembers the cubes it was shown."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[Tensor] = []

    def forward(self, x: Tensor) -> Tensor:
        self.seen.append(x)
        return 10.0 * (x[:, :1] + 0.375)


def segmenter(network: nn.Module | None = None) -> NoduleSegmenter:
    return NoduleSegmenter((network or Brightness(),), 32, (0.8, 1.6), "cpu", Method("stub", "1"))


def volume_mm3(mask: NoduleMask) -> float:
    return float(mask.occupancy.sum()) * mask.geometry.voxel_volume_mm3


def contains(mask: NoduleMask, lps_mm: tuple[float, float, float]) -> bool:
    kji = np.rint(mask.box_geometry.to_kji(lps_mm)).astype(int)
    return bool(np.all(kji >= 0) and np.all(kji < mask.voxels.shape) and mask.voxels[tuple(kji)])


@pytest.mark.parametrize("direction", [AXIAL, OBLIQUE], ids=["axial", "oblique"])
@pytest.mark.parametrize(
    ("spacing", "tolerance"),
    [((1.0, 1.0, 1.0), 0.05), ((2.5, 0.7, 0.7), 0.06)],  # interpolation rounds off the poles of a ball
    ids=["isotropic", "thick"],
)
def test_a_ball_has_its_volume_and_holds_the_point(
    ball_ct: Callable[..., CtVolume], spacing: tuple, tolerance: float, direction: tuple
) -> None:
    ct = ball_ct(6.0, spacing, extent_mm=36.0, direction=direction)
    point = (1.0, -1.5, 2.0)

    mask = segmenter().segment(ct, point)

    assert volume_mm3(mask) == pytest.approx(4 / 3 * np.pi * 6.0**3, rel=tolerance)
    assert contains(mask, point)
    assert np.linalg.norm(mask.centroid_lps_mm()) < 0.5
    assert mask.voxels.shape == mask.occupancy.shape
    assert np.array_equal(mask.voxels, mask.occupancy >= 0.5)


def test_a_ball_that_fills_the_fine_cube_is_outlined_in_the_coarse_one(ball_ct: Callable[..., CtVolume]) -> None:
    network = Brightness()

    mask = segmenter(network).segment(ball_ct(12.0, (1.5, 1.0, 1.0)), (0.0, 0.0, 0.0))

    assert len(network.seen) == 2
    assert volume_mm3(mask) == pytest.approx(4 / 3 * np.pi * 12.0**3, rel=0.05)


def test_a_small_ball_needs_the_fine_cube_only(ball_ct: Callable[..., CtVolume]) -> None:
    network = Brightness()
    segmenter(network).segment(ball_ct(5.0), (0.0, 0.0, 0.0))

    assert len(network.seen) == 1


def test_what_only_the_fine_cube_shows_is_kept(ball_ct: Callable[..., CtVolume]) -> None:
    class FineOnly(Brightness):
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(x) if not self.seen else super().forward(x) - 100.0

    mask = segmenter(FineOnly()).segment(ball_ct(9.5), (0.0, 0.0, 0.0))

    assert mask is not None
    assert volume_mm3(mask) == pytest.approx(4 / 3 * np.pi * 9.5**3, rel=0.05)


@pytest.mark.parametrize(("radius_mm", "looks"), [(3.0, 2), (9.0, 2), (16.0, 3)], ids=["small", "middling", "large"])
def test_of_three_scales_the_coarsest_is_left_out_where_nothing_is_large(
    ball_ct: Callable[..., CtVolume], radius_mm: float, looks: int
) -> None:
    network = Brightness()
    three = NoduleSegmenter((network,), 32, (0.5, 1.0, 2.0), "cpu", Method("stub", "1"))

    mask = three.segment(ball_ct(radius_mm, (1.0, 0.8, 0.8), extent_mm=70.0), (0.0, 0.0, 0.0))

    assert len(network.seen) == looks
    assert volume_mm3(mask) == pytest.approx(4 / 3 * np.pi * radius_mm**3, rel=0.1)


def test_a_part_seen_in_the_fine_cube_gives_way_to_the_whole_in_a_coarser_one(ball_ct: Callable[..., CtVolume]) -> None:
    class BlindToLarge(Brightness):
        """Sees only a speck in the fine cube, as a network does that never saw large nodules there."""

        def forward(self, x: Tensor) -> Tensor:
            answer = super().forward(x)
            return answer - 100.0 * (x[:, 1:] < 0.5) if len(self.seen) == 1 else answer

    three = NoduleSegmenter((BlindToLarge(),), 32, (0.5, 1.0, 2.0), "cpu", Method("stub", "1"))

    mask = three.segment(ball_ct(7.0, (1.0, 0.8, 0.8), extent_mm=50.0), (0.0, 0.0, 0.0))

    assert volume_mm3(mask) == pytest.approx(4 / 3 * np.pi * 7.0**3, rel=0.06)


def test_each_scale_draws_its_outline_at_a_threshold_of_its_own(ball_ct: Callable[..., CtVolume]) -> None:
    def volumes(thresholds: dict[float, float]) -> list[float]:
        blurred = NoduleSegmenter((Gentle(),), 32, (0.8, 1.6), "cpu", Method("stub", "1"), thresholds)
        return [
            volume_mm3(blurred.segment(ball_ct(radius, (1.0, 1.0, 1.0)), (0.0, 0.0, 0.0))) for radius in (5.0, 12.0)
        ]

    class Gentle(Brightness):
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(x) / 5

    fine, coarse = volumes({0.8: 0.5, 1.6: 0.5})
    fine_lower, coarse_same = volumes({0.8: 0.4, 1.6: 0.5})
    fine_same, coarse_lower = volumes({0.8: 0.5, 1.6: 0.4})

    assert fine_lower > 1.02 * fine
    assert coarse_lower > 1.02 * coarse
    assert (fine_same, coarse_same) == (fine, coarse)


@pytest.mark.parametrize("thresholds", [None, {"0.8": 0.4}, {"0.8": 0.4, "1.6": 0.4, "3.2": 0.4}])
def test_a_bundle_without_one_threshold_a_scale_is_refused(tmp_path: Path, thresholds: dict | None) -> None:
    inference = {"patch": {"size": 32, "spacings_mm": [0.8, 1.6]}}
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs/inference.json").write_text(
        json.dumps(inference | ({"thresholds": thresholds} if thresholds else {})), encoding="utf-8"
    )

    with pytest.raises(ModelError, match=r"one value for each of 0\.8, 1\.6 mm"):
        NoduleSegmenter.from_bundle(Bundle(tmp_path), "cpu")


def test_the_networks_of_an_ensemble_share_the_decision(ball_ct: Callable[..., CtVolume]) -> None:
    class Nothing(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.full_like(x[:, :1], -50.0)

    alone = NoduleSegmenter((Brightness(),), 32, (0.8, 1.6), "cpu", Method("stub", "1"))
    outvoted = NoduleSegmenter((Brightness(), Nothing()), 32, (0.8, 1.6), "cpu", Method("stub", "1"))

    assert alone.segment(ball_ct(5.0), (0.0, 0.0, 0.0)) is not None
    assert outvoted.segment(ball_ct(5.0), (0.0, 0.0, 0.0)) is None


def test_a_point_in_empty_lung_has_no_outline(ball_ct: Callable[..., CtVolume]) -> None:
    assert segmenter().segment(ball_ct(4.0), (13.0, 0.0, 0.0)) is None


def test_a_point_just_beside_a_ball_still_finds_it(ball_ct: Callable[..., CtVolume]) -> None:
    assert segmenter().segment(ball_ct(4.0), (7.0, 0.0, 0.0)) is not None


def test_only_the_part_at_the_point_is_outlined(ball_ct: Callable[..., CtVolume]) -> None:
    ct = ball_ct(3.0)
    other = ball_ct(3.0, centre_lps_mm=(9.0, 0.0, 0.0))
    both = CtVolume(np.maximum(ct.hu, other.hu), ct.geometry, ct.series)

    mask = segmenter().segment(both, (9.0, 0.0, 0.0))

    assert mask.centroid_lps_mm() == pytest.approx((9.0, 0.0, 0.0), abs=0.5)


def test_a_nodule_at_the_edge_of_the_scan_stays_inside_it(ball_ct: Callable[..., CtVolume]) -> None:
    ct = ball_ct(5.0, extent_mm=20.0, centre_lps_mm=(9.0, 0.0, 0.0))

    mask = segmenter().segment(ct, (8.0, 0.0, 0.0))

    assert np.all(np.add(mask.start_kji, mask.voxels.shape) <= ct.hu.shape)
    assert np.all(np.asarray(mask.start_kji) >= 0)
    assert ct.hu[mask.box][mask.voxels].min() > -600


def test_a_faint_nodule_is_outlined_at_half_its_own_height(ball_ct: Callable[..., CtVolume]) -> None:
    class Faint(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            share = ((x[:, :1] + 1) / 1.25).clamp(0.001, 0.999) * 0.4
            return torch.logit(share)

    mask = segmenter(Faint()).segment(ball_ct(6.0), (0.0, 0.0, 0.0))

    assert volume_mm3(mask) == pytest.approx(4 / 3 * np.pi * 6.0**3, rel=0.05)


def test_the_network_is_told_where_the_point_is() -> None:
    x = segmenter_input(torch.full((2, 1, 16, 16, 16), -1000.0))

    assert x.shape == (2, 2, 16, 16, 16)
    assert torch.all(x[:, 0] == -1.0)
    assert np.unravel_index(int(x[0, 1].argmax()), (16, 16, 16)) == (8, 8, 8)
    assert float(x[0, 1].max()) == 1.0
