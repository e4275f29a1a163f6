"""What every guideline's table is made of: rules as data, sizes as each guideline rounds them, and which rule holds."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from LungNoduleCADLib.domain.lung_rads import LungRadsCategory


class Situation(StrEnum):
    """What is known of the nodule from an earlier CT. STABLE: seen before and not growing (shrunk ones too)."""

    BASELINE = "baseline"
    NEW = "new"
    GROWING = "growing"
    STABLE = "stable"


@dataclass(frozen=True)
class Size:
    """A mean diameter in mm or, where that was not measured, a volume in mm³."""

    mm: float | None = None
    mm3: float | None = None

    def rounded(self, step_mm: float) -> Size:
        """Half up: diameters to a step of 0.1 or 1 mm, volumes to whole mm³."""
        if self.mm is not None:
            steps = math.floor(self.mm / step_mm + 0.5 + 1e-9)
            return Size(mm=steps / round(1 / step_mm))
        return Size(mm3=None if self.mm3 is None else math.floor(self.mm3 + 0.5 + 1e-9))

    def __str__(self) -> str:
        if self.mm is not None:
            return f"{self.mm:.1f} mm"
        return "not measured" if self.mm3 is None else f"{self.mm3:.0f} mm³"


@dataclass(frozen=True)
class Bounds:
    """Half-open intervals [from, below) of diameter and of volume; ``None`` is no bound."""

    from_mm: float | None = None
    below_mm: float | None = None
    from_mm3: float | None = None
    below_mm3: float | None = None

    def holds(self, size: Size) -> bool:
        """Of the diameter where there is one, else of the volume; a size that was not measured counts as 0."""
        if size.mm is None and size.mm3 is not None:
            return _inside(size.mm3, self.from_mm3, self.below_mm3)
        return _inside(size.mm or 0.0, self.from_mm, self.below_mm)

    def __str__(self) -> str:
        if self == Bounds():
            return "any"
        return f"{_between(self.from_mm, self.below_mm)} mm ({_between(self.from_mm3, self.below_mm3)} mm³)"


ANY = Bounds()


@dataclass(frozen=True)
class Interval:
    """Accepted numbers, [from, to] or, where ``from`` itself is not accepted, (above, to]; ``None`` is no bound."""

    at_least: float | None = None
    below: float | None = None
    above: float | None = None
    at_most: float | None = None

    def __contains__(self, value: object) -> bool:
        return (
            isinstance(value, (int, float))
            and (self.at_least is None or value >= self.at_least)
            and (self.below is None or value < self.below)
            and (self.above is None or value > self.above)
            and (self.at_most is None or value <= self.at_most)
        )

    def __str__(self) -> str:
        signs = (("≥", self.at_least), (">", self.above), ("<", self.below), ("≤", self.at_most))
        return " ".join(f"{sign} {value:g}" for sign, value in signs if value is not None)


@dataclass(frozen=True)
class Rule:
    """A row of a table: it holds where every fact named in ``when`` has an accepted answer and both sizes fit.

    ``total`` bounds the whole nodule, ``solid_part`` that of a part-solid one. ``note``: what is ambiguous in the
    guideline, for the reader. ``steps_down``: a later CT may lower the category. ``id`` is stable.
    """

    id: str
    text: str
    source: str
    management: str
    when: Mapping[str, tuple[Any, ...] | Interval] = field(default_factory=dict)
    total: Bounds = ANY
    solid_part: Bounds = ANY
    category: LungRadsCategory | None = None
    note: str | None = None
    steps_down: bool = False

    def holds(self, facts: object, total: Size, solid_part: Size) -> bool:
        """Of facts whose attributes are named as in ``when``, and of sizes rounded as the guideline rounds them."""
        answered = all(getattr(facts, name) in accepted for name, accepted in self.when.items())
        return answered and self.total.holds(total) and self.solid_part.holds(solid_part)

    def condition(self) -> str:
        """When it holds, in a few words for a table."""
        parts = [f"{name.replace('_', ' ')} {_answers(accepted)}" for name, accepted in self.when.items()]
        sizes = (("total", self.total), ("solid part", self.solid_part))
        parts += [f"{name} {bounds}" for name, bounds in sizes if bounds != ANY]
        return "; ".join(parts) or "always"


def first_that_holds(rules: Iterable[Rule], facts: object, total: Size, solid_part: Size) -> Rule | None:
    """The first row that holds: the order of a table is its precedence."""
    return next((rule for rule in rules if rule.holds(facts, total, solid_part)), None)


def sphere(from_mm: float | None = None, below_mm: float | None = None) -> Bounds:
    """Bounds whose volumes are those of a sphere of the diameter, in whole mm³, as the ACR prints them."""
    volumes = (None if mm is None else round(math.pi / 6 * mm**3) for mm in (from_mm, below_mm))
    return Bounds(from_mm, below_mm, *volumes)


def _inside(value: float, low: float | None, high: float | None) -> bool:
    return (low is None or value >= low) and (high is None or value < high)


def _between(low: float | None, high: float | None) -> str:
    ends = ("" if low is None else f"≥ {low:g}", "" if high is None else f"< {high:g}")
    return " ".join(end for end in ends if end) or "any"


def _answers(accepted: tuple[Any, ...] | Interval) -> str:
    if isinstance(accepted, Interval):
        return str(accepted)
    words = {True: "yes", False: "no", None: "not stated"}
    return " or ".join(words.get(answer, str(answer)) for answer in accepted)
