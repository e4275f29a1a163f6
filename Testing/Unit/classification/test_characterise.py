from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from LungNoduleCADLib.bundles.spec import Bundle
from LungNoduleCADLib.classification import characterise
from LungNoduleCADLib.classification.characterise import Characteriser
from LungNoduleCADLib.classification.encoder import EncoderRunner
from LungNoduleCADLib.domain.ct import CtVolume
from LungNoduleCADLib.domain.masks import NoduleMask
from LungNoduleCADLib.domain.nodule import AxialAxes, Measurements, Nodule, NoduleCandidate
from LungNoduleCADLib.domain.provenance import Method

NOWHERE = ((0.0, 0.0, 0.0), (0.0, 0.0, 0.0))
MEASURED = Measurements(268.0, AxialAxes(8.0, 8.0, 3, NOWHERE, NOWHERE), -50.0, 1.0, None, None, None)


@pytest.fixture
def characteriser(tmp_path: Path, runner: EncoderRunner, monkeypatch: pytest.MonkeyPatch) -> Characteriser:
    monkeypatch.setattr(characterise, "radiomic_features", lambda _ct, _mask: None)
    (tmp_path / "configs").mkdir()
    metadata = {"version": "0.1.0", "status": "trained", "weights_sha256": {"models/model.safetensors": "ab" * 32}}
    (tmp_path / "configs/metadata.json").write_text(json.dumps(metadata), encoding="utf-8")
    inference = {"calibration": {"malignancy": {"slope": 0.5, "offset": -1.0}}}
    (tmp_path / "configs/inference.json").write_text(json.dumps(inference), encoding="utf-8")
    return Characteriser(runner, Bundle(tmp_path), None, None)


def nodule_of(ct: CtVolume) -> Nodule:
    mask = NoduleMask(ct.hu >= -500, (0, 0, 0), ct.geometry, Method("hand", "1"))
    return Nodule("N1", NoduleCandidate((0.0, 0.0, 0.0)), mask.centroid_lps_mm(), mask, MEASURED)


def test_an_outlined_nodule_gets_type_malignancy_and_a_heat_map(
    characteriser: Characteriser, ball_ct: Callable[..., CtVolume]
) -> None:
    found = characteriser.characterise((ct := ball_ct(5.0)), nodule_of(ct))

    assert sum(found.type.probabilities.values()) == pytest.approx(1.0, abs=1e-3)
    low, high = found.malignancy.mirrored_views_95
    assert low <= found.malignancy.probability <= high
    assert found.malignancy.probability == found.malignancy.encoder_probability
    assert 1 <= found.malignancy.rating_1_to_5 <= 5
    hottest = found.saliency.geometry.to_lps_mm(
        np.unravel_index(found.saliency.heat.argmax(), found.saliency.heat.shape)
    )
    assert np.linalg.norm(hottest) < 5.0
    assert found.saliency.method.sha256 == "ab" * 32


def test_histology_says_why_it_is_not_there(characteriser: Characteriser, ball_ct: Callable[..., CtVolume]) -> None:
    found = characteriser.characterise((ct := ball_ct(5.0)), nodule_of(ct))

    assert found.histology.probabilities is None
    assert "decided by tissue" in found.histology.not_available


def test_a_nodule_without_outline_is_not_characterised(
    characteriser: Characteriser, ball_ct: Callable[..., CtVolume]
) -> None:
    found = characteriser.characterise(ball_ct(5.0), Nodule("N1", NoduleCandidate((0.0, 0.0, 0.0)), (0.0, 0.0, 0.0)))

    assert (found.type, found.malignancy, found.saliency, found.radiomics) == (None, None, None, None)
