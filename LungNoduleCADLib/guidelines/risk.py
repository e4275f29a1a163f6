"""The published risk models asked of a nodule: what they say, or why they say nothing.

Nothing is imputed. An input that nobody stated leaves a range where it has few answers, else no figure at all. Lobe and
spiculation count only where the reader states them: this software tells thirds of the lung, and its own estimate of
spiculation is not a reader's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from itertools import product
from typing import Any

from LungNoduleCADLib.domain.clinical import ClinicalContext
from LungNoduleCADLib.domain.findings import StudyFindings
from LungNoduleCADLib.domain.nodule import Nodule, NoduleType, Review
from LungNoduleCADLib.domain.risk import RiskEstimate
from LungNoduleCADLib.guidelines.risk_models import ANSWERS, MODELS, CancerHistory, PetUptake, RiskModel, Smoking

ADULT_YEARS = 18  # BTS 2015 is for adults
LARGEST_MM = 30.0  # larger ones are masses (Fleischner Society)
DIGITS = 6

LABELS = {
    "age_years": "age",
    "sex": "sex",
    "smoking_status": "smoking",
    "years_since_quit": "years since quitting",
    "cancer_history": "earlier cancer",
    "family_history_lung_cancer": "family history of lung cancer",
    "emphysema": "emphysema",
    "diameter_mm": "diameter",
    "type": "type",
    "upper_lobe": "lobe",
    "spiculated": "spiculation",
    "nodule_count": "number of nodules",
    "pet_uptake": "PET uptake",
}
_CANCERS = {
    CancerHistory.EXTRATHORACIC_WITHIN_5_YEARS: "a cancer within 5 years: the nodule may be a metastasis",
    CancerHistory.LUNG: "a known lung cancer",
    CancerHistory.UNSPECIFIED: "an earlier cancer of which neither kind nor date is known",
}


@dataclass(frozen=True)
class RiskFacts:
    """What the models ask of a nodule and its patient; ``None``: nobody said.

    ``sex`` "F" or "M"; ``diameter_mm`` the longest axial diameter, as Brock was made with (van Riel et al., Eur Radiol
    2017;27:4019); ``nodule_count`` of all nodules in the scan, this one included; ``upper_lobe``: right or left upper
    lobe, lingula included.
    """

    age_years: float | None = None
    sex: str | None = None
    smoking_status: Smoking | None = None
    years_since_quit: float | None = None
    cancer_history: CancerHistory | None = None
    family_history_lung_cancer: bool | None = None
    emphysema: bool | None = None
    diameter_mm: float | None = None
    type: NoduleType | None = None
    upper_lobe: bool | None = None
    spiculated: bool | None = None
    nodule_count: int | None = None
    pet_uptake: PetUptake | None = None

    def stated(self) -> dict[str, Any]:
        """What is known; those who never smoked or still do have 0 years since quitting (Gould 2007)."""
        known = {name: value for name, value in asdict(self).items() if value is not None}
        if self.smoking_status in (Smoking.NEVER, Smoking.CURRENT):
            known["years_since_quit"] = 0.0
        return known


def out_of_scope(facts: RiskFacts) -> str | None:
    """Why no model may be asked, in words; ``None`` where they may."""
    if facts.age_years is not None and facts.age_years < ADULT_YEARS:
        return f"{facts.age_years:g} years old; the models are for adults, {ADULT_YEARS} or older"
    if facts.diameter_mm is not None and facts.diameter_mm > LARGEST_MM:
        return f"{facts.diameter_mm:.1f} mm is a mass; the models are for nodules up to {LARGEST_MM:g} mm"
    return _CANCERS.get(facts.cancer_history) if facts.cancer_history else None


def estimate_risk(model: RiskModel, facts: RiskFacts) -> RiskEstimate:
    """What a model says of a nodule: a probability, a range while answers are missing, or why it says nothing."""
    stated = facts.stated()
    known = {name: stated[name] for name in model.inputs if name in stated}
    missing = tuple(name for name in model.inputs if name not in known)
    inputs = {name: str(value) if isinstance(value, StrEnum) else value for name, value in known.items()}
    silent = RiskEstimate(model.name, model.version, model.source, inputs, missing)
    if reason := out_of_scope(facts):
        return replace(silent, not_available=f"out of scope: {reason}")
    if not missing:
        return replace(silent, probability=round(model.probability(known), DIGITS))
    needed = tuple(name for name in missing if name in model.needs)
    reason = f"not stated: {', '.join(LABELS[name] for name in needed or missing)}"
    return replace(silent, probability_range=None if needed else _range(model, known, missing), not_available=reason)


def estimate_risks(facts: RiskFacts, models: Sequence[RiskModel] = MODELS) -> tuple[RiskEstimate, ...]:
    """What each model says."""
    return tuple(estimate_risk(model, facts) for model in models)


def with_clinical_risk(findings: StudyFindings) -> StudyFindings:
    """The same findings with what the models say of each nodule; rejected nodules get nothing."""
    counted = sum(nodule.review is not Review.REJECTED for nodule in findings.nodules)
    nodules = tuple(
        replace(
            nodule,
            clinical_risk=()
            if nodule.review is Review.REJECTED
            else estimate_risks(facts_of(nodule, counted, findings)),
        )
        for nodule in findings.nodules
    )
    return replace(findings, nodules=nodules)


def facts_of(nodule: Nodule, nodule_count: int, findings: StudyFindings) -> RiskFacts:
    """Facts from the records: the patient's as the clinician said, age and sex else from the headers."""
    said = findings.clinical or ClinicalContext()
    sex = said.sex or findings.series.sex
    measured = nodule.measurements
    lobe = measured.lobe if measured else None
    upper = nodule.stated.upper_lobe
    return RiskFacts(
        age_years=said.age_years if said.age_years is not None else findings.series.age_years,
        sex=sex if sex in ANSWERS["sex"] else None,
        smoking_status=Smoking(said.smoking_status) if said.smoking_status in set(Smoking) else None,
        years_since_quit=said.years_since_quit,
        cancer_history=_cancer_history(said.prior_cancer),
        family_history_lung_cancer=said.family_history_lung_cancer,
        emphysema=said.emphysema,
        diameter_mm=measured.axes.long_axis_mm if measured else None,
        type=nodule.type.type if nodule.type else None,
        upper_lobe=upper if upper is not None or lobe is None else "upper" in lobe.lower(),
        spiculated=nodule.stated.spiculated,
        nodule_count=nodule_count,
    )


def _cancer_history(prior_cancer: bool | None) -> CancerHistory | None:
    if prior_cancer is None:
        return None
    return CancerHistory.UNSPECIFIED if prior_cancer else CancerHistory.NONE


def _range(model: RiskModel, known: dict[str, Any], missing: tuple[str, ...]) -> tuple[float, float]:
    """Lowest and highest probability over every answer to what is missing."""
    every = product(*(ANSWERS[name] for name in missing))
    values = [model.probability({**known, **dict(zip(missing, answers, strict=True))}) for answers in every]
    return round(min(values), DIGITS), round(max(values), DIGITS)
