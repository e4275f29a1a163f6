from __future__ import annotations

import pytest

from LungNoduleCADLib.dicom.wording import kernel_name, known_words, manufacturer_name


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("CHEST LUNG 2.5 LUNG", "CHEST LUNG 2.5 LUNG"),
        ("Thorax  1.0  B50f", "Thorax 1.0 B50f"),
        ("Lung 1.25mm w/o contrast", "Lung 1.25mm w o contrast"),
        ("Chest of Jane Doe 1937", "Chest of …"),
        ("DOE^JANE^4711", ""),
        ("", ""),
    ],
)
def test_of_a_description_only_known_words_and_small_numbers_are_kept(said: str, kept: str) -> None:
    assert known_words(said) == kept


@pytest.mark.parametrize(
    ("said", "kept"),
    [("B30f", "B30f"), ("I70f\\3", "I70f 3"), ("BONEPLUS", "BONEPLUS"), ("FC51", "FC51"), ("Br40d\\3", "Br40d 3"),
     ("YC", "YC"), ("Doe", ""), ("4711", "")],
)  # fmt: skip
def test_a_kernel_is_kept_where_it_is_called_like_one(said: str, kept: str) -> None:
    assert kernel_name(said) == kept


@pytest.mark.parametrize(
    ("said", "kept"),
    [("GE MEDICAL SYSTEMS", "GE MEDICAL SYSTEMS"), ("Siemens Healthineers", "Siemens Healthineers"),
     ("SIEMENS", "SIEMENS"), ("Philips, scanner of Dr. Doe", "Philips"), ("GENERAL HOSPITAL", ""), ("Jane Doe", "")],
)  # fmt: skip
def test_a_manufacturer_is_kept_where_it_is_one(said: str, kept: str) -> None:
    assert manufacturer_name(said) == kept
