"""What the referring clinician knows; never imputed."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ClinicalContext:
    """All optional: ``None`` means nobody said.

    The last four are what Lung-RADS asks of the exam: the modifier S, and what makes it category 0.
    """

    age_years: float | None = None
    sex: str | None = None
    smoking_status: str | None = None
    pack_years: float | None = None
    years_since_quit: float | None = None
    family_history_lung_cancer: bool | None = None
    emphysema: bool | None = None
    prior_cancer: bool | None = None
    significant_other_finding: bool | None = None
    prior_ct_pending: bool | None = None
    lungs_not_evaluable: bool | None = None
    inflammatory_findings: bool | None = None
