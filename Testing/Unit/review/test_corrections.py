"""What a reader corrects, and what follows from it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from LungNoduleCADLib.domain.clinical import ClinicalContext
from LungNoduleCADLib.domain.findings import EditAction
from LungNoduleCADLib.domain.lung_rads import LungRadsCategory
from LungNoduleCADLib.domain.masks import NoduleMask
from LungNoduleCADLib.domain.nodule import Nodule, NoduleType, Origin, Review, StatedFacts
from LungNoduleCADLib.errors import InputError
from LungNoduleCADLib.report.findings_json import to_json
from LungNoduleCADLib.report.outlines import DRAWN
from LungNoduleCADLib.review import (
    add_nodule,
    delete_nodule,
    draw_outline,
    set_clinical,
    set_exam_category,
    set_facts,
    set_review,
    set_threshold,
    set_type,
)
from LungNoduleCADLib.review_case import Case

FAINT = (0.0, 40.0, 0.0)
EMPTY = (0.0, 0.0, 0.0)


def ids(case: Case) -> list[str]:
    return [nodule.id for nodule in case.findings.nodules]


def drawn(case: Case, centre_lps_mm: tuple[float, float, float], half: int) -> NoduleMask:
    """A cube of 2 * half + 1 voxels."""
    geometry = case.current.ct.geometry
    start = np.rint(geometry.to_kji(centre_lps_mm)).astype(int) - half
    return NoduleMask(np.ones((2 * half + 1,) * 3, bool), tuple(int(v) for v in start), geometry, DRAWN)


def test_an_accepted_nodule_is_marked_and_nothing_else_changes(alone):
    case, looks = alone
    after = set_review(case, looks, "N1", Review.ACCEPTED)
    assert after.nodule("N1").review is Review.ACCEPTED
    assert after.findings.nodules[1] == case.findings.nodules[1]
    (edit,) = after.findings.edits
    assert (edit.action, edit.nodule_id, edit.before, edit.after) == ("accept", "N1", "unreviewed", "accepted")
    assert edit.at.endswith("+00:00")


def test_edits_are_only_ever_appended_and_the_document_stays_valid(alone):
    case, looks = alone
    case = set_review(case, looks, "N1", Review.REJECTED)
    first = case.findings.edits
    case = delete_nodule(set_type(case, looks, "N2", NoduleType.PART_SOLID), looks, "N2")
    assert case.findings.edits[:1] == first
    assert [edit["action"] for edit in to_json(case.findings)["edits"]] == ["reject", "type", "delete"]


def test_what_changes_nothing_is_no_edit(alone):
    case, looks = alone
    assert set_review(case, looks, "N1", Review.UNREVIEWED) is case
    assert set_exam_category(case, looks, None) is case
    assert set_clinical(case, looks, ClinicalContext()) is case
    decided = set_type(case, looks, "N1", NoduleType.SOLID)
    assert decided is not case
    assert set_type(decided, looks, "N1", NoduleType.SOLID) is decided


def test_a_rejected_nodule_no_longer_counts_until_it_is_taken_back(alone):
    case, looks = alone
    rejected = set_review(case, looks, "N1", Review.REJECTED)
    assert rejected.nodule("N1").lung_rads is None
    assert rejected.findings.lung_rads.decided_by == "N2"
    back = set_review(rejected, looks, "N1", Review.UNREVIEWED)
    assert back.findings.lung_rads == case.findings.lung_rads


def test_a_nodule_that_is_not_listed_is_named_with_those_that_are(alone):
    case, looks = alone
    with pytest.raises(InputError, match="one of N1, N2, got N9"):
        set_review(case, looks, "N9", Review.ACCEPTED)


def test_lung_rads_follows_the_readers_type_and_the_models_probabilities_stay(alone):
    case, looks = alone
    after = set_type(case, looks, "N1", NoduleType.GROUND_GLASS)
    nodule = after.nodule("N1")
    assert (nodule.type.type, nodule.type.method.name) == (NoduleType.GROUND_GLASS, "reader")
    assert nodule.type.probabilities == case.nodule("N1").type.probabilities
    assert case.nodule("N1").lung_rads.category is LungRadsCategory.C4A
    assert nodule.lung_rads.category is LungRadsCategory.C2
    assert (after.findings.edits[-1].before, after.findings.edits[-1].after) == ("solid", "ground-glass")


def test_a_point_becomes_a_measured_nodule_under_a_new_name(alone):
    case, looks = alone
    after = add_nodule(case, looks, FAINT)
    added = after.nodule("N3")
    assert ids(after) == ["N1", "N2", "N3"]
    assert added.candidate.origin is Origin.READER
    assert added.candidate.probability == pytest.approx(0.6, abs=0.01)
    assert added.measurements.volume_mm3 == pytest.approx(4 / 3 * np.pi * 4**3, rel=0.1)
    assert added.malignancy is not None
    assert added.lung_rads is not None
    assert after.findings.edits[-1].after == f"solid {added.measurements.volume_mm3:.0f} mm³"


def test_a_deleted_name_is_never_given_again(alone):
    case, looks = alone
    after = add_nodule(delete_nodule(case, looks, "N2"), looks, (40.0, 0.0, 0.0))
    assert ids(after) == ["N1", "N3"]


def test_where_nothing_can_be_outlined_the_reader_is_asked_to_draw(alone):
    case, looks = alone
    after = add_nodule(case, looks, EMPTY)
    bare = after.nodule("N3")
    assert (bare.measurements, bare.mask) == (None, None)
    assert [flag.code for flag in bare.flags] == ["no_outline"]
    assert after.findings.edits[-1].after == "not outlined"
    finished = draw_outline(after, looks, "N3", drawn(after, EMPTY, 3)).nodule("N3")
    assert finished.measurements.volume_mm3 == pytest.approx(343)
    assert finished.flags == ()


@pytest.mark.parametrize(
    ("point", "why"),
    [
        ((500.0, 0.0, 0.0), "outside of the scan"),
        ((-53.0, 0.0, 0.0), "not kept"),
        ((-40.0, 2.0, 0.0), "N1, which is on the list"),
    ],
)
def test_a_point_that_makes_no_sense_is_refused(alone, point, why):
    case, looks = alone
    with pytest.raises(InputError, match=why):
        add_nodule(case, looks, point)


def test_a_drawn_outline_replaces_all_that_came_from_the_old_one(alone):
    case, looks = alone
    before = case.nodule("N1")
    after = draw_outline(case, looks, "N1", drawn(case, (-40.0, 0.0, 0.0), 3))
    nodule = after.nodule("N1")
    assert nodule.mask.method.name == "reader"
    assert nodule.measurements.volume_mm3 == pytest.approx(343)
    assert nodule.radiomics == {"volume": pytest.approx(343)}
    assert nodule.malignancy.probability == pytest.approx(343 / 2000)
    assert nodule.lung_rads != before.lung_rads
    edit = after.findings.edits[-1]
    assert (edit.action, edit.before, edit.after) == (
        EditAction.OUTLINE,
        f"{before.measurements.volume_mm3:.0f} mm³",
        "343 mm³",
    )


def test_what_the_reader_decided_survives_a_new_outline(alone):
    case, looks = alone
    case = set_type(set_review(case, looks, "N1", Review.ACCEPTED), looks, "N1", NoduleType.PART_SOLID)
    nodule = draw_outline(case, looks, "N1", drawn(case, (-40.0, 0.0, 0.0), 3)).nodule("N1")
    assert (nodule.review, nodule.type.type) == (Review.ACCEPTED, NoduleType.PART_SOLID)
    assert nodule.type.method.name == "reader"


def test_an_outline_that_takes_in_another_nodule_says_so(alone):
    case, looks = alone
    nodule = draw_outline(case, looks, "N1", drawn(case, (40.0, 0.0, 0.0), 4)).nodule("N1")
    assert "overlaps" in [flag.code for flag in nodule.flags]


def test_an_outline_where_no_ct_was_kept_is_refused(alone):
    case, looks = alone
    with pytest.raises(InputError, match="not kept"):
        draw_outline(case, looks, "N1", drawn(case, (-53.0, 0.0, 0.0), 1))


def test_paint_that_ran_over_half_a_lung_is_no_nodule(alone, monkeypatch):
    monkeypatch.setattr("LungNoduleCADLib.review.MOST_ML", 0.3)
    case, looks = alone
    with pytest.raises(InputError, match="larger than any nodule"):
        draw_outline(case, looks, "N1", drawn(case, (-40.0, 0.0, 0.0), 3))


def test_clinical_facts_are_replaced_and_told_in_words(alone):
    case, looks = alone
    case = set_clinical(case, looks, ClinicalContext(age_years=63.0, emphysema=True))
    case = set_clinical(case, looks, ClinicalContext(age_years=64.0, significant_other_finding=True))
    assert case.findings.lung_rads.modifier_s
    edit = case.findings.edits[-1]
    assert edit.before == "age_years: 63.0; emphysema: yes; significant_other_finding: unknown"
    assert edit.after == "age_years: 64.0; emphysema: unknown; significant_other_finding: yes"


def test_clinical_risk_follows_clinical_facts_and_what_is_stated_of_a_nodule(alone):
    case, looks = alone
    assert {risk.probability for risk in case.nodule("N1").clinical_risk} == {None}
    told = ClinicalContext(age_years=63.0, sex="F", family_history_lung_cancer=False, emphysema=True)
    case = set_clinical(case, looks, told)
    brock_2a, brock_2b, *_ = case.nodule("N1").clinical_risk
    assert brock_2a.missing_inputs == ("upper_lobe",)
    assert brock_2b.probability is None
    case = set_facts(case, looks, "N1", StatedFacts(spiculated=True, upper_lobe=True))
    narrow_2a, narrow_2b, *_ = case.nodule("N1").clinical_risk
    assert narrow_2a.probability == brock_2a.probability_range[1]
    assert narrow_2b.probability == brock_2b.probability_range[1]
    assert case.nodule("N2").clinical_risk[0].probability is None
    older = set_clinical(case, looks, replace(told, age_years=75.0))
    assert older.nodule("N1").clinical_risk[0].probability > narrow_2a.probability
    edit = case.findings.edits[-1]
    assert (edit.action, edit.nodule_id, edit.after) == (EditAction.FACTS, "N1", "spiculated: yes; upper_lobe: yes")


def test_clinical_risk_follows_the_list_and_a_rejected_nodule_has_none(alone):
    case, looks = alone
    case = set_clinical(case, looks, ClinicalContext(age_years=63.0))
    assert case.nodule("N1").clinical_risk[0].inputs["nodule_count"] == 2
    case = set_review(case, looks, "N2", Review.REJECTED)
    assert case.nodule("N2").clinical_risk == ()
    assert case.nodule("N1").clinical_risk[0].inputs["nodule_count"] == 1


def test_what_is_stated_survives_a_new_outline_and_keeps_a_nodule_on_the_list(alone):
    case, looks = alone
    assert set_facts(case, looks, "N2", StatedFacts()) is case
    case = set_facts(case, looks, "N2", StatedFacts(spiculated=False))
    assert "N2" in ids(set_threshold(case, looks, 0.99))
    assert draw_outline(case, looks, "N2", drawn(case, (40.0, 0.0, 0.0), 3)).nodule("N2").stated.spiculated is False


def test_the_readers_exam_category_stays_and_says_what_the_rules_give_now(alone):
    case, looks = alone
    decided = set_exam_category(case, looks, LungRadsCategory.C4X)
    assert (decided.findings.lung_rads.category, decided.findings.lung_rads.decided_by) == ("4X", "reader")
    assert "the rules gave 4A" in decided.findings.lung_rads.reason
    later = set_type(decided, looks, "N1", NoduleType.GROUND_GLASS)
    later = set_review(later, looks, "N2", Review.REJECTED)
    assert later.findings.lung_rads.category is LungRadsCategory.C4X
    assert "the rules gave 2" in later.findings.lung_rads.reason
    by_rules = set_exam_category(later, looks, None)
    assert (by_rules.findings.lung_rads.category, by_rules.findings.lung_rads.decided_by) == ("2", "N1")
    assert [(e.before, e.after) for e in by_rules.findings.edits if e.action == "exam_category"] == [
        ("4A", "4X"),
        ("4X", "2"),
    ]


def test_another_significant_finding_marks_the_readers_category_too(alone):
    case, looks = alone
    case = set_exam_category(case, looks, LungRadsCategory.C3)
    assert not case.findings.lung_rads.modifier_s
    case = set_clinical(case, looks, ClinicalContext(significant_other_finding=True))
    assert (case.findings.lung_rads.category, case.findings.lung_rads.modifier_s) == ("3", True)


def test_a_category_that_a_reader_gave_a_nodule_survives_a_new_outline(alone):
    case, looks = alone
    nodule = case.nodule("N1")
    by_reader = replace(nodule.lung_rads, category=LungRadsCategory.C4X, decided_by="reader")
    case = case.with_nodule(replace(nodule, lung_rads=by_reader))
    after: Nodule = draw_outline(case, looks, "N1", drawn(case, (-40.0, 0.0, 0.0), 3)).nodule("N1")
    assert after.lung_rads.category is LungRadsCategory.C4X
