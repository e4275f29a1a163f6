from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from LungNoduleCADLib.evaluation.overlap import SurfaceAgreement, dice, surface_agreement

SPACING_KJI_MM = (2.5, 0.7, 0.8)


def surface_mm(mask: np.ndarray) -> np.ndarray:
    """Positions (mm) of voxels with a face neighbour outside of the mask, found voxel by voxel."""
    inside = {tuple(v) for v in np.argwhere(mask)}
    steps = [(1, 0, 0), (-1, 0, 0), (0, 1, 0), (0, -1, 0), (0, 0, 1), (0, 0, -1)]
    outer = [v for v in inside if any(tuple(np.add(v, step)) not in inside for step in steps)]
    return np.array(sorted(outer)) * SPACING_KJI_MM


def distances_mm(start: np.ndarray, end: np.ndarray) -> np.ndarray:
    return np.linalg.norm(start[:, None] - end[None], axis=-1).min(axis=1)


def blobs(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """A ball and a displaced, ragged one of another size; the second touches the border of the array."""
    rng = np.random.default_rng(seed)
    k, j, i = (axis.astype(float) for axis in np.indices((7, 16, 15)))

    def ball(centre: np.ndarray, radius_mm: float) -> np.ndarray:
        offset = np.stack([k, j, i], axis=-1) - centre
        return np.linalg.norm(offset * SPACING_KJI_MM, axis=-1) < radius_mm

    one = ball(np.array([3.0, 8, 7]), rng.uniform(3, 5))
    other = ball(np.array([3.0, 8, 7]) + rng.uniform(-2, 2, 3), rng.uniform(3, 6)) & (rng.random(one.shape) < 0.95)
    return one, other


@pytest.mark.parametrize("seed", range(5))
def test_surface_distances_agree_with_a_search_over_all_pairs_of_surface_voxels(seed: int) -> None:
    one, other = blobs(seed)
    forth = distances_mm(surface_mm(one), surface_mm(other))
    back = distances_mm(surface_mm(other), surface_mm(one))
    both = np.concatenate([forth, back])

    found = surface_agreement(one, other, SPACING_KJI_MM, tolerance_mm=1.0)

    assert found.mean_distance_mm == pytest.approx(both.mean(), abs=1e-4)
    farthest = max(np.percentile(forth, 95), np.percentile(back, 95))
    assert found.hausdorff_95_mm == pytest.approx(farthest, abs=1e-4)
    assert found.within_tolerance == pytest.approx((both <= 1.0).mean(), abs=1e-4)


@pytest.mark.parametrize("seed", range(5))
def test_dice_agrees_with_monai(seed: int) -> None:
    import torch
    from monai.metrics import compute_dice

    one, other = blobs(seed)

    theirs = compute_dice(torch.from_numpy(one)[None, None], torch.from_numpy(other)[None, None])
    assert dice(one, other) == pytest.approx(float(theirs))


def test_spacing_is_that_of_slices_rows_and_columns_in_this_order() -> None:
    one = np.zeros((4, 4, 4), bool)
    one[1, 1, 1] = True

    for axis, spacing_mm in enumerate(SPACING_KJI_MM):
        found = surface_agreement(one, np.roll(one, 1, axis), SPACING_KJI_MM, tolerance_mm=1.0)
        assert found.mean_distance_mm == found.hausdorff_95_mm == pytest.approx(spacing_mm)
        assert found.within_tolerance == float(spacing_mm <= 1.0)


def test_a_mask_agrees_with_itself() -> None:
    one, _ = blobs(0)

    assert surface_agreement(one, one, SPACING_KJI_MM) == SurfaceAgreement(0.0, 0.0, 1.0)
    assert dice(one, one) == 1.0


def test_an_empty_mask_has_no_surface_to_be_near_to() -> None:
    one, _ = blobs(0)
    empty = np.zeros_like(one)

    assert surface_agreement(one, empty, SPACING_KJI_MM) == SurfaceAgreement(None, None, 0.0)
    assert surface_agreement(empty, one, SPACING_KJI_MM) == SurfaceAgreement(None, None, 0.0)
    assert surface_agreement(empty, empty, SPACING_KJI_MM) == SurfaceAgreement(None, None, 1.0)
    assert (dice(one, empty), dice(empty, one), dice(empty, empty)) == (0.0, 0.0, 1.0)


def test_dice_counts_what_is_shared_whatever_the_masks_numbers_are() -> None:
    one, other = np.array([1, 1, 1, 0]), np.array([0, 2, 2, 2])

    for first, second in product((one, one > 0), (other, other > 0)):
        assert dice(first, second) == pytest.approx(4 / 6)
    assert dice(one, one == 0) == 0.0
