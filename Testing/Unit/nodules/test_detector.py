"""The network's proposals, with networks and maps whose answer is known."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import ndimage

from LungNoduleCADLib.bundles.registry import MODELS_FOLDER_VARIABLE, find_bundle
from LungNoduleCADLib.domain.ct import CtVolume
from LungNoduleCADLib.domain.geometry import Geometry
from LungNoduleCADLib.domain.masks import LungMask
from LungNoduleCADLib.domain.nodule import NoduleCandidate
from LungNoduleCADLib.domain.provenance import Method
from LungNoduleCADLib.errors import ModelError
from LungNoduleCADLib.nodules.detector import BUNDLE, NoduleDetector, bundled_detector, merged, places

GRID = Geometry((40, 60, 60), (10.0, -20.0, 30.0), (1.0, 1.0, 1.0))
METHOD = Method("test", "1")


def ball(centre_kji: tuple[float, float, float], radius: float, shape: tuple[int, ...] = GRID.shape_kji) -> np.ndarray:
    offset = np.moveaxis(np.indices(shape), 0, -1) - centre_kji
    return np.linalg.norm(offset, axis=-1) <= radius


def test_a_rugged_nodule_is_one_place_at_its_middle_and_as_large_as_it_is() -> None:
    inside = ball((20, 30, 30), 6)
    rugged = np.where(inside, np.random.default_rng(0).uniform(0.92, 1.0, GRID.shape_kji), 0.0)

    ((found, score),) = places(rugged, GRID)

    assert np.linalg.norm(np.subtract(found.centre_lps_mm, GRID.to_lps_mm((20, 30, 30)))) < 0.5
    assert found.diameter_mm == pytest.approx(12.0, abs=0.5)
    assert score == rugged.max()
    assert found.probability is None


def test_a_faint_place_that_touches_a_clear_one_is_kept_and_comes_after_it() -> None:
    clear, faint = ball((20, 30, 20), 4), ball((20, 30, 30), 4)
    bridge = np.zeros(GRID.shape_kji)
    bridge[18:23, 28:33, 20:30] = 0.12
    probability = np.maximum(bridge, np.maximum(clear * 0.95, faint * 0.3))

    found = places(probability, GRID)

    assert [round(score, 2) for _, score in found] == [0.95, 0.3]
    assert found[1][0].centre_lps_mm == pytest.approx(tuple(GRID.to_lps_mm((20, 30, 30))), abs=0.5)


def test_a_single_voxel_and_what_is_below_the_lowest_level_are_no_places() -> None:
    probability = ball((20, 30, 30), 4) * 0.04
    probability[5, 5, 5] = 1.0

    assert places(probability, GRID) == []
    assert places(np.zeros(GRID.shape_kji), GRID) == []


def test_merging_keeps_the_first_list_and_what_is_far_from_it() -> None:
    first = [NoduleCandidate((0.0, 0.0, 0.0)), NoduleCandidate((50.0, 0.0, 0.0))]
    near, far = NoduleCandidate((52.0, 1.0, 0.0)), NoduleCandidate((20.0, 0.0, 0.0))

    assert merged(first, [near, far]) == [*first, far]
    assert merged([], [near, far]) == [near, far]


class BrightIsNodule(torch.nn.Module):
    """Logit 6 from -300 HU up, -6 below; remembers how many tiles it was shown."""

    def __init__(self) -> None:
        super().__init__()
        self.tiles = 0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.tiles += 1
        return torch.where(x > (-300 + 1000) / 1600 * 2 - 1, 6.0, -6.0)


def detector(network: torch.nn.Module, **changes: float) -> NoduleDetector:
    settings = {"least_score": 0.2, "most": 10, "most_classical": 0} | changes
    return NoduleDetector((network,), 1.0, "cpu", METHOD, **settings)  # type: ignore[arg-type]


@pytest.fixture
def scan(ct_of: Callable[..., CtVolume]) -> tuple[CtVolume, LungMask]:
    """Two balls of 8 mm, one in the lung, one 40 mm outside of it."""
    shape = (40, 100, 100)
    hu = np.full(shape, -880.0)
    for middle in ((20, 50, 25), (20, 50, 90)):
        hu[ball(middle, 4, shape)] = 30.0
    ct = ct_of(ndimage.gaussian_filter(hu, 0.6), (1.0, 1.0, 1.0))
    labels = np.zeros(shape, np.uint8)
    labels[4:36, 10:90, 5:50] = 1
    return ct, LungMask(labels, ct.geometry, METHOD)


def test_what_the_network_sees_in_the_lungs_is_proposed_where_it_lies(scan: tuple[CtVolume, LungMask]) -> None:
    ct, lungs = scan

    (found,) = detector(BrightIsNodule())(ct, lungs)

    assert np.linalg.norm(np.subtract(found.centre_lps_mm, ct.geometry.to_lps_mm((20, 50, 25)))) < 1.0
    assert found.diameter_mm == pytest.approx(8.0, abs=1.0)


def test_the_classical_finder_adds_what_the_network_overlooks(scan: tuple[CtVolume, LungMask]) -> None:
    class Blind(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.full_like(x, -6.0)

    ct, lungs = scan

    assert detector(Blind())(ct, lungs) == []
    found = detector(Blind(), most_classical=5)(ct, lungs)
    apart = [np.linalg.norm(np.subtract(c.centre_lps_mm, ct.geometry.to_lps_mm((20, 50, 25)))) for c in found]
    assert min(apart) < 2.0


def test_tiles_without_lung_are_not_looked_at(ct_of: Callable[..., CtVolume]) -> None:
    ct = ct_of(np.full((20, 30, 300), -880.0), (1.0, 1.0, 1.0))
    ends = np.zeros(ct.hu.shape, np.uint8)
    ends[:, :, :8] = ends[:, :, -8:] = 1
    network, whole = BrightIsNodule(), BrightIsNodule()

    detector(network)(ct, LungMask(ends, ct.geometry, METHOD))
    detector(whole)(ct, LungMask(np.ones_like(ends), ct.geometry, METHOD))

    assert 0 < network.tiles < whole.tiles


def test_without_lungs_there_is_nothing_to_propose(scan: tuple[CtVolume, LungMask]) -> None:
    ct, lungs = scan

    assert detector(BrightIsNodule())(ct, LungMask(np.zeros_like(lungs.labels), ct.geometry, METHOD)) == []


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A models folder with an untrained detector, to be used by default."""
    folder = tmp_path / "models" / BUNDLE
    ignored = shutil.ignore_patterns("*.safetensors")
    shutil.copytree(find_bundle(BUNDLE).path, folder, ignore=ignored)
    for name, changes in (
        ("inference", {"used_by_default": True, "members": []}),
        ("metadata", {"status": "untrained"}),
    ):
        file = folder / f"configs/{name}.json"
        file.write_text(json.dumps(json.loads(file.read_text(encoding="utf-8")) | changes), encoding="utf-8")
    monkeypatch.setenv(MODELS_FOLDER_VARIABLE, str(folder.parent))
    bundled_detector.cache_clear()
    return folder.parent


def test_an_untrained_or_absent_detector_is_not_used(models: Path) -> None:
    assert bundled_detector(str(models), "cpu") is None
    shutil.rmtree(models / BUNDLE)
    bundled_detector.cache_clear()
    assert bundled_detector(str(models), "cpu") is None


def test_a_detector_whose_weights_are_missing_is_refused(models: Path) -> None:
    file = models / BUNDLE / "configs/metadata.json"
    metadata = json.loads(file.read_text(encoding="utf-8"))
    digests = {"models/model.safetensors": "ab" * 32}
    file.write_text(json.dumps(metadata | {"status": "trained", "weights_sha256": digests}), encoding="utf-8")

    with pytest.raises(ModelError, match="nodule_ct_detection are damaged or were changed"):
        bundled_detector(str(models), "cpu")
