"""Which scans may be compared at all, and what is said of those that may."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta

import pytest

from LungNoduleCADLib.domain.findings import StudyFindings
from LungNoduleCADLib.domain.provenance import Method
from LungNoduleCADLib.domain.study import SeriesDescription
from LungNoduleCADLib.errors import InputError
from LungNoduleCADLib.followup.exams import check_order, different_models, in_order

BEFORE, AFTER = date(2023, 1, 1), date(2024, 1, 1)


def series(day: date | None, patient: str = "abc", uid: str = "") -> SeriesDescription:
    return SeriesDescription(uid or f"uid {day}", patient_key=patient, study_date=day)


def test_scans_in_order_of_one_patient_raise_no_doubt() -> None:
    assert check_order(series(BEFORE), series(AFTER)) == ()


def test_scans_of_two_patients_are_refused() -> None:
    with pytest.raises(InputError, match="different patients"):
        check_order(series(BEFORE), series(AFTER, patient="xyz"))


def test_a_prior_later_than_the_current_scan_is_refused() -> None:
    with pytest.raises(InputError, match=r"2023-01-01.*2024-01-01"):
        check_order(series(AFTER), series(BEFORE))


@pytest.mark.parametrize(
    ("prior", "current", "code"),
    [
        (series(AFTER, uid="1"), series(AFTER, uid="2"), "same_day"),
        (series(AFTER), series(AFTER), "same_series"),
        (series(None), series(AFTER), "date_missing"),
        (series(BEFORE, patient=""), series(AFTER), "patient_unknown"),
    ],
)
def test_doubts_about_dates_and_identity_are_told(
    prior: SeriesDescription, current: SeriesDescription, code: str
) -> None:
    assert code in {flag.code for flag in check_order(prior, current)}


def codes(prior: SeriesDescription, current: SeriesDescription) -> set[str]:
    return {flag.code for flag in check_order(prior, current)}


@pytest.mark.parametrize(("then", "now", "shifted"), [(60, 61, False), (60, 60, False), (60, 65, True), (62, 61, True)])
def test_dates_that_do_not_fit_the_patients_age_are_told(then: float, now: float, shifted: bool) -> None:
    prior, current = replace(series(BEFORE), age_years=then), replace(series(AFTER), age_years=now)

    assert codes(prior, current) == ({"date_shifted"} if shifted else set())


@pytest.mark.parametrize("day", [date(1950, 1, 1), date(1900, 1, 1)])
def test_dates_before_there_was_ct_are_told(day: date) -> None:
    assert codes(series(day), series(AFTER)) == {"date_implausible"}


def test_a_date_in_the_future_is_told() -> None:
    assert "date_implausible" in codes(series(BEFORE), series(date.today() + timedelta(days=400)))


def test_another_sex_in_the_headers_is_told() -> None:
    assert codes(replace(series(BEFORE), sex="F"), replace(series(AFTER), sex="M")) == {"sex_differs"}
    assert codes(replace(series(BEFORE), sex="F"), replace(series(AFTER), sex=None)) == set()


def test_exams_are_put_in_order_by_date() -> None:
    days = [date(2022, 5, 1), date(2020, 1, 1), date(2023, 1, 1)]

    assert in_order([series(day) for day in days]) == [1, 0, 2]
    assert in_order([series(None)]) == [0]
    assert in_order([]) == []


def test_several_prior_exams_without_dates_are_refused() -> None:
    with pytest.raises(InputError, match="put in order"):
        in_order([series(BEFORE), series(None)])


def test_an_exam_given_twice_is_refused() -> None:
    with pytest.raises(InputError, match="twice"):
        in_order([series(BEFORE), series(BEFORE)])


def test_more_than_six_exams_are_refused() -> None:
    days = [date(2010 + n, 1, 1) for n in range(6)]

    assert in_order([series(day) for day in days[:5]]) == [0, 1, 2, 3, 4]
    with pytest.raises(InputError, match="too many exams"):
        in_order([series(day) for day in days])


def test_another_version_of_a_model_at_the_other_time_is_told(study: Callable[..., StudyFindings]) -> None:
    def by(version: str, sha256: str | None = None) -> StudyFindings:
        findings = study([], BEFORE)
        methods = (Method("outlines", version, sha256), Method("lungs", "1"))
        return replace(findings, provenance=replace(findings.provenance, methods=methods))

    (flag,) = different_models(by("1.0"), by("2.0"))
    assert flag.code == "different_models"
    assert "outlines (1.0 then, 2.0 now)" in flag.message
    assert "lungs" not in flag.message
    assert different_models(by("1.0"), by("1.0")) == ()
    assert different_models(by("1.0", "aa"), by("1.0", "bb"))
