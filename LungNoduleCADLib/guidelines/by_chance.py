"""What Fleischner and BTS say of a nodule of a study, should the CT not have been made for screening."""

from __future__ import annotations

from LungNoduleCADLib.domain.clinical import ClinicalContext
from LungNoduleCADLib.domain.comparison import Change, Growth
from LungNoduleCADLib.domain.findings import StudyFindings
from LungNoduleCADLib.domain.nodule import Nodule, Review
from LungNoduleCADLib.guidelines.bts_2015 import BTS
from LungNoduleCADLib.guidelines.fleischner_2017 import FLEISCHNER
from LungNoduleCADLib.guidelines.incidental import Facts, Recommendation, recommend
from LungNoduleCADLib.guidelines.rules import Situation
from LungNoduleCADLib.guidelines.scope import PatientFacts

_SITUATIONS = {Change.NEW: Situation.NEW, Change.GROWING: Situation.GROWING}


def recommendations(nodule: Nodule, findings: StudyFindings) -> tuple[Recommendation, Recommendation]:
    """By Fleischner 2017 and by BTS 2015, each with its row or the reason why it says nothing."""
    said = findings.clinical or ClinicalContext()
    age = said.age_years if said.age_years is not None else findings.series.age_years
    patient = PatientFacts(age, known_cancer=said.prior_cancer)
    facts = facts_of(nodule, findings)
    return recommend(FLEISCHNER, facts, patient), recommend(BTS, facts, patient)


def facts_of(nodule: Nodule, findings: StudyFindings) -> Facts:
    """Facts from the records; Brock with spiculation where it was stated, else without."""
    measured, stated = nodule.measurements, nodule.stated
    matches = findings.comparison.matches if findings.comparison else ()
    match = next((one for one in matches if one.current_id == nodule.id), None)
    growth = match.growth if match else None
    situation = _SITUATIONS.get(match.change, Situation.STABLE if growth else Situation.BASELINE) if match else None
    risks = {estimate.model: estimate.probability for estimate in nodule.clinical_risk}
    brock = risks.get("Brock 2b")
    counted = sum(other.review is not Review.REJECTED for other in findings.nodules)
    return Facts(
        type=nodule.type.type if nodule.type else None,
        mean_diameter_mm=measured.axes.mean_diameter_mm if measured else None,
        longest_diameter_mm=measured.axes.long_axis_mm if measured else None,
        solid_mean_diameter_mm=measured.solid_axes.mean_diameter_mm if measured and measured.solid_axes else None,
        volume_mm3=measured.volume_mm3 if measured else None,
        situation=situation or Situation.BASELINE,
        multiple=counted > 1,
        benign_calcification=stated.benign_calcification,
        fat=stated.fat,
        juxtapleural_smooth=stated.juxtapleural_smooth,
        suspicious_features=stated.suspicious_features,
        brock_probability=brock if brock is not None else risks.get("Brock 2a"),
        months_since_first=_months(growth),
        vdt_days=growth.vdt_days if growth else None,
    )


def _months(growth: Growth | None) -> float | None:
    """At least: a nodule may have been seen before the prior CT, too."""
    return growth.interval_days * 12 / 365.25 if growth and growth.interval_days is not None else None
