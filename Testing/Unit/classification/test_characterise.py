from __future__ import annotations

import json
from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from LungNoduleCADLib.bundles.spec import Bundle
from LungNoduleCADLib.classification import characterise
from LungNoduleCADLib.classification.characterise import Characteriser, spread_95
from LungNoduleCADLib.classification.encoder import EncoderRunner
from LungNoduleCADLib.classification.familiarity import UNFAMILIAR, Familiarity, Space, appearance
from LungNoduleCADLib.domain.ct import CtVolume
from LungNoduleCADLib.domain.masks import NoduleMask
from LungNoduleCADLib.domain.nodule import AxialAxes, Measurements, Nodule, NoduleCandidate
from LungNoduleCADLib.domain.provenance import Method
from LungNoduleCADLib.domain.quality import QualityFlag, Severity

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
    characteriser.encoder_bundle.inference["calibration"]["malignancy"]["offset"] = 1.0

    found = characteriser.characterise((ct := ball_ct(5.0)), nodule_of(ct))

    assert sum(found.type.probabilities.values()) == pytest.approx(1.0, abs=1e-3)
    low, high = found.malignancy.spread_95
    assert low <= found.malignancy.probability <= high
    assert found.type.spread_95.keys() == found.type.probabilities.keys()
    assert all(low <= found.type.probabilities[kind] <= high for kind, (low, high) in found.type.spread_95.items())
    assert (found.unfamiliarity, found.flags) == (None, ())
    assert found.malignancy.probability == found.malignancy.encoder_probability
    assert 1 <= found.malignancy.rating_1_to_5 <= 5
    hottest = found.saliency.geometry.to_lps_mm(
        np.unravel_index(found.saliency.heat.argmax(), found.saliency.heat.shape)
    )
    assert np.linalg.norm(hottest) < 5.0
    assert found.saliency.method.sha256 == "ab" * 32


def test_a_score_that_comes_from_beside_the_outline_is_flagged_until_the_outline_is_where_the_heat_is(
    characteriser: Characteriser, ball_ct: Callable[..., CtVolume]
) -> None:
    characteriser.encoder_bundle.inference["calibration"]["malignancy"]["offset"] = 1.0
    nodule = nodule_of(ct := ball_ct(5.0))
    beside_mask = replace(
        nodule.mask, voxels=np.roll(nodule.mask.voxels, round(12.0 / ct.geometry.spacing_kji_mm[2]), 2)
    )
    beside = replace(nodule, mask=beside_mask, centroid_lps_mm=beside_mask.centroid_lps_mm())

    flagged = characteriser.characterise(ct, beside)
    redrawn = characteriser.characterise(ct, replace(flagged, mask=nodule.mask, centroid_lps_mm=nodule.centroid_lps_mm))

    assert [flag.code for flag in flagged.flags] == ["heat_beside"]
    assert redrawn.flags == ()


def test_a_nodule_with_a_low_malignancy_score_gets_no_heat_map(
    characteriser: Characteriser, ball_ct: Callable[..., CtVolume]
) -> None:
    found = characteriser.characterise((ct := ball_ct(1.5)), nodule_of(ct))

    assert found.malignancy.probability < 0.5
    assert found.saliency is None


def test_histology_says_why_it_is_not_there(characteriser: Characteriser, ball_ct: Callable[..., CtVolume]) -> None:
    found = characteriser.characterise((ct := ball_ct(5.0)), nodule_of(ct))

    assert found.histology.probabilities is None
    assert "decided by tissue" in found.histology.not_available


def test_a_nodule_without_outline_is_not_characterised(
    characteriser: Characteriser, ball_ct: Callable[..., CtVolume]
) -> None:
    found = characteriser.characterise(ball_ct(5.0), Nodule("N1", NoduleCandidate((0.0, 0.0, 0.0)), (0.0, 0.0, 0.0)))

    assert (found.type, found.malignancy, found.saliency, found.radiomics) == (None, None, None, None)


def test_the_spread_holds_the_middle_of_the_single_answers_and_the_probability() -> None:
    views = np.linspace(0.0, 1.0, 1001)
    assert spread_95(0.5, views) == pytest.approx((0.025, 0.975))
    assert spread_95(0.99, views) == pytest.approx((0.025, 0.99))
    assert spread_95(0.4, np.full(8, 0.5)) == (0.4, 0.5)


def test_the_detection_gets_a_spread_where_it_has_a_probability(
    characteriser: Characteriser, ball_ct: Callable[..., CtVolume]
) -> None:
    with torch.no_grad():
        characteriser.encoder.networks[0].heads["nodule"].weight.zero_()
        characteriser.encoder.networks[0].heads["nodule"].bias.zero_()
    nodule = nodule_of(ct := ball_ct(5.0))
    rated = replace(nodule, candidate=replace(nodule.candidate, probability=0.9))

    found = characteriser.characterise(ct, rated).candidate

    assert found.probability == 0.9  # rated at its place; here, at the outline's centre, every answer is 0.5
    assert found.spread_95 == (0.5, 0.9)
    assert characteriser.characterise(ct, nodule).candidate.spread_95 is None


def test_a_nodule_unlike_the_known_ones_is_flagged_and_an_earlier_doubt_goes(
    characteriser: Characteriser, ball_ct: Callable[..., CtVolume]
) -> None:
    looks = appearance(np.zeros((8, 8, 8))).size
    other = QualityFlag("no_outline", Severity.WARNING, "another matter")
    flagged = replace(nodule_of(ct := ball_ct(5.0)), flags=(other, UNFAMILIAR))
    found = {}
    for limit in (1e-3, 1e9):
        spaces = {
            "features": Space(np.zeros(8), np.eye(8) / limit),
            "appearance": Space(np.zeros(looks), np.eye(looks) / 1e9),
        }
        found[limit] = replace(characteriser, familiarity=Familiarity([spaces])).characterise(ct, flagged)

    assert found[1e-3].flags == (other, UNFAMILIAR)
    assert found[1e-3].unfamiliarity > 1
    assert found[1e9].flags == (other,)
    assert found[1e9].unfamiliarity < 1


def test_what_the_models_take_for_no_nodule_is_flagged_where_the_reader_marked_it(
    characteriser: Characteriser, ball_ct: Callable[..., CtVolume]
) -> None:
    nodule = nodule_of(ct := ball_ct(5.0))
    marked = [replace(nodule, candidate=replace(nodule.candidate, probability=p)) for p in (0.08, 0.8)]

    unlikely, likely = (characteriser.characterise(ct, one).flags for one in marked)

    assert [flag.code for flag in unlikely] == ["not_a_nodule"]
    assert "8% that it is one" in unlikely[0].message
    assert likely == ()


def test_networks_that_disagree_are_told_with_their_answers(
    characteriser: Characteriser, ball_ct: Callable[..., CtVolume]
) -> None:
    (one,) = characteriser.encoder.networks
    other = deepcopy(one)
    with torch.no_grad():
        other.heads["malignancy"].bias.fill_(20.0)
    both = EncoderRunner((one, other), 32, 1.0, "cpu")

    found = replace(characteriser, encoder=both).characterise((ct := ball_ct(5.0)), nodule_of(ct))

    assert [flag.code for flag in found.flags] == ["networks_disagree"]
    low, high = found.malignancy.spread_95
    assert high - low > 0.4
