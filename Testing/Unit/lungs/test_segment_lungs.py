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
from LungNoduleCADLib.lungs.segment import segment_lungs, with_dense_lung

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


DENSE = (slice(22, 38), slice(20, 40), slice(25, 30))
"""Dense tissue on the inner side of the right lung."""


def consolidated() -> tuple[CtVolume, LungMask, LungMask]:
    """A chest with dense lung, the lungs without it, and those that a model sees."""
    labels = lungs(LEARNED).labels
    labels[DENSE] = 1
    ct = chest()
    ct.hu[DENSE] = 30
    aerated = lungs(METHOD)
    aerated.labels[DENSE] = 0
    return ct, aerated, LungMask(labels, GEOMETRY, LEARNED)


def test_methods_that_agree_give_the_classical_outline_without_a_doubt() -> None:
    answer = with_dense_lung(lungs(METHOD), lungs(LEARNED), chest())
    np.testing.assert_array_equal(answer.labels, lungs(METHOD).labels)
    assert answer.method == Method(f"{METHOD.name} {METHOD.version} + learned", "1")
    assert codes(answer) == set()


def test_dense_lung_that_the_model_sees_is_added() -> None:
    ct, aerated, learned = consolidated()
    answer = with_dense_lung(aerated, learned, ct)
    assert (answer.labels[DENSE] == 1).mean() > 0.9
    assert codes(answer) == set()
    np.testing.assert_array_equal(answer.labels == 2, aerated.labels == 2)


def test_much_dense_lung_is_told_with_the_masks_quality() -> None:
    ct = chest()
    ct.hu[10:50, 15:45, 30:36] = 30
    answer = with_dense_lung(lungs(METHOD), lungs(LEARNED, 26), ct)
    assert codes(answer) == {"dense_lung"}
    assert "dense_lung" in {flag.code for flag in lung_quality(answer, ct)}


def test_air_that_the_model_alone_takes_for_lung_is_none() -> None:
    ct = chest()
    learned = lungs(LEARNED)
    learned.labels[20:40, 5:12, 10:30] = 1
    ct.hu[20:40, 5:12, 10:30] = -900
    np.testing.assert_array_equal(with_dense_lung(lungs(METHOD), learned, ct).labels, lungs(METHOD).labels)


def test_a_thin_rim_that_the_model_adds_is_its_blur() -> None:
    answer = with_dense_lung(lungs(METHOD), lungs(LEARNED, 21), chest())
    np.testing.assert_array_equal(answer.labels, lungs(METHOD).labels)


def test_a_little_of_a_lung_that_is_not_in_the_scan_is_none() -> None:
    right = lungs(METHOD)
    right.labels[right.labels == 2] = 0
    learned = lungs(LEARNED)
    learned.labels[:, :, 54:] = 0
    ct = chest()
    learned.labels[20:, :, 50:] = 0
    ct.hu[:, :, 50:76] = 30
    np.testing.assert_array_equal(with_dense_lung(right, learned, ct).labels, right.labels)


def test_aerated_lung_that_the_model_misses_or_takes_for_the_other_side_stays() -> None:
    for labels in (lungs(LEARNED).labels * 0, np.array([0, 2, 1], np.uint8)[lungs(LEARNED).labels]):
        answer = with_dense_lung(lungs(METHOD), replace(lungs(LEARNED), labels=labels), chest())
        np.testing.assert_array_equal(answer.labels, lungs(METHOD).labels)


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
