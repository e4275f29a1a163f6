"""ACR Lung-RADS v2022: from the facts of a nodule to its category, the rule that applied and its reason.

Source: American College of Radiology, Lung-RADS v2022 (November 2022); ambiguities of its wording become notes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

from LungNoduleCADLib.domain.clinical import ClinicalContext
from LungNoduleCADLib.domain.lung_rads import Airway, Cyst, CystChange, LungRadsAssessment, LungRadsCategory
from LungNoduleCADLib.domain.nodule import NoduleType
from LungNoduleCADLib.guidelines.lung_rads_table import (
    EXAM_RULES,
    FINDING_RULES,
    JUXTAPLEURAL_BELOW_MM,
    JUXTAPLEURAL_NOTE,
    KEPT,
    MANAGEMENT,
    NO_NODULE,
    SIZE_RULES,
    STEP_DOWNS,
    SUSPICIOUS,
)
from LungNoduleCADLib.guidelines.rules import Rule, Situation, Size, first_that_holds, sphere

GROWTH_MM = 1.5
DAYS_PER_MONTH = 365.25 / 12
STEP_MM = 0.1
_JUXTAPLEURAL_EDGE = (Size(mm=JUXTAPLEURAL_BELOW_MM), Size(mm3=sphere(JUXTAPLEURAL_BELOW_MM).from_mm3))
READER = "reader"
READER_RULE = "reader-decision"


@dataclass(frozen=True)
class NoduleFacts:
    """What Lung-RADS asks of a nodule. Diameters are means of long and short axis in mm; ``None``: not assessed.

    Volumes count where there is no diameter. What ``StatedFacts`` has too means the same here. ``notes`` say how the
    facts were come by, for the reader.
    """

    type: NoduleType | None
    mean_diameter_mm: float | None = None
    solid_mean_diameter_mm: float | None = None
    situation: Situation = Situation.BASELINE
    months_since_prior: float | None = None
    prior_mean_diameter_mm: float | None = None
    prior_solid_mean_diameter_mm: float | None = None
    prior_category: LungRadsCategory | None = None
    volume_mm3: float | None = None
    solid_volume_mm3: float | None = None
    benign_calcification: bool | None = None
    fat: bool | None = None
    juxtapleural_smooth: bool | None = None
    airway: Airway | None = None
    cyst: Cyst | None = None
    cyst_change: CystChange | None = None
    slow_growth: bool | None = None
    proven_benign: bool | None = None
    suspicious_features: bool | None = None
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        sizes = [getattr(self, field.name) for field in fields(self) if field.name.endswith(("_mm", "_mm3"))]
        if any(size is not None and not (math.isfinite(size) and size >= 0) for size in sizes):
            raise ValueError(f"expected diameters of 0 mm or more, got {sizes}")

    @property
    def total(self) -> Size:
        return Size(self.mean_diameter_mm, self.volume_mm3).rounded(STEP_MM)

    @property
    def solid_part(self) -> Size:
        return Size(self.solid_mean_diameter_mm, self.solid_volume_mm3).rounded(STEP_MM)

    @property
    def measured(self) -> bool:
        return self.mean_diameter_mm is not None or self.volume_mm3 is not None


def round_mm(size_mm: float) -> float:
    """To 0.1 mm, half up, as Lung-RADS reports sizes."""
    return Size(mm=size_mm).rounded(STEP_MM).mm  # type: ignore[return-value]


def assess_nodule(facts: NoduleFacts) -> LungRadsAssessment:
    """Category of one nodule.

    Order: findings that count before size, size row, step-down of a stable one, suspicious features (4X).

    Raises
    ------
    ValueError : it has no size, and no finding that counts before size.
    """
    rule = find_finding(facts)
    assessment = _by_size(find_rule(facts), facts) if rule is None else _by_finding(rule, facts)
    if facts.situation is Situation.STABLE:
        if rule is None:
            assessment = _stable(assessment, facts)
        elif rule.steps_down and facts.prior_category in (LungRadsCategory.C3, LungRadsCategory.C4A):
            assessment = _lower(assessment, _step_down(facts.prior_category, facts))
    if facts.suspicious_features and assessment.category.suspicion >= LungRadsCategory.C3.suspicion:
        reason = f"category {assessment.category} ({assessment.reason}) with further suspicious features"
        return _assessment(SUSPICIOUS, reason, assessment.notes)
    return assessment


def find_finding(facts: NoduleFacts) -> Rule | None:
    """The first row of the findings that count before size, if one holds."""
    return first_that_holds(FINDING_RULES, _typed(facts), facts.total, facts.solid_part)


def find_rule(facts: NoduleFacts) -> Rule:
    """The one size row that holds (the table has neither gap nor overlap); ValueError without a size."""
    if not facts.measured:
        raise ValueError("a nodule needs a mean diameter or a volume, or a finding that counts before its size")
    rule = first_that_holds(SIZE_RULES, _typed(facts), facts.total, facts.solid_part)
    if rule is None:
        raise ValueError(f"no size row holds for {facts}")
    return rule


def assess_exam(
    nodules: Sequence[tuple[str, LungRadsAssessment]],
    *,
    clinical: ClinicalContext | None = None,
    notes: tuple[str, ...] = (),
) -> LungRadsAssessment:
    """Category of the exam: 0 where the clinical facts say so, else that of its most suspicious nodule; 1 without one.

    Parameters
    ----------
    nodules : (nodule id, its assessment) of every nodule that counts, most suspicious of equals first.
    clinical : with what makes an exam category 0, and what adds the modifier S.
    """
    exam = _of_nodules(nodules, notes)
    modifier_s = bool(clinical and clinical.significant_other_finding)
    incomplete = first_that_holds(EXAM_RULES, clinical, Size(), Size()) if clinical else None
    if incomplete is not None:
        by_nodules = f"By its nodules alone the exam would be {exam.category} ({exam.reason}): {exam.management}"
        exam = _assessment(incomplete, incomplete.text, (by_nodules, *exam.notes))
    return replace(exam, modifier_s=modifier_s)


def _of_nodules(nodules: Sequence[tuple[str, LungRadsAssessment]], notes: tuple[str, ...]) -> LungRadsAssessment:
    if not nodules:
        return _assessment(NO_NODULE, NO_NODULE.text, notes)
    nodule_id, worst = max(nodules, key=lambda item: item[1].category.suspicion)
    return replace(
        worst,
        reason=f"most suspicious nodule {nodule_id}: {worst.reason}",
        notes=(*worst.notes, *notes),
        decided_by=nodule_id,
    )


def reader_decision(category: LungRadsCategory, instead_of: LungRadsAssessment | None) -> LungRadsAssessment:
    """A category that a reader set by hand; it is kept, and says what the rules gave."""
    by_rules = f"; the rules gave {instead_of.category} ({instead_of.rule_id})" if instead_of else ""
    reason = f"category set by the reader{by_rules}"
    return LungRadsAssessment(category, READER_RULE, reason, MANAGEMENT[category], READER, decided_by=READER)


def is_growth(change_mm: float, interval_days: int | None) -> tuple[bool, bool]:
    """(growing, slow): more than 1.5 mm within 12 months; over longer intervals the change is scaled to 12 months."""
    months = (interval_days or 0) / DAYS_PER_MONTH
    rate_mm = change_mm * 12 / max(months, 12.0)
    # Differences of 0.1 mm readings: 7.6 - 6.1 must be 1.5, not 1.5000000000000004.
    growing = round(rate_mm, 3) > GROWTH_MM
    return growing, round(change_mm, 3) > GROWTH_MM and not growing


def _typed(facts: NoduleFacts) -> NoduleFacts:
    """A nodule of unknown type counts as solid."""
    return facts if facts.type else replace(facts, type=NoduleType.SOLID)


def _by_finding(rule: Rule, facts: NoduleFacts) -> LungRadsAssessment:
    size = f" ({facts.total})" if facts.measured else ""
    when = "" if str(facts.situation) in rule.text else f", {facts.situation}"
    return _assessment(rule, f"{rule.text}{size}{when}", facts.notes)


def _by_size(rule: Rule, facts: NoduleFacts) -> LungRadsAssessment:
    size = str(facts.total)
    notes = list(facts.notes)
    if facts.type is None:
        notes.append("The nodule's type is not known: assessed as solid.")
    if facts.type is NoduleType.PART_SOLID:
        if facts.solid_part == Size():
            notes.append("The solid part could not be measured and was taken as smaller than 4 mm: please measure it.")
        size += f", solid part {facts.solid_part}"
    if facts.slow_growth:
        notes.append(
            "Slow growth counts for a solid or part-solid nodule seen before that does not grow by Lung-RADS; for this "
            "one it changes nothing."
        )
    notes += _size_doubts(rule, facts)
    stable = facts.situation is Situation.STABLE
    text = rule.text.removesuffix(" at baseline") if stable else rule.text
    return _assessment(rule, f"{text} ({size}{'; seen before, not growing' if stable else ''})", tuple(notes))


def _size_doubts(rule: Rule, facts: NoduleFacts) -> list[str]:
    """What could have led to another row."""
    notes = []
    if (
        facts.juxtapleural_smooth is None
        and _typed(facts).type is NoduleType.SOLID
        and facts.total.mm is not None
        and facts.total.mm < JUXTAPLEURAL_BELOW_MM
        and rule.category is not LungRadsCategory.C2
        and facts.situation is not Situation.GROWING
    ):
        notes.append("Juxtapleural shape was not assessed: a smooth one below 10 mm would be category 2.")
    if (
        facts.juxtapleural_smooth
        and _typed(facts).type is NoduleType.SOLID
        and facts.total in _JUXTAPLEURAL_EDGE
        and facts.situation is not Situation.GROWING
    ):
        notes.append(f"{JUXTAPLEURAL_NOTE} By that one this nodule would be category 2: please decide.")
    if facts.type is NoduleType.GROUND_GLASS and facts.solid_part != Size():
        part_solid = find_rule(replace(facts, type=NoduleType.PART_SOLID))
        if part_solid.category is not rule.category:
            notes.append(
                f"A solid part of {facts.solid_part} was measured in this ground-glass nodule: a part-solid one would "
                f"be category {part_solid.category}. Please decide."
            )
    if facts.mean_diameter_mm is not None and facts.volume_mm3 is not None:
        solid = None if facts.solid_volume_mm3 is not None else facts.solid_mean_diameter_mm
        by_volume = find_rule(replace(facts, mean_diameter_mm=None, solid_mean_diameter_mm=solid))
        if by_volume.category is not rule.category:
            notes.append(
                f"By its volume ({facts.volume_mm3:.0f} mm³) it would be category {by_volume.category}: Lung-RADS "
                "accepts either, the diameter was taken."
            )
    return notes


def _stable(by_size: LungRadsAssessment, facts: NoduleFacts) -> LungRadsAssessment:
    """An existing nodule that does not grow: stepped down, kept, or raised because it crossed a size threshold."""
    prior = facts.prior_category
    if prior is None or prior in (LungRadsCategory.C0, LungRadsCategory.C1):
        note = "The prior category is not known: taken by its size, without stepping down."
        return replace(by_size, notes=(*by_size.notes, note))
    if facts.type is NoduleType.GROUND_GLASS and prior in (LungRadsCategory.C2, LungRadsCategory.C3):
        return by_size
    kept = _step_down(prior, facts)
    if _crossed_threshold(by_size, prior, facts) and by_size.category.suspicion >= kept.category.suspicion:
        note = f"It crossed a size threshold since the prior CT (category {prior}) without growth by Lung-RADS."
        return replace(by_size, notes=(*by_size.notes, note))
    return _lower(by_size, kept)


def _lower(now: LungRadsAssessment, kept: LungRadsAssessment) -> LungRadsAssessment:
    return replace(kept, reason=f"{kept.reason}; {now.reason}", notes=(*now.notes, *kept.notes))


def _crossed_threshold(by_size: LungRadsAssessment, prior: LungRadsCategory, facts: NoduleFacts) -> bool:
    if facts.prior_mean_diameter_mm is None or facts.mean_diameter_mm is None:
        return by_size.category.suspicion > prior.suspicion
    solid_mm = facts.prior_solid_mean_diameter_mm
    before = find_rule(
        replace(
            facts,
            mean_diameter_mm=facts.prior_mean_diameter_mm,
            solid_mean_diameter_mm=facts.solid_mean_diameter_mm if solid_mm is None else solid_mm,
        )
    )
    return by_size.category.suspicion > (before.category or prior).suspicion


def _step_down(prior: LungRadsCategory, facts: NoduleFacts) -> LungRadsAssessment:
    months = facts.months_since_prior
    for step in STEP_DOWNS:
        if step.prior is not prior:
            continue
        if months is None or months < step.at_least_months:
            had = "an unknown time" if months is None else f"{months:.1f} months"
            note = f"Category {prior} steps down to {step.category} after {step.due_months} months; this is {had}."
            return _assessment(KEPT[prior], f"category {prior} before, not growing", (note,))
        reason = f"category {prior} before, stable or smaller after {months:.1f} months"
        note = "Stepping down does not apply to airway nodules, and goes one category at a time."
        return _assessment(step.rule, reason, (note,))
    notes = (
        ()
        if prior is LungRadsCategory.C2
        else (f"A category {prior} nodule steps down only when proven benign, not because it is stable.",)
    )
    return _assessment(KEPT[prior], f"category {prior} before, not growing", notes)


def _assessment(rule: Rule, reason: str, notes: tuple[str, ...]) -> LungRadsAssessment:
    if rule.category is None:
        raise ValueError(f"{rule.id} gives no category")
    said = (rule.note,) if rule.note else ()
    return LungRadsAssessment(rule.category, rule.id, reason, rule.management, rule.source, (*notes, *said))
