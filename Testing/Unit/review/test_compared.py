"""Two scans and more of the made-up patient, compared: models at both times, one scan twice, exams before the prior."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date

import pytest
import SimpleITK as sitk

from LungNoduleCADLib import pipeline
from LungNoduleCADLib.domain.comparison import Change, RegistrationQuality
from LungNoduleCADLib.domain.nodule import Nodule
from LungNoduleCADLib.domain.provenance import Method
from LungNoduleCADLib.domain.quality import QualityFlag, Severity
from LungNoduleCADLib.errors import InputError
from LungNoduleCADLib.followup.register import Registration
from LungNoduleCADLib.nodule_list import Models
from LungNoduleCADLib.pipeline import AnalysedStudy, Comparison, compare_studies, with_earlier
from LungNoduleCADLib.progress import Progress

METHOD = Method("stub", "1")
BALL = ((-40.0, 0.0, 0.0), 6.0, 0.95)
TODAY, BEFORE, EARLIER, FIRST = date(2024, 7, 1), date(2024, 1, 1), date(2023, 1, 1), date(2022, 1, 1)
Compare = Callable[[AnalysedStudy, AnalysedStudy], Comparison]
FAILED = QualityFlag("registration_lung_overlap", Severity.SERIOUS, "The lungs do not overlap.")


def registered(*_: object, flags: tuple[QualityFlag, ...] = ()) -> Registration:
    identity = sitk.CompositeTransform([sitk.AffineTransform(3)])
    return Registration(
        identity, sitk.AffineTransform(3), RegistrationQuality(0.9, 0.98, 0.5, 0.0, 1.0, METHOD), 0.9, flags
    )


@pytest.fixture
def compare(models: Models, monkeypatch: pytest.MonkeyPatch) -> Compare:
    monkeypatch.setattr(pipeline, "register_studies", registered)
    return lambda prior, current: compare_studies(prior, current, models, Progress())


def codes(flags: tuple[QualityFlag, ...]) -> set[str]:
    return {flag.code for flag in flags}


def with_nodules(study: AnalysedStudy, change: Callable[[Nodule], Nodule]) -> AnalysedStudy:
    nodules = tuple(change(nodule) for nodule in study.findings.nodules)
    return replace(study, findings=replace(study.findings, nodules=nodules))


@pytest.mark.parametrize("copied", [False, True])
def test_a_scan_compared_with_itself_or_its_copy_is_stable(
    compare: Compare, scanned: Callable[..., AnalysedStudy], copied: bool
) -> None:
    small = {"small": ((-40.0, 0.0, 0.0), 2.0, 0.95)}
    prior = scanned(BEFORE, **small)
    current = scanned(TODAY, **small) if copied else prior

    comparison = compare(prior, current).current.findings.comparison

    (match,) = comparison.matches
    assert match.change is Change.STABLE
    assert match.growth.volume_change_percent == pytest.approx(0, abs=1)
    assert match.growth.vdt_days is None
    assert ("same_series" in codes(comparison.flags)) is not copied


def test_two_scans_that_only_look_alike_are_not_taken_for_one(
    compare: Compare, scanned: Callable[..., AnalysedStudy]
) -> None:
    small = {"small": ((-40.0, 0.0, 0.0), 2.0, 0.95)}
    current = scanned(TODAY, **small)
    current.ct.hu[0, 0, 0] += 1

    (match,) = compare(scanned(BEFORE, **small), current).current.findings.comparison.matches

    low, high = match.growth.volume_change_interval_95_percent
    assert low < -5 < 5 < high  # no change is seen, but two scans do not measure that exactly


def test_what_another_version_outlined_is_outlined_again_and_said(
    compare: Compare, scanned: Callable[..., AnalysedStudy]
) -> None:
    def older(nodule: Nodule) -> Nodule:
        larger = replace(nodule.measurements, volume_mm3=2 * nodule.measurements.volume_mm3)
        return replace(nodule, mask=replace(nodule.mask, method=Method("stub", "0")), measurements=larger)

    prior = with_nodules(scanned(BEFORE), older)
    provenance = replace(prior.findings.provenance, methods=(Method("stub", "0"),))
    prior = replace(prior, findings=replace(prior.findings, provenance=provenance))
    current = scanned(TODAY)
    now = replace(current.findings.provenance, methods=(METHOD,))

    compared = compare(prior, replace(current, findings=replace(current.findings, provenance=now)))

    assert {nodule.mask.method for nodule in compared.prior.findings.nodules} == {METHOD}
    assert compared.current.findings.comparison.matches[0].growth.volume_change_percent == pytest.approx(0)
    assert "different_models" in codes(compared.current.findings.comparison.flags)


def test_what_a_reader_drew_is_not_outlined_again_and_the_difference_is_said(
    compare: Compare, scanned: Callable[..., AnalysedStudy]
) -> None:
    drawn = Method("reader", "outline drawn by hand")
    prior = with_nodules(scanned(BEFORE), lambda n: replace(n, mask=replace(n.mask, method=drawn)))

    compared = compare(prior, scanned(TODAY))

    assert compared.prior.findings.nodules[0].mask.method == drawn
    assert "different_segmentation" in codes(compared.current.findings.comparison.matches[0].flags)


def test_an_exam_before_the_prior_one_becomes_a_point_of_the_series(
    compare: Compare, scanned: Callable[..., AnalysedStudy], models: Models
) -> None:
    place, _, probability = BALL
    compared = compare(scanned(BEFORE, ball=(place, 5.0, probability)), scanned(TODAY))
    exams = [
        scanned(FIRST, other=((40.0, 0.0, 0.0), 5.0, 0.95)),
        scanned(EARLIER, ball=(place, 4.0, probability), other=((40.0, 0.0, 0.0), 5.0, 0.95)),
    ]

    after = with_earlier(compared, iter(exams), models, Progress()).current.findings

    (series,) = after.comparison.series
    assert [point.study_date for point in series.points] == [FIRST, EARLIER, BEFORE, TODAY]
    assert [point.days for point in series.points] == [912, 547, 182, 0]
    volumes = [point.volume_mm3 for point in series.points]
    assert volumes[0] is None
    assert volumes[1] < volumes[2] < volumes[3]
    assert series.change is Change.GROWING
    assert [exam.study_date for exam in after.comparison.earlier] == [FIRST, EARLIER]
    assert len(after.nodules) == 1  # what only an earlier exam shows is not looked for now


def test_an_earlier_exam_that_cannot_be_laid_onto_the_current_one_is_left_out_and_said(
    compare: Compare, scanned: Callable[..., AnalysedStudy], models: Models, monkeypatch: pytest.MonkeyPatch
) -> None:
    compared = compare(scanned(BEFORE), scanned(TODAY))
    monkeypatch.setattr(pipeline, "register_studies", lambda *a: registered(*a, flags=(FAILED,)))

    after = with_earlier(compared, [scanned(EARLIER)], models, Progress()).current.findings.comparison

    assert after.earlier[0].failed
    assert FAILED in after.earlier[0].flags
    assert [point.study_date for point in after.series[0].points] == [BEFORE, TODAY]


def test_an_earlier_exam_of_another_patient_is_refused(
    compare: Compare, scanned: Callable[..., AnalysedStudy], models: Models
) -> None:
    def of(patient: str, study: AnalysedStudy) -> AnalysedStudy:
        return replace(
            study, findings=replace(study.findings, series=replace(study.findings.series, patient_key=patient))
        )

    compared = compare(of("a", scanned(BEFORE)), of("a", scanned(TODAY)))

    with pytest.raises(InputError, match="different patients"):
        with_earlier(compared, [of("b", scanned(EARLIER))], models, Progress())


def test_nothing_is_called_new_or_resolved_where_the_registration_failed(
    scanned: Callable[..., AnalysedStudy], models: Models, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipeline, "register_studies", lambda *a: registered(*a, flags=(FAILED,)))
    prior = scanned(BEFORE, other=((40.0, 0.0, 0.0), 5.0, 0.95))

    comparison = compare_studies(prior, scanned(TODAY), models, Progress()).current.findings.comparison

    assert [match.change for match in comparison.matches] == [Change.UNCERTAIN] * 2
    assert all("unreliable_registration" in codes(match.flags) for match in comparison.matches)
    assert FAILED in comparison.flags


def test_paired_nodules_are_outlined_twice_and_kept_so(compare: Compare, scanned: Callable[..., AnalysedStudy]) -> None:
    compared = compare(scanned(BEFORE), scanned(TODAY, ball=BALL, new=((40.0, 0.0, 0.0), 5.0, 0.95)))

    sizes = {nodule.id: nodule.measurements for nodule in compared.current.findings.nodules}
    assert sizes["N1"].volume_again_mm3 == pytest.approx(sizes["N1"].volume_mm3)
    assert sizes["N2"].volume_again_mm3 is None  # it has no partner, so its change is not asked for
    assert compared.prior.findings.nodules[0].measurements.volume_again_mm3 is not None


def test_an_outline_that_is_drawn_otherwise_the_second_time_is_told_and_decides_nothing(
    compare: Compare, scanned: Callable[..., AnalysedStudy]
) -> None:
    def unsteady(nodule: Nodule) -> Nodule:
        half = replace(nodule.measurements, volume_again_mm3=nodule.measurements.volume_mm3 / 2)
        return replace(nodule, measurements=half)

    prior, current = with_nodules(scanned(BEFORE), unsteady), scanned(TODAY, ball=(BALL[0], 7.0, 0.95))
    (match,) = compare(prior, current).current.findings.comparison.matches

    assert match.change is Change.UNCERTAIN
    assert "unsteady_outline" in codes(match.flags)
