"""Baseline and follow-up CT of a right lung with expert landmarks: measured here, never used to register."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from LungNoduleCADLib.cli import main
from LungNoduleCADLib.domain.ct import CtVolume
from LungNoduleCADLib.domain.masks import LungMask
from LungNoduleCADLib.domain.provenance import Method
from LungNoduleCADLib.domain.study import SeriesDescription
from LungNoduleCADLib.evaluation.registration import landmark_error_mm, read_landmarks
from LungNoduleCADLib.followup.register import register_studies
from LungNoduleCADLib.imaging.sitk_bridge import geometry_of

pytestmark = [pytest.mark.real_data, pytest.mark.slow]


def read(folder: Path, name: str) -> tuple[CtVolume, LungMask, np.ndarray]:
    image = sitk.ReadImage(str(folder / f"{name}.mha"))
    mask = sitk.GetArrayFromImage(sitk.ReadImage(str(folder / f"{name}_mask.mha"))) > 0
    geometry = geometry_of(image)
    ct = CtVolume(sitk.GetArrayFromImage(image).astype(np.int16), geometry, SeriesDescription(name))
    lungs = LungMask(mask.astype(np.uint8), geometry, Method("given", "1"))
    return ct, lungs, read_landmarks(folder / f"{name}_landmarks.txt")


def test_landmarks_34_mm_apart_meet_within_1_5_mm_without_folding(shared_data: Path) -> None:
    ct, lungs, points = read(shared_data / "registration", "baseline")
    prior_ct, prior_lungs, prior_points = read(shared_data / "registration", "followup")

    registration = register_studies(ct, lungs, prior_ct, prior_lungs)
    # The images hold the right lung only: about half of the 100 landmarks are in the other one.
    error = landmark_error_mm(registration.transform, points, prior_points, ct.geometry, prior_ct.geometry)

    assert (error.n, error.n_left_out) == (51, 49)
    assert error.initial_mean_mm > 34
    assert error.mean_mm <= 1.5
    assert error.p95_mm <= 3.0
    assert registration.quality.folding_fraction == 0
    assert registration.quality.lung_dice_after > 0.97
    assert not registration.failed


def test_the_verb_writes_the_landmark_error_and_the_folding_of_two_files(
    shared_data: Path, repository: Path, tmp_path: Path
) -> None:
    folder, out = shared_data / "registration", tmp_path / "figures.json"
    files = [
        f"--{option}={folder / name}"
        for option, name in (
            ("fixed", "followup.mha"),
            ("moving", "baseline.mha"),
            ("fixed-points", "followup_landmarks.txt"),
            ("moving-points", "baseline_landmarks.txt"),
        )
    ]

    assert main(["evaluate", "registration", *files, "-o", str(out)]) == 0

    figures = json.loads(out.read_text(encoding="utf-8"))
    assert figures["landmarks"]["mean_mm"] <= 1.5
    assert figures["landmarks"]["p95_mm"] <= 3.0
    assert figures["folding"]["folding_fraction"] == 0
    assert figures["folding"]["jacobian_min"] > 0
    assert figures["flags"] == []
    kept = json.loads((repository / "Testing/Benchmarks/registration.json").read_text(encoding="utf-8"))
    assert figures["landmarks"]["mean_mm"] == pytest.approx(kept["landmarks"]["mean_mm"], abs=0.05)
