"""Whom a guideline is made for: what a reader knows of the patient, and why the guideline may not be asked."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class PatientFacts:
    """What decides whether a guideline is made for a patient; ``None``: nobody said.

    ``screening``: the CT was made to screen for lung cancer. ``high_risk`` of lung cancer, as the reader judges it.
    """

    age_years: float | None = None
    screening: bool | None = None
    known_cancer: bool | None = None
    immunosuppressed: bool | None = None
    high_risk: bool | None = None


@dataclass(frozen=True)
class Scope:
    """Whom a guideline is made for; ``screening``: only (True) or not at all (False) for screening, ``None``: both."""

    least_age_years: float
    largest_mm: float | None = None
    screening: bool | None = None
    not_with: tuple[str, ...] = ()

    def refusal(self, patient: PatientFacts, size_mm: float | None = None) -> str | None:
        """Why the guideline may not be asked, in words; ``None`` where it may."""
        if patient.age_years is not None and patient.age_years < self.least_age_years:
            return f"{patient.age_years:g} years old; it is for people of {self.least_age_years:g} or older"
        if size_mm is not None and self.largest_mm is not None and size_mm > self.largest_mm:
            return f"{size_mm:.1f} mm is a mass; it is for nodules up to {self.largest_mm:g} mm"
        if self.screening is not None and patient.screening is (not self.screening):
            return "it is for lung cancer screening" if self.screening else "it is not for lung cancer screening"
        reasons = {
            "known_cancer": "a known cancer: a nodule may be a metastasis, or the cancer itself",
            "immunosuppressed": "immunosuppression: infection is likelier",
        }
        return next((reasons[name] for name in self.not_with if getattr(patient, name)), None)

    def unstated(self, patient: PatientFacts) -> tuple[str, ...]:
        """Names of what the scope asks and nobody said."""
        asked = ("age_years", *(("screening",) if self.screening is not None else ()), *self.not_with)
        return tuple(name for name in asked if getattr(patient, name) is None)
