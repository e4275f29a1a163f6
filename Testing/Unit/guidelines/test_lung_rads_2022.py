from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from LungNoduleCADLib.domain.clinical import ClinicalContext
from LungNoduleCADLib.domain.lung_rads import Airway, Cyst, CystChange, LungRadsCategory
from LungNoduleCADLib.domain.nodule import NoduleType
from LungNoduleCADLib.guidelines.lung_rads_2022 import (
    NoduleFacts,
    assess_exam,
    assess_nodule,
    find_rule,
    is_growth,
    reader_decision,
    round_mm,
)
from LungNoduleCADLib.guidelines.lung_rads_table import ALL_RULES, EXAM_RULES, FINDING_RULES, MANAGEMENT, SIZE_RULES
from LungNoduleCADLib.guidelines.rules import Situation

SOLID, PART, GGN = NoduleType.SOLID, NoduleType.PART_SOLID, NoduleType.GROUND_GLASS
BASELINE, NEW, GROWING, STABLE = Situation.BASELINE, Situation.NEW, Situation.GROWING, Situation.STABLE

# (type, situation, total mm, solid part mm, category, rule id): every row of the table, at both of its ends.
ROWS = [
    (SOLID, BASELINE, 0.5, None, "2", "solid-baseline-2"),
    (SOLID, BASELINE, 5.9, None, "2", "solid-baseline-2"),
    (SOLID, BASELINE, 6.0, None, "3", "solid-baseline-3"),
    (SOLID, BASELINE, 7.9, None, "3", "solid-baseline-3"),
    (SOLID, BASELINE, 8.0, None, "4A", "solid-baseline-4A"),
    (SOLID, BASELINE, 14.9, None, "4A", "solid-baseline-4A"),
    (SOLID, BASELINE, 15.0, None, "4B", "solid-baseline-4B"),
    (SOLID, NEW, 3.9, None, "2", "solid-new-2"),
    (SOLID, NEW, 4.0, None, "3", "solid-new-3"),
    (SOLID, NEW, 5.9, None, "3", "solid-new-3"),
    (SOLID, NEW, 6.0, None, "4A", "solid-new-4A"),
    (SOLID, NEW, 7.9, None, "4A", "solid-new-4A"),
    (SOLID, NEW, 8.0, None, "4B", "solid-new-4B"),
    (SOLID, GROWING, 3.0, None, "4A", "solid-growing-4A"),
    (SOLID, GROWING, 7.9, None, "4A", "solid-growing-4A"),
    (SOLID, GROWING, 8.0, None, "4B", "solid-growing-4B"),
    (PART, BASELINE, 5.9, 3.0, "2", "part-solid-baseline-2"),
    (PART, BASELINE, 6.0, 5.9, "3", "part-solid-baseline-3"),
    (PART, BASELINE, 40.0, 5.9, "3", "part-solid-baseline-3"),
    (PART, BASELINE, 10.0, 6.0, "4A", "part-solid-baseline-4A"),
    (PART, BASELINE, 10.0, 7.9, "4A", "part-solid-baseline-4A"),
    (PART, BASELINE, 10.0, 8.0, "4B", "part-solid-baseline-4B"),
    (PART, NEW, 5.9, 5.0, "3", "part-solid-new-3"),
    (PART, NEW, 6.0, 3.9, "4A", "part-solid-new-4A"),
    (PART, NEW, 6.0, 4.0, "4B", "part-solid-new-4B"),
    (PART, GROWING, 5.0, 3.9, "4A", "part-solid-growing-4A"),
    (PART, GROWING, 5.0, 4.0, "4B", "part-solid-growing-4B"),
    (GGN, BASELINE, 29.9, None, "2", "ground-glass-baseline-2"),
    (GGN, BASELINE, 30.0, None, "3", "ground-glass-baseline-3"),
    (GGN, NEW, 29.9, None, "2", "ground-glass-baseline-2"),
    (GGN, NEW, 30.0, None, "3", "ground-glass-baseline-3"),
    (GGN, GROWING, 29.9, None, "2", "ground-glass-baseline-2"),
    (GGN, GROWING, 30.0, None, "3", "ground-glass-growing-3"),
    (GGN, STABLE, 29.9, None, "2", "ground-glass-stable-2"),
    (GGN, STABLE, 45.0, None, "2", "ground-glass-stable-2"),
]


@pytest.mark.parametrize(("kind", "situation", "total", "solid", "category", "rule"), ROWS)
def test_a_nodule_gets_the_category_of_its_row(kind, situation, total, solid, category, rule):
    assessment = assess_nodule(NoduleFacts(kind, total, solid, situation))
    assert (assessment.category.value, assessment.rule_id) == (category, rule)
    assert assessment.management == MANAGEMENT[LungRadsCategory(category)]
    assert assessment.source == "ACR Lung-RADS v2022"


def test_every_row_of_the_table_is_tested_above():
    assert {row[-1] for row in ROWS} == {rule.id for rule in SIZE_RULES}
    assert len({rule.id for rule in SIZE_RULES}) == len(SIZE_RULES)


@pytest.mark.parametrize(
    ("measured", "rounded", "category"),
    [(5.94, 5.9, "2"), (5.95, 6.0, "3"), (7.94, 7.9, "3"), (7.95, 8.0, "4A"), (14.94, 14.9, "4A"), (14.95, 15.0, "4B")],
)
def test_sizes_are_rounded_half_up_to_a_tenth_before_they_are_compared(measured, rounded, category):
    assert round_mm(measured) == rounded
    assert assess_nodule(NoduleFacts(SOLID, measured)).category.value == category


sizes = st.floats(0.0, 80.0, allow_nan=False)
facts = st.builds(
    NoduleFacts,
    type=st.sampled_from([None, *NoduleType]),
    mean_diameter_mm=sizes,
    solid_mean_diameter_mm=st.none() | sizes,
    situation=st.sampled_from(Situation),
    months_since_prior=st.none() | st.floats(0.1, 60),
    prior_mean_diameter_mm=st.none() | sizes,
    prior_solid_mean_diameter_mm=st.none() | sizes,
    prior_category=st.none() | st.sampled_from(LungRadsCategory),
    juxtapleural_smooth=st.none() | st.booleans(),
    volume_mm3=st.none() | st.floats(0.0, 200_000.0, allow_nan=False),
    benign_calcification=st.none() | st.booleans(),
    fat=st.none() | st.booleans(),
    airway=st.none() | st.sampled_from(Airway),
    cyst=st.none() | st.sampled_from(Cyst),
    cyst_change=st.none() | st.sampled_from(CystChange),
    slow_growth=st.none() | st.booleans(),
    proven_benign=st.none() | st.booleans(),
    suspicious_features=st.none() | st.booleans(),
)


@settings(deadline=None)
@given(facts, st.booleans())
def test_exactly_one_size_row_holds_by_diameter_and_by_volume(nodule, by_volume):
    if by_volume:
        volume = nodule.volume_mm3 or 0.0
        nodule = replace(nodule, mean_diameter_mm=None, solid_mean_diameter_mm=None, volume_mm3=volume)
    known = replace(nodule, type=nodule.type or SOLID)
    rows = [rule for rule in SIZE_RULES if rule.holds(known, known.total, known.solid_part)]
    assert len(rows) == 1
    assert rows[0] == find_rule(nodule)


@settings(deadline=None)
@given(facts)
def test_every_nodule_gets_a_category_with_reason_management_and_source(nodule):
    assessment = assess_nodule(nodule)
    assert all([assessment.rule_id, assessment.reason, assessment.management, assessment.source])


@settings(deadline=None)
@given(facts, st.floats(0, 30), st.floats(0, 30), st.booleans())
def test_a_larger_nodule_is_never_less_suspicious(nodule, more, more_solid, by_volume):
    # A smooth juxtapleural nodule is bounded at 10 mm, above which its size row holds: still monotone.
    larger = replace(
        nodule,
        mean_diameter_mm=nodule.mean_diameter_mm + more,
        solid_mean_diameter_mm=None
        if nodule.solid_mean_diameter_mm is None
        else nodule.solid_mean_diameter_mm + more_solid,
    )
    if by_volume:
        nodule = replace(nodule, mean_diameter_mm=None, volume_mm3=nodule.volume_mm3 or 0.0)
        larger = replace(nodule, volume_mm3=nodule.volume_mm3 + 100 * more)
    assert assess_nodule(larger).category.suspicion >= assess_nodule(nodule).category.suspicion


@settings(deadline=None)
@given(facts)
def test_a_stable_nodule_is_never_more_suspicious_than_the_same_one_growing(nodule):
    if nodule.prior_category in (LungRadsCategory.C4A, LungRadsCategory.C4B, LungRadsCategory.C4X):
        return
    stable, growing = (assess_nodule(replace(nodule, situation=situation)) for situation in (STABLE, GROWING))
    if nodule.type is GGN or nodule.slow_growth:
        return
    assert stable.category.suspicion <= growing.category.suspicion


def _stable(prior, months, now=7.0, before=7.0, kind=SOLID, solid=None):
    return assess_nodule(
        NoduleFacts(kind, now, solid, STABLE, months, before, solid, prior_category=LungRadsCategory(prior))
    )


@pytest.mark.parametrize(
    ("prior", "months", "category", "rule"),
    [
        ("3", 6.0, "2", "stepped-down-3-to-2"),
        ("3", 3.0, "3", "stable-3"),
        ("3", None, "3", "stable-3"),
        ("4A", 3.0, "3", "stepped-down-4A-to-3"),
        ("4A", 12.0, "3", "stepped-down-4A-to-3"),
        ("4A", 1.0, "4A", "stable-4A"),
        ("4B", 12.0, "4B", "stable-4B"),
        ("4X", 12.0, "4X", "stable-4X"),
        ("2", 12.0, "2", "stable-2"),
    ],
)
def test_a_stable_nodule_steps_down_only_at_the_interval_asked_for(prior, months, category, rule):
    assessment = _stable(prior, months)
    assert (assessment.category.value, assessment.rule_id) == (category, rule)


def test_a_4b_nodule_that_shrank_stays_4b_and_says_why():
    assessment = _stable("4B", 6.0, now=9.0, before=16.0)
    assert assessment.category is LungRadsCategory.C4B
    assert any("proven benign" in note for note in assessment.notes)


def test_a_nodule_that_crosses_a_size_threshold_is_raised_even_without_growth():
    assessment = _stable("3", 6.0, now=8.2, before=7.6)
    assert (assessment.category.value, assessment.rule_id) == ("4A", "solid-baseline-4A")
    assert any("crossed a size threshold" in note for note in assessment.notes)


def test_a_solid_part_that_crosses_a_threshold_raises_a_part_solid_nodule():
    nodule = NoduleFacts(PART, 12.0, 6.2, STABLE, 6.0, 12.0, 5.5, prior_category=LungRadsCategory.C3)
    assert assess_nodule(nodule).category is LungRadsCategory.C4A


def test_a_large_stable_ground_glass_nodule_is_2_at_any_interval():
    assert _stable("3", 2.0, now=33.0, before=33.0, kind=GGN).category is LungRadsCategory.C2


def test_a_stable_nodule_without_a_prior_category_is_taken_by_its_size_and_says_so():
    assessment = assess_nodule(NoduleFacts(SOLID, 7.0, situation=STABLE))
    assert assessment.category is LungRadsCategory.C3
    assert any("prior category is not known" in note for note in assessment.notes)


@pytest.mark.parametrize(
    ("change_mm", "days", "growing"),
    [
        (1.5, 365, False),
        (7.6 - 6.1, 180, False),
        (1.6, 365, True),
        (1.6, 90, True),
        (1.6, None, True),
        (1.6, 730, False),
        (3.2, 730, True),
        (-2.0, 180, False),
    ],
)
def test_growth_is_strictly_more_than_one_and_a_half_mm_within_twelve_months(change_mm, days, growing):
    assert is_growth(change_mm, days)[0] is growing


def test_slow_growth_over_more_than_a_year_is_told():
    assert is_growth(2.0, 730) == (False, True)


def test_a_smooth_juxtapleural_nodule_below_10_mm_is_2_and_not_at_10():
    nodule = NoduleFacts(SOLID, 9.9, juxtapleural_smooth=True)
    assert assess_nodule(nodule).rule_id == "juxtapleural-2"
    assert assess_nodule(replace(nodule, mean_diameter_mm=10.0)).category is LungRadsCategory.C4A
    assert assess_nodule(replace(nodule, situation=GROWING)).category is LungRadsCategory.C4B


@pytest.mark.parametrize("size", [{"mean_diameter_mm": 10.04}, {"volume_mm3": 524.0}])
def test_at_exactly_10_mm_a_smooth_juxtapleural_nodule_is_told_what_the_other_summary_gives(size):
    nodule = NoduleFacts(SOLID, juxtapleural_smooth=True, **size)
    assessment = assess_nodule(nodule)
    assert assessment.category is LungRadsCategory.C4A
    assert any("10 mm or less" in note and "would be category 2" in note for note in assessment.notes)
    larger = {name: value * 1.01 for name, value in size.items()}
    assert not any("10 mm or less" in note for note in assess_nodule(replace(nodule, **larger)).notes)


def test_a_smooth_juxtapleural_nodule_is_bounded_by_its_type_too():
    nodule = NoduleFacts(SOLID, 9.9, juxtapleural_smooth=True)
    assert assess_nodule(replace(nodule, type=PART, solid_mean_diameter_mm=2.0)).category is LungRadsCategory.C3


def test_what_was_not_assessed_is_noted_only_where_it_matters():
    assert any("Juxtapleural" in note for note in assess_nodule(NoduleFacts(SOLID, 7.0)).notes)
    assert not assess_nodule(NoduleFacts(SOLID, 5.0)).notes
    assert not assess_nodule(NoduleFacts(SOLID, 7.0, juxtapleural_smooth=False)).notes
    assert not assess_nodule(NoduleFacts(SOLID, 12.0)).notes


THIN, THICK, MULTI = Cyst.THIN_WALLED, Cyst.THICK_WALLED, Cyst.MULTILOCULAR
C4B = LungRadsCategory.C4B

# (facts, category, rule id): every row of the findings that count before size.
FINDINGS = [
    (NoduleFacts(SOLID, 16.0, situation=STABLE, prior_category=C4B, proven_benign=True), "2", "proven-benign-2"),
    (NoduleFacts(SOLID, 25.0, benign_calcification=True), "1", "benign-calcification-1"),
    (NoduleFacts(SOLID, 25.0, fat=True), "1", "fat-1"),
    (
        NoduleFacts(None, 12.0, cyst=THIN, cyst_change=CystChange.BECAME_MULTILOCULAR),
        "4A",
        "cyst-became-multilocular-4A",
    ),
    (NoduleFacts(None, 12.0, cyst=THICK, cyst_change=CystChange.GROWING_WALL), "4B", "cyst-growing-wall-4B"),
    (NoduleFacts(None, 12.0, cyst=MULTI, cyst_change=CystChange.GROWING_CYST), "4B", "cyst-growing-multilocular-4B"),
    (NoduleFacts(None, 12.0, cyst=MULTI, cyst_change=CystChange.MORE_LOCULATION), "4B", "cyst-loculation-4B"),
    (NoduleFacts(None, 12.0, cyst=MULTI, cyst_change=CystChange.NEW_OPACITY), "4B", "cyst-loculation-4B"),
    (NoduleFacts(None, 12.0, cyst=THICK, cyst_change=CystChange.GROWING_CYST), "3", "cyst-growing-3"),
    (NoduleFacts(None, 4.0, cyst=THICK), "4A", "cyst-thick-walled-4A"),
    (NoduleFacts(None, cyst=MULTI, cyst_change=CystChange.NONE), "4A", "cyst-multilocular-4A"),
    (NoduleFacts(None, 20.0, cyst=THIN), "1", "cyst-thin-walled-1"),
    (NoduleFacts(SOLID, 5.0, situation=STABLE, airway=Airway.SEGMENTAL), "4B", "airway-persistent-4B"),
    (NoduleFacts(SOLID, 5.0, situation=GROWING, airway=Airway.SECRETIONS), "4B", "airway-persistent-4B"),
    (NoduleFacts(SOLID, 9.0, airway=Airway.SECRETIONS), "2", "airway-secretions-2"),
    (NoduleFacts(SOLID, 5.0, airway=Airway.SEGMENTAL), "4A", "airway-baseline-4A"),
    (NoduleFacts(SOLID, 5.0, situation=NEW, airway=Airway.SEGMENTAL), "4A", "airway-new-4A"),
    (NoduleFacts(SOLID, 9.0, airway=Airway.SUBSEGMENTAL), "2", "airway-subsegmental-2"),
    (NoduleFacts(SOLID, 9.0, situation=GROWING, airway=Airway.SUBSEGMENTAL), "4B", "solid-growing-4B"),
    (NoduleFacts(PART, 7.0, 3.0, STABLE, 12.0, slow_growth=True), "4B", "slow-growth-4B"),
    (NoduleFacts(GGN, 12.0, None, STABLE, 12.0, slow_growth=True), "2", "ground-glass-stable-2"),
    (NoduleFacts(SOLID, 9.9, juxtapleural_smooth=True), "2", "juxtapleural-2"),
]


@pytest.mark.parametrize(("nodule", "category", "rule"), FINDINGS)
def test_a_finding_that_counts_before_size_gets_the_category_of_its_row(nodule, category, rule):
    assessment = assess_nodule(nodule)
    assert (assessment.category.value, assessment.rule_id) == (category, rule)
    assert assessment.management == MANAGEMENT[LungRadsCategory(category)]


def test_every_row_of_the_findings_is_tested_above():
    assert {row[-1] for row in FINDINGS} >= {rule.id for rule in FINDING_RULES}


@pytest.mark.parametrize(("months", "category"), [(3.0, "3"), (1.0, "4A")])
def test_a_stable_cyst_steps_down_as_nodules_do(months, category):
    cyst = NoduleFacts(None, None, None, STABLE, months, cyst=THICK, prior_category=LungRadsCategory.C4A)
    assert assess_nodule(cyst).category.value == category


def test_an_airway_nodule_never_steps_down():
    nodule = NoduleFacts(SOLID, 8.0, None, STABLE, 6.0, airway=Airway.SEGMENTAL, prior_category=LungRadsCategory.C4A)
    assert assess_nodule(nodule).rule_id == "airway-persistent-4B"


def test_the_volumes_of_the_table_are_those_that_the_acr_prints():
    bounds = [bound for rule in SIZE_RULES for bound in (rule.total, rule.solid_part)]
    printed = {(bound.from_mm, bound.from_mm3) for bound in bounds} | {(b.below_mm, b.below_mm3) for b in bounds}
    assert printed - {(None, None)} == {(4, 34), (6, 113), (8, 268), (15, 1767), (30, 14137)}


@pytest.mark.parametrize(
    ("volume", "category"), [(112.4, "2"), (112.5, "3"), (267.4, "3"), (267.5, "4A"), (1766.4, "4A"), (1766.5, "4B")]
)
def test_volumes_are_rounded_to_whole_cubic_millimeters(volume, category):
    assert assess_nodule(NoduleFacts(SOLID, volume_mm3=volume)).category.value == category


def test_a_solid_part_may_be_a_volume_too():
    assert assess_nodule(NoduleFacts(PART, 12.0, solid_volume_mm3=268.0)).rule_id == "part-solid-baseline-4B"


def test_where_diameter_and_volume_disagree_the_reader_is_told():
    told = assess_nodule(NoduleFacts(SOLID, 8.2, volume_mm3=250.0))
    assert told.rule_id == "solid-baseline-4A"
    assert any("By its volume (250 mm³) it would be category 3" in note for note in told.notes)
    assert not any("volume" in note for note in assess_nodule(NoduleFacts(SOLID, 8.2, volume_mm3=270.0)).notes)


def test_a_nodule_without_size_is_refused_unless_a_finding_decides():
    with pytest.raises(ValueError, match="needs a mean diameter or a volume"):
        assess_nodule(NoduleFacts(SOLID))


@pytest.mark.parametrize(
    ("size", "rule"),
    [(5.0, "solid-baseline-2"), (6.0, "suspicious-features-4X"), (20.0, "suspicious-features-4X")],
)
def test_suspicious_features_raise_category_3_and_4_to_4x(size, rule):
    assessment = assess_nodule(NoduleFacts(SOLID, size, suspicious_features=True))
    assert (assessment.rule_id, assessment.category.value) == (rule, rule[-2:].strip("-"))


@pytest.mark.parametrize(
    ("nodule", "words"),
    [
        (NoduleFacts(GGN, 31.0, situation=GROWING), "does not list a growing ground-glass"),
        (NoduleFacts(PART, 5.0, 2.0, NEW), "row for its size"),
        (NoduleFacts(PART, 9.0, None), "solid part could not be measured"),
        (NoduleFacts(None, 9.0), "assessed as solid"),
        (NoduleFacts(GGN, 15.3, 6.9), "part-solid one would be category 4A"),
        (NoduleFacts(SOLID, 9.9, juxtapleural_smooth=True), "10 mm or less"),
        (NoduleFacts(SOLID, 9.0, airway=Airway.SEGMENTAL), "favors secretions"),
        (NoduleFacts(SOLID, 9.0, airway=Airway.SECRETIONS), "category 2 may be given"),
        (NoduleFacts(SOLID, 9.0, cyst=Cyst.THICK_WALLED, cyst_change=CystChange.GROWING_CYST), "please decide"),
        (
            NoduleFacts(SOLID, 9.0, situation=STABLE, months_since_prior=12, prior_category=LungRadsCategory.C4B),
            "only when proven benign",
        ),
    ],
)
def test_an_ambiguity_is_told_to_the_reader(nodule, words):
    assert any(words in note for note in assess_nodule(nodule).notes)


def test_a_solid_part_that_would_change_nothing_is_not_told():
    assert assess_nodule(NoduleFacts(GGN, 5.0, 2.0)).notes == ()


def test_the_exam_is_its_most_suspicious_nodule():
    nodules = [(f"N{n}", assess_nodule(NoduleFacts(SOLID, size))) for n, size in enumerate((5.0, 16.0, 9.0), start=1)]
    exam = assess_exam(nodules, clinical=ClinicalContext(significant_other_finding=True), notes=("a note",))
    assert (exam.category.value, exam.decided_by, exam.modifier_s) == ("4B", "N2", True)
    assert "N2" in exam.reason
    assert "a note" in exam.notes


def test_an_exam_without_nodules_is_1():
    assert assess_exam([]).rule_id == "exam-no-nodule-1"


@pytest.mark.parametrize(
    ("fact", "rule"),
    [
        ("prior_ct_pending", "exam-prior-pending-0"),
        ("lungs_not_evaluable", "exam-not-evaluable-0"),
        ("inflammatory_findings", "exam-inflammatory-0"),
    ],
)
def test_an_incomplete_exam_is_0_and_says_what_its_nodules_would_give(fact, rule):
    nodules = [("N1", assess_nodule(NoduleFacts(SOLID, 16.0)))]
    exam = assess_exam(nodules, clinical=ClinicalContext(**{fact: True, "significant_other_finding": True}))
    assert (exam.category.value, exam.rule_id, exam.modifier_s) == ("0", rule, True)
    assert any("would be 4B" in note for note in exam.notes)
    assert assess_exam(nodules, clinical=ClinicalContext(**{fact: False})).category is C4B
    assert rule in {row.id for row in EXAM_RULES}


def test_the_modifier_s_is_told_by_the_row_for_it():
    exam = assess_exam([], clinical=ClinicalContext(significant_other_finding=True))
    assert (exam.category.value, exam.modifier_s) == ("1", True)
    assert "modifier-S" in {rule.id for rule in ALL_RULES}


def test_a_readers_decision_says_what_the_rules_gave():
    decided = reader_decision(LungRadsCategory.C4X, assess_nodule(NoduleFacts(SOLID, 9.0)))
    assert (decided.category.value, decided.decided_by) == ("4X", "reader")
    assert "solid-baseline-4A" in decided.reason


@pytest.mark.parametrize("size", [-1.0, float("nan"), float("inf")])
def test_an_impossible_size_is_refused(size):
    with pytest.raises(ValueError, match="diameters of 0 mm or more"):
        NoduleFacts(SOLID, size)
