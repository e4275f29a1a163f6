"""The order of work: one study analysed, two studies compared. Nothing else lives here."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from LungNoduleCADLib import __version__
from LungNoduleCADLib.domain.clinical import ClinicalContext
from LungNoduleCADLib.domain.comparison import NoduleMatch, StudyComparison
from LungNoduleCADLib.domain.ct import CtVolume
from LungNoduleCADLib.domain.findings import LungSummary, StudyFindings
from LungNoduleCADLib.domain.masks import Lung, LungMask
from LungNoduleCADLib.domain.nodule import NoduleCandidate, Origin, Point
from LungNoduleCADLib.domain.provenance import Provenance
from LungNoduleCADLib.errors import InputError
from LungNoduleCADLib.followup.match import check_order, match_nodules
from LungNoduleCADLib.followup.register import Registration, register_studies
from LungNoduleCADLib.guidelines.exam import assess_findings
from LungNoduleCADLib.lungs.image_quality import image_quality
from LungNoduleCADLib.lungs.quality import lung_quality
from LungNoduleCADLib.lungs.segment import segment_lungs
from LungNoduleCADLib.nodule_list import (
    Looks,
    Models,
    by_suspicion,
    joined,
    rated_places,
    was_deleted,
    with_candidates,
)
from LungNoduleCADLib.nodules.candidates import find_candidates
from LungNoduleCADLib.nodules.masses import mass_flags
from LungNoduleCADLib.progress import Progress

__all__ = ["AnalysedStudy", "Comparison", "Models", "analyse_study", "compare_studies", "pair_nodules", "with_clinical"]

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
) -> AnalysedStudy:
    """Lungs, nodules, their outlines, sizes and characters, and the exam's Lung-RADS category.

    Parameters
    ----------
    points_lps_mm : places a reader clicked; each is analysed whether or not the detector found it.

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
        rated = looks.rated((models.detector or find_candidates)(ct, lungs), progress.report)
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

    A nodule found in one scan only is looked for at its registered place in the other before it is called new or gone.

    Raises
    ------
    InputError : different patients, or the prior is the later scan.
    """
    flags = check_order(prior.findings.series, current.findings.series)
    with progress.stage("register", "laying the prior onto the current scan"):
        registration = register_studies(current.ct, current.lungs, prior.ct, prior.lungs, progress)
    with progress.stage("match", "pairing nodules"):
        looks = Looks(prior.ct, prior.lungs, lambda: models), Looks(current.ct, current.lungs, lambda: models)
        prior, current, matches = pair_nodules(prior, current, registration, looks, models.threshold)
    comparison = StudyComparison(
        matches, _interval_days(prior, current), registration.quality, (*flags, *registration.flags)
    )
    findings = assess_findings(replace(current.findings, comparison=comparison, prior=prior.findings))
    return Comparison(prior, replace(current, findings=findings), registration)


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
    matches = match_nodules(prior.findings, current.findings, registration)
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
        matches = match_nodules(more_before.findings, more_now.findings, registration)
    return more_before, more_now, matches


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


def _interval_days(prior: AnalysedStudy, current: AnalysedStudy) -> int | None:
    before, after = prior.findings.series.study_date, current.findings.series.study_date
    return (after - before).days if before and after else None


def _extent(ct: CtVolume) -> str:
    far = ct.geometry.to_lps_mm([n - 1 for n in ct.geometry.shape_kji])
    pairs = zip("LPS", ct.geometry.origin_lps_mm, far, strict=True)
    return ", ".join(f"{axis} {min(a, b):.0f} to {max(a, b):.0f}" for axis, a, b in pairs)
