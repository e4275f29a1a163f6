"""The state of a review, and what follows from any change of it: the list at a threshold, pairs, growth, Lung-RADS."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, replace

from LungNoduleCADLib.domain.findings import StudyFindings
from LungNoduleCADLib.domain.nodule import Nodule, NoduleCandidate, Origin, Point, Review, StatedFacts
from LungNoduleCADLib.errors import InputError
from LungNoduleCADLib.followup.register import Registration
from LungNoduleCADLib.followup.series import earlier_points, with_series
from LungNoduleCADLib.guidelines.exam import assess_findings
from LungNoduleCADLib.guidelines.lung_rads_2022 import READER
from LungNoduleCADLib.nodule_list import (
    LEAST_PROBABILITY,
    Looks,
    deleted,
    joined,
    rounded_place,
    was_deleted,
    with_candidates,
)
from LungNoduleCADLib.nodules.detect import covers
from LungNoduleCADLib.pipeline import AnalysedStudy, pair_nodules

AHEAD = (0.5, 0.2, LEAST_PROBABILITY)


@dataclass(frozen=True)
class Case:
    """What is under review: a study and, where one was compared, the prior study and how it lies on the current one."""

    current: AnalysedStudy
    prior: AnalysedStudy | None = None
    registration: Registration | None = None

    @property
    def findings(self) -> StudyFindings:
        return self.current.findings

    def nodule(self, nodule_id: str) -> Nodule:
        """InputError where there is no such nodule on the list."""
        found = next((nodule for nodule in self.findings.nodules if nodule.id == nodule_id), None)
        if found is None:
            listed = ", ".join(nodule.id for nodule in self.findings.nodules)
            expected = f"one of {listed}" if listed else "nothing: the list is empty"
            raise InputError("There is no such nodule on the list", expected=expected, got=str(nodule_id))
        return found

    def with_nodule(self, nodule: Nodule) -> Case:
        """The case with a nodule of the list exchanged."""
        nodules = tuple(nodule if nodule.id == other.id else other for other in self.findings.nodules)
        return self.with_findings(replace(self.findings, nodules=nodules))

    def with_findings(self, findings: StudyFindings) -> Case:
        return replace(self, current=replace(self.current, findings=findings))


@dataclass(frozen=True)
class CaseLooks:
    """What the models see in both scans; remembered, so that what was seen once comes back at once."""

    current: Looks
    prior: Looks | None = None


def is_readers(nodule: Nodule) -> bool:
    """Whether a reader added it, judged it or changed anything of it."""
    return (
        nodule.review is not Review.UNREVIEWED
        or nodule.candidate.origin is Origin.READER
        or (nodule.type is not None and nodule.type.method.name == READER)
        or (nodule.mask is not None and nodule.mask.method.name == READER)
        or nodule.stated != StatedFacts()
        or is_readers_category(nodule)
    )


def is_readers_category(nodule: Nodule) -> bool:
    return nodule.lung_rads is not None and nodule.lung_rads.decided_by == READER


def followed(before: Case, changed: Case, looks: CaseLooks, *, anew: bool = False) -> Case:
    """The changed case with its pairs, growth and Lung-RADS.

    What was only looked for because of a nodule that no longer counts goes; nodules without a partner are looked for in
    the other scan. ``anew``: also those that were looked for before.
    """
    prior, registration, comparison = changed.prior, changed.registration, changed.findings.comparison
    if prior is None or registration is None or comparison is None or looks.prior is None:
        return changed.with_findings(assess_findings(_with_rows_of(changed.findings)))
    pairs = [(m.current_id, m.prior_id) for m in comparison.matches if m.current_id and m.prior_id]
    prior = _without_orphans(prior, {p: c for c, p in pairs}, changed.current)
    current = _without_orphans(changed.current, dict(pairs), prior)
    settled = ((), ()) if anew else _settled(before, replace(changed, current=current, prior=prior))
    threshold = changed.findings.operating_threshold
    prior, current, matches = pair_nodules(
        prior, current, registration, (looks.prior, looks.current), 1.0 if threshold is None else threshold, settled
    )
    comparison = with_series(
        replace(comparison, matches=matches), current.findings, prior.findings, earlier_points(comparison)
    )
    compared = replace(current.findings, comparison=comparison, prior=prior.findings)
    return Case(replace(current, findings=assess_findings(compared)), prior, registration)


def _settled(before: Case, now: Case) -> tuple[set[str], set[str]]:
    """Prior and current nodules that need not be looked for in the other scan.

    They were, and are where they were; or their partner was judged by the reader.
    """
    rows = before.findings.comparison.matches if before.findings.comparison else ()
    partners = {m.prior_id: m.current_id for m in rows}, {m.current_id: m.prior_id for m in rows}
    counted = _counted(now.current), _counted(now.prior) if now.prior else set()
    settled: list[set[str]] = []
    for partner, others, old, new in zip(
        partners, counted, (before.prior, before.current), (now.prior, now.current), strict=True
    ):
        places = {n.id: n.centroid_lps_mm for n in old.findings.nodules} if old else {}
        alone = {mine for mine, other in partner.items() if other not in others}
        stays = new.findings.nodules if new else ()
        settled.append({n.id for n in stays if n.id in alone and places.get(n.id) == n.centroid_lps_mm})
    return settled[0], settled[1]


def _without_orphans(study: AnalysedStudy, partners: dict[str, str], other: AnalysedStudy) -> AnalysedStudy:
    """The study less what was looked for because of a nodule of the other that no longer counts."""
    there = _counted(other) | {None}
    stay = (
        n.candidate.origin is not Origin.COUNTERPART or is_readers(n) or partners.get(n.id) in there
        for n in study.findings.nodules
    )
    return _keeping(study, list(stay))


def _counted(study: AnalysedStudy) -> set[str]:
    return {nodule.id for nodule in study.findings.nodules if nodule.review is not Review.REJECTED}


def at_threshold(case: Case, looks: CaseLooks, threshold: float) -> Case:
    """Both lists as they are at a threshold, before the scans are compared again.

    What was looked for because of the other scan goes, to be looked for again; what a reader touched stays.
    """
    compared = case.prior is not None and case.registration is not None and not case.registration.failed
    current = _list_at(case.current, looks.current, threshold, compared)
    if case.prior is None or looks.prior is None:
        return replace(case, current=current)
    return replace(case, current=current, prior=_list_at(case.prior, looks.prior, threshold, compared))


def _list_at(study: AnalysedStudy, looks: Looks, threshold: float, compared: bool) -> AnalysedStudy:
    if compared:
        nodules = study.findings.nodules
        study = _keeping(study, [n.candidate.origin is not Origin.COUNTERPART or is_readers(n) for n in nodules])
    study = less_unlikely(study, threshold)
    findings = replace(study.findings, operating_threshold=threshold)
    listed = findings.nodules
    seen = with_candidates(listed, _candidates(findings, threshold), looks)[len(listed) :]
    more = [looks.characterised(nodule) for nodule in seen if not was_deleted(findings, nodule)]
    return replace(study, findings=assess_findings(joined(findings, more)))


def less_unlikely(study: AnalysedStudy, threshold: float) -> AnalysedStudy:
    """The study less the detector's findings below a threshold that no reader touched."""
    stay = [
        n.candidate.origin is not Origin.DETECTOR
        or is_readers(n)
        or n.candidate.probability is None
        or n.candidate.probability >= threshold
        for n in study.findings.nodules
    ]
    return _keeping(study, stay)


def places_ahead(case: Case, looks: CaseLooks) -> Iterator[tuple[Looks, Point]]:
    """Places not looked at yet that lower thresholds would ask for in either scan, the likelier first."""
    for threshold in AHEAD:
        found = yield from _ahead(case.current, looks.current, threshold)
        if case.prior is None or looks.prior is None or case.registration is None or case.registration.failed:
            continue
        earlier = yield from _ahead(case.prior, looks.prior, threshold)
        yield from _again_ahead(found, looks.current)
        yield from _again_ahead(earlier, looks.prior)
        yield from _partners_ahead(found, earlier, looks.prior, case.registration.to_prior_lps_mm)
        yield from _partners_ahead(earlier, found, looks.current, case.registration.to_current_lps_mm)


def _ahead(study: AnalysedStudy, looks: Looks, threshold: float) -> Generator[tuple[Looks, Point], None, list[Nodule]]:
    """Gives the places; returns what is on the list or was seen at others."""
    found = [nodule for nodule in study.findings.nodules if nodule.mask is not None]
    for candidate in _candidates(study.findings, threshold):
        point = candidate.centre_lps_mm
        if any(covers(nodule.mask, point) for nodule in found):  # type: ignore[arg-type]
            continue
        if not looks.knows(point):
            yield looks, point
        elif (nodule := looks.outlined(point)) is not None:
            found.append(replace(nodule, candidate=candidate))
    return found


def _again_ahead(nodules: list[Nodule], looks: Looks) -> Iterator[tuple[Looks, Point]]:
    """Where nodules will be outlined a second time if they have a partner."""
    for nodule in nodules:
        point = rounded_place(nodule.centroid_lps_mm)
        once = nodule.measurements is not None and nodule.measurements.volume_again_mm3 is None
        if once and not looks.has_outlined(point):
            yield looks, point


def _partners_ahead(
    nodules: list[Nodule], others: list[Nodule], looks: Looks, there: Callable[[Point], Point]
) -> Iterator[tuple[Looks, Point]]:
    """Where the other scan will be asked for partners: all but those that are listed there whenever these are here."""
    for nodule in nodules:
        point = rounded_place(there(nodule.centroid_lps_mm))
        least = nodule.candidate.probability or 0.0
        likelier = (other for other in others if (other.candidate.probability or 0.0) >= least)
        if any(covers(other.mask, point) for other in likelier) or not looks.ct.geometry.contains(point):
            continue
        if not looks.knows(point):
            yield looks, point
        elif (partner := looks.outlined(point)) is not None:
            yield from _again_ahead([partner], looks)


def _candidates(findings: StudyFindings, threshold: float) -> list[NoduleCandidate]:
    """The detector's places of at least that probability that are not on the list and were never deleted from it."""
    known = {nodule.id for nodule in findings.nodules} | deleted(findings)
    return [
        NoduleCandidate(place.centre_lps_mm, probability=place.probability)
        for place in findings.candidates
        if place.origin is Origin.DETECTOR and place.probability >= threshold and place.nodule_id not in known
    ]


def _keeping(study: AnalysedStudy, stay: list[bool]) -> AnalysedStudy:
    """The study with part of its nodules."""
    if all(stay):
        return study
    nodules = tuple(nodule for nodule, stays in zip(study.findings.nodules, stay, strict=True) if stays)
    return replace(study, findings=assess_findings(_with_rows_of(replace(study.findings, nodules=nodules))))


def _with_rows_of(findings: StudyFindings) -> StudyFindings:
    """The findings less the rows of their comparison that are of nodules no longer listed."""
    if findings.comparison is None:
        return findings
    listed = {nodule.id for nodule in findings.nodules} | {None}
    matches = tuple(match for match in findings.comparison.matches if match.current_id in listed)
    series = tuple(series for series in findings.comparison.series if series.current_id in listed)
    return replace(findings, comparison=replace(findings.comparison, matches=matches, series=series))
