"""Which scans a table or a folder lists, and under which names."""

from __future__ import annotations

from pathlib import Path

import pytest

from LungNoduleCADLib.cohort.scans import read_scans
from LungNoduleCADLib.errors import InputError


def written(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def test_a_table_gives_scans_priors_facts_and_ids(tmp_path: Path) -> None:
    table = written(
        tmp_path / "t.csv",
        "\ufeffarm,scan,prior,clinical,id\n"
        "screen,SMITH/ct,SMITH/2023;SMITH/2022,smith.json,s-01\n"
        f"control,{tmp_path / 'JONES'},,,\n",
    )

    first, second = read_scans(table)

    assert first.id == "s-01"
    assert first.source == tmp_path / "SMITH/ct"
    assert first.priors == (tmp_path / "SMITH/2023", tmp_path / "SMITH/2022")
    assert first.clinical == tmp_path / "smith.json"
    assert (second.source, second.priors, second.clinical) == (tmp_path / "JONES", (), None)
    assert second.id.startswith("ct-") and "jones" not in second.id.lower()
    assert read_scans(table)[1].id == second.id


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "an empty file"),
        ("path\na\n", "got path"),
        ("scan\n", "lists no scans"),
        ("scan,id\n,x\n", "Line 2"),
        ("scan,id\na,../x\n", "cannot name a folder"),
        ("scan,id\na,X\nb,x\n", "Line 3"),
        ("scan\na\na\n", "same id"),
        ("scan\n\xff\n", "UTF-8"),
    ],
)
def test_a_table_that_cannot_be_used_is_refused_with_its_line(tmp_path: Path, text: str, complaint: str) -> None:
    table = tmp_path / "t.csv"
    table.write_bytes(text.encode("latin-1"))

    with pytest.raises(InputError) as error:
        read_scans(table)

    assert complaint in str(error.value)


def test_what_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such table or folder"):
        read_scans(tmp_path / "nothing.csv")
