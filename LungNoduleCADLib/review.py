"""Every correction a reader can make: pure functions from one state of the work to the next.

Whatever depends on a correction follows in the same step: sizes, characters, pairs, growth, Lung-RADS. Each correction
is added to the findings' ``edits``; one that changes nothing gives back the same state.
"""

from __future__ import annotations

from dataclasses import fields, replace
from datetime import UTC, datetime

import numpy as np

from LungNoduleCADLib.domain.clinical import ClinicalContext
from LungNoduleCADLib.domain.findings import Edit, EditAction
from LungNoduleCADLib.domain.lung_rads import LungRadsAssessment, LungRadsCategory
from LungNoduleCADLib.domain.masks import NoduleMask
from LungNoduleCADLib.domain.nodule import (
    Nodule,
    NoduleCandidate,
    NoduleType,
    Origin,
    Point,
    Review,
    StatedFacts,
    TypeEstimate,
)
from LungNoduleCADLib.domain.provenance import Method
from LungNoduleCADLib.errors import InputError
from LungNoduleCADLib.guidelines.exam import assess_findings
from LungNoduleCADLib.guidelines.lung_rads_2022 import READER, reader_decision
from LungNoduleCADLib.imaging.patch import AIR_HU
from LungNoduleCADLib.nodule_list import (
    LEAST_PROBABILITY,
    NO_OUTLINE,
    OVERLAPS,
    joined,
    rounded_place,
    with_candidates,
    without,
)
from LungNoduleCADLib.nodules.detect import covers, same_nodule
from LungNoduleCADLib.nodules.measure import measure_nodule
from LungNoduleCADLib.pipeline import AnalysedStudy, check_inside
from LungNoduleCADLib.review_case import Case, CaseLooks, at_threshold, followed, is_readers_category, less_unlikely

BY_READER = Method(READER, "set in review")
AROUND_MM = 5.0
MOST_ML = 500.0  # a ball of 10 cm; more is paint that ran out
_ANSWERS = {None: "unknown", True: "yes", False: "no"}
_REVIEW_ACTIONS = {
    Review.ACCEPTED: EditAction.ACCEPT,
    Review.REJECTED: EditAction.REJECT,
    Review.UNREVIEWED: EditAction.UNREVIEW,
}


def set_review(case: Case, looks: CaseLooks, nodule_id: str, review: Review) -> Case:
    """Accepted, rejected or unreviewed. Rejected nodules stay on the list, without Lung-RADS and without a pair."""
    nodule = case.nodule(nodule_id)
    if nodule.review is review:
        return case
    changed = case.with_nodule(replace(nodule, review=review))
    threshold = case.findings.operating_threshold
    if review is Review.UNREVIEWED and threshold is not None:
        changed = replace(changed, current=less_unlikely(changed.current, threshold))
    return _edited(case, changed, looks, _REVIEW_ACTIONS[review], nodule_id, str(nodule.review), str(review))


def set_type(case: Case, looks: CaseLooks, nodule_id: str, kind: NoduleType) -> Case:
    """The reader's type; the model's probabilities stay beside it."""
    nodule = case.nodule(nodule_id)
    before = nodule.type
    if before is not None and before.type is kind and before.method.name == READER:
        return case
    estimate = replace(before, type=kind, method=BY_READER) if before else TypeEstimate(kind, {}, BY_READER)
    changed = case.with_nodule(replace(nodule, type=estimate))
    return _edited(case, changed, looks, EditAction.TYPE, nodule_id, str(before.type) if before else None, str(kind))


def set_facts(case: Case, looks: CaseLooks, nodule_id: str, stated: StatedFacts) -> Case:
    """What the reader states of a nodule, all anew; the risk models follow."""
    nodule = case.nodule(nodule_id)
    before = nodule.stated
    if stated == before:
        return case
    changed = case.with_nodule(replace(nodule, stated=stated))
    words = [_facts_in_words(facts, other) for facts, other in ((before, stated), (stated, before))]
    return _edited(case, changed, looks, EditAction.FACTS, nodule_id, *words)


def delete_nodule(case: Case, looks: CaseLooks, nodule_id: str) -> Case:
    """Off the list for good: neither another threshold nor the other scan brings it back."""
    nodule = case.nodule(nodule_id)
    changed = case.with_findings(without(case.findings, nodule))
    return _edited(case, changed, looks, EditAction.DELETE, nodule_id, _in_words(nodule), None)


def add_nodule(case: Case, looks: CaseLooks, point_lps_mm: Point) -> Case:
    """The nodule at a reader's point; where none can be outlined it is listed without sizes, to be drawn.

    Raises
    ------
    InputError : the point lies outside of the CT that was kept, or in a nodule of the list.
    """
    study = case.current
    check_inside(study.ct, point_lps_mm)
    _check_shown(study, point_lps_mm)
    point = rounded_place(point_lps_mm)
    here = (n.id for n in case.findings.nodules if n.mask is not None and covers(n.mask, point))
    if (listed := next(here, None)) is not None:
        raise InputError(f"The point lies in {listed}, which is on the list", todo="draw its outline again instead")
    (candidate,) = looks.current.rated([NoduleCandidate(point, origin=Origin.READER)])
    *_, nodule = with_candidates(case.findings.nodules, [candidate], looks.current)
    findings = joined(case.findings, [looks.current.characterised(nodule)])
    (added,) = (n for n in findings.nodules if n.id not in {m.id for m in case.findings.nodules})
    return _edited(case, case.with_findings(findings), looks, EditAction.ADD, added.id, None, _in_words(added))


def draw_outline(case: Case, looks: CaseLooks, nodule_id: str, mask: NoduleMask) -> Case:
    """An outline that a reader drew (on the CT's grid): everything that came from the old one is made again.

    What a reader decided (type, category, facts) stays.

    Raises
    ------
    InputError : the outline lies where no CT was kept, or is larger than any nodule.
    """
    nodule, study = case.nodule(nodule_id), case.current
    volume_ml = np.count_nonzero(mask.voxels) * mask.geometry.voxel_volume_mm3 / 1000
    if volume_ml > MOST_ML:
        raise InputError(
            "The outline is larger than any nodule", expected=f"at most {MOST_ML:.0f} ml", got=f"{volume_ml:.0f} ml"
        )
    if not (study.ct.hu[mask.box][mask.voxels] > AIR_HU).any():
        raise InputError("The outline lies where the CT was not kept", expected="an outline in or near the lungs")
    others = (n for n in case.findings.nodules if n.id != nodule_id and n.mask is not None)
    overlaps = any(same_nodule(mask, other.mask) for other in others)  # type: ignore[arg-type]
    flags = tuple(flag for flag in nodule.flags if flag not in (NO_OUTLINE, OVERLAPS))
    drawn = Nodule(
        nodule.id,
        nodule.candidate,
        mask.centroid_lps_mm(),
        mask,
        measure_nodule(study.ct, study.lungs, mask),
        review=nodule.review,
        stated=nodule.stated,
        lung_rads=nodule.lung_rads if is_readers_category(nodule) else None,
        flags=(*flags, *((OVERLAPS,) if overlaps else ())),
    )
    drawn = looks.current.characterised(drawn)
    if nodule.type is not None and nodule.type.method.name == READER:
        by_model = drawn.type or TypeEstimate(nodule.type.type, {}, BY_READER)
        drawn = replace(drawn, type=replace(by_model, type=nodule.type.type, method=nodule.type.method))
    changed = case.with_nodule(drawn)
    return _edited(case, changed, looks, EditAction.OUTLINE, nodule_id, _volume(nodule), _volume(drawn))


def set_clinical(case: Case, looks: CaseLooks, clinical: ClinicalContext | None) -> Case:
    """All clinical facts anew."""
    if clinical == ClinicalContext():
        clinical = None
    before = case.findings.clinical
    if clinical == before:
        return case
    changed = case.with_findings(replace(case.findings, clinical=clinical))
    words = [_facts_in_words(facts, other) for facts, other in ((before, clinical), (clinical, before))]
    return _edited(case, changed, looks, EditAction.CLINICAL, None, *words)


def set_threshold(case: Case, looks: CaseLooks, threshold: float) -> Case:
    """The list at another nodule probability, in both scans.

    What a reader added, judged or changed stays. What comes back is what it was, under its old name.

    Raises
    ------
    InputError : the list cannot reach so low.
    """
    if not LEAST_PROBABILITY <= threshold <= 1.0:
        raise InputError(
            "The threshold is out of reach",
            expected=f"a probability from {LEAST_PROBABILITY} to 1",
            got=f"{threshold:g}",
        )
    before = case.findings.operating_threshold
    if before == threshold:
        return case
    changed = at_threshold(case, looks, threshold)
    words = None if before is None else f"{before:g}"
    return _edited(case, changed, looks, EditAction.THRESHOLD, None, words, f"{threshold:g}", anew=True)


def set_exam_category(case: Case, looks: CaseLooks, category: LungRadsCategory | None) -> Case:
    """The reader's Lung-RADS category of the exam; ``None``: by the rules again."""
    before = case.findings.lung_rads
    by_reader = before is not None and before.decided_by == READER
    if (before.category if before and by_reader else None) == category:
        return case
    decided = reader_decision(category, None) if category else None
    changed = case.with_findings(assess_findings(replace(case.findings, lung_rads=decided)))
    after = changed.findings.lung_rads
    return _edited(case, changed, looks, EditAction.EXAM_CATEGORY, None, _category(before), _category(after))


def _edited(
    before: Case,
    changed: Case,
    looks: CaseLooks,
    action: EditAction,
    nodule_id: str | None,
    was: str | None,
    now: str | None,
    *,
    anew: bool = False,
) -> Case:
    """The changed case with everything that follows and with the edit; ``anew``: see ``followed``."""
    edit = Edit(datetime.now(UTC).isoformat(timespec="seconds"), action, nodule_id, was, now)
    findings = replace(changed.findings, edits=(*changed.findings.edits, edit))
    return followed(before, changed.with_findings(findings), looks, anew=anew)


def _check_shown(study: AnalysedStudy, point: Point) -> None:
    """InputError where nothing of the CT around a point was kept."""
    reach = np.ceil(AROUND_MM / np.asarray(study.ct.geometry.spacing_kji_mm)).astype(int)
    middle = np.rint(study.ct.geometry.to_kji(point)).astype(int)
    start, stop = np.maximum(middle - reach, 0), np.maximum(middle + reach + 1, 0)
    box = tuple(slice(int(a), int(b)) for a, b in zip(start, stop, strict=True))
    if not (study.ct.hu[box] > AIR_HU).any():
        raise InputError("The point lies where the CT was not kept", expected="a point in or near the lungs")


def _in_words(nodule: Nodule) -> str:
    return " ".join(part for part in (str(nodule.type.type) if nodule.type else "", _volume(nodule)) if part)


def _volume(nodule: Nodule) -> str:
    return f"{nodule.measurements.volume_mm3:.0f} mm³" if nodule.measurements else "not outlined"


def _category(assessment: LungRadsAssessment | None) -> str | None:
    return str(assessment.category) if assessment else None


def _facts_in_words(
    facts: ClinicalContext | StatedFacts | None, other: ClinicalContext | StatedFacts | None
) -> str | None:
    """The facts that differ from the others."""
    names = [field.name for field in fields(facts or other or ClinicalContext)]
    told = {name: getattr(facts, name, None) for name in names}
    differ = (name for name in names if told[name] != getattr(other, name, None))
    return "; ".join(f"{name}: {_ANSWERS.get(told[name], told[name])}" for name in differ) or None
