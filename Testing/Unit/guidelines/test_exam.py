from dataclasses import replace

import pytest

from LungNoduleCADLib.domain.clinical import ClinicalContext
from LungNoduleCADLib.domain.comparison import Change, Growth, NoduleMatch, StudyComparison
from LungNoduleCADLib.domain.findings import LungSummary, StudyFindings
from LungNoduleCADLib.domain.geometry import Geometry
from LungNoduleCADLib.domain.lung_rads import Airway, Cyst, LungRadsAssessment, LungRadsCategory
from LungNoduleCADLib.domain.nodule import (
    AxialAxes,
    Measurements,
    Nodule,
    NoduleCandidate,
    NoduleType,
    Review,
    StatedFacts,
    TypeEstimate,
)
from LungNoduleCADLib.domain.provenance import Method, Provenance
from LungNoduleCADLib.domain.quality import QualityFlag, Severity
from LungNoduleCADLib.domain.study import SeriesDescription
from LungNoduleCADLib.guidelines.exam import assess_findings
from LungNoduleCADLib.guidelines.lung_rads_2022 import reader_decision
from LungNoduleCADLib.guidelines.lung_rads_facts import facts_of
from LungNoduleCADLib.guidelines.lung_rads_table import Situation

SOLID, PART, GGN = NoduleType.SOLID, NoduleType.PART_SOLID, NoduleType.GROUND_GLASS
METHOD = Method("test", "1")
SERIES = SeriesDescription("1")
ORIGIN = (0.0, 0.0, 0.0)


def _axes(size):
    return AxialAxes(size, size, 0, (ORIGIN, ORIGIN), (ORIGIN, ORIGIN))


def _nodule(id_, size, kind=SOLID, solid=None):
    measured = Measurements(
        100.0, _axes(size), 0.0, 100.0, None, None, None, solid_axes=_axes(solid) if solid else None
    )
    return Nodule(id_, NoduleCandidate(ORIGIN), ORIGIN, measurements=measured, type=TypeEstimate(kind, {}, METHOD))


def _match(change_mm, days=180, change=Change.STABLE):
    return NoduleMatch("P1", "N1", change, 1.0, Growth(days, 60.0, (10.0, 90.0), change_mm, 400.0, None))


def _study(*nodules, series=SERIES, **more):
    return StudyFindings(
        series,
        Geometry((1, 1, 1), ORIGIN, (1.0, 1.0, 1.0)),
        LungSummary(1.0, 1.0, METHOD),
        nodules,
        Provenance("0", "", "cpu", ""),
        **more,
    )


def _followed(now, before, match):
    return assess_findings(_study(now, comparison=StudyComparison((match,), 180, None), prior=_study(before)))


def test_without_a_prior_a_nodule_is_at_baseline():
    facts = facts_of(_nodule("N1", 8.04, PART, 3.0))
    assert (facts.situation, facts.mean_diameter_mm, facts.solid_mean_diameter_mm) == (Situation.BASELINE, 8.0, 3.0)


@pytest.mark.parametrize(
    ("match", "situation"),
    [
        (NoduleMatch(None, "N1", Change.NEW), Situation.NEW),
        (NoduleMatch(None, "N1", Change.UNCERTAIN), Situation.BASELINE),
        (_match(1.5), Situation.STABLE),
        (_match(1.6), Situation.GROWING),
        (_match(1.6, 800), Situation.STABLE),
        (_match(-3.0, change=Change.SHRINKING), Situation.STABLE),
    ],
)
def test_the_situation_follows_the_comparison(match, situation):
    assert facts_of(_nodule("N1", 8.0), match).situation is situation


def test_volume_growth_without_diameter_growth_is_told():
    facts = facts_of(_nodule("N1", 8.0), _match(1.2, change=Change.GROWING))
    assert facts.situation is Situation.STABLE
    assert any("not growth by Lung-RADS" in note for note in facts.notes)


def test_a_growing_solid_part_in_a_part_solid_nodule_that_keeps_its_size_is_growth():
    facts = facts_of(_nodule("N1", 12.0, PART, 5.0), _match(0.2), _nodule("P1", 11.8, PART, 3.0))
    assert facts.situation is Situation.GROWING


def test_a_ground_glass_nodule_that_became_part_solid_has_a_new_solid_part():
    facts = facts_of(_nodule("N1", 12.0, PART, 3.0), _match(0.0), _nodule("P1", 12.0, GGN))
    assert facts.situation is Situation.GROWING
    assert any("new solid part" in note for note in facts.notes)


def test_an_unmeasured_nodule_has_no_facts_and_the_exam_says_so():
    bare = Nodule("N1", NoduleCandidate(ORIGIN), ORIGIN)
    assert facts_of(bare) is None
    exam = assess_findings(_study(bare)).lung_rads
    assert any("N1" in note for note in exam.notes)


def test_a_stable_nodule_steps_down_from_its_category_in_the_prior_study():
    study = _followed(_nodule("N1", 7.0), _nodule("P1", 7.1), _match(-0.1, 185))
    assert study.prior.nodules[0].lung_rads.category.value == "3"
    assert study.nodules[0].lung_rads.rule_id == "stepped-down-3-to-2"
    assert study.lung_rads.category.value == "2"


@pytest.mark.parametrize(("size", "category"), [(9.0, "4X"), (5.0, "2")])
def test_a_spiculation_that_the_reader_stated_raises_to_4x_and_says_so(size, category):
    nodule = replace(_nodule("N1", size), stated=StatedFacts(spiculated=True))
    (assessed,) = (one.lung_rads for one in assess_findings(_study(nodule)).nodules)
    assert assessed.category.value == category
    assert any("spiculation" in note for note in assessed.notes) is (category == "4X")
    denied = replace(nodule, stated=StatedFacts(spiculated=True, suspicious_features=False))
    assert assess_findings(_study(denied)).nodules[0].lung_rads.category.value != "4X"


def test_what_the_reader_stated_of_exam_and_nodules_decides_and_is_no_longer_open():
    stated = StatedFacts(False, True, False, False, False, Airway.SEGMENTAL, Cyst.NONE, None, False, False, False)
    clinical = ClinicalContext(inflammatory_findings=False, prior_ct_pending=True, prior_cancer=True)
    study = assess_findings(_study(replace(_nodule("N1", 9.0), stated=stated), clinical=clinical))
    assert study.nodules[0].lung_rads.rule_id == "airway-baseline-4A"
    assert (study.lung_rads.category.value, study.lung_rads.rule_id) == ("0", "exam-prior-pending-0")
    assert not any("did not assess" in note for note in study.lung_rads.notes)
    assert any("may not apply to this patient: a known cancer" in note for note in study.lung_rads.notes)


def test_a_growing_nodule_decides_the_exam():
    study = _followed(_nodule("N1", 8.5), _nodule("P1", 6.0), _match(2.5))
    assert (study.lung_rads.category.value, study.lung_rads.decided_by) == ("4B", "N1")


def test_a_rejected_nodule_does_not_count():
    study = assess_findings(_study(replace(_nodule("N1", 20.0), review=Review.REJECTED), _nodule("N2", 5.0)))
    assert study.nodules[0].lung_rads is None
    assert study.lung_rads.category.value == "2"


def test_another_significant_finding_adds_the_modifier():
    study = assess_findings(_study(clinical=ClinicalContext(significant_other_finding=True)))
    assert (study.lung_rads.category.value, study.lung_rads.modifier_s) == ("1", True)


def test_the_readers_exam_category_stays_and_says_what_the_rules_give_now():
    study = assess_findings(_study(_nodule("N1", 20.0), lung_rads=reader_decision(LungRadsCategory.C2, None)))
    assert (study.lung_rads.category.value, study.lung_rads.decided_by) == ("2", "reader")
    assert "the rules gave 4B" in study.lung_rads.reason
    smaller = assess_findings(replace(study, nodules=(_nodule("N1", 5.0),)))
    assert "the rules gave 2" in smaller.lung_rads.reason
    assert assess_findings(smaller) == smaller


def test_the_modifier_of_a_readers_category_follows_the_clinical_facts_where_there_are_any():
    decided = replace(reader_decision(LungRadsCategory.C3, None), modifier_s=True)
    assert assess_findings(_study(lung_rads=decided)).lung_rads.modifier_s
    told = ClinicalContext(significant_other_finding=False)
    assert not assess_findings(_study(lung_rads=decided, clinical=told)).lung_rads.modifier_s


def test_words_that_a_person_wrote_for_an_exam_are_kept():
    by_hand = LungRadsAssessment(LungRadsCategory.C4X, "by-hand", "spiculated", "PET/CT", "reader", decided_by="reader")
    assert assess_findings(_study(_nodule("N1", 5.0), lung_rads=by_hand)).lung_rads == by_hand


def test_serious_quality_flags_and_many_new_nodules_point_to_category_0():
    nodules = [_nodule(f"N{n}", 5.0) for n in range(7)]
    matches = tuple(NoduleMatch(None, nodule.id, Change.NEW) for nodule in nodules)
    study = assess_findings(
        _study(
            *nodules,
            comparison=StudyComparison(matches, 180, None),
            flags=(QualityFlag("cut_lung", Severity.SERIOUS, "The right lung is cut off."),),
        )
    )
    notes = " ".join(study.lung_rads.notes)
    assert "The right lung is cut off." in notes
    assert "7 new nodules" in notes


def test_assessing_twice_changes_nothing():
    study = _followed(_nodule("N1", 8.5), _nodule("P1", 6.0), _match(2.5))
    assert assess_findings(study) == study


def test_each_counted_nodule_is_asked_about_with_the_clinicians_word_before_the_headers():
    series = SeriesDescription("1", age_years=40.0, sex="F")
    told = ClinicalContext(age_years=70.0, prior_cancer=False)
    study = assess_findings(
        _study(
            _nodule("N1", 8.0),
            _nodule("N2", 40.0),
            replace(_nodule("N3", 8.0), review=Review.REJECTED),
            clinical=told,
            series=series,
        )
    )
    kept, mass, rejected = (nodule.clinical_risk for nodule in study.nodules)
    assert kept[0].inputs == {"age_years": 70.0, "diameter_mm": 8.0, "nodule_count": 2, "sex": "F", "type": "solid"}
    assert {risk.model for risk in kept} == {"Brock 2a", "Brock 2b", "Mayo", "VA", "Herder"}
    assert all("mass" in risk.not_available for risk in mass)
    assert rejected == ()


def test_a_third_of_the_lung_is_not_taken_for_a_lobe_but_a_lobe_is():
    low = _nodule("N1", 8.0)
    high = replace(low, measurements=replace(low.measurements, zone="upper"))
    lobed = replace(low, measurements=replace(low.measurements, lobe="left upper lobe"))
    stated = replace(lobed, stated=StatedFacts(upper_lobe=False))
    inputs = [assess_findings(_study(n)).nodules[0].clinical_risk[0].inputs for n in (high, lobed, stated)]
    assert [told.get("upper_lobe") for told in inputs] == [None, True, False]


def test_an_earlier_cancer_of_which_no_more_is_known_is_out_of_scope():
    study = assess_findings(_study(_nodule("N1", 8.0), clinical=ClinicalContext(prior_cancer=True)))
    assert all("neither kind nor date" in risk.not_available for risk in study.nodules[0].clinical_risk)
