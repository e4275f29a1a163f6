"""The order of work: one study analysed, two studies compared. Nothing else lives here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from LungNoduleCADLib import __version__
from LungNoduleCADLib.bundles.registry import find_bundle
from LungNoduleCADLib.classification.characterise import Characteriser
from LungNoduleCADLib.domain.clinical import ClinicalContext
from LungNoduleCADLib.domain.comparison import NoduleMatch, StudyComparison
from LungNoduleCADLib.domain.ct import CtVolume
from LungNoduleCADLib.domain.findings import LungSummary, StudyFindings
from LungNoduleCADLib.domain.masks import Lung, LungMask
from LungNoduleCADLib.domain.nodule import Nodule, NoduleCandidate, Origin, Point
from LungNoduleCADLib.domain.provenance import Provenance
from LungNoduleCADLib.domain.quality import QualityFlag, Severity
from LungNoduleCADLib.errors import InputError
from LungNoduleCADLib.followup.match import check_order, match_nodules
from LungNoduleCADLib.followup.register import Registration, register_studies
from LungNoduleCADLib.guidelines.exam import assess_findings
from LungNoduleCADLib.lungs.quality import lung_quality
from LungNoduleCADLib.lungs.segment import segment_lungs
from LungNoduleCADLib.nodules.candidates import find_candidates
from LungNoduleCADLib.nodules.detect import covers, rate_candidates, same_nodule
from LungNoduleCADLib.nodules.masses import mass_flags
from LungNoduleCADLib.nodules.measure import measure_nodule
from LungNoduleCADLib.nodules.segment import NoduleSegmenter
from LungNoduleCADLib.progress import Progress

ANALYSIS_STAGES = [("lungs", 12.0), ("detect", 18.0), ("segment", 10.0), ("classify", 8.0)]
COMPARISON_STAGES = [("register", 30.0), ("match", 1.0)]
SMALLEST_DIAMETER_MM = 3.0
COUNTERPART_THRESHOLD_SHARE = 0.5
UNLIKELY_PROBABILITY = 0.2


@dataclass(frozen=True)
class Models:
    """The bundled networks, loaded once."""

    segmenter: NoduleSegmenter
    characteriser: Characteriser
    threshold: float

    @classmethod
    def load(cls, device: str, threshold: float | None = None) -> Models:
        """``threshold``: nodule probability from which a candidate is reported (default: the bundle's)."""
        characteriser = Characteriser.load(device)
        default = characteriser.encoder_bundle.inference["operating_threshold"]
        return cls(
            NoduleSegmenter.from_bundle(find_bundle("nodule_ct_segmentation"), device),
            characteriser,
            default if threshold is None else threshold,
        )


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
        if not ct.geometry.contains(point):
            raise InputError(
                "The point given with --at lies outside of the scan",
                expected=_extent(ct),
                got=str(point),
                todo="give L,P,S in millimetres",
            )
    with progress.stage("lungs", "finding the lungs"):
        lungs = segment_lungs(ct)
    with progress.stage("detect", "looking for nodules"):
        encoder = models.characteriser.encoder
        rated = rate_candidates(
            ct,
            find_candidates(ct, lungs),
            models.characteriser.nodule_probability,
            encoder.size,
            encoder.spacing_mm,
            progress.report,
        )
        clicked = rate_candidates(
            ct,
            [NoduleCandidate(p, origin=Origin.READER) for p in points_lps_mm],
            models.characteriser.nodule_probability,
            encoder.size,
            encoder.spacing_mm,
        )
        chosen = [c for c in rated if (c.probability or 0.0) >= models.threshold] + clicked
    with progress.stage("segment", "outlining and measuring"):
        nodules = _outline(ct, lungs, chosen, models.segmenter, progress)
    with progress.stage("classify", "characterising"):
        for number, nodule in enumerate(nodules):
            nodules[number] = models.characteriser.characterise(ct, nodule)
            progress.report((number + 1) / len(nodules))
    provenance = Provenance(
        __version__,
        datetime.now(UTC).isoformat(timespec="seconds"),
        device,
        "analyse",
        (lungs.method, models.segmenter.method, *models.characteriser.methods()),
        stages=tuple(progress.costs),
    )
    findings = StudyFindings(
        series=ct.series,
        geometry=ct.geometry,
        lungs=LungSummary(round(lungs.volume_ml(Lung.RIGHT), 1), round(lungs.volume_ml(Lung.LEFT), 1), lungs.method),
        nodules=_numbered(nodules),
        provenance=provenance,
        clinical=clinical,
        flags=(*ct.flags, *lung_quality(lungs, ct), *mass_flags(ct, lungs)),
        operating_threshold=models.threshold,
    )
    return AnalysedStudy(assess_findings(findings), ct, lungs)


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
        matches = match_nodules(prior.findings, current.findings, registration)
        if not registration.failed:
            prior, current = _look_for_counterparts(prior, current, matches, registration, models)
        matches = match_nodules(prior.findings, current.findings, registration)
    comparison = StudyComparison(
        matches, _interval_days(prior, current), registration.quality, (*flags, *registration.flags)
    )
    findings = assess_findings(replace(current.findings, comparison=comparison, prior=prior.findings))
    return Comparison(prior, replace(current, findings=findings), registration)


def _look_for_counterparts(
    prior: AnalysedStudy,
    current: AnalysedStudy,
    matches: Sequence[NoduleMatch],
    registration: Registration,
    models: Models,
) -> tuple[AnalysedStudy, AnalysedStudy]:
    """Both studies, each with what is seen at the places of the other's unpaired nodules."""
    only_now = {match.current_id for match in matches if match.prior_id is None}
    only_before = {match.prior_id for match in matches if match.current_id is None}
    in_prior = [registration.to_prior_lps_mm(n.centroid_lps_mm) for n in current.findings.nodules if n.id in only_now]
    in_current = [
        registration.to_current_lps_mm(n.centroid_lps_mm) for n in prior.findings.nodules if n.id in only_before
    ]
    return _with_counterparts(prior, in_prior, models), _with_counterparts(current, in_current, models)


def _with_counterparts(study: AnalysedStudy, places_lps_mm: Sequence[Point], models: Models) -> AnalysedStudy:
    """The study with what the models see at places where the other scan has a nodule; numbers go on after the last."""
    encoder = models.characteriser.encoder
    inside = [NoduleCandidate(p, origin=Origin.COUNTERPART) for p in places_lps_mm if study.ct.geometry.contains(p)]
    rated = rate_candidates(study.ct, inside, models.characteriser.nodule_probability, encoder.size, encoder.spacing_mm)
    likely = [c for c in rated if (c.probability or 0.0) >= COUNTERPART_THRESHOLD_SHARE * models.threshold]
    nodules = _outline(study.ct, study.lungs, likely, models.segmenter, Progress())
    added = [
        n for n in nodules if not any(o.mask and n.mask and same_nodule(o.mask, n.mask) for o in study.findings.nodules)
    ]
    taken = len(study.findings.nodules)
    named = tuple(
        replace(models.characteriser.characterise(study.ct, n), id=f"N{taken + number}")
        for number, n in enumerate(added, 1)
    )
    return replace(study, findings=assess_findings(replace(study.findings, nodules=study.findings.nodules + named)))


def _interval_days(prior: AnalysedStudy, current: AnalysedStudy) -> int | None:
    before, after = prior.findings.series.study_date, current.findings.series.study_date
    return (after - before).days if before and after else None


def _outline(
    ct: CtVolume, lungs: LungMask, candidates: Sequence[NoduleCandidate], segmenter: NoduleSegmenter, progress: Progress
) -> list[Nodule]:
    """A nodule for each candidate that can be outlined, once; a reader's point stays even where it cannot."""
    nodules: list[Nodule] = []
    for number, candidate in enumerate(candidates):
        progress.report((number + 1) / len(candidates))
        clicked = candidate.origin is Origin.READER
        here = next((n for n, o in enumerate(nodules) if o.mask and covers(o.mask, candidate.centre_lps_mm)), None)
        if here is not None:
            if clicked:
                nodules[here] = replace(nodules[here], candidate=replace(nodules[here].candidate, origin=Origin.READER))
            continue
        mask = segmenter.segment(ct, candidate.centre_lps_mm)
        if mask is None:
            if clicked:
                nodules.append(Nodule("", candidate, candidate.centre_lps_mm, flags=(_NO_OUTLINE,)))
            continue
        overlaps = any(other.mask is not None and same_nodule(mask, other.mask) for other in nodules)
        measurements = measure_nodule(ct, lungs, mask)
        if not clicked and (overlaps or measurements.axes.mean_diameter_mm < SMALLEST_DIAMETER_MM):
            continue
        flags = (*((_OVERLAPS,) if overlaps else ()), *((_UNLIKELY,) if _unlikely(candidate) else ()))
        nodules.append(Nodule("", candidate, mask.centroid_lps_mm(), mask, measurements, flags=flags))
    return nodules


_NO_OUTLINE = QualityFlag(
    "no_outline",
    Severity.WARNING,
    "The segmentation model saw no nodule within 4 mm of the reader's point; nothing was measured.",
)
_UNLIKELY = QualityFlag(
    "unlikely_nodule", Severity.WARNING, "The detection model does not take the reader's point for a nodule."
)
_OVERLAPS = QualityFlag(
    "overlaps", Severity.WARNING, "The outline at the reader's point takes in part of another nodule of the list."
)


def _unlikely(candidate: NoduleCandidate) -> bool:
    return candidate.probability is not None and candidate.probability < UNLIKELY_PROBABILITY


def _numbered(nodules: Sequence[Nodule]) -> tuple[Nodule, ...]:
    """Most suspicious first, named N1, N2, …."""

    def suspicion(nodule: Nodule) -> tuple[float, float]:
        malignancy = nodule.malignancy.probability if nodule.malignancy else None
        return -(malignancy or 0.0), -(nodule.measurements.volume_mm3 if nodule.measurements else 0.0)

    return tuple(replace(nodule, id=f"N{n}") for n, nodule in enumerate(sorted(nodules, key=suspicion), 1))


def _extent(ct: CtVolume) -> str:
    far = ct.geometry.to_lps_mm([n - 1 for n in ct.geometry.shape_kji])
    pairs = zip("LPS", ct.geometry.origin_lps_mm, far, strict=True)
    return ", ".join(f"{axis} {min(a, b):.0f} to {max(a, b):.0f}" for axis, a, b in pairs)
