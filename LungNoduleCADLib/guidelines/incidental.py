"""Guidelines for nodules that were not looked for: their tables asked of a reader's facts, or why they may not be.

A guideline is data (``Guideline``: scope and rows); what differs between two of them stands in their tables.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields, replace
from itertools import product
from typing import Any

from LungNoduleCADLib.domain.nodule import NoduleType
from LungNoduleCADLib.guidelines.rules import Rule, Situation, Size, first_that_holds
from LungNoduleCADLib.guidelines.scope import PatientFacts, Scope


@dataclass(frozen=True)
class Facts:
    """What the tables ask of a nodule; ``None``: nobody said. Probabilities from 0 to 1.

    ``perifissural_smooth``: solid, at a fissure, smooth, oval, lentiform or triangular. ``months_since_first``: since
    the first CT that shows it. ``altered_morphology``: of a subsolid nodule, since the prior CT.
    """

    type: NoduleType | None = None
    mean_diameter_mm: float | None = None
    longest_diameter_mm: float | None = None
    solid_mean_diameter_mm: float | None = None
    volume_mm3: float | None = None
    situation: Situation = Situation.BASELINE
    multiple: bool = False
    high_risk: bool | None = None
    benign_calcification: bool | None = None
    fat: bool | None = None
    juxtapleural_smooth: bool | None = None
    perifissural_smooth: bool | None = None
    suspicious_features: bool | None = None
    altered_morphology: bool | None = None
    brock_probability: float | None = None
    herder_probability: float | None = None
    months_since_first: float | None = None
    vdt_days: float | None = None

    def __post_init__(self) -> None:
        sizes = [getattr(self, field.name) for field in fields(self) if field.name.endswith(("_mm", "_mm3"))]
        if any(size is not None and not (math.isfinite(size) and size >= 0) for size in sizes):
            raise ValueError(f"expected sizes of 0 or more, got {sizes}")

    @property
    def by_volume(self) -> bool:
        return self.volume_mm3 is not None


@dataclass(frozen=True)
class Guideline:
    """A published guideline as data.

    ``step_mm``: to what it rounds diameters. ``longest``: it means the longest diameter, not the mean one.
    ``volume_first``: it prefers volumes to diameters. ``not_for``: {fact: answers} that its table does not cover, with
    the reason. ``either``: facts that, unstated, lead to the rows of each answer.
    """

    name: str
    source: str
    scope: Scope
    rules: tuple[Rule, ...]
    step_mm: float
    longest: bool = False
    volume_first: bool = False
    not_for: tuple[tuple[str, object, str], ...] = ()
    either: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def sizes(self, facts: Facts) -> tuple[Size, Size]:
        """The whole nodule and its solid part as this guideline takes them."""
        means = (facts.mean_diameter_mm, facts.longest_diameter_mm)
        diameter = next((mm for mm in (reversed(means) if self.longest else means) if mm is not None), None)
        if self.volume_first and facts.volume_mm3 is not None:
            diameter = None
        whole = Size(diameter, facts.volume_mm3).rounded(self.step_mm)
        return whole, Size(facts.solid_mean_diameter_mm).rounded(self.step_mm)


@dataclass(frozen=True)
class Recommendation:
    """What a guideline says of a nodule, by which rows, or why it says nothing (``not_available``).

    ``ambiguities``: those of ``notes`` that are of the rows themselves.
    """

    guideline: str
    source: str
    rule_id: str | None = None
    reason: str | None = None
    management: str | None = None
    notes: tuple[str, ...] = ()
    ambiguities: tuple[str, ...] = ()
    not_available: str | None = None


def recommend(guideline: Guideline, facts: Facts, patient: PatientFacts) -> Recommendation:
    """What a guideline says of a nodule of a patient; refused, with the reason, outside of its scope."""
    silent = Recommendation(guideline.name, guideline.source)
    reason = _refusal(guideline, facts, patient)
    if reason is not None:
        return replace(silent, not_available=reason)
    facts = replace(facts, high_risk=patient.high_risk)
    whole, solid = guideline.sizes(facts)
    rules = _rules(guideline, facts)
    if not rules:
        return replace(silent, not_available=f"its table has no row for a {facts.situation} {facts.type} nodule")
    ambiguities = tuple(dict.fromkeys(rule.note for _, rule in rules if rule.note))
    told = (*ambiguities, *_notes(guideline, facts, patient, rules))
    management = rules[0][1].management
    if len(rules) > 1:
        management = " ".join(f"If {answers}: {rule.management}" for answers, rule in rules)
    return replace(
        silent,
        rule_id=" | ".join(rule.id for _, rule in rules),
        reason=f"{' or '.join(rule.text for _, rule in rules)} ({whole}{_solid_words(facts, solid)})",
        management=management,
        notes=told,
        ambiguities=ambiguities,
    )


def _refusal(guideline: Guideline, facts: Facts, patient: PatientFacts) -> str | None:
    whole, _ = guideline.sizes(facts)
    longest = facts.longest_diameter_mm or facts.mean_diameter_mm
    sphere_mm = None if facts.volume_mm3 is None else (6 * facts.volume_mm3 / math.pi) ** (1 / 3)
    reason = guideline.scope.refusal(patient, longest if longest is not None else sphere_mm)
    if reason is not None:
        return f"out of scope: {reason}"
    for name, answer, why in guideline.not_for:
        if getattr(facts, name) == answer:
            return f"out of scope: {why}"
    missing = [
        name for name, value in (("type", facts.type), ("size", whole if whole != Size() else None)) if value is None
    ]
    return f"not stated: {', '.join(missing)}" if missing else None


def _rules(guideline: Guideline, facts: Facts) -> list[tuple[str, Rule]]:
    """(answers, the row that holds) for every answer to what nobody stated; one where they agree."""
    whole, solid = guideline.sizes(facts)
    unknown = [name for name in guideline.either if getattr(facts, name) is None]
    found: dict[str, tuple[str, Rule]] = {}
    for answers in product((False, True), repeat=len(unknown)):
        answered: dict[str, Any] = dict(zip(unknown, answers, strict=True))
        rule = first_that_holds(guideline.rules, replace(facts, **answered), whole, solid)
        words = ", ".join(f"{'' if yes else 'not '}{name.replace('_', ' ')}" for name, yes in answered.items())
        if rule is not None:
            found.setdefault(rule.id, (words, rule))
    return list(found.values())


def _notes(guideline: Guideline, facts: Facts, patient: PatientFacts, rules: list[tuple[str, Rule]]) -> tuple[str, ...]:
    notes = []
    if len(rules) > 1:
        notes.append(f"Not stated: {', '.join(guideline.either).replace('_', ' ')}; both answers are given.")
    if unstated := guideline.scope.unstated(patient):
        words = ", ".join(unstated).replace("_", " ")
        notes.append(f"Not stated, and taken as within the scope of {guideline.name}: {words}.")
    if guideline.longest and facts.longest_diameter_mm is None and not facts.by_volume:
        notes.append("The longest diameter is meant; the mean one was taken.")
    return (*notes, *guideline.notes)


def _solid_words(facts: Facts, solid: Size) -> str:
    return f", solid part {solid}" if facts.type is NoduleType.PART_SOLID else ""
