"""Fleischner 2017 and BTS 2015: every row, the edges between rows, and who is refused."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from LungNoduleCADLib.domain.nodule import NoduleType
from LungNoduleCADLib.guidelines.bts_2015 import BTS
from LungNoduleCADLib.guidelines.fleischner_2017 import FLEISCHNER
from LungNoduleCADLib.guidelines.incidental import Facts, recommend
from LungNoduleCADLib.guidelines.rules import Situation
from LungNoduleCADLib.guidelines.scope import PatientFacts

SOLID, PART, GGN = NoduleType.SOLID, NoduleType.PART_SOLID, NoduleType.GROUND_GLASS
GROWING, STABLE, NEW = Situation.GROWING, Situation.STABLE, Situation.NEW
LOW = PatientFacts(60.0, False, False, False, False)
HIGH = replace(LOW, high_risk=True)


def fleischner(patient=LOW, **facts):
    return recommend(FLEISCHNER, Facts(**facts), patient)


def bts(**facts):
    return recommend(BTS, Facts(**facts), LOW)


# (patient, facts, rule id, words of its management)
FLEISCHNER_ROWS = [
    (
        LOW,
        {"type": SOLID, "mean_diameter_mm": 9.0, "perifissural_smooth": True},
        "fleischner-perifissural",
        "No routine",
    ),
    (LOW, {"type": SOLID, "mean_diameter_mm": 5.4}, "fleischner-solid-single-small-low", "No routine"),
    (HIGH, {"type": SOLID, "mean_diameter_mm": 5.4}, "fleischner-solid-single-small-high", "12 months is optional"),
    (LOW, {"type": SOLID, "mean_diameter_mm": 5.5}, "fleischner-solid-single-medium-low", "consider CT at 18 to 24"),
    (HIGH, {"type": SOLID, "mean_diameter_mm": 8.4}, "fleischner-solid-single-medium-high", "then CT at 18 to 24"),
    (LOW, {"type": SOLID, "mean_diameter_mm": 8.5}, "fleischner-solid-single-large", "PET/CT or tissue"),
    (
        LOW,
        {"type": SOLID, "mean_diameter_mm": 3, "multiple": True},
        "fleischner-solid-multiple-small-low",
        "No routine",
    ),
    (
        HIGH,
        {"type": SOLID, "mean_diameter_mm": 3, "multiple": True},
        "fleischner-solid-multiple-small-high",
        "optional",
    ),
    (LOW, {"type": SOLID, "mean_diameter_mm": 20, "multiple": True}, "fleischner-solid-multiple-low", "3 to 6 months"),
    (HIGH, {"type": SOLID, "mean_diameter_mm": 6, "multiple": True}, "fleischner-solid-multiple-high", "3 to 6 months"),
    (LOW, {"type": GGN, "mean_diameter_mm": 5.4}, "fleischner-subsolid-single-small", "No routine"),
    (LOW, {"type": GGN, "mean_diameter_mm": 6.0}, "fleischner-ground-glass-single", "every 2 years until 5"),
    (
        LOW,
        {"type": PART, "mean_diameter_mm": 9.0, "solid_mean_diameter_mm": 5.5},
        "fleischner-part-solid-single-large-solid-part",
        "biopsy or excision",
    ),
    (
        LOW,
        {"type": PART, "mean_diameter_mm": 9.0, "solid_mean_diameter_mm": 5.4},
        "fleischner-part-solid-single",
        "every year for 5 years",
    ),
    (LOW, {"type": PART, "mean_diameter_mm": 4.0, "multiple": True}, "fleischner-subsolid-multiple-small", "2 and 4"),
    (LOW, {"type": GGN, "mean_diameter_mm": 7.0, "multiple": True}, "fleischner-subsolid-multiple", "most suspicious"),
]


@pytest.mark.parametrize(("patient", "facts", "rule", "words"), FLEISCHNER_ROWS)
def test_fleischner_gives_the_row_and_its_management(patient, facts, rule, words):
    said = fleischner(patient, **facts)
    assert said.rule_id == rule
    assert words in said.management
    assert "MacMahon" in said.source


_LARGE = {"type": SOLID, "longest_diameter_mm": 8.0}
BTS_ROWS = [
    ({"type": SOLID, "longest_diameter_mm": 25.0, "benign_calcification": True}, "bts-calcification", "No follow-up"),
    ({"type": SOLID, "longest_diameter_mm": 25.0, "fat": True}, "bts-fat", "No follow-up"),
    ({"type": SOLID, "longest_diameter_mm": 9.9, "perifissural_smooth": True}, "bts-perifissural", "No follow-up"),
    ({"type": SOLID, "longest_diameter_mm": 9.9, "juxtapleural_smooth": True}, "bts-subpleural", "No follow-up"),
    ({"type": SOLID, "longest_diameter_mm": 4.9, "situation": NEW}, "bts-small-new", "Follow-up CT"),
    ({"type": GGN, "longest_diameter_mm": 4.94}, "bts-small", "No follow-up"),
    ({"type": SOLID, "longest_diameter_mm": 4.95}, "bts-solid-5-mm", "12 months"),
    ({"type": SOLID, "volume_mm3": 80}, "bts-solid-6-mm", "3 months"),
    ({"type": SOLID, "longest_diameter_mm": 7.94}, "bts-solid-6-mm", "3 months"),
    ({**_LARGE, "brock_probability": 0.0999}, "bts-solid-8-mm-low", "3 months"),
    ({**_LARGE, "brock_probability": 0.1, "herder_probability": 0.05}, "bts-solid-8-mm-herder-low", "surveillance"),
    ({**_LARGE, "brock_probability": 0.1, "herder_probability": 0.7}, "bts-solid-8-mm-herder-medium", "biopsy"),
    ({**_LARGE, "brock_probability": 0.1, "herder_probability": 0.71}, "bts-solid-8-mm-herder-high", "excision"),
    ({**_LARGE, "brock_probability": 0.1}, "bts-solid-8-mm-pet", "PET/CT"),
    ({"type": SOLID, "volume_mm3": 300}, "bts-solid-8-mm-unknown", "Brock"),
    ({**_LARGE, "situation": GROWING, "vdt_days": 400}, "bts-solid-doubling-400", "work-up"),
    ({**_LARGE, "situation": GROWING, "vdt_days": 401}, "bts-solid-doubling-600", "Consider biopsy"),
    ({**_LARGE, "situation": GROWING, "vdt_days": 601}, "bts-solid-doubling-slow", "Consider discharge"),
    ({**_LARGE, "situation": GROWING}, "bts-solid-growing-unknown", "Measure"),
    (
        {"type": SOLID, "volume_mm3": 200, "situation": STABLE, "months_since_first": 12},
        "bts-solid-stable-volume",
        "No",
    ),
    ({**_LARGE, "situation": STABLE, "months_since_first": 24}, "bts-solid-stable-diameter", "No further"),
    ({**_LARGE, "situation": STABLE, "months_since_first": 12}, "bts-solid-stable", "24 months"),
    ({"type": PART, "longest_diameter_mm": 5.0}, "bts-subsolid-first", "3 months"),
    ({"type": GGN, "longest_diameter_mm": 9.0, "situation": GROWING}, "bts-subsolid-growing", "resection"),
    (
        {"type": GGN, "longest_diameter_mm": 9.0, "situation": STABLE, "altered_morphology": True},
        "bts-subsolid-altered",
        "resection",
    ),
    (
        {"type": GGN, "longest_diameter_mm": 9.0, "situation": STABLE, "suspicious_features": True},
        "bts-subsolid-concerning",
        "biopsy",
    ),
    (
        {"type": GGN, "longest_diameter_mm": 9, "situation": STABLE, "brock_probability": 0.1},
        "bts-subsolid-high",
        "biopsy",
    ),
    (
        {"type": GGN, "longest_diameter_mm": 9, "situation": STABLE, "brock_probability": 0.09},
        "bts-subsolid-low",
        "1, 2",
    ),
    ({"type": GGN, "longest_diameter_mm": 9.0, "situation": STABLE}, "bts-subsolid-unknown", "Brock"),
]


@pytest.mark.parametrize(("facts", "rule", "words"), BTS_ROWS)
def test_bts_gives_the_row_and_its_management(facts, rule, words):
    said = bts(**facts)
    assert said.rule_id == rule
    assert words in said.management
    assert "Callister" in said.source


@pytest.mark.parametrize(("guideline", "rows"), [(FLEISCHNER, FLEISCHNER_ROWS), (BTS, BTS_ROWS)])
def test_every_row_is_tested_above(guideline, rows):
    assert [rule.id for rule in guideline.rules] == list(dict.fromkeys(row[-2] for row in rows))


@pytest.mark.parametrize(
    ("mm", "row"),
    [(5.95, "medium"), (6.0, "medium"), (7.95, "medium"), (8.0, "medium"), (8.5, "large"), (14.95, "large")],
)
def test_fleischner_rounds_to_whole_millimeters(mm, row):
    assert row in fleischner(type=SOLID, mean_diameter_mm=mm).rule_id


@pytest.mark.parametrize(("mm3", "row"), [(99.4, "small"), (99.5, "medium"), (250.4, "medium"), (250.5, "large")])
def test_fleischner_takes_volumes_where_there_is_no_diameter(mm3, row):
    assert row in fleischner(type=SOLID, volume_mm3=mm3).rule_id


def test_bts_takes_the_volume_before_the_diameter_and_tells_of_a_mean_one():
    assert bts(type=SOLID, longest_diameter_mm=6.0, volume_mm3=60.0).rule_id == "bts-small"
    said = bts(type=SOLID, mean_diameter_mm=6.0)
    assert any("longest diameter is meant" in note for note in said.notes)


def test_an_unstated_risk_gives_both_answers_and_says_so():
    said = fleischner(replace(LOW, high_risk=None), type=SOLID, mean_diameter_mm=5.0)
    assert said.rule_id == "fleischner-solid-single-small-low | fleischner-solid-single-small-high"
    assert "If not high risk: No routine follow-up. If high risk: CT at 12 months" in said.management
    large = fleischner(replace(LOW, high_risk=None), type=SOLID, mean_diameter_mm=12.0)
    assert (large.rule_id, large.notes) == ("fleischner-solid-single-large", ())


@pytest.mark.parametrize(
    ("patient", "facts", "words"),
    [
        (replace(LOW, age_years=34), {}, "34 years old; it is for people of 35 or older"),
        (replace(LOW, screening=True), {}, "not for lung cancer screening"),
        (replace(LOW, known_cancer=True), {}, "known cancer"),
        (replace(LOW, immunosuppressed=True), {}, "immunosuppression"),
        (LOW, {"mean_diameter_mm": 30.1}, "30.1 mm is a mass"),
        (LOW, {"mean_diameter_mm": None, "volume_mm3": 14_200.0}, "30.0 mm is a mass"),
        (LOW, {"situation": GROWING}, "grown since an earlier CT"),
        (LOW, {"benign_calcification": True}, "benign calcification"),
        (LOW, {"fat": True}, "fat in the nodule"),
    ],
)
def test_fleischner_is_refused_out_of_its_scope_with_the_reason(patient, facts, words):
    said = fleischner(patient, **{"type": SOLID, "mean_diameter_mm": 7.0, **facts})
    assert said.rule_id is said.management is None
    assert said.not_available.startswith("out of scope: ")
    assert words in said.not_available


def test_bts_is_for_adults_and_for_nodules_found_in_any_way():
    facts = Facts(SOLID, longest_diameter_mm=7.0)
    assert "18 or older" in recommend(BTS, facts, replace(LOW, age_years=17)).not_available
    assert recommend(BTS, facts, replace(LOW, screening=True, known_cancer=True)).rule_id == "bts-solid-6-mm"
    assert "mass" in bts(type=SOLID, longest_diameter_mm=31.0).not_available


def test_what_is_ambiguous_in_a_row_is_told_apart_from_what_holds_for_all_of_them():
    said = bts(type=SOLID, longest_diameter_mm=4.0, situation=NEW)
    assert said.ambiguities == (next(rule.note for rule in BTS.rules if rule.id == said.rule_id),)
    assert set(said.ambiguities) < set(said.notes)
    either = fleischner(replace(LOW, high_risk=None), type=SOLID, mean_diameter_mm=20.0, multiple=True)
    assert either.ambiguities == ("With several nodules the most suspicious one guides management.",)
    growing = bts(**_LARGE, situation=GROWING, vdt_days=400)
    assert growing.ambiguities == ()
    assert any("exactly 400 days" in note for note in growing.notes)


def test_without_type_or_size_nothing_is_said():
    assert fleischner(mean_diameter_mm=7.0).not_available == "not stated: type"
    assert bts().not_available == "not stated: type, size"


def test_what_the_scope_asks_and_nobody_stated_is_told():
    said = recommend(FLEISCHNER, Facts(SOLID, 7.0), PatientFacts(high_risk=False))
    assert any("age years, screening, known cancer, immunosuppressed" in note for note in said.notes)


facts = st.builds(
    Facts,
    type=st.sampled_from(NoduleType),
    longest_diameter_mm=st.floats(0.1, 29.9),
    volume_mm3=st.none() | st.floats(0.1, 14_000),
    solid_mean_diameter_mm=st.none() | st.floats(0, 29),
    situation=st.sampled_from(Situation),
    multiple=st.booleans(),
    high_risk=st.booleans(),
    juxtapleural_smooth=st.none() | st.booleans(),
    brock_probability=st.none() | st.floats(0, 1),
    herder_probability=st.none() | st.floats(0, 1),
    months_since_first=st.none() | st.floats(0, 60),
    vdt_days=st.none() | st.floats(-5000, 5000),
)


@settings(deadline=None)
@given(facts, st.sampled_from((FLEISCHNER, BTS)))
def test_no_nodule_within_the_scope_falls_between_the_rows(nodule, guideline):
    if guideline is FLEISCHNER and nodule.situation is GROWING:
        return
    said = recommend(guideline, nodule, HIGH)
    assert said.not_available is None
    assert said.rule_id
    assert said.management


@settings(deadline=None)
@given(facts)
def test_fleischner_rows_of_one_nodule_do_not_overlap(nodule):
    whole, solid = FLEISCHNER.sizes(nodule)
    rows = [rule.id for rule in FLEISCHNER.rules if rule.holds(nodule, whole, solid)]
    if "fleischner-part-solid-single-large-solid-part" in rows:  # listed before the row for the rest
        rows.remove("fleischner-part-solid-single")
    assert len(rows) == 1


URGENCY = ("No routine", "CT at 12 months is optional", "CT at 6 to 12", "CT at 3 to 6", "Consider CT at 3 months")


@settings(deadline=None)
@given(st.floats(0.1, 29.9), st.floats(0.1, 29.9), st.booleans(), st.booleans())
def test_fleischner_never_asks_less_of_a_larger_solid_nodule(one, other, high, multiple):
    asked = [
        fleischner(HIGH if high else LOW, type=SOLID, mean_diameter_mm=mm, multiple=multiple).management
        for mm in sorted((one, other))
    ]
    small, large = (next(n for n, words in enumerate(URGENCY) if text.startswith(words)) for text in asked)
    assert small <= large


BTS_SOLID = ("bts-small", "bts-solid-5-mm", "bts-solid-6-mm", "bts-solid-8-mm-unknown")


@settings(deadline=None)
@given(st.floats(0.1, 29.9), st.floats(0.1, 29.9))
def test_bts_never_asks_less_of_a_larger_solid_nodule(one, other):
    by_diameter = [bts(type=SOLID, longest_diameter_mm=mm).rule_id for mm in sorted((one, other))]
    by_volume = [bts(type=SOLID, volume_mm3=400 * mm).rule_id for mm in sorted((one, other))]
    for small, large in (by_diameter, by_volume):
        assert BTS_SOLID.index(small) <= BTS_SOLID.index(large)


@pytest.mark.parametrize(
    ("mm", "row"), [(4.94, 0), (4.95, 1), (5.94, 1), (5.95, 2), (6.0, 2), (7.94, 2), (7.95, 3), (8.0, 3), (14.95, 3)]
)
def test_bts_compares_tenths_of_a_millimeter(mm, row):
    assert bts(type=SOLID, longest_diameter_mm=mm).rule_id == BTS_SOLID[row]


@pytest.mark.parametrize("size", [-1.0, float("nan"), float("inf")])
def test_an_impossible_size_is_refused(size):
    with pytest.raises(ValueError, match="sizes of 0 or more"):
        Facts(SOLID, size)
