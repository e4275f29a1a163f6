from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from LungNoduleCADLib.cli.work import read_clinical
from LungNoduleCADLib.domain.clinical import ClinicalContext
from LungNoduleCADLib.errors import InputError

FACTS = {
    "age_years": 63,
    "sex": "F",
    "smoking_status": "former",
    "pack_years": 30.5,
    "years_since_quit": 4,
    "family_history_lung_cancer": False,
    "emphysema": True,
    "prior_cancer": None,
    "significant_other_finding": False,
}


def written(folder: Path, content: object) -> Path:
    file = folder / "clinical.json"
    file.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return file


@pytest.fixture(scope="module")
def schema(repository: Path) -> dict:
    return json.loads((repository / "Resources/clinical.schema.json").read_text(encoding="utf-8"))


def test_the_schema_is_valid_and_describes_every_field_and_no_other(schema: dict) -> None:
    Draft202012Validator.check_schema(schema)

    assert list(schema["properties"]) == [field.name for field in fields(ClinicalContext)]
    assert schema["additionalProperties"] is False
    assert all(property_["description"] for property_ in schema["properties"].values())


def test_every_field_may_be_null_or_left_out(schema: dict) -> None:
    validator = Draft202012Validator(schema)

    assert validator.is_valid({})
    assert validator.is_valid(dict.fromkeys(schema["properties"]))


def test_facts_are_read_as_they_were_said(tmp_path: Path) -> None:
    assert read_clinical(written(tmp_path, FACTS)) == ClinicalContext(**FACTS)


def test_what_nobody_said_stays_unknown(tmp_path: Path) -> None:
    assert read_clinical(written(tmp_path, {"age_years": 60})) == ClinicalContext(age_years=60)


def test_facts_go_through_the_findings_schema(tmp_path: Path, repository: Path) -> None:
    findings = json.loads((repository / "Resources/findings.schema.json").read_text(encoding="utf-8"))

    Draft202012Validator(findings["properties"]["clinical"]).validate(FACTS)
    assert read_clinical(written(tmp_path, FACTS)).pack_years == 30.5


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({"pack_year": 30}, "'pack_year' was unexpected"),
        ({"emphysema": "no"}, "not valid at emphysema"),
        ({"age_years": "63"}, "not valid at age_years"),
        ({"age_years": -1}, "not valid at age_years"),
        ({"age_years": True}, "not valid at age_years"),
        ({"smoking_status": "a bit"}, "not valid at smoking_status"),
        ([1, 2], "not valid at its top level"),
        ("null", "not valid at its top level"),
        ("{age: 3", "cannot be read as clinical facts"),
    ],
)
def test_facts_that_cannot_be_understood_are_refused_and_not_guessed(
    tmp_path: Path, content: object, words: str
) -> None:
    with pytest.raises(InputError, match=words) as caught:
        read_clinical(written(tmp_path, content))

    assert "clinical.schema.json" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_not_there_or_not_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "image.json").write_bytes(b"\xff\xfe\x00\x81")

    for name in ("nowhere.json", "image.json"):
        with pytest.raises(InputError, match="cannot be read as clinical facts"):
            read_clinical(tmp_path / name)
