"""Which scans may be compared at all, and what to doubt of those that may."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from LungNoduleCADLib.domain.findings import StudyFindings
from LungNoduleCADLib.domain.quality import QualityFlag, Severity
from LungNoduleCADLib.domain.study import SeriesDescription
from LungNoduleCADLib.errors import InputError
from LungNoduleCADLib.followup.series import MOST_EXAMS

FIRST_CT = date(1971, 10, 1)
DAYS_A_YEAR = 365.25
AGE_TOLERANCE_YEARS = 1.5  # headers give whole years


def check_order(prior: SeriesDescription, current: SeriesDescription) -> tuple[QualityFlag, ...]:
    """Refuse scans of two people or in the wrong order; doubts about dates and identity come back as flags.

    Raises
    ------
    InputError : different patients, or the prior is the later scan.
    """
    if prior.patient_key and current.patient_key and prior.patient_key != current.patient_key:
        raise InputError(
            "The two scans are of different patients",
            expected="one patient ID in both",
            got="two different ones",
            todo="choose a prior scan of the same patient",
        )
    before, after = prior.study_date, current.study_date
    if before and after and before > after:
        raise InputError(
            "The prior scan is later than the current one",
            expected=f"a prior before {after}",
            got=str(before),
            todo="swap the two scans",
        )
    flags = [*_identity_doubts(prior, current), *_date_doubts(prior, current)]
    if prior.series_uid and prior.series_uid == current.series_uid:
        flags.append(_warning("same_series", "Prior and current are the same series: no change can be seen."))
    return tuple(flags)


def different_models(prior: StudyFindings, current: StudyFindings) -> tuple[QualityFlag, ...]:
    """A flag where a model of the same name answered in another version at the other time point."""
    then = {method.name: method for method in prior.provenance.methods}
    changed = [
        f"{now.name} ({then[now.name].version} then, {now.version} now)"
        for now in current.provenance.methods
        if now.name in then and (now.version, now.sha256) != (then[now.name].version, then[now.name].sha256)
    ]
    if not changed:
        return ()
    when = prior.series.study_date or "unknown date"
    message = (
        f"The exam of {when} was analysed with other models: {', '.join(changed)}. "
        "Outlines were made again with today's model, so that sizes can be compared; types, probabilities and which "
        "nodules were found may differ for that reason alone."
    )
    return (_warning("different_models", message),)


def in_order(exams: Sequence[SeriesDescription]) -> list[int]:
    """Where each exam stands by date, oldest first.

    Raises
    ------
    InputError : more than six exams with the current one, one of them twice, or one without a date to be put in order
        by.
    """
    if len(exams) + 1 > MOST_EXAMS:
        raise InputError(
            "These are too many exams to compare",
            expected=f"{MOST_EXAMS} at most, the current one included",
            got=str(len(exams) + 1),
            todo="leave the oldest out",
        )
    uids = [exam.series_uid for exam in exams if exam.series_uid]
    if len(set(uids)) < len(uids):
        raise InputError(
            "One prior exam was given twice", expected="different exams", got="one series twice", todo="give it once"
        )
    if len(exams) > 1 and any(exam.study_date is None for exam in exams):
        raise InputError(
            "The prior exams cannot be put in order",
            expected="a study date in each",
            got="at least one without",
            todo="give one prior exam only, or scans with their DICOM headers",
        )
    return sorted(range(len(exams)), key=lambda n: exams[n].study_date or date.min)


def _identity_doubts(prior: SeriesDescription, current: SeriesDescription) -> list[QualityFlag]:
    flags = []
    if not (prior.patient_key and current.patient_key):
        message = "At least one scan has no patient ID, so that both are of the same person was not checked."
        flags.append(_warning("patient_unknown", message))
    if prior.sex and current.sex and prior.sex != current.sex:
        message = f"The prior scan's header says sex {prior.sex}, the current one's {current.sex}: check the patient."
        flags.append(_warning("sex_differs", message))
    return flags


def _date_doubts(prior: SeriesDescription, current: SeriesDescription) -> list[QualityFlag]:
    before, after = prior.study_date, current.study_date
    if not (before and after):
        message = "At least one scan has no study date, so no doubling time and no 12-month growth can be given."
        return [_warning("date_missing", message)]
    flags = []
    if before == after:
        message = (
            "Both scans are of the same day: a change in volume is measurement error, and no doubling time is given."
        )
        flags.append(_warning("same_day", message))
    if wrong := [day for day in (before, after) if not FIRST_CT <= day <= date.today()]:
        message = f"A study date of {wrong[0]} cannot be true; doubling times rest on it."
        flags.append(_warning("date_implausible", message))
    if prior.age_years is not None and current.age_years is not None:
        aged, passed = current.age_years - prior.age_years, (after - before).days / DAYS_A_YEAR
        if abs(aged - passed) > AGE_TOLERANCE_YEARS:
            message = (
                f"By the study dates {passed:.1f} years passed, by the patient's age in the headers {aged:.1f}: a date "
                "was shifted, or the scans are of different people. Doubling times rest on the dates."
            )
            flags.append(_warning("date_shifted", message))
    return flags


def _warning(code: str, message: str) -> QualityFlag:
    return QualityFlag(code, Severity.WARNING, message)
