"""What the figures of an evaluation are made of."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from LungNoduleCADLib.classification.encoder import Answers
from LungNoduleCADLib.domain.ct import CtVolume
from LungNoduleCADLib.domain.nodule import NoduleCandidate, NoduleType
from LungNoduleCADLib.evaluation.froc import ScanDetections
from LungNoduleCADLib.evaluation.overlap import SurfaceAgreement
from LungNoduleCADLib.training import evaluate_attributes
from LungNoduleCADLib.training.card import figures_table
from LungNoduleCADLib.training.data import Mark, MarkedScan, PackNodule
from LungNoduleCADLib.training.evaluate_attributes import _against_background, _detection, malignancy_figures
from LungNoduleCADLib.training.evaluate_segmentation import _surface_figures, _surfaces
from LungNoduleCADLib.training.nodule_pack import NodulePack


@pytest.fixture
def rated(pack: NodulePack) -> list[PackNodule]:
    """Forty nodules of twenty patients; every second was rated 5, the others 1."""
    return [
        replace(pack.nodules[0], patient_id=f"P{n // 2}", ratings={"malignancy": (5 if n % 2 else 1,) * 3})
        for n in range(40)
    ]


def test_equal_probabilities_of_different_logits_cost_no_area_under_the_curve(rated: list[PackNodule]) -> None:
    logit = np.array([1.0 if n % 2 else -1.0 for n in range(40)]) + np.linspace(0, 0.5, 40)
    one_step = {"method": "isotonic", "logits": [-9.0, 9.0], "probabilities": [0.5, 0.5]}

    figures = malignancy_figures(rated, logit, one_step)

    assert figures["malignancy_auc_median_above_3"]["value"] == 1.0
    assert figures["malignancy_brier"]["value"] == 0.25


def test_a_calibration_error_stands_beside_what_chance_makes_of_so_few_cases(rated: list[PackNodule]) -> None:
    logit = np.linspace(-3, 3, 40)
    figures = malignancy_figures(rated, logit, {})
    by_mass, by_width = figures["malignancy_ece"], figures["malignancy_ece_equal_width"]

    assert (by_mass["bins"], by_width["bins"]) == ("15 bins of equal mass", "10 bins of equal width")
    assert 0.05 < by_width["by_chance"] < by_mass["by_chance"] < 0.4
    assert by_mass["value"] > by_mass["by_chance"], "the logits say nothing of these ratings"
    evaluation = {"fold": 4, "trained_on_folds": [0], "scans": [], "setting": "s", "interval": "i"}
    card = figures_table(evaluation | {"nodules": 40, "patients": 20, "figures": {"malignancy_ece": by_mass}})
    assert f"40 nodules, 20 patients; {by_mass['by_chance']:.3f} by chance, 15 bins of equal mass)" in card


def test_nodules_against_background_have_an_interval_over_patients(rated: list[PackNodule]) -> None:
    rng = np.random.default_rng(0)
    figures = _against_background(rated, rng.normal(3, 1, 40), rng.normal(0, 1, 300), ["A"] * 200 + ["P1"] * 100)

    area, precision = (figures[name] for name in list(figures)[:2])
    assert 0.9 < area["low"] < area["value"] < area["high"] <= 1.0
    assert (area["cases"], area["patients"]) == (340, 21)
    assert 0.5 < precision["value"] < 1.0
    assert (precision["cases"], figures["background_candidates"]) == (80, 300)


def test_detection_has_intervals_over_patients() -> None:
    target = np.array([[0.0, 0.0, 0.0, 6.0]])
    places = np.array([[0.0, 0.0, 0.0], [50.0, 0.0, 0.0], [60.0, 0.0, 0.0]])
    scans = [
        ScanDetections(places, np.array([0.9 if n else 0.4, 0.7, 0.2]), target, np.zeros((0, 4)), f"P{n}")
        for n in range(4)
    ]

    figures = _detection(scans, 0.5)

    assert figures["sensitivity_at_operating_point"] == {
        "value": 0.75,
        "low": 0.25,
        "high": 1.0,
        "cases": 4,
        "patients": 4,
    }
    assert figures["false_positives_per_scan_at_operating_point"]["value"] == 1.0
    assert figures["sensitivity_at"]["1.0"]["value"] == 1.0
    assert (
        _detection([replace(scan, targets=np.zeros((0, 4))) for scan in scans], 0.5)["sensitivity_at_operating_point"]
        is None
    )


def test_surfaces_one_voxel_apart_are_a_voxel_apart_and_a_missing_outline_is_counted(rated: list[PackNodule]) -> None:
    reference = np.zeros((12, 20, 20), bool)
    reference[4:8, 6:14, 6:14] = True
    shifted = np.roll(reference, 1, axis=0)

    agreements = [
        _surfaces(shifted, reference, (2.0, 0.7, 0.7)),
        _surfaces(reference & False, reference, (2.0, 0.7, 0.7)),
    ]
    figures = _surface_figures(rated[:2], agreements)

    assert agreements[1] == SurfaceAgreement(None, None, 0.0)
    assert figures["hausdorff_95_mm"]["value"] == pytest.approx(2.0)
    assert 0 < figures["mean_surface_distance_mm"]["value"] < 2.0
    assert figures["without_outline"] == 1
    assert figures["surface_dice_at_1_mm"]["cases"] == 2
    assert _surface_figures(rated[:1], agreements[1:])["mean_surface_distance_mm"] is None


def test_whole_scans_are_rated_by_networks_that_never_saw_them_and_counted_by_patient(
    rated: list[PackNodule], ball_ct: Callable[..., CtVolume], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two scans with a ball each; the finder proposes it and two empty places, a bright middle is a nodule."""
    ct = ball_ct(5.0, (2.0, 2.0, 2.0))
    mark = Mark("A", 3, (0.0, 0.0, 0.0), 10.0, NoduleType.SOLID)
    scans = [MarkedScan(name, ct, None, (mark,), fold) for name, fold in (("one", 2), ("two", 3))]
    asked = []

    class Bright:
        size, spacing_mm = 4, 2.0

        def answer(self, patches: list[np.ndarray]) -> Answers:
            logits = np.array([[6.0 if patch.mean() > -500 else -6.0] for patch in patches])
            return Answers({"nodule": logits}, np.zeros((0, 0)))

    def never_saw(_bundle: object, _device: str, *, unseen_fold: int) -> Bright:
        asked.append(unseen_fold)
        return Bright()

    monkeypatch.setattr(evaluate_attributes.EncoderRunner, "from_bundle", never_saw)
    places = [NoduleCandidate((0.0, 0.0, 0.0)), NoduleCandidate((18.0, 0.0, 0.0)), NoduleCandidate((0.0, 18.0, 0.0))]
    monkeypatch.setattr(evaluate_attributes, "find_candidates", lambda *_: places)
    examination = SimpleNamespace(
        bundle=SimpleNamespace(inference={"calibration": {"nodule": {"slope": 0.5}}, "operating_threshold": 0.9}),
        device="cpu",
        nodules=rated,
        pictures=None,
        report=str,
        patient_of=lambda scan: scan.name,
        scans=lambda: [(scan.fold, scan) for scan in scans],
    )

    figures = evaluate_attributes._whole_scans(examination, np.full(40, 6.0))

    assert asked == [2, 3]
    assert figures["background_candidates"] == 4
    assert figures["nodule_auc_on_real_background"]["value"] == 1.0
    assert figures["nodule_auc_on_real_background"]["patients"] == 22
    assert figures["detection"]["sensitivity_at_operating_point"]["value"] == 1.0
    assert figures["detection"]["false_positives_per_scan_at_operating_point"]["value"] == 0.0
    assert figures["detection"]["per_scan"]["one"] == {
        "targets": 1,
        "candidates": 3,
        "sensitivity_at_operating_point": 1.0,
        "false_positive_candidates_at_operating_point": 0.0,
    }
    json.dumps(figures, allow_nan=False)
