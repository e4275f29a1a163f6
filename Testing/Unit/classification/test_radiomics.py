from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from LungNoduleCADLib.classification import radiomics
from LungNoduleCADLib.domain.ct import CtVolume
from LungNoduleCADLib.domain.masks import NoduleMask
from LungNoduleCADLib.domain.provenance import Method

METHOD = Method("hand", "1")
RADIUS_MM = 8.0
needs_pyradiomics = pytest.mark.skipif(not radiomics.available(), reason="pyradiomics is an optional extra")


def mask_of(ct: CtVolume, inside: np.ndarray) -> NoduleMask:
    found = np.argwhere(inside)
    start, stop = found.min(0), found.max(0) + 1
    box = tuple(slice(a, b) for a, b in zip(start, stop, strict=True))
    return NoduleMask(inside[box], tuple(int(v) for v in start), ct.geometry, METHOD)


@needs_pyradiomics
@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (1.25, 0.7, 0.7)], ids=["isotropic", "anisotropic"])
def test_a_ball_is_round_and_has_its_volume(ball_ct: Callable[..., CtVolume], spacing: tuple) -> None:
    ct = ball_ct(RADIUS_MM, spacing, extent_mm=30.0)

    found = radiomics.radiomic_features(ct, mask_of(ct, ct.hu >= -500))

    assert found is not None
    assert found["shape_Sphericity"] == pytest.approx(1.0, abs=0.15)
    assert found["shape_MeshVolume"] == pytest.approx(4 / 3 * np.pi * RADIUS_MM**3, rel=0.05)
    assert found["firstorder_Median"] == pytest.approx(0.0, abs=20)
    assert not any(name.startswith(("original_", "diagnostics_")) for name in found)


@needs_pyradiomics
def test_a_nodule_at_the_corner_of_the_scan_is_measured(ct_of: Callable[..., CtVolume]) -> None:
    hu = np.random.default_rng(0).integers(-900, -800, (12, 12, 12))
    inside = np.zeros(hu.shape, bool)
    inside[:4, :4, :4] = inside[-4:, -4:, -4:] = True
    hu[inside] = 30
    ct = ct_of(hu)
    for corner in (slice(0, 4), slice(8, 12)):
        mask = NoduleMask(np.ones((4, 4, 4), bool), (corner.start,) * 3, ct.geometry, METHOD)

        found = radiomics.radiomic_features(ct, mask)

        assert found is not None
        assert found["firstorder_Mean"] == pytest.approx(30.0, abs=1.0)


@needs_pyradiomics
@pytest.mark.parametrize("count", [0, 1])
def test_too_small_a_mask_gives_none_and_no_exception(ct_of: Callable[..., CtVolume], count: int) -> None:
    ct = ct_of(np.random.default_rng(0).integers(-900, 0, (12, 12, 12)))
    voxels = np.zeros((3, 3, 3), bool)
    voxels.ravel()[13 : 13 + count] = True

    assert radiomics.radiomic_features(ct, NoduleMask(voxels, (4, 4, 4), ct.geometry, METHOD)) is None


@needs_pyradiomics
@pytest.mark.parametrize("shape", [(1, 1, 2), (1, 3, 3), (1, 1, 5)])
def test_a_flat_or_thin_mask_gives_finite_numbers_or_none(ct_of: Callable[..., CtVolume], shape: tuple) -> None:
    ct = ct_of(np.random.default_rng(0).integers(-900, 0, (12, 12, 12)))

    found = radiomics.radiomic_features(ct, NoduleMask(np.ones(shape, bool), (4, 4, 4), ct.geometry, METHOD))

    assert found is None or all(np.isfinite(value) for value in found.values())


def test_without_pyradiomics_there_are_no_features(
    ball_ct: Callable[..., CtVolume], monkeypatch: pytest.MonkeyPatch
) -> None:
    ct = ball_ct(4.0, extent_mm=14.0)
    monkeypatch.setattr(radiomics, "available", lambda: False)

    assert radiomics.radiomic_features(ct, mask_of(ct, ct.hu >= -500)) is None
