"""``risk``: facts as JSON in, what the models say as JSON out."""

from __future__ import annotations

import argparse
import io
import json
from dataclasses import fields
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from LungNoduleCADLib.cli import risk
from LungNoduleCADLib.domain.nodule import NoduleType
from LungNoduleCADLib.errors import InputError
from LungNoduleCADLib.guidelines.risk import RiskFacts
from LungNoduleCADLib.guidelines.risk_models import MODELS, CancerHistory, PetUptake, Smoking

FACTS = {
    "age_years": 60,
    "sex": "F",
    "family_history_lung_cancer": True,
    "emphysema": False,
    "diameter_mm": 10,
    "type": "solid",
    "upper_lobe": True,
    "spiculated": False,
    "nodule_count": 1,
}


def asked(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> dict:
    parser = argparse.ArgumentParser()
    risk.add_parser(parser.add_subparsers())
    parsed = parser.parse_args(["risk", *arguments])
    assert parsed.run(parsed) == 0
    return json.loads(capsys.readouterr().out)


def written(folder: Path, content: object) -> str:
    file = folder / "facts.json"
    file.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return str(file)


def test_the_schema_is_valid_and_asks_for_the_facts_of_the_models_and_no_other(repository: Path) -> None:
    schema = json.loads((repository / "Resources/risk.schema.json").read_text(encoding="utf-8"))
    Draft202012Validator.check_schema(schema)
    properties = schema["properties"]
    assert list(properties) == [field.name for field in fields(RiskFacts)]
    for name, kind in {
        "smoking_status": Smoking,
        "cancer_history": CancerHistory,
        "type": NoduleType,
        "pet_uptake": PetUptake,
    }.items():
        assert properties[name]["enum"] == [*kind, None]
    assert all(fact["description"] for fact in properties.values())


def test_a_file_of_facts_gives_each_models_probability_or_reason(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    answer = asked([written(tmp_path, FACTS)], capsys)
    said = {estimate["model"]: estimate for estimate in answer["estimates"]}
    assert said["Brock 2b"]["probability"] == pytest.approx(0.128483, abs=1e-6)
    assert said["Brock 2b"]["inputs"]["type"] == "solid"
    assert "N Engl J Med 2013" in said["Brock 2b"]["source"]
    assert said["Mayo"]["probability"] is None
    assert said["Mayo"]["not_available"] == "not stated: smoking, earlier cancer"
    assert said["Mayo"]["probability_range"][0] < said["Mayo"]["probability_range"][1]
    assert said["Herder"]["not_available"] == "not stated: PET uptake"
    assert "research" in answer["research_use_only"].lower()


def test_facts_come_from_standard_input_and_one_model_may_be_asked_alone(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(json.dumps({**FACTS, "diameter_mm": 31})))
    (estimate,) = asked(["--model", "brock-2b"], capsys)["estimates"]
    assert (estimate["model"], estimate["probability"]) == ("Brock 2b", None)
    assert estimate["not_available"] == "out of scope: 31.0 mm is a mass; the models are for nodules up to 30 mm"


def test_the_models_are_listed_with_what_they_ask(capsys: pytest.CaptureFixture[str]) -> None:
    models = asked(["--list"], capsys)["models"]
    assert [model["name"] for model in models] == [model.name for model in MODELS]
    assert [model.name.lower().replace(" ", "-") for model in MODELS] == list(risk.NAMES)
    assert all(model["source"] and model["made_for"] and model["needs"] for model in models)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({**FACTS, "diameter_mm": 0}, "not valid at diameter_mm"),
        ({**FACTS, "diameter_cm": 1}, "'diameter_cm' was unexpected"),
        ({**FACTS, "nodule_count": 0}, "not valid at nodule_count"),
        ({**FACTS, "spiculated": "yes"}, "not valid at spiculated"),
        ({**FACTS, "type": "nonsolid"}, "not valid at type"),
        ([], "not valid at its top level"),
        ("{", "cannot be read as facts"),
        ({"smoking_status": "never", "years_since_quit": 3}, "contradicts itself"),
    ],
)
def test_facts_that_cannot_be_understood_are_refused(tmp_path: Path, content: object, words: str) -> None:
    arguments = argparse.Namespace(facts=written(tmp_path, content), model=None, list=False)
    with pytest.raises(InputError, match=words) as caught:
        risk.run(arguments)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nowhere\.json cannot be read as facts"):
        risk.run(argparse.Namespace(facts=str(tmp_path / "nowhere.json"), model=None, list=False))
