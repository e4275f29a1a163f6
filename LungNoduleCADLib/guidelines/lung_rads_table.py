"""ACR Lung-RADS v2022 as data: one row a rule, bounds in mm on mean diameters rounded to 0.1 mm.

Source of every row: American College of Radiology, Lung-RADS v2022 assessment categories (November 2022).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from LungNoduleCADLib.domain.lung_rads import LungRadsCategory as C
from LungNoduleCADLib.domain.nodule import NoduleType

ACR = "ACR Lung-RADS v2022"


class Situation(StrEnum):
    """What is known of the nodule from an earlier CT. STABLE: seen before and not growing (shrunk ones too)."""

    BASELINE = "baseline"
    NEW = "new"
    GROWING = "growing"
    STABLE = "stable"


@dataclass(frozen=True)
class Bounds:
    """Half-open interval [from_mm, below_mm); ``None`` is no bound."""

    from_mm: float | None = None
    below_mm: float | None = None

    def holds(self, size_mm: float) -> bool:
        return (self.from_mm is None or size_mm >= self.from_mm) and (self.below_mm is None or size_mm < self.below_mm)

    def __str__(self) -> str:
        low = "" if self.from_mm is None else f"≥ {self.from_mm:g}"
        high = "" if self.below_mm is None else f"< {self.below_mm:g}"
        return f"{' to '.join(part for part in (low, high) if part)} mm" if low or high else "any size"


ANY = Bounds()


@dataclass(frozen=True)
class SizeRule:
    """A row of the table: it applies where situation, type and both sizes hold.

    ``total`` bounds the mean diameter of the whole nodule, ``solid_part`` that of the solid part (part-solid only).
    """

    id: str
    situations: tuple[Situation, ...]
    type: NoduleType
    total: Bounds
    solid_part: Bounds
    category: C
    text: str
    note: str | None = None
    source: str = ACR


_PET = "PET/CT may be considered if there is a solid nodule or solid part of 8 mm or more."
_WORK_UP = (
    f"Refer for further clinical evaluation: diagnostic chest CT with or without contrast, tissue sampling; {_PET}"
)

MANAGEMENT: dict[C, str] = {
    C.C0: "Obtain the prior CT, repeat the CT, or low-dose CT in 1 to 3 months, whichever the finding asks for.",
    C.C1: "Low-dose screening CT in 12 months.",
    C.C2: "Low-dose screening CT in 12 months.",
    C.C3: "Low-dose CT in 6 months.",
    C.C4A: f"Low-dose CT in 3 months; {_PET}",
    C.C4B: _WORK_UP,
    C.C4X: _WORK_UP,
}

GROWING_GGN_NOTE = (
    "Lung-RADS v2022 does not list a growing ground-glass nodule of 30 mm or more; it is taken as category 3 like a "
    "new one. A slowly growing one would be category 2: please decide."
)
NEW_PART_SOLID_NOTE = (
    "A new part-solid nodule below 6 mm also matches the 'new solid component' wording of 4A and 4B; the row for its "
    "size was applied."
)

_SOLID, _PART, _GGN = NoduleType.SOLID, NoduleType.PART_SOLID, NoduleType.GROUND_GLASS
_KNOWN = (Situation.BASELINE, Situation.STABLE)
_NEW, _GROWING = (Situation.NEW,), (Situation.GROWING,)


def _below(mm: float) -> Bounds:
    return Bounds(None, mm)


def _from(mm: float, below_mm: float | None = None) -> Bounds:
    return Bounds(mm, below_mm)


SIZE_RULES: tuple[SizeRule, ...] = (
    SizeRule("solid-baseline-2", _KNOWN, _SOLID, _below(6), ANY, C.C2, "solid nodule < 6 mm at baseline"),
    SizeRule("solid-baseline-3", _KNOWN, _SOLID, _from(6, 8), ANY, C.C3, "solid nodule ≥ 6 to < 8 mm at baseline"),
    SizeRule("solid-baseline-4A", _KNOWN, _SOLID, _from(8, 15), ANY, C.C4A, "solid nodule ≥ 8 to < 15 mm at baseline"),
    SizeRule("solid-baseline-4B", _KNOWN, _SOLID, _from(15), ANY, C.C4B, "solid nodule ≥ 15 mm"),
    SizeRule("solid-new-2", _NEW, _SOLID, _below(4), ANY, C.C2, "new solid nodule < 4 mm"),
    SizeRule("solid-new-3", _NEW, _SOLID, _from(4, 6), ANY, C.C3, "new solid nodule ≥ 4 to < 6 mm"),
    SizeRule("solid-new-4A", _NEW, _SOLID, _from(6, 8), ANY, C.C4A, "new solid nodule ≥ 6 to < 8 mm"),
    SizeRule("solid-new-4B", _NEW, _SOLID, _from(8), ANY, C.C4B, "new solid nodule ≥ 8 mm"),
    SizeRule("solid-growing-4A", _GROWING, _SOLID, _below(8), ANY, C.C4A, "growing solid nodule < 8 mm"),
    SizeRule("solid-growing-4B", _GROWING, _SOLID, _from(8), ANY, C.C4B, "growing solid nodule ≥ 8 mm"),
    SizeRule(
        "part-solid-baseline-2", _KNOWN, _PART, _below(6), ANY, C.C2, "part-solid nodule < 6 mm in total at baseline"
    ),
    SizeRule(
        "part-solid-baseline-3",
        _KNOWN,
        _PART,
        _from(6),
        _below(6),
        C.C3,
        "part-solid nodule ≥ 6 mm in total with a solid part < 6 mm at baseline",
    ),
    SizeRule(
        "part-solid-baseline-4A",
        _KNOWN,
        _PART,
        _from(6),
        _from(6, 8),
        C.C4A,
        "part-solid nodule ≥ 6 mm in total with a solid part ≥ 6 to < 8 mm at baseline",
    ),
    SizeRule(
        "part-solid-baseline-4B", _KNOWN, _PART, _from(6), _from(8), C.C4B, "part-solid nodule with a solid part ≥ 8 mm"
    ),
    SizeRule(
        "part-solid-new-3",
        _NEW,
        _PART,
        _below(6),
        ANY,
        C.C3,
        "new part-solid nodule < 6 mm in total",
        NEW_PART_SOLID_NOTE,
    ),
    SizeRule("part-solid-new-4A", _NEW, _PART, _from(6), _below(4), C.C4A, "new part-solid nodule, solid part < 4 mm"),
    SizeRule("part-solid-new-4B", _NEW, _PART, _from(6), _from(4), C.C4B, "new part-solid nodule, solid part ≥ 4 mm"),
    SizeRule(
        "part-solid-growing-4A",
        _GROWING,
        _PART,
        ANY,
        _below(4),
        C.C4A,
        "part-solid nodule, new or growing solid part < 4 mm",
    ),
    SizeRule(
        "part-solid-growing-4B",
        _GROWING,
        _PART,
        ANY,
        _from(4),
        C.C4B,
        "part-solid nodule, new or growing solid part ≥ 4 mm",
    ),
    SizeRule(
        "ground-glass-baseline-2",
        (Situation.BASELINE, Situation.NEW, Situation.GROWING),
        _GGN,
        _below(30),
        ANY,
        C.C2,
        "ground-glass nodule < 30 mm at baseline, new or growing",
    ),
    SizeRule(
        "ground-glass-baseline-3",
        (Situation.BASELINE, Situation.NEW),
        _GGN,
        _from(30),
        ANY,
        C.C3,
        "ground-glass nodule ≥ 30 mm at baseline or new",
    ),
    SizeRule(
        "ground-glass-growing-3",
        _GROWING,
        _GGN,
        _from(30),
        ANY,
        C.C3,
        "growing ground-glass nodule ≥ 30 mm",
        GROWING_GGN_NOTE,
    ),
    SizeRule(
        "ground-glass-stable-2",
        (Situation.STABLE,),
        _GGN,
        ANY,
        ANY,
        C.C2,
        "ground-glass nodule < 30 mm, or ≥ 30 mm and stable or slowly growing",
    ),
)


@dataclass(frozen=True)
class StepDown:
    """A nodule of this category, stable or smaller at the interval CT asked for, is one category lower.

    ``at_least_months`` is the interval CT's due time less half a month, for CTs made a little early.
    """

    id: str
    prior: C
    category: C
    due_months: int
    at_least_months: float
    source: str = ACR


STEP_DOWNS: tuple[StepDown, ...] = (
    StepDown("stepped-down-3-to-2", C.C3, C.C2, 6, 5.5),
    StepDown("stepped-down-4A-to-3", C.C4A, C.C3, 3, 2.5),
)
