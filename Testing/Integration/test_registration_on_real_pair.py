"""Baseline and follow-up CT of a right lung with expert landmarks: measured here, never used to register."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

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


@pytest.mark.parametrize(("current", "prior"), [("followup", "baseline"), ("baseline", "followup")])
def test_landmarks_34_mm_apart_meet_within_1_5_mm_without_folding(shared_data: Path, current: str, prior: str) -> None:
    ct, lungs, points = read(shared_data / "registration", current)
    prior_ct, prior_lungs, prior_points = read(shared_data / "registration", prior)

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
