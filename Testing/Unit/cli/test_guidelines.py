"""``lung-rads``, ``fleischner`` and ``bts``: facts as JSON in, the guideline's answer as JSON out."""

from __future__ import annotations

import io
import json
from dataclasses import fields
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from LungNoduleCADLib.cli import main
from LungNoduleCADLib.domain.lung_rads import Airway, Cyst, CystChange
from LungNoduleCADLib.guidelines.incidental import Facts
from LungNoduleCADLib.guidelines.lung_rads_2022 import NoduleFacts
from LungNoduleCADLib.guidelines.lung_rads_table import ALL_RULES
from LungNoduleCADLib.guidelines.rules import Situation
from LungNoduleCADLib.guidelines.scope import PatientFacts

NODULE = {"type": "solid", "mean_diameter_mm": 7.95, "situation": "baseline"}
SCREENED = {"age_years": 63, "screening": True, "known_cancer": False}


@pytest.fixture
def asked(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    def ask(verb: str, content: object, code: int = 0) -> dict | str:
        file = tmp_path / "facts.json"
        file.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
        assert main([verb, str(file)]) == code
        captured = capsys.readouterr()
        return captured.err if code else json.loads(captured.out)

    return ask


def test_the_schema_is_valid_and_asks_what_the_tables_ask_and_no_more(repository: Path) -> None:
    schema = json.loads((repository / "Resources/nodule_facts.schema.json").read_text(encoding="utf-8"))
    Draft202012Validator.check_schema(schema)
    nodule = schema["properties"]["nodules"]["items"]["properties"]
    asked_of = {field.name for kind in (NoduleFacts, Facts) for field in fields(kind)}
    assert set(nodule) == asked_of - {"notes", "multiple", "high_risk"} | {"id"}
    assert list(schema["properties"]["patient"]["properties"]) == [field.name for field in fields(PatientFacts)]
    for name, kind in {"situation": Situation, "airway": Airway, "cyst": Cyst, "cyst_change": CystChange}.items():
        assert nodule[name]["enum"] == [*kind, None]
    assert all(fact["description"] for fact in nodule.values())


def test_lung_rads_gives_category_row_source_and_management_of_nodules_and_exam(asked) -> None:
    small = {"id": "left", "type": "ground-glass", "mean_diameter_mm": 12, "situation": "new", "vdt_days": 300}
    answer = asked("lung-rads", {"patient": SCREENED, "nodules": [NODULE, small]})
    first, second = answer["nodules"]
    assert (first["id"], first["category"], first["rule_id"]) == ("N1", "4A", "solid-baseline-4A")
    assert (second["id"], second["category"], second["not_used"]) == ("left", "2", ["vdt_days"])
    assert first["source"] == "ACR Lung-RADS v2022"
    assert first["management"].startswith("Low-dose CT in 3 months")
    assert (answer["exam"]["category"], answer["exam"]["decided_by"]) == ("4A", "N1")
    assert "research" in answer["research_use_only"].lower()


def test_the_exams_facts_make_it_0_and_s(asked) -> None:
    exam = {"prior_ct_pending": True, "significant_other_finding": True}
    answer = asked("lung-rads", {"patient": SCREENED, "exam": exam, "nodules": [NODULE]})
    assert (answer["exam"]["category"], answer["exam"]["modifier_s"]) == ("0", True)
    assert answer["nodules"][0]["category"] == "4A"


@pytest.mark.parametrize(
    ("before", "months", "rule"),
    [(6.4, 12, "solid-growing-4B"), (6.5, 12, "solid-baseline-4A"), (6.4, 24, "solid-baseline-4A")],
)
def test_whether_a_nodule_grows_follows_from_its_sizes_in_both_cts(asked, before, months, rule) -> None:
    nodule = {"type": "solid", "mean_diameter_mm": 8.0, "prior_mean_diameter_mm": before, "months_since_prior": months}
    (said,) = asked("lung-rads", {"nodules": [nodule]})["nodules"]
    assert said["rule_id"] == rule
    assert any("grows slowly" in note for note in said["notes"]) is (months == 24)


def test_a_part_solid_nodule_whose_solid_part_grew_is_growing(asked) -> None:
    nodule = {"type": "part-solid", "mean_diameter_mm": 12.0, "prior_mean_diameter_mm": 12.0, "months_since_prior": 6}
    grown = {**nodule, "solid_mean_diameter_mm": 5.0, "prior_solid_mean_diameter_mm": 3.0}
    (said,) = asked("lung-rads", {"nodules": [grown]})["nodules"]
    assert said["rule_id"] == "part-solid-growing-4B"


def test_fleischner_counts_the_nodules_and_refuses_screening(asked) -> None:
    nodule = {"type": "solid", "mean_diameter_mm": 7}
    single = asked("fleischner", {"patient": {"high_risk": True}, "nodules": [nodule]})["nodules"][0]
    several = asked("fleischner", {"patient": {"high_risk": True}, "nodule_count": 3, "nodules": [nodule]})["nodules"][
        0
    ]
    assert (single["rule_id"], several["rule_id"]) == (
        "fleischner-solid-single-medium-high",
        "fleischner-solid-multiple-high",
    )
    refused = asked("fleischner", {"patient": {"screening": True}, "nodules": [nodule]})["nodules"][0]
    assert (refused["rule_id"], refused["not_available"]) == (None, "out of scope: it is not for lung cancer screening")


def test_bts_takes_the_risks_that_the_verb_risk_gives(asked) -> None:
    nodule = {"type": "solid", "longest_diameter_mm": 12, "brock_probability": 0.2, "herder_probability": 0.8}
    (said,) = asked("bts", {"nodules": [nodule]})["nodules"]
    assert said["rule_id"] == "bts-solid-8-mm-herder-high"


def test_facts_come_from_standard_input_too(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(json.dumps({"nodules": []})))
    assert main(["lung-rads"]) == 0
    assert json.loads(capsys.readouterr().out)["exam"]["rule_id"] == "exam-no-nodule-1"


def test_a_patient_out_of_scope_is_refused_with_the_reason(asked) -> None:
    answer = asked("lung-rads", {"patient": {"screening": False}, "nodules": [NODULE]})
    assert (answer["exam"], answer["nodules"]) == (None, [])
    assert answer["not_available"] == "out of scope: it is for lung cancer screening"


@pytest.mark.parametrize(
    ("verb", "content", "words"),
    [
        ("lung-rads", {"nodules": [{**NODULE, "situation": None}]}, "does not say whether N1 was there before"),
        ("lung-rads", {"nodules": [{"situation": "baseline"}]}, "says too little of N1"),
        ("lung-rads", {"nodules": [{**NODULE, "mean_diameter_mm": -1}]}, "not valid at nodules[0].mean_diameter_mm"),
        ("lung-rads", {"nodules": [{**NODULE, "size": 1}]}, "'size' was unexpected"),
        ("lung-rads", {}, "'nodules' is a required property"),
        (
            "fleischner",
            {"nodules": [{"type": "solid", "mean_diameter_mm": 7, "prior_mean_diameter_mm": 5}]},
            "growing or",
        ),
        ("bts", "{", "cannot be read as facts"),
    ],
)
def test_facts_that_cannot_be_understood_are_refused_in_one_sentence(asked, verb, content, words) -> None:
    said = asked(verb, content, code=3)
    assert words in said
    assert said.count("\n") == 1


def test_the_rows_of_a_table_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["lung-rads", "--rules"]) == 0
    rules = json.loads(capsys.readouterr().out)["rules"]
    assert [rule["id"] for rule in rules] == [rule.id for rule in ALL_RULES]
    assert all(rule["text"] and rule["management"] and rule["source"] for rule in rules)
