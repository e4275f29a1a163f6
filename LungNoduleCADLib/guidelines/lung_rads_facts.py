"""What Lung-RADS asks of a nodule, from the records of a study: measured, compared, and stated by the reader."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any

from LungNoduleCADLib.domain.comparison import Change, Growth, NoduleMatch
from LungNoduleCADLib.domain.lung_rads import LungRadsAssessment
from LungNoduleCADLib.domain.nodule import Nodule, NoduleType, StatedFacts
from LungNoduleCADLib.guidelines.lung_rads_2022 import DAYS_PER_MONTH, NoduleFacts, assess_nodule, is_growth
from LungNoduleCADLib.guidelines.lung_rads_table import SUSPICIOUS
from LungNoduleCADLib.guidelines.rules import Situation

STATED = tuple(sorted({field.name for field in fields(StatedFacts)} & {field.name for field in fields(NoduleFacts)}))
SPICULATED = "The reader's spiculation is taken as a feature that raises suspicion (category 4X)."


def facts_of(nodule: Nodule, match: NoduleMatch | None = None, prior: Nodule | None = None) -> NoduleFacts | None:
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
        notes=notes,
        **_stated(nodule.stated),
    )


def assess(nodule: Nodule, match: NoduleMatch | None, prior: Nodule | None) -> LungRadsAssessment | None:
    """The category of a nodule by its records; ``None`` as ``facts_of``."""
    facts = facts_of(nodule, match, prior)
    if facts is None:
        return None
    assessed = assess_nodule(facts)
    if assessed.rule_id == SUSPICIOUS.id and _by_spiculation(nodule.stated):
        return replace(assessed, notes=(*assessed.notes, SPICULATED))
    return assessed


def situation_of_sizes(told: Mapping[str, Any]) -> tuple[Situation, tuple[str, ...]] | None:
    """Growing or stable, with what the reader must know of it, by the sizes in two CTs; ``None`` where one lacks.

    Parameters
    ----------
    told : values by the names of ``NoduleFacts``.
    """
    now, before, months = (told.get(n) for n in ("mean_diameter_mm", "prior_mean_diameter_mm", "months_since_prior"))
    if now is None or before is None or months is None:
        return None
    days = round(months * DAYS_PER_MONTH)
    grows, slow = is_growth(now - before, days)
    notes = [_slow_words(now - before)] if slow and not told.get("slow_growth") else []
    solid, solid_before = (told.get(name) for name in ("solid_mean_diameter_mm", "prior_solid_mean_diameter_mm"))
    if solid is not None and solid_before is not None and is_growth(solid - solid_before, days)[0]:
        grows = True
        notes.append(f"The solid part grew by {solid - solid_before:.1f} mm.")
    return (Situation.GROWING if grows else Situation.STABLE), tuple(notes)


def _slow_words(change_mm: float) -> str:
    return (
        f"The mean diameter grew by {change_mm:.1f} mm, but not by more than 1.5 mm in 12 months. A solid or "
        "part-solid nodule that grows slowly over several exams may be 4B: please decide."
    )


def _stated(said: StatedFacts) -> dict[str, Any]:
    """What the reader stated, with spiculation as a suspicious feature where nothing else was said of them."""
    stated = {name: getattr(said, name) for name in STATED}
    return {**stated, "suspicious_features": True} if _by_spiculation(said) else stated


def _by_spiculation(said: StatedFacts) -> bool:
    return bool(said.spiculated) and said.suspicious_features is None


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
        notes.append(_slow_words(growth.mean_diameter_change_mm))
    elif change is Change.GROWING and not growing:
        notes.append(
            f"The volume changed by {growth.volume_change_percent:+.0f}%, but the mean diameter not by more than "
            "1.5 mm: not growth by Lung-RADS."
        )
    if growing and growth.interval_days is None:
        notes.append("The dates are not known; the growth is taken to have happened within 12 months.")
    return growing, notes


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
