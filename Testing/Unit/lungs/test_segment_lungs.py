"""Which of the two lung methods answers, and what a reader is told."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from LungNoduleCADLib.domain.ct import CtVolume
from LungNoduleCADLib.domain.geometry import Geometry
from LungNoduleCADLib.domain.masks import LungMask
from LungNoduleCADLib.domain.provenance import Method
from LungNoduleCADLib.domain.study import SeriesDescription
from LungNoduleCADLib.errors import InputError
from LungNoduleCADLib.lungs.classical import METHOD, classical_lungs
from LungNoduleCADLib.lungs.quality import lung_quality
from LungNoduleCADLib.lungs.segment import cross_checked, segment_lungs

GEOMETRY = Geometry((60, 60, 80), (0.0, 0.0, 0.0), (4.0, 4.0, 4.0))
LEARNED = Method("learned", "1")


def lungs(method: Method, columns: int = 20) -> LungMask:
    """Two blocks of lung, ``columns`` wide."""
    labels = np.zeros(GEOMETRY.shape_kji, np.uint8)
    labels[10:50, 15:45, 10 : 10 + columns] = 1
    labels[10:50, 15:45, 70 - columns : 70] = 2
    return LungMask(labels, GEOMETRY, method)


def chest(lung_hu: int = -850) -> CtVolume:
    """A body with air around it, and in it the blocks of lung with a vessel each."""
    hu = np.full(GEOMETRY.shape_kji, -1000, np.int16)
    hu[:, 5:55, 4:76] = 40
    hu[lungs(LEARNED).labels > 0] = lung_hu
    hu[10:50, 28:31, 18:21] = hu[10:50, 28:31, 58:61] = 40
    return CtVolume(hu, GEOMETRY, SeriesDescription(series_uid="1.2.3"))


def codes(mask: LungMask) -> set[str]:
    return {flag.code for flag in mask.flags}


def test_methods_that_agree_give_the_learned_lungs_without_a_doubt() -> None:
    answer = cross_checked(lungs(LEARNED), lungs(METHOD))
    assert answer.method == LEARNED
    assert codes(answer) == set()


def test_lung_that_the_model_adds_is_kept_and_told() -> None:
    answer = cross_checked(lungs(LEARNED, 25), lungs(METHOD, 18))
    assert answer.method == LEARNED
    assert codes(answer) == {"lung_methods_differ"}


@pytest.mark.parametrize("model", [lungs(LEARNED, 15), replace(lungs(LEARNED), labels=lungs(LEARNED).labels * 0)])
def test_the_classical_lungs_stand_in_where_the_model_misses_lung(model: LungMask) -> None:
    answer = cross_checked(model, lungs(METHOD))
    assert answer.method == METHOD
    assert codes(answer) == {"lung_model_failed"}


def test_a_model_that_takes_right_for_left_is_not_believed() -> None:
    swapped = np.array([0, 2, 1], np.uint8)[lungs(LEARNED).labels]
    answer = cross_checked(replace(lungs(LEARNED), labels=swapped), lungs(METHOD))
    np.testing.assert_array_equal(answer.labels, lungs(METHOD).labels)


def test_the_masks_doubts_are_told_with_its_quality() -> None:
    answer = cross_checked(lungs(LEARNED, 25), lungs(METHOD, 18))
    assert "lung_methods_differ" in {flag.code for flag in lung_quality(answer, chest())}


def test_lungs_without_air_are_those_of_the_model() -> None:
    answer = segment_lungs(chest(lung_hu=30), model=lambda _: lungs(LEARNED))
    assert answer.method == LEARNED
    assert codes(answer) == {"lungs_hardly_aerated"}


def test_a_scan_in_which_neither_method_finds_lungs_is_refused() -> None:
    nothing = replace(lungs(LEARNED), labels=np.zeros(GEOMETRY.shape_kji, np.uint8))
    with pytest.raises(InputError, match="No lungs were found"):
        segment_lungs(chest(lung_hu=30), model=lambda _: nothing)


def test_without_a_bundle_the_classical_method_answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LUNGNODULECAD_MODELS", str(tmp_path))
    answer = segment_lungs(chest())
    assert answer.method == METHOD
    np.testing.assert_array_equal(answer.labels, classical_lungs(chest()).labels)
