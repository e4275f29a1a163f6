from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from LungNoduleCADLib.bundles.spec import Bundle
from LungNoduleCADLib.classification.encoder import EncoderRunner, mirror_images
from LungNoduleCADLib.classification.gradcam import HeatMethod, Technique
from LungNoduleCADLib.domain.ct import CtVolume
from LungNoduleCADLib.domain.geometry import Geometry
from LungNoduleCADLib.domain.masks import LungMask
from LungNoduleCADLib.domain.nodule import MalignancyEstimate
from LungNoduleCADLib.domain.provenance import Method
from LungNoduleCADLib.domain.study import SeriesDescription
from LungNoduleCADLib.errors import InputError
from LungNoduleCADLib.evaluation.saliency import central_blob
from LungNoduleCADLib.networks.nodule_encoder import NoduleEncoder
from LungNoduleCADLib.training.cases import NoduleCase
from LungNoduleCADLib.training.evaluate import Examination
from LungNoduleCADLib.training.nodule_pack import NodulePack
from LungNoduleCADLib.training.saliency_benchmark import (
    BESIDE_KJI,
    LUNG_HU,
    Subject,
    Trial,
    randomised,
    saliency_figures,
    subject_of,
    visibility,
)

SIZE = 16
SCAN = Geometry((24, 60, 60), (-30.0, -30.0, -30.0), (2.5, 1.0, 1.0))


def distance_mm(shift_kji: tuple[int, ...] = (0, 0, 0), radius: float = 3.5) -> np.ndarray:
    """From an egg in the middle of a patch before it is moved; no central blob has its shape."""
    offset = np.indices((SIZE,) * 3) - np.reshape([SIZE // 2 - n for n in shift_kji], (3, 1, 1, 1))
    return np.linalg.norm(offset * np.reshape([1.4, 1.4, 0.6], (3, 1, 1, 1)), axis=0) - radius


def patch(shift_kji: tuple[int, ...] = (0, 0, 0)) -> np.ndarray:
    return np.where(distance_mm(shift_kji) <= 0, 50.0, LUNG_HU).astype(np.float32)


@pytest.fixture
def subjects() -> list[Subject]:
    one = Subject("", patch(), distance_mm(), patch(BESIDE_KJI), MalignancyEstimate(0.2, encoder_probability=0.9))
    return [replace(one, patient=name) for name in "ABC"]


def tissue(images: np.ndarray) -> np.ndarray:
    """A malignancy logit that is the amount of tissue."""
    return (images - LUNG_HU).sum(axis=(1, 2, 3)) / 1e4


def evidence(hu: np.ndarray) -> np.ndarray:
    return hu - LUNG_HU


def test_a_map_of_the_evidence_passes_every_check(subjects: list[Subject]) -> None:
    found = Trial(subjects, tissue, 1.0).measure(evidence)

    failed = [name for name, check in found.items() if not check.get("pass", True)]
    assert failed == []
    assert found["heat_share_of_nodule_and_margin"]["value"] == pytest.approx(1.0)
    assert found["hottest_voxel_in_nodule_and_margin"]["value"] == 1.0
    assert found["flip_consistency"]["value"] > 0.7
    assert (found["deletion_area"]["cases"], found["deletion_area"]["patients"]) == (3, 3)


def failed_by(subjects: list[Subject], heat_of: Callable[[np.ndarray], np.ndarray]) -> set[str]:
    found = Trial(subjects, tissue, 1.0).measure(heat_of)
    return {name for name, check in found.items() if not check.get("pass", True)}


def test_a_map_turned_upside_down_fails_where_evidence_is_taken_away_and_where_heat_should_lie(
    subjects: list[Subject],
) -> None:
    assert failed_by(subjects, lambda hu: hu.max() - hu) >= {
        "deletion_gain_over_random_map",
        "insertion_gain_over_random_map",
        "heat_to_volume_share_of_nodule_and_margin",
    }


def test_a_map_that_is_always_the_middle_gains_nothing_where_the_nodule_lies_beside_it(
    subjects: list[Subject],
) -> None:
    assert failed_by(subjects, lambda hu: central_blob(hu.shape)) >= {
        "deletion_gain_over_central_blob_beside_the_middle",
        "insertion_gain_over_central_blob_beside_the_middle",
    }


def test_a_map_that_is_always_another_fails_when_the_patch_is_flipped_and_moved(subjects: list[Subject]) -> None:
    rng = np.random.default_rng(0)

    assert failed_by(subjects, lambda hu: rng.random(hu.shape)) >= {"flip_consistency", "shift_consistency"}


@pytest.fixture
def network() -> NoduleEncoder:
    torch.manual_seed(3)
    return NoduleEncoder((4, 4, 4, 4), stem_stride=1, dropout=0.0, stem_kernel=3).eval()


def test_random_weights_come_from_the_head_down_as_far_as_asked(network: NoduleEncoder) -> None:
    (head_only,), (again,), (other,) = (randomised([network], 1, seed) for seed in (0, 0, 1))
    (all_of_it,) = randomised([network], 6, 0)

    def same(one: NoduleEncoder, another: NoduleEncoder, part: str) -> bool:
        weights = (network.get_submodule(part).state_dict() for network in (one, another))
        return all(torch.equal(a, b) for a, b in zip(*(w.values() for w in weights), strict=True))

    assert same(head_only, again, "heads")
    assert not same(head_only, other, "heads")
    assert not same(head_only, network, "heads")
    assert same(head_only, network, "backbone")
    assert not same(all_of_it, network, "backbone.conv1")


def runner_of(network: NoduleEncoder) -> EncoderRunner:
    return EncoderRunner((network,), SIZE, 1.0, "cpu")


def test_what_is_shown_depends_on_the_score(subjects: list[Subject], network: NoduleEncoder) -> None:
    def said(probability: float) -> dict[str, dict]:
        estimate = MalignancyEstimate(probability, encoder_probability=0.9)
        scored = [replace(subject, estimate=estimate) for subject in subjects]
        return visibility(scored, scored, runner_of(network), lambda _: estimate)

    assert said(0.2)["shown_where_the_score_is_low"]["pass"]
    assert said(0.2)["nothing_shown_without_the_nodule"]["pass"]
    assert not said(0.9)["shown_where_the_score_is_low"]["pass"]
    assert not said(0.9)["nothing_shown_without_the_nodule"]["pass"]


@pytest.fixture
def case(pack_folder: Path) -> NoduleCase:
    """A ball of 5 mm around the point, in a scan with slices of 2.5 mm."""
    centre = np.linalg.norm(SCAN.to_lps_mm(np.moveaxis(np.indices(SCAN.shape_kji), 0, -1)), axis=-1)
    hu = np.where(centre <= 5, 48, -848).astype(np.int16)
    ct = CtVolume(hu, SCAN, SeriesDescription("ball"))
    lungs = LungMask(np.ones(SCAN.shape_kji, np.uint8), SCAN, Method("all_lung", "1"))
    return NoduleCase(NodulePack(pack_folder).nodules[0], ct, lungs, centre <= 5)


def test_a_case_becomes_a_patch_with_its_outline_and_margin_its_score_and_a_moved_copy(case: NoduleCase) -> None:
    subject = subject_of(case, 32, 0.8, lambda hu: MalignancyEstimate(0.6, rating_1_to_5=float(hu.max() > 0)))

    inside = subject.distance_mm <= 0
    assert np.median(subject.hu[inside]) > 0 > np.median(subject.hu[~subject.region])
    assert inside.sum() * 0.8**3 == pytest.approx(4 / 3 * np.pi * 5**3, rel=0.15)
    assert subject.region.sum() * 0.8**3 == pytest.approx(4 / 3 * np.pi * 7**3, rel=0.2)
    assert subject.beside[:-3, 3:, :-3] == pytest.approx(subject.hu[3:, :-3, 3:], abs=1e-2)
    assert (subject.estimate.probability, subject.estimate.rating_1_to_5) == (0.6, 1.0)
    assert subject.without_nodule.max() < -800


def examination_of(case: NoduleCase, network: NoduleEncoder, monkeypatch: pytest.MonkeyPatch) -> Examination:
    """Four nodules, two of them half as bright, by networks whose score is high where tissue is bright."""
    monkeypatch.setattr(EncoderRunner, "from_bundle", lambda *_, **__: runner_of(network))
    bundle = Bundle(Path("nodule_ct_attributes"))
    pale = replace(case, ct=replace(case.ct, hu=(case.ct.hu - 400).astype(np.int16)))
    cases = [
        replace(one, nodule=replace(case.nodule, patient_id=patient))
        for one, patient in ((case, "A"), (pale, "B"), (case, "C"), (pale, "D"))
    ]
    high, low = (
        runner_of(network).answer(mirror_images(subject_of(c, SIZE, 1.0, lambda _: None).hu)).heads["malignancy"].mean()
        for c in (case, pale)
    )
    slope = 10 / (high - low)
    calibration = {"malignancy": {"slope": slope, "offset": -slope * (high + low) / 2}}
    bundle.__dict__["inference"] = {"calibration": calibration}
    return Examination(bundle, None, None, cases, "cpu", lambda _: None)


def test_the_benchmark_says_of_every_check_how_it_stands(
    case: NoduleCase, network: NoduleEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    examination = examination_of(case, network, monkeypatch)

    found = saliency_figures(examination, 2, [HeatMethod(Technique.GRAD_CAM, ("layer2",), mirrored=False)])

    assert (found["nodules_with_high_score"], found["nodules_with_low_score"]) == (2, 2)
    assert all(check["low"] <= check["value"] <= check["high"] for check in found["checks"].values())
    assert (
        found["checks"]["shown_where_the_score_is_low"] | {"value": 0.0, "pass": True}
        == (found["checks"]["shown_where_the_score_is_low"])
    )
    assert found["passed"] == all(check.get("pass", True) for check in found["checks"].values())
    assert found["checks"]["flip_consistency"]["value"] == pytest.approx(1.0, abs=1e-3)
    assert found["compared"][0]["technique"] == "Grad-CAM"


def test_nodules_without_a_high_score_are_no_benchmark(
    case: NoduleCase, network: NoduleEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    examination = examination_of(case, network, monkeypatch)

    with pytest.raises(InputError, match="low and with high"):
        saliency_figures(replace(examination, cases=examination.cases[1::2]), 2)
