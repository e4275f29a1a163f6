"""Lung-RADS and clinical risk of a whole study: every nodule that counts, then the exam."""

from __future__ import annotations

from dataclasses import replace

from LungNoduleCADLib.domain.clinical import ClinicalContext
from LungNoduleCADLib.domain.comparison import Change
from LungNoduleCADLib.domain.findings import StudyFindings
from LungNoduleCADLib.domain.lung_rads import LungRadsAssessment, LungRadsCategory
from LungNoduleCADLib.domain.nodule import Nodule, Review
from LungNoduleCADLib.domain.quality import Severity
from LungNoduleCADLib.guidelines.lung_rads_2022 import READER, READER_RULE, assess_exam, reader_decision
from LungNoduleCADLib.guidelines.lung_rads_facts import assess
from LungNoduleCADLib.guidelines.lung_rads_table import SCOPE
from LungNoduleCADLib.guidelines.risk import with_clinical_risk
from LungNoduleCADLib.guidelines.scope import PatientFacts

MANY_NEW_NODULES = 6
_OF_NODULES = {
    "benign_calcification": "benign calcification or fat (category 1)",
    "airway": "airway nodules",
    "cyst": "cysts",
    "suspicious_features": "further suspicious features such as spiculation and lymphadenopathy (4X)",
}
_OF_EXAM = {"inflammatory_findings": "signs of inflammation (category 0)"}


def assess_findings(findings: StudyFindings) -> StudyFindings:
    """The same findings with Lung-RADS and clinical risk of each nodule, and Lung-RADS of the exam.

    Rejected nodules get neither and do not count. What a reader decided (``decided_by`` "reader") is kept.
    """
    prior = assess_findings(findings.prior) if findings.prior and findings.prior.lung_rads is None else findings.prior
    findings = replace(findings, prior=prior)
    nodules = tuple(replace(nodule, lung_rads=_of_nodule(nodule, findings)) for nodule in findings.nodules)
    findings = with_clinical_risk(replace(findings, nodules=nodules))
    exam = assess_exam(
        [(nodule.id, nodule.lung_rads) for nodule in nodules if nodule.lung_rads],
        clinical=findings.clinical,
        notes=_exam_notes(findings),
    )
    decided = findings.lung_rads
    by_reader = decided is not None and decided.decided_by == READER
    return replace(findings, lung_rads=_readers_exam(decided, exam, findings) if by_reader else exam)  # type: ignore[arg-type]


def _readers_exam(
    decided: LungRadsAssessment, by_rules: LungRadsAssessment, findings: StudyFindings
) -> LungRadsAssessment:
    """The reader's category, saying what the rules give now; the modifier S follows the clinical facts."""
    told = findings.clinical is not None and findings.clinical.significant_other_finding is not None
    modifier_s = by_rules.modifier_s if told else decided.modifier_s
    if decided.rule_id != READER_RULE:
        return replace(decided, modifier_s=modifier_s)
    return replace(reader_decision(decided.category, by_rules), notes=by_rules.notes, modifier_s=modifier_s)


def _of_nodule(nodule: Nodule, findings: StudyFindings) -> LungRadsAssessment | None:
    if nodule.review is Review.REJECTED:
        return None
    if nodule.lung_rads and nodule.lung_rads.decided_by == READER:
        return nodule.lung_rads
    matches = findings.comparison.matches if findings.comparison else ()
    match = next((match for match in matches if match.current_id == nodule.id), None)
    prior_id = match.prior_id if match else None
    earlier = findings.prior.nodules if findings.prior and prior_id else ()
    return assess(nodule, match, next((before for before in earlier if before.id == prior_id), None))


def _exam_notes(findings: StudyFindings) -> tuple[str, ...]:
    counted = [nodule for nodule in findings.nodules if nodule.review is not Review.REJECTED]
    notes = []
    if findings.comparison is None:
        notes.append("No prior CT was compared: assessed as at baseline.")
    if unmeasured := [nodule.id for nodule in counted if nodule.lung_rads is None]:
        notes.append(f"Not measured and therefore without category: {', '.join(unmeasured)}.")
    matches = findings.comparison.matches if findings.comparison else ()
    new = {match.current_id for match in matches if match.change is Change.NEW} & {nodule.id for nodule in counted}
    if len(new) > MANY_NEW_NODULES:
        notes.append(
            f"{len(new)} new nodules: more than {MANY_NEW_NODULES} suggest inflammation; category 0 may apply."
        )
    if serious := [flag.message for flag in findings.flags if flag.severity is Severity.SERIOUS]:
        notes.append(f"Part of the exam may not be evaluable (category 0 may apply): {' '.join(serious)}")
    notes += _scope_doubts(findings)
    if any(nodule.lung_rads and nodule.lung_rads.category is not LungRadsCategory.C1 for nodule in counted):
        notes += _not_assessed(counted, findings)
    return tuple(notes)


def _scope_doubts(findings: StudyFindings) -> list[str]:
    """Why Lung-RADS may not be made for this patient, by what is known."""
    said = findings.clinical or ClinicalContext()
    age = said.age_years if said.age_years is not None else findings.series.age_years
    reason = SCOPE.refusal(PatientFacts(age, known_cancer=said.prior_cancer))
    return [f"Lung-RADS may not apply to this patient: {reason}."] if reason else []


def _not_assessed(counted: list[Nodule], findings: StudyFindings) -> list[str]:
    """What no model of this software decides, and the reader did not state of every nodule."""
    open_ = [words for name, words in _OF_NODULES.items() if any(getattr(n.stated, name) is None for n in counted)]
    open_ += [words for name, words in _OF_EXAM.items() if getattr(findings.clinical, name, None) is None]
    return [f"This software did not assess {'; '.join(open_)}: the reader decides."] if open_ else []
