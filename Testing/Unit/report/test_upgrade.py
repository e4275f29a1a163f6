"""Results of earlier versions stay readable."""

from __future__ import annotations

import json
from copy import deepcopy
from dataclasses import replace
from typing import Any

import pytest

from LungNoduleCADLib.domain.comparison import Growth
from LungNoduleCADLib.domain.findings import StudyFindings
from LungNoduleCADLib.domain.nodule import StatedFacts
from LungNoduleCADLib.errors import InputError
from LungNoduleCADLib.report.findings_json import from_json, read_findings, to_json
from LungNoduleCADLib.report.upgrade import upgraded


def as_1_2(document: dict[str, Any]) -> dict[str, Any]:
    """As version 1.2 wrote it."""
    old = {**deepcopy(document), "schema_version": "1.2"}
    names = {"growing": "grown", "shrinking": "shrunk", "resolved": "gone"}
    if comparison := old["comparison"]:
        del comparison["earlier"], comparison["series"]
        for match in comparison["matches"]:
            match["change"] = names.get(match["change"], match["change"])
            for key in [key for key in match if key.startswith(("mass_", "mdt_", "vdt_bands"))]:
                del match[key]
    for nodule in old["nodules"]:
        del nodule["volume_again_mm3"]
    old["prior"] = as_1_2(document["prior"]) if document["prior"] else None
    return old


def less_series(findings: StudyFindings) -> StudyFindings:
    """What version 1.2 knew of the findings."""
    unknown = dict.fromkeys(f for f in vars(Growth(0, 0, (0, 0), 0, 0, (0, 0))) if f.startswith(("mass_", "mdt_")))
    matches = tuple(
        replace(match, growth=match.growth and replace(match.growth, vdt_bands=(), **unknown))
        for match in findings.comparison.matches
    )
    return replace(findings, comparison=replace(findings.comparison, matches=matches, earlier=(), series=()))


def as_1_1(document: dict[str, Any]) -> dict[str, Any]:
    """As version 1.1 wrote it."""
    old = {**as_1_2(document), "schema_version": "1.1"}
    for nodule in old["nodules"]:
        for key in ("stated", "clinical_risk", "detection_spread_95", "type_spread_95", "unfamiliarity"):
            del nodule[key]
        nodule["malignancy"]["mirrored_views_95"] = nodule["malignancy"].pop("spread_95")
    old["prior"] = as_1_1(document["prior"]) if document["prior"] else None
    return old


def as_1_0(document: dict[str, Any]) -> dict[str, Any]:
    """As version 1.0 wrote it."""
    old = {**as_1_1(document), "schema_version": "1.0"}
    for key in ("operating_points", "operating_points_source", "candidates", "edits"):
        del old[key]
    for nodule in old["nodules"]:
        nodule["malignancy"]["interval_95"] = nodule["malignancy"].pop("mirrored_views_95")
    old["prior"] = as_1_0(document["prior"]) if document["prior"] else None
    return old


def test_results_of_1_1_are_read_and_get_their_clinical_risk(make_findings):
    findings = make_findings(2, prior=True)
    assert from_json(as_1_1(to_json(findings))) == less_series(findings)
    assert findings.nodules[0].stated == StatedFacts()
    assert findings.prior.nodules[0].clinical_risk


def test_results_of_1_2_are_read_with_changes_named_as_they_go_on(make_findings):
    findings = make_findings(3, prior=True)
    old = as_1_2(to_json(findings))
    assert [match["change"] for match in old["comparison"]["matches"]] == ["grown", "new", "stable", "gone"]
    assert from_json(old) == less_series(findings)


def test_results_of_1_0_are_read_with_what_was_not_known_empty(make_findings):
    findings = make_findings(2, prior=True)
    read = from_json(as_1_0(to_json(findings)))
    assert (read.edits, read.candidates, read.operating_points) == ((), (), ())
    assert read.nodules == findings.nodules
    assert read.schema_version == read.prior.schema_version == "1.3"


def test_a_folder_of_1_1_is_read_and_its_document_is_not_changed(make_findings, tmp_path):
    findings = make_findings(1)
    old = as_1_1(to_json(findings))
    kept = deepcopy(old)
    upgraded(old)
    assert old == kept
    (tmp_path / "findings.json").write_text(json.dumps(old), encoding="utf-8")
    assert read_findings(tmp_path) == findings


@pytest.mark.parametrize("broken", [{"nodules": None}, {"nodules": [None]}, {"prior": 3}])
def test_a_damaged_result_of_an_earlier_version_is_refused_in_one_sentence(make_findings, broken):
    with pytest.raises(InputError, match=r"findings\.json is not valid") as caught:
        from_json({**as_1_0(to_json(make_findings(1))), **broken})
    assert "\n" not in str(caught.value)


def test_a_document_of_today_or_of_tomorrow_is_left_alone(make_findings):
    document = to_json(make_findings(1))
    assert upgraded(document) is document
    tomorrow = {**document, "schema_version": "9.0"}
    assert upgraded(tomorrow) is tomorrow
