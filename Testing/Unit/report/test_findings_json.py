import json
from dataclasses import replace

import numpy as np
import pytest

from LungNoduleCADLib.domain.comparison import Change
from LungNoduleCADLib.domain.findings import EditAction
from LungNoduleCADLib.domain.lung_rads import LungRadsCategory
from LungNoduleCADLib.domain.masks import Side
from LungNoduleCADLib.domain.nodule import Nodule, NoduleType, Origin, Review
from LungNoduleCADLib.domain.quality import Severity
from LungNoduleCADLib.errors import InputError
from LungNoduleCADLib.report.findings_json import from_json, plain, read_findings, schema_path, to_json, write_document


@pytest.mark.parametrize("count", [0, 1, 8])
@pytest.mark.parametrize("prior", [False, True])
def test_findings_come_back_from_json_as_they_were(make_findings, count, prior):
    findings = make_findings(count, prior=prior)
    assert from_json(json.loads(json.dumps(to_json(findings)))) == findings


def test_every_probability_keeps_its_spread_and_the_nodule_its_unfamiliarity(make_findings):
    findings = make_findings(1)
    (nodule,) = findings.nodules
    spreads = dict.fromkeys(nodule.type.probabilities, (0.05, 0.9))
    nodule = replace(
        nodule,
        candidate=replace(nodule.candidate, spread_95=(0.8, 0.97)),
        type=replace(nodule.type, spread_95=spreads),
        unfamiliarity=1.4,
    )
    findings = replace(findings, nodules=(nodule,))
    document = json.loads(json.dumps(to_json(findings)))
    record = document["nodules"][0]
    assert (record["detection_spread_95"], record["unfamiliarity"]) == ([0.8, 0.97], 1.4)
    assert record["type_spread_95"]["part-solid"] == [0.05, 0.9]
    assert from_json(document) == findings


def test_the_names_that_others_rely_on_are_there(make_findings):
    document = to_json(make_findings(1, prior=True))
    nodule = document["nodules"][0]
    assert nodule["id"] == "N1"
    assert nodule["type"] == "solid"
    assert nodule["mean_diameter_mm"] == pytest.approx((nodule["long_axis_mm"] + nodule["short_axis_mm"]) / 2, abs=0.05)
    assert nodule["volume_mm3"] == pytest.approx(np.pi / 6 * 6.2**3)
    assert nodule["detection_probability"] == 0.91
    assert nodule["malignancy"]["probability"] == 0.62
    assert nodule["lung_rads"] == document["lung_rads"]["category"] == "4A"
    assert len(nodule["centroid_lps_mm"]) == 3
    match = document["comparison"]["matches"][0]
    assert (match["prior_id"], match["current_id"], match["vdt_days"]) == ("N1", "N1", 320.0)
    assert match["vdt_interval_95_days"] == [214.0, 657.0]
    assert document["prior"]["nodules"][0]["id"] == "N1"


def test_what_the_reader_changed_and_what_the_detector_rated_are_told(make_findings):
    document = to_json(make_findings(1))
    assert document["schema_version"] == "1.3"
    assert document["edits"][0] == {
        "at": "2024-03-02T10:20:00+00:00",
        "action": "type",
        "nodule_id": "N1",
        "before": "solid",
        "after": "part-solid",
    }
    assert document["candidates"][0]["probability"] >= document["candidates"][1]["probability"]
    assert document["operating_points"][0] == {
        "threshold": 0.35,
        "sensitivity": 0.9,
        "false_positives_per_scan": 4.0,
    }
    assert document["nodules"][0]["malignancy"]["spread_95"] == [0.45, 0.77]


def test_masks_and_heat_are_not_in_json_but_the_name_of_the_saliency_file_is(make_findings):
    document = to_json(make_findings(1, masked=True))
    assert document["nodules"][0]["saliency"] == "saliency/N1.nrrd"
    back = from_json(document).nodules[0]
    assert back.mask is None
    assert back.saliency is None


def test_a_nodule_of_which_nothing_is_known_comes_back_as_such(make_findings):
    findings = make_findings(1)
    bare = Nodule("N1", findings.nodules[0].candidate, findings.nodules[0].centroid_lps_mm)
    findings = replace(findings, nodules=(bare,))
    document = to_json(findings)
    assert document["nodules"][0]["malignancy"]["probability"] is None
    assert document["nodules"][0]["volume_mm3"] is None
    assert from_json(document) == findings


def test_an_edited_type_is_the_readers(make_findings):
    document = to_json(make_findings(1))
    document["nodules"][0]["type"] = "ground-glass"
    edited = from_json(document).nodules[0].type
    assert edited.type is NoduleType.GROUND_GLASS
    assert edited.method.name == "reader"
    assert edited.probabilities[NoduleType.SOLID] == 0.8
    assert from_json(to_json(from_json(document))).nodules[0].type == edited


def test_an_edited_category_is_the_readers_and_says_what_the_rules_gave(make_findings):
    document = to_json(make_findings(1))
    document["nodules"][0]["lung_rads"] = "4X"
    decided = from_json(document).nodules[0].lung_rads
    assert decided.category is LungRadsCategory.C4X
    assert decided.decided_by == "reader"
    assert "solid-baseline-3" in decided.reason


def test_an_edited_review_is_read(make_findings):
    document = to_json(make_findings(1))
    document["nodules"][0]["review"] = "rejected"
    assert from_json(document).nodules[0].review is Review.REJECTED


def _set(document, path, value):
    *parents, last = path
    for key in parents:
        document = document[key]
    document[last] = value


@pytest.mark.parametrize(
    ("path", "value", "place"),
    [
        (("nodules", 0, "type"), "sold", "nodules[0].type"),
        (("nodules", 1, "review"), "maybe", "nodules[1].review"),
        (("nodules", 0, "volume_mm3"), "big", "nodules[0].volume_mm3"),
        (("nodules", 0, "malignancy", "probability"), 1.5, "nodules[0].malignancy.probability"),
        (("nodules", 0, "centroid_lps_mm"), [1, 2], "nodules[0].centroid_lps_mm"),
        (("nodules", 0, "reveiw"), "accepted", "nodules[0]"),
        (("nodules", 0, "id"), "../N1", "nodules[0].id"),
        (("nodules", 1, "id"), "N1", "N1 twice"),
        (("nodules", 0, "id"), "x" * 1000, "comparison.matches[0].current_id"),
        (("nodules", 0, "mean_diameter_mm"), 9.9, "mean_diameter_mm of nodule N1"),
        (("comparison", "matches", 0, "current_id"), "N77", "comparison.matches[0].current_id"),
        (("schema_version",), "0.9", "schema_version '1.0', '1.1', '1.2', '1.3'"),
        (("nodules", 0, "stated", "spiculated"), "maybe", "nodules[0].stated.spiculated"),
        (("nodules", 0, "clinical_risk", 0, "probability"), 2, "nodules[0].clinical_risk[0].probability"),
        (("series", "study_date"), "2024-13-40", "is not valid"),
        (("lung_rads", "category"), "5", "lung_rads"),
        (("edits", 0, "action"), "guess", "edits[0].action"),
        (("edits", 0, "at"), "yesterday", "edits[0].at"),
        (("candidates", 1, "probability"), 2, "candidates[1].probability"),
        (("operating_points", 0, "threshold"), None, "operating_points[0].threshold"),
    ],
)
def test_a_wrong_edit_is_refused_and_its_place_named(make_findings, path, value, place):
    document = to_json(make_findings(2, prior=True))
    _set(document, path, value)
    with pytest.raises(InputError, match=r"findings\.json") as caught:
        from_json(document)
    assert place in str(caught.value)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 600


def test_a_missing_key_is_refused_by_name(make_findings):
    document = to_json(make_findings(1))
    del document["nodules"][0]["review"]
    with pytest.raises(InputError, match=r"nodules\[0\].*'review' is a required property"):
        from_json(document)


def test_a_folder_without_findings_and_a_broken_file_are_refused(tmp_path):
    with pytest.raises(InputError, match="holds no results"):
        read_findings(tmp_path)
    (tmp_path / "findings.json").write_text('{"schema_version": ')
    with pytest.raises(InputError, match="cannot be read as JSON"):
        read_findings(tmp_path)


def test_the_schema_knows_every_value_of_the_enums():
    definitions = json.loads(schema_path().read_text(encoding="utf-8"))["$defs"]
    nodule = definitions["nodule"]["properties"]
    assert set(nodule["candidate"]["properties"]["origin"]["enum"]) == set(Origin)
    assert set(nodule["review"]["enum"]) == set(Review)
    assert set(nodule["type"]["enum"]) == {*NoduleType, None}
    assert set(nodule["side"]["enum"]) == {*Side, None}
    assert set(definitions["match"]["properties"]["change"]["enum"]) == set(Change)
    assert set(definitions["assessment"]["properties"]["category"]["enum"]) == set(LungRadsCategory)
    edit = json.loads(schema_path().read_text(encoding="utf-8"))["properties"]["edits"]["items"]
    assert set(edit["properties"]["action"]["enum"]) == set(EditAction)
    assert set(definitions["flags"]["items"]["properties"]["severity"]["enum"]) == set(Severity)


def test_nothing_wrong_is_written(make_findings, tmp_path):
    document = to_json(make_findings(1))
    document["nodules"][0]["review"] = None
    with pytest.raises(InputError):
        write_document(document, tmp_path / "findings.json")
    assert not any(tmp_path.iterdir())


def test_numpy_numbers_become_plain_and_not_a_number_becomes_null():
    values = plain({"a": np.float32(0.5), "b": float("nan"), "c": (np.int64(3), np.bool_(True)), "d": np.inf})
    assert values == {"a": 0.5, "b": None, "c": [3, True], "d": None}
    assert type(values["a"]) is float
