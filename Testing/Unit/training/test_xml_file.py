"""What XML of others can be made to do to its reader."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from LungNoduleCADLib.errors import InputError
from LungNoduleCADLib.training import xml_file
from LungNoduleCADLib.training.lidc_xml import read_lidc_xml
from LungNoduleCADLib.training.lung_pet_ct_dx import LungPetCtDx
from LungNoduleCADLib.training.xml_file import parse_xml


def laughs(entities: int = 12) -> str:
    """Ten times as many of the entity before, twelve times over: a terabyte of text."""
    lines = ['<!ENTITY e0 "lol">']
    lines += [f'<!ENTITY e{i} "{f"&e{i - 1};" * 10}">' for i in range(1, entities + 1)]
    return f"<!DOCTYPE LidcReadMessage [{''.join(lines)}]><LidcReadMessage>&e{entities};</LidcReadMessage>"


def blowup() -> str:
    """One long entity, used often."""
    return f'<!DOCTYPE a [<!ENTITY x "{"x" * 50_000}">]><a>{"&x;" * 50_000}</a>'


def outside(secret: Path) -> str:
    return f'<!DOCTYPE a [<!ENTITY x SYSTEM "{secret.as_uri()}">]><a>&x;</a>'


@pytest.mark.parametrize("make", [laughs, blowup], ids=["billion laughs", "quadratic blow-up"])
def test_entities_that_multiply_are_refused_before_they_are_expanded(make: Callable[[], str], tmp_path: Path) -> None:
    file = tmp_path / "069.xml"
    file.write_text(make(), encoding="utf-8")
    start = time.process_time()

    with pytest.raises(InputError, match=r"069\.xml is damaged.*DOCTYPE"):
        read_lidc_xml(file)

    assert time.process_time() - start < 1


def test_no_other_file_comes_in_through_an_entity(tmp_path: Path) -> None:
    secret, file = tmp_path / "secret.txt", tmp_path / "069.xml"
    secret.write_text("of the patient", encoding="utf-8")
    file.write_text(outside(secret), encoding="utf-8")

    with pytest.raises(InputError, match="DOCTYPE") as refused:
        read_lidc_xml(file)

    assert "of the patient" not in str(refused.value)


def test_annotations_of_lung_pet_ct_dx_are_read_within_the_same_bounds(tmp_path: Path) -> None:
    (tmp_path / "Annotation/A0001").mkdir(parents=True)
    (tmp_path / "Annotation/A0001/1.2.3.xml").write_text(blowup(), encoding="utf-8")

    with pytest.raises(InputError, match="DOCTYPE"):
        LungPetCtDx(tmp_path)


def test_a_file_that_is_too_large_is_not_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "069.xml"
    file.write_text("<a>0123456789</a>", encoding="utf-8")
    assert parse_xml(file).text == "0123456789"
    monkeypatch.setattr(xml_file, "LARGEST_BYTES", 16)

    with pytest.raises(ValueError, match="17 bytes, more than 16"):
        parse_xml(file)
