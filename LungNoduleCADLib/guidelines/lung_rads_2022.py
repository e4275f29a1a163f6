"""ACR Lung-RADS v2022: from the facts of a nodule to its category, the rule that applied and its reason.

Source: American College of Radiology, Lung-RADS v2022 (November 2022); ambiguities of its wording become notes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from LungNoduleCADLib.domain.comparison import Change, Growth, NoduleMatch
from LungNoduleCADLib.domain.lung_rads import LungRadsAssessment, LungRadsCategory
from LungNoduleCADLib.domain.nodule import Nodule, NoduleType
from LungNoduleCADLib.guidelines.lung_rads_table import (
    ACR,
    MANAGEMENT,
    SIZE_RULES,
    STEP_DOWNS,
    Situation,
    SizeRule,
)

GROWTH_MM = 1.5
DAYS_PER_MONTH = 365.25 / 12
JUXTAPLEURAL_BELOW_MM = 10.0
READER = "reader"
READER_RULE = "reader-decision"


@dataclass(frozen=True)
class NoduleFacts:
    """What Lung-RADS asks of a nodule. Diameters are means of long and short axis in mm; ``None``: not assessed.

    ``juxtapleural_smooth``: solid, at the pleura, smooth, oval, lentiform or triangular. ``benign_pattern``: complete,
    central, popcorn or concentric-ring calcification, or fat. ``suspicious_features``: spiculation, lymphadenopathy
    and the like. ``notes`` say how the facts were come by, for the reader.
    """

    type: NoduleType | None
    mean_diameter_mm: float
    solid_mean_diameter_mm: float | None = None
    situation: Situation = Situation.BASELINE
    months_since_prior: float | None = None
    prior_mean_diameter_mm: float | None = None
    prior_solid_mean_diameter_mm: float | None = None
    prior_category: LungRadsCategory | None = None
    juxtapleural_smooth: bool | None = None
    benign_pattern: bool | None = None
    suspicious_features: bool | None = None
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        sizes = (
            self.mean_diameter_mm,
            self.solid_mean_diameter_mm,
            self.prior_mean_diameter_mm,
            self.prior_solid_mean_diameter_mm,
        )
        if any(size is not None and not (math.isfinite(size) and size >= 0) for size in sizes):
            raise ValueError(f"expected diameters of 0 mm or more, got {sizes}")


def round_mm(size_mm: float) -> float:
    """To 0.1 mm, half up, as Lung-RADS reports sizes."""
    return math.floor(size_mm * 10 + 0.5 + 1e-9) / 10


def assess_nodule(facts: NoduleFacts) -> LungRadsAssessment:
    """Category of one nodule.

    Order: benign pattern (1), smooth juxtapleural (2), size row, step-down of a stable one, suspicious features (4X).
    """
    if facts.benign_pattern:
        return _assessment(LungRadsCategory.C1, "benign-pattern-1", "benign calcification or fat", facts.notes)
    size_mm = round_mm(facts.mean_diameter_mm)
    # "< 10 mm" is the ACR's text; one summary reads "<= 10 mm".
    if (
        facts.juxtapleural_smooth
        and _type(facts) is NoduleType.SOLID
        and size_mm < JUXTAPLEURAL_BELOW_MM
        and (facts.situation is not Situation.GROWING)
    ):
        note = "Juxtapleural nodules: below 10 mm, as the ACR's text says; one summary reads 10 mm or less."
        reason = f"smooth juxtapleural solid nodule < 10 mm ({size_mm:.1f} mm), {facts.situation}"
        return _assessment(LungRadsCategory.C2, "juxtapleural-2", reason, (*facts.notes, note))
    rule = find_rule(facts)
    assessment = _by_size(rule, facts)
    if facts.situation is Situation.STABLE:
        assessment = _stable(assessment, facts)
    if facts.suspicious_features and assessment.category.suspicion >= LungRadsCategory.C3.suspicion:
        reason = f"category {assessment.category} ({assessment.reason}) with further suspicious features"
        return _assessment(LungRadsCategory.C4X, "suspicious-features-4X", reason, assessment.notes)
    return assessment


def find_rule(facts: NoduleFacts) -> SizeRule:
    """The one size row that holds (the table has neither gap nor overlap)."""
    total = round_mm(facts.mean_diameter_mm)
    solid = round_mm(facts.solid_mean_diameter_mm or 0.0)
    rows = (
        row
        for row in SIZE_RULES
        if row.type is _type(facts)
        and facts.situation in row.situations
        and row.total.holds(total)
        and row.solid_part.holds(solid)
    )
    return next(rows)


def assess_exam(
    nodules: Sequence[tuple[str, LungRadsAssessment]],
    *,
    significant_other_finding: bool | None = None,
    notes: tuple[str, ...] = (),
) -> LungRadsAssessment:
    """Category of the exam: that of its most suspicious nodule; 1 where there is none.

    Parameters
    ----------
    nodules : (nodule id, its assessment) of every nodule that counts, most suspicious of equals first.
    significant_other_finding : adds the modifier S.
    """
    modifier_s = bool(significant_other_finding)
    if not nodules:
        exam = _assessment(LungRadsCategory.C1, "exam-no-nodule-1", "no lung nodule on the list", notes)
        return replace(exam, modifier_s=modifier_s)
    nodule_id, worst = max(nodules, key=lambda item: item[1].category.suspicion)
    return replace(
        worst,
        reason=f"most suspicious nodule {nodule_id}: {worst.reason}",
        notes=(*worst.notes, *notes),
        modifier_s=modifier_s,
        decided_by=nodule_id,
    )


def reader_decision(category: LungRadsCategory, instead_of: LungRadsAssessment | None) -> LungRadsAssessment:
    """A category that a reader set by hand; it is kept, and says what the rules gave."""
    by_rules = f"; the rules gave {instead_of.category} ({instead_of.rule_id})" if instead_of else ""
    assessment = _assessment(category, READER_RULE, f"category set by the reader{by_rules}", ())
    return replace(assessment, source="reader", decided_by=READER)


def facts_of(
    nodule: Nodule,
    match: NoduleMatch | None = None,
    prior: Nodule | None = None,
    *,
    juxtapleural_smooth: bool | None = None,
    benign_pattern: bool | None = None,
    suspicious_features: bool | None = None,
) -> NoduleFacts | None:
    """Facts from the records; ``None`` where nothing was measured, for then no row can apply.

    Parameters
    ----------
    match : the nodule's row of the comparison; ``None`` without a prior CT.
    prior : the same nodule in the prior study, for its category, type and solid part.
    """
    if nodule.measurements is None:
        return None
    measured, before = nodule.measurements, prior.measurements if prior else None
    situation, notes = _situation(nodule, match, prior)
    days = match.growth.interval_days if match and match.growth else None
    return NoduleFacts(
        type=nodule.type.type if nodule.type else None,
        mean_diameter_mm=measured.axes.mean_diameter_mm,
        solid_mean_diameter_mm=measured.solid_axes.mean_diameter_mm if measured.solid_axes else None,
        situation=situation,
        months_since_prior=days / DAYS_PER_MONTH if days is not None else None,
        prior_mean_diameter_mm=_prior_diameter(nodule, match, prior),
        prior_solid_mean_diameter_mm=before.solid_axes.mean_diameter_mm if before and before.solid_axes else None,
        prior_category=prior.lung_rads.category if prior and prior.lung_rads else None,
        juxtapleural_smooth=juxtapleural_smooth,
        benign_pattern=benign_pattern,
        suspicious_features=suspicious_features,
        notes=notes,
    )


def _situation(nodule: Nodule, match: NoduleMatch | None, prior: Nodule | None) -> tuple[Situation, tuple[str, ...]]:
    if match is None:
        return Situation.BASELINE, ()
    if match.change is Change.NEW:
        return Situation.NEW, ()
    if match.prior_id is None or match.growth is None:
        return Situation.BASELINE, ("Whether the nodule was there before is uncertain: assessed as at baseline.",)
    growing, notes = _growth(match.change, match.growth)
    was, now = prior.type if prior else None, nodule.type
    if was and now and was.type is NoduleType.GROUND_GLASS and now.type is not NoduleType.GROUND_GLASS:
        growing = True
        notes.append(f"The type went from {was.type} to {now.type}: taken as a new solid part. Please check both CTs.")
    elif now and now.type is NoduleType.PART_SOLID and (solid_mm := _solid_change_mm(nodule, prior)) is not None:
        solid_grows, _ = is_growth(solid_mm, match.growth.interval_days)
        if solid_grows:
            notes.append(f"The solid part grew by {solid_mm:.1f} mm.")
        elif growing:
            notes.append("The whole nodule grew, its solid part did not; taken as growing, the safer reading.")
        growing = growing or solid_grows
    return Situation.GROWING if growing else Situation.STABLE, tuple(notes)


def _growth(change: Change, growth: Growth) -> tuple[bool, list[str]]:
    """Whether a matched nodule grew by Lung-RADS, with what the reader must know of it."""
    growing, slow = is_growth(growth.mean_diameter_change_mm, growth.interval_days)
    notes = []
    if slow:
        notes.append(
            f"The mean diameter grew by {growth.mean_diameter_change_mm:.1f} mm, but not by more than 1.5 mm in 12 "
            "months. A solid or part-solid nodule that grows slowly over several exams may be 4B: please decide."
        )
    elif change is Change.GROWN and not growing:
        notes.append(
            f"The volume changed by {growth.volume_change_percent:+.0f} %, but the mean diameter not by more than "
            "1.5 mm: not growth by Lung-RADS."
        )
    if growing and growth.interval_days is None:
        notes.append("The dates are not known; the growth is taken to have happened within 12 months.")
    return growing, notes


def is_growth(change_mm: float, interval_days: int | None) -> tuple[bool, bool]:
    """(growing, slow): more than 1.5 mm within 12 months; over longer intervals the change is scaled to 12 months."""
    months = (interval_days or 0) / DAYS_PER_MONTH
    rate_mm = change_mm * 12 / max(months, 12.0)
    # Differences of 0.1 mm readings: 7.6 - 6.1 must be 1.5, not 1.5000000000000004.
    growing = round(rate_mm, 3) > GROWTH_MM
    return growing, round(change_mm, 3) > GROWTH_MM and not growing


def _solid_change_mm(nodule: Nodule, prior: Nodule | None) -> float | None:
    now = nodule.measurements.solid_axes if nodule.measurements else None
    was = prior.measurements.solid_axes if prior and prior.measurements else None
    return now.mean_diameter_mm - was.mean_diameter_mm if now and was else None


def _prior_diameter(nodule: Nodule, match: NoduleMatch | None, prior: Nodule | None) -> float | None:
    if prior and prior.measurements:
        return prior.measurements.axes.mean_diameter_mm
    if match and match.growth and nodule.measurements:
        return max(nodule.measurements.axes.mean_diameter_mm - match.growth.mean_diameter_change_mm, 0.0)
    return None


def _type(facts: NoduleFacts) -> NoduleType:
    return facts.type or NoduleType.SOLID


def _by_size(rule: SizeRule, facts: NoduleFacts) -> LungRadsAssessment:
    size = f"{round_mm(facts.mean_diameter_mm):.1f} mm"
    notes = list(facts.notes)
    if facts.type is None:
        notes.append("The nodule's type is not known: assessed as solid.")
    if facts.type is NoduleType.PART_SOLID:
        if facts.solid_mean_diameter_mm is None:
            size += ", solid part not measured"
            notes.append("The solid part could not be measured and was taken as smaller than 4 mm: please measure it.")
        else:
            size += f", solid part {round_mm(facts.solid_mean_diameter_mm):.1f} mm"
    below = round_mm(facts.mean_diameter_mm) < JUXTAPLEURAL_BELOW_MM
    if (
        facts.juxtapleural_smooth is None
        and _type(facts) is NoduleType.SOLID
        and below
        and rule.category is not LungRadsCategory.C2
        and facts.situation is not Situation.GROWING
    ):
        notes.append("Juxtapleural shape was not assessed: a smooth one below 10 mm would be category 2.")
    if rule.note:
        notes.append(rule.note)
    text = rule.text.removesuffix(" at baseline") if facts.situation is Situation.STABLE else rule.text
    seen = "; seen before, not growing" if facts.situation is Situation.STABLE else ""
    return _assessment(rule.category, rule.id, f"{text} ({size}{seen})", tuple(notes))


def _stable(by_size: LungRadsAssessment, facts: NoduleFacts) -> LungRadsAssessment:
    """An existing nodule that does not grow: stepped down, kept, or raised because it crossed a size threshold."""
    if facts.prior_category in (None, LungRadsCategory.C0, LungRadsCategory.C1):
        note = "The prior category is not known: taken by its size, without stepping down."
        return replace(by_size, notes=(*by_size.notes, note))
    prior = facts.prior_category
    if facts.type is NoduleType.GROUND_GLASS and prior in (LungRadsCategory.C2, LungRadsCategory.C3):
        return by_size
    kept = _step_down(prior, facts)
    if _crossed_threshold(by_size, facts) and by_size.category.suspicion >= kept.category.suspicion:
        note = f"It crossed a size threshold since the prior CT (category {prior}) without growth by Lung-RADS."
        return replace(by_size, notes=(*by_size.notes, note))
    return replace(kept, reason=f"{kept.reason}; {by_size.reason}", notes=(*by_size.notes, *kept.notes))


def _crossed_threshold(by_size: LungRadsAssessment, facts: NoduleFacts) -> bool:
    if facts.prior_mean_diameter_mm is None:
        return by_size.category.suspicion > facts.prior_category.suspicion  # type: ignore[union-attr]
    solid_mm = facts.prior_solid_mean_diameter_mm
    before = find_rule(
        replace(
            facts,
            mean_diameter_mm=facts.prior_mean_diameter_mm,
            solid_mean_diameter_mm=facts.solid_mean_diameter_mm if solid_mm is None else solid_mm,
        )
    )
    return by_size.category.suspicion > before.category.suspicion


def _step_down(prior: LungRadsCategory, facts: NoduleFacts) -> LungRadsAssessment:
    months = facts.months_since_prior
    for step in STEP_DOWNS:
        if step.prior is not prior:
            continue
        if months is None or months < step.at_least_months:
            had = "an unknown time" if months is None else f"{months:.1f} months"
            note = f"Category {prior} steps down to {step.category} after {step.due_months} months; this is {had}."
            return _assessment(prior, f"stable-{prior}", f"category {prior} before, not growing", (note,))
        reason = f"category {prior} before, stable or smaller after {months:.1f} months"
        note = "Stepping down does not apply to airway nodules, and goes one category at a time."
        return _assessment(step.category, step.id, reason, (note,))
    notes = (
        ()
        if prior is LungRadsCategory.C2
        else (f"A category {prior} nodule steps down only when proven benign, not because it is stable.",)
    )
    return _assessment(prior, f"stable-{prior}", f"category {prior} before, not growing", notes)


def _assessment(category: LungRadsCategory, rule_id: str, reason: str, notes: tuple[str, ...]) -> LungRadsAssessment:
    return LungRadsAssessment(category, rule_id, reason, MANAGEMENT[category], ACR, notes)
