"""Whatever fits the schemas is read, written and read again as the same; what does not is refused, or read safely."""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from jsonschema import Draft202012Validator

sys.path.insert(0, str(Path(__file__).parent))

from schema_values import damaged, documents

from LungNoduleCADLib.cli.work import CLINICAL_SCHEMA, clinical_context, read_clinical
from LungNoduleCADLib.errors import InputError
from LungNoduleCADLib.report.findings_json import (
    FILE_NAME,
    from_json,
    read_findings,
    schema_path,
    to_json,
    write_document,
)

FINDINGS, CLINICAL = documents(schema_path()), documents(schema_path(CLINICAL_SCHEMA))
FEW = settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
MANY = settings(FEW, max_examples=100)


def _validator(path: Path) -> Draft202012Validator:
    return Draft202012Validator(json.loads(path.read_text(encoding="utf-8")))


@FEW
@given(FINDINGS)
def test_findings_that_fit_are_the_same_when_read_again_or_refused_in_a_sentence(document: dict[str, Any]) -> None:
    written, not_understood = None, None
    try:
        written = to_json(from_json(document))
    except InputError as error:  # what a schema cannot say: an id twice or not at all, a mean that is none
        not_understood = error.__cause__
    assert not_understood is None
    assume(written)
    with tempfile.TemporaryDirectory() as folder:
        write_document(written, Path(folder, FILE_NAME))
        assert to_json(read_findings(Path(folder))) == written


@FEW
@given(damaged(FINDINGS))
def test_damaged_findings_are_refused_or_still_fit(document: Any) -> None:
    fits = _validator(schema_path()).is_valid(document)
    try:
        written = to_json(from_json(document))
    except InputError:
        return
    assert fits
    assert _validator(schema_path()).is_valid(written)


@MANY
@given(CLINICAL)
def test_clinical_facts_that_fit_are_read_as_they_are(facts: dict[str, Any]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "clinical.json")
        file.write_text(json.dumps(facts), encoding="utf-8")
        context = read_clinical(file)
    assert {name: getattr(context, name) for name in facts} == facts
    assert clinical_context(facts, "again") == context


@MANY
@given(damaged(CLINICAL))
def test_damaged_clinical_facts_are_refused_or_fit(facts: Any) -> None:
    if _validator(schema_path(CLINICAL_SCHEMA)).is_valid(facts):
        clinical_context(facts, "damaged")
    else:
        with pytest.raises(InputError):
            clinical_context(facts, "damaged")
