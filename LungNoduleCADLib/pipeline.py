"""The order of work: one study analysed, two studies compared. Nothing else lives here."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import numpy as np

from LungNoduleCADLib import __version__
from LungNoduleCADLib.domain.clinical import ClinicalContext
from LungNoduleCADLib.domain.comparison import EarlierExam, NoduleMatch, StudyComparison, TimePoint
from LungNoduleCADLib.domain.ct import CtVolume
from LungNoduleCADLib.domain.findings import LungSummary, StudyFindings
from LungNoduleCADLib.domain.masks import Lung, LungMask
from LungNoduleCADLib.domain.nodule import NoduleCandidate, Origin, Point
from LungNoduleCADLib.domain.provenance import Provenance
from LungNoduleCADLib.errors import InputError
from LungNoduleCADLib.followup.exams import check_order, different_models
from LungNoduleCADLib.followup.match import match_nodules
from LungNoduleCADLib.followup.register import Registration, register_studies
from LungNoduleCADLib.followup.series import Points, time_point, with_series
from LungNoduleCADLib.guidelines.exam import assess_findings
from LungNoduleCADLib.guidelines.lung_rads_2022 import READER
from LungNoduleCADLib.lungs.image_quality import image_quality
from LungNoduleCADLib.lungs.quality import lung_quality
from LungNoduleCADLib.lungs.segment import segment_lungs
from LungNoduleCADLib.nodule_list import (
    Looks,
    Models,
    by_suspicion,
    joined,
    rated_places,
    rounded_place,
    was_deleted,
    with_candidates,
)
from LungNoduleCADLib.nodules.masses import mass_flags
from LungNoduleCADLib.progress import Progress

__all__ = [
    "AnalysedStudy",
    "Comparison",
    "Models",
    "analyse_study",
    "compare_studies",
    "pair_nodules",
    "with_clinical",
    "with_earlier",
]

ANALYSIS_STAGES = [("lungs", 12.0), ("detect", 18.0), ("segment", 10.0), ("classify", 8.0)]
COMPARISON_STAGES = [("register", 30.0), ("match", 1.0)]
COUNTERPART_THRESHOLD_SHARE = 0.5


@dataclass(frozen=True)
class AnalysedStudy:
    """Findings with the images they were made on."""

    findings: StudyFindings
    ct: CtVolume
    lungs: LungMask


@dataclass(frozen=True)
class Comparison:
    """Both studies (the current one's findings hold the comparison) and the transform between them."""

    prior: AnalysedStudy
    current: AnalysedStudy
    registration: Registration


def analyse_study(
    ct: CtVolume,
    models: Models,
    progress: Progress,
    *,
    points_lps_mm: Sequence[Point] = (),
    clinical: ClinicalContext | None = None,
    device: str = "cpu",
    search: bool = True,
) -> AnalysedStudy:
    """Lungs, nodules, their outlines, sizes and characters, and the exam's Lung-RADS category.

    Parameters
    ----------
    points_lps_mm : places a reader clicked; each is analysed whether or not the detector found it.
    search : look for nodules in the whole scan; otherwise only at the reader's places.

    Raises
    ------
    InputError : no lungs, or a point outside of the scan.
    """
    for point in points_lps_mm:
        check_inside(ct, point)
    with progress.stage("lungs", "finding the lungs"):
        lungs = segment_lungs(ct)
    looks = Looks(ct, lungs, lambda: models)
    with progress.stage("detect", "looking for nodules"):
        places = models.find(ct, lungs) if search else []
        rated = looks.rated(places, progress.report)
        clicked = looks.rated([NoduleCandidate(p, origin=Origin.READER) for p in points_lps_mm])
        chosen = [c for c in rated if (c.probability or 0.0) >= models.threshold] + clicked
    with progress.stage("segment", "outlining and measuring"):
        nodules = with_candidates((), chosen, looks, progress.report)
    with progress.stage("classify", "characterising"):
        for number, nodule in enumerate(nodules):
            nodules[number] = looks.characterised(nodule)
            progress.report((number + 1) / len(nodules))
    provenance = Provenance(
        __version__,
        datetime.now(UTC).isoformat(timespec="seconds"),
        device,
        "analyse",
        (lungs.method, *models.methods()),
        stages=tuple(progress.costs),
    )
    listed = by_suspicion(nodules)
    operating_points, source = models.operating_points()
    findings = StudyFindings(
        series=ct.series,
        geometry=ct.geometry,
        lungs=LungSummary(round(lungs.volume_ml(Lung.RIGHT), 1), round(lungs.volume_ml(Lung.LEFT), 1), lungs.method),
        nodules=listed,
        provenance=provenance,
        clinical=clinical,
        flags=(*ct.flags, *image_quality(ct, lungs), *lung_quality(lungs, ct), *mass_flags(ct, lungs), *models.flags()),
        operating_threshold=models.threshold,
        operating_points=operating_points,
        operating_points_source=source,
        candidates=rated_places(rated, listed),
    )
    return AnalysedStudy(assess_findings(findings), ct, lungs)


def check_inside(ct: CtVolume, point: Point) -> None:
    """InputError where a point lies outside of the scan."""
    if not ct.geometry.contains(point):
        raise InputError(
            "The point lies outside of the scan",
            expected=_extent(ct),
            got=", ".join(f"{value:g}" for value in point),
            todo="give L,P,S in millimetres",
        )


def with_clinical(study: AnalysedStudy, clinical: ClinicalContext) -> AnalysedStudy:
    """An earlier result in the light of (new) clinical facts."""
    return replace(study, findings=assess_findings(replace(study.findings, clinical=clinical)))


def compare_studies(prior: AnalysedStudy, current: AnalysedStudy, models: Models, progress: Progress) -> Comparison:
    """What became of every nodule since the prior scan.

    A nodule found in one scan only is looked for at its registered place in the other before it is called new or
    resolved. Sizes of both are by one model: what another one outlined is outlined again.

    Raises
    ------
    InputError : different patients, or the prior is the later scan.
    """
    flags = check_order(prior.findings.series, current.findings.series)
    flags += different_models(prior.findings, current.findings)
    with progress.stage("register", "laying the prior onto the current scan"):
        registration = register_studies(current.ct, current.lungs, prior.ct, prior.lungs, progress)
    with progress.stage("match", "pairing nodules"):
        looks = Looks(prior.ct, prior.lungs, lambda: models), Looks(current.ct, current.lungs, lambda: models)
        prior, current = (
            _outlined_alike(study, look, models) for study, look in zip((prior, current), looks, strict=True)
        )
        prior, current, matches = pair_nodules(prior, current, registration, looks, models.threshold)
    known = {flag.code for flag in current.findings.flags}
    troubles = [flag for flag in models.flags() if flag.code not in known]
    comparison = StudyComparison(
        matches, _interval_days(prior, current), registration.quality, (*flags, *registration.flags, *troubles)
    )
    return Comparison(prior, _compared(current, prior, comparison, {}), registration)


def with_earlier(
    compared: Comparison, exams: Iterable[AnalysedStudy], models: Models, progress: Progress
) -> Comparison:
    """The comparison with exams before the prior one: every current nodule is measured at its registered place there.

    Parameters
    ----------
    exams : oldest first; taken one by one, so that one is in memory at a time.

    Raises
    ------
    InputError : different patients, or an exam that is later than the current one.
    """
    current, comparison = compared.current, compared.current.findings.comparison
    if comparison is None:
        return compared
    earlier: list[EarlierExam] = []
    points: dict[str, list[TimePoint]] = defaultdict(list)
    for exam in exams:
        row, measured = _earlier_exam(exam, current, models, progress)
        earlier.append(row)
        for nodule_id, point in measured.items():
            points[nodule_id].append(point)
    comparison = replace(comparison, earlier=tuple(earlier))
    return replace(compared, current=_compared(current, compared.prior, comparison, points))


def _earlier_exam(
    exam: AnalysedStudy, current: AnalysedStudy, models: Models, progress: Progress
) -> tuple[EarlierExam, dict[str, TimePoint]]:
    """An exam before the prior one, and {current nodule id: what it shows there}; nothing where registration failed."""
    series = exam.findings.series
    flags = check_order(series, current.findings.series) + different_models(exam.findings, current.findings)
    with progress.stage("register", f"laying the exam of {series.study_date} onto the current scan"):
        registration = register_studies(current.ct, current.lungs, exam.ct, exam.lungs, progress)
    flags += registration.flags
    row = EarlierExam(
        series.series_uid, series.study_date, _interval_days(exam, current) or 0, registration.quality, flags
    )
    if registration.failed:
        return row, {}
    with progress.stage("match", "measuring the nodules there"):
        looks = Looks(exam.ct, exam.lungs, lambda: models), Looks(current.ct, current.lungs, lambda: models)
        alike = _outlined_alike(exam, looks[0], models)
        settled = {nodule.id for nodule in alike.findings.nodules}, ()  # the current list is not added to
        there, _, matches = pair_nodules(alike, current, registration, looks, models.threshold, settled)
    found = {nodule.id: nodule for nodule in there.findings.nodules}
    points = {
        match.current_id: time_point(there.findings, current.findings, found.get(match.prior_id or ""))
        for match in matches
        if match.current_id is not None
    }
    return row, points


def _compared(
    current: AnalysedStudy, prior: AnalysedStudy, comparison: StudyComparison, earlier: Points
) -> AnalysedStudy:
    comparison = with_series(comparison, current.findings, prior.findings, earlier)
    return replace(
        current, findings=assess_findings(replace(current.findings, comparison=comparison, prior=prior.findings))
    )


def pair_nodules(
    prior: AnalysedStudy,
    current: AnalysedStudy,
    registration: Registration,
    looks: tuple[Looks, Looks],
    threshold: float,
    settled: tuple[Collection[str], Collection[str]] = ((), ()),
) -> tuple[AnalysedStudy, AnalysedStudy, tuple[NoduleMatch, ...]]:
    """Both studies, each with what is seen at the places of the other's unpaired nodules, and the rows of pairs.

    Parameters
    ----------
    looks, settled : of the prior and of the current scan; nodules in ``settled`` were looked for before, in vain.
    threshold : of the nodule probability; half of it is enough where the other scan has a nodule.
    """
    same_image = _same_image(prior, current)
    matches = match_nodules(prior.findings, current.findings, registration, same_image=same_image)
    if registration.failed:
        return prior, current, matches
    only_before = {match.prior_id for match in matches if match.current_id is None} - set(settled[0])
    only_now = {match.current_id for match in matches if match.prior_id is None} - set(settled[1])
    in_prior = [registration.to_prior_lps_mm(n.centroid_lps_mm) for n in current.findings.nodules if n.id in only_now]
    in_current = [
        registration.to_current_lps_mm(n.centroid_lps_mm) for n in prior.findings.nodules if n.id in only_before
    ]
    least = COUNTERPART_THRESHOLD_SHARE * threshold
    more_before = _with_counterparts(prior, in_prior, looks[0], least)
    more_now = _with_counterparts(current, in_current, looks[1], least)
    if more_before is not prior or more_now is not current:
        matches = match_nodules(more_before.findings, more_now.findings, registration, same_image=same_image)
    pairs = [(match.prior_id, match.current_id) for match in matches if match.prior_id and match.current_id]
    sure_before = _measured_again(more_before, {before for before, _ in pairs}, looks[0])
    sure_now = _measured_again(more_now, {now for _, now in pairs}, looks[1])
    if sure_before is not more_before or sure_now is not more_now:
        matches = match_nodules(sure_before.findings, sure_now.findings, registration, same_image=same_image)
    return sure_before, sure_now, matches


def _measured_again(study: AnalysedStudy, paired: Collection[str], looks: Looks) -> AnalysedStudy:
    """The study with a second outline's volume at each paired nodule that a model outlined once."""
    nodules = list(study.findings.nodules)
    for number, nodule in enumerate(nodules):
        size, by_reader = nodule.measurements, nodule.mask is not None and nodule.mask.method.name == READER
        if nodule.id not in paired or size is None or nodule.mask is None or by_reader:
            continue
        if size.volume_again_mm3 is None:
            seen = looks.outlined(rounded_place(nodule.centroid_lps_mm))
            again = seen.measurements.volume_mm3 if seen and seen.measurements else 0.0
            nodules[number] = replace(nodule, measurements=replace(size, volume_again_mm3=again))
    if all(a is b for a, b in zip(nodules, study.findings.nodules, strict=True)):
        return study
    return replace(study, findings=replace(study.findings, nodules=tuple(nodules)))


def _with_counterparts(
    study: AnalysedStudy, places_lps_mm: Sequence[Point], looks: Looks, least_probability: float
) -> AnalysedStudy:
    """The study with what the models see at places where the other scan has a nodule."""
    inside = [NoduleCandidate(p, origin=Origin.COUNTERPART) for p in places_lps_mm if study.ct.geometry.contains(p)]
    likely = [c for c in looks.rated(inside) if (c.probability or 0.0) >= least_probability]
    listed = study.findings.nodules
    added = with_candidates(listed, likely, looks)[len(listed) :]
    added = [looks.characterised(nodule) for nodule in added if not was_deleted(study.findings, nodule)]
    return replace(study, findings=assess_findings(joined(study.findings, added))) if added else study


def _same_image(prior: AnalysedStudy, current: AnalysedStudy) -> bool:
    """Whether both are one scan, by its UID or (a copy under another one) by its voxels."""
    uids = prior.findings.series.series_uid, current.findings.series.series_uid
    images = prior.ct.hu, current.ct.hu
    if uids[0] and uids[0] == uids[1]:
        return True
    return images[0].shape == images[1].shape and all(np.array_equal(a, b) for a, b in zip(*images, strict=True))


def _outlined_alike(study: AnalysedStudy, looks: Looks, models: Models) -> AnalysedStudy:
    """The study with every outline that another model or version made (of earlier results) made again.

    A change of size must not be one of model. What a reader drew stays, as does what this model does not see.
    """
    nodules = list(study.findings.nodules)
    for number, nodule in enumerate(nodules):
        outlined_by = nodule.mask.method if nodule.mask else None
        if outlined_by is None or outlined_by == models.segmenter.method or outlined_by.name == READER:
            continue
        seen = looks.outlined(nodule.candidate.centre_lps_mm)
        if seen is not None:
            nodules[number] = replace(
                nodule, mask=seen.mask, measurements=seen.measurements, centroid_lps_mm=seen.centroid_lps_mm
            )
    if all(a is b for a, b in zip(nodules, study.findings.nodules, strict=True)):
        return study
    return replace(study, findings=assess_findings(replace(study.findings, nodules=tuple(nodules))))


def _interval_days(prior: AnalysedStudy, current: AnalysedStudy) -> int | None:
    before, after = prior.findings.series.study_date, current.findings.series.study_date
    return (after - before).days if before and after else None


def _extent(ct: CtVolume) -> str:
    far = ct.geometry.to_lps_mm([n - 1 for n in ct.geometry.shape_kji])
    pairs = zip("LPS", ct.geometry.origin_lps_mm, far, strict=True)
    return ", ".join(f"{axis} {min(a, b):.0f} to {max(a, b):.0f}" for axis, a, b in pairs)
