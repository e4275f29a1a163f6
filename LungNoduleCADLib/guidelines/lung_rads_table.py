"""ACR Lung-RADS v2022 as data: one row a rule, bounds on mean diameters of 0.1 mm or on volumes of whole mm³.

Source of every row: American College of Radiology, Lung-RADS v2022 assessment categories (November 2022); explained in
Christensen J et al., Chest 2024;165:738-753. Of ``EXAM_RULES`` and ``FINDING_RULES`` the first that holds counts; of
``SIZE_RULES`` exactly one holds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from LungNoduleCADLib.domain.lung_rads import Airway, Cyst, CystChange
from LungNoduleCADLib.domain.lung_rads import LungRadsCategory as C
from LungNoduleCADLib.domain.nodule import NoduleType
from LungNoduleCADLib.guidelines.rules import ANY, Bounds, Interval, Rule, Situation, sphere
from LungNoduleCADLib.guidelines.scope import Scope

ACR = "ACR Lung-RADS v2022"
JUXTAPLEURAL_BELOW_MM = 10.0
JUXTAPLEURAL_NOTE = "Juxtapleural nodules: below 10 mm, as the ACR's text says; one summary reads 10 mm or less."
SCOPE = Scope(18, screening=True, not_with=("known_cancer",))

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

_SOLID, _PART, _GGN = NoduleType.SOLID, NoduleType.PART_SOLID, NoduleType.GROUND_GLASS
_BASELINE, _NEW, _GROWING, _STABLE = Situation
_KNOWN = (_BASELINE, _STABLE)
_YES = (True,)


def _row(id_: str, category: C, text: str, when: Mapping[str, tuple[Any, ...] | Interval], **more: Any) -> Rule:
    return Rule(id_, text, ACR, **{"management": MANAGEMENT[category], "when": when, "category": category, **more})


# Of the exam

EXAM_RULES: tuple[Rule, ...] = (
    _row(
        "exam-prior-pending-0",
        C.C0,
        "a prior chest CT is being located for comparison",
        {"prior_ct_pending": _YES},
        management="Obtain the prior chest CT and compare; then assess again.",
    ),
    _row(
        "exam-not-evaluable-0",
        C.C0,
        "part or all of the lungs cannot be evaluated",
        {"lungs_not_evaluable": _YES},
        management="Repeat the CT for what could not be evaluated; then assess again.",
    ),
    _row(
        "exam-inflammatory-0",
        C.C0,
        "findings suggestive of an inflammatory or infectious process",
        {"inflammatory_findings": _YES},
        management="Low-dose CT in 1 to 3 months; then assess again.",
        note="Tree-in-bud nodules and new ground-glass nodules below 30 mm may be classified by their size instead, "
        "and nodules that look more like cancer than like inflammation by the size rows up to 4B: please decide.",
    ),
)
NO_NODULE = _row("exam-no-nodule-1", C.C1, "no lung nodule on the list", {})
MODIFIER_S = Rule(
    "modifier-S",
    "a clinically significant finding that is not lung cancer: S is added to any category",
    ACR,
    "As the finding asks for.",
    {"significant_other_finding": _YES},
)

# Of a nodule: findings that count before size

_SECRETIONS = "One that holds air and no soft tissue favors secretions and may be category 2: state that instead."
_BESIDE_CYST = "A nodule in or beside a cyst is classified by its own size: list it as a nodule of its own."


def _cyst(
    id_: str, category: C, text: str, cysts: tuple[Cyst, ...], changes: tuple[CystChange, ...] | None, note: str = ""
) -> Rule:
    when: dict[str, tuple[Any, ...]] = {"cyst": cysts, **({"cyst_change": changes} if changes else {})}
    words = f"{note} {_BESIDE_CYST}" if note else _BESIDE_CYST
    return _row(id_, category, text, when, note=words, steps_down=category in (C.C3, C.C4A))


FINDING_RULES: tuple[Rule, ...] = (
    _row("proven-benign-2", C.C2, "category 4B proven benign after work-up", {"proven_benign": _YES}),
    _row(
        "benign-calcification-1",
        C.C1,
        "complete, central, popcorn or concentric-ring calcification",
        {"benign_calcification": _YES},
    ),
    _row("fat-1", C.C1, "nodule that contains fat", {"fat": _YES}),
    _cyst(
        "cyst-became-multilocular-4A",
        C.C4A,
        "cyst that became multilocular",
        (Cyst.THIN_WALLED, Cyst.THICK_WALLED, Cyst.MULTILOCULAR),
        (CystChange.BECAME_MULTILOCULAR,),
    ),
    _cyst(
        "cyst-growing-wall-4B",
        C.C4B,
        "thick-walled cyst with growing wall or nodularity",
        (Cyst.THICK_WALLED,),
        (CystChange.GROWING_WALL,),
    ),
    _cyst(
        "cyst-growing-multilocular-4B",
        C.C4B,
        "growing multilocular cyst",
        (Cyst.MULTILOCULAR,),
        (CystChange.GROWING_CYST, CystChange.GROWING_WALL),
    ),
    _cyst(
        "cyst-loculation-4B",
        C.C4B,
        "multilocular cyst with more loculation, or a new or increased opacity",
        (Cyst.MULTILOCULAR,),
        (CystChange.MORE_LOCULATION, CystChange.NEW_OPACITY),
    ),
    _cyst(
        "cyst-growing-3",
        C.C3,
        "growing cystic component of a thick-walled cyst",
        (Cyst.THICK_WALLED,),
        (CystChange.GROWING_CYST,),
        "Lung-RADS v2022 puts a thick-walled cyst at 4A at baseline and one whose cystic component grows at 3: please "
        "decide.",
    ),
    _cyst("cyst-thick-walled-4A", C.C4A, "thick-walled cyst", (Cyst.THICK_WALLED,), None),
    _cyst("cyst-multilocular-4A", C.C4A, "multilocular cyst", (Cyst.MULTILOCULAR,), None),
    _cyst(
        "cyst-thin-walled-1",
        C.C1,
        "thin-walled cyst, which Lung-RADS does not classify",
        (Cyst.THIN_WALLED,),
        None,
        "A wall that became 2 mm thick or more makes it a thick-walled cyst: state that instead.",
    ),
    _row(
        "airway-persistent-4B",
        C.C4B,
        "airway nodule, segmental or more proximal, stable or growing",
        {"airway": (Airway.SEGMENTAL, Airway.SECRETIONS), "situation": (_STABLE, _GROWING)},
        note="Persistent airway nodules typically go to bronchoscopy; they do not step down.",
    ),
    _row(
        "airway-secretions-2",
        C.C2,
        "airway abnormality, segmental or more proximal, with air and without soft tissue",
        {"airway": (Airway.SECRETIONS,)},
        note="Air without a soft-tissue nodule favors secretions; Lung-RADS v2022 says category 2 may be given, else "
        "it is 4A: please decide. One that persists is 4B.",
    ),
    _row(
        "airway-baseline-4A",
        C.C4A,
        "airway nodule, segmental or more proximal, at baseline",
        {"airway": (Airway.SEGMENTAL,), "situation": (_BASELINE,)},
        note=_SECRETIONS,
    ),
    _row(
        "airway-new-4A",
        C.C4A,
        "new airway nodule, segmental or more proximal",
        {"airway": (Airway.SEGMENTAL,), "situation": (_NEW,)},
        note="Lung-RADS v2022 lists proximal airway nodules at baseline (4A) and stable or growing (4B), not new ones: "
        f"taken as at baseline. {_SECRETIONS}",
    ),
    _row(
        "airway-subsegmental-2",
        C.C2,
        "subsegmental airway nodule",
        {"airway": (Airway.SUBSEGMENTAL,), "situation": (_BASELINE, _NEW, _STABLE)},
        note="Subsegmental or multiple tubular ones favor infection: category 0 or 2. A growing one goes by its size.",
    ),
    _row(
        "slow-growth-4B",
        C.C4B,
        "solid or part-solid nodule that grows slowly over several screening exams",
        {"slow_growth": _YES, "type": (_SOLID, _PART), "situation": (_STABLE,)},
    ),
    _row(
        "juxtapleural-2",
        C.C2,
        "smooth juxtapleural solid nodule < 10 mm",
        {"juxtapleural_smooth": _YES, "type": (_SOLID,), "situation": (_BASELINE, _NEW, _STABLE)},
        total=sphere(None, JUXTAPLEURAL_BELOW_MM),
        note=JUXTAPLEURAL_NOTE,
    ),
)

# Of a nodule: size


def _sized(
    id_: str,
    kind: NoduleType,
    situations: tuple[Situation, ...],
    total: Bounds,
    solid_part: Bounds,
    category: C,
    text: str,
    note: str | None = None,
) -> Rule:
    when = {"type": (kind,), "situation": situations}
    return _row(id_, category, text, when, total=total, solid_part=solid_part, note=note, steps_down=True)


def _below(mm: float) -> Bounds:
    return sphere(None, mm)


SIZE_RULES: tuple[Rule, ...] = (
    _sized("solid-baseline-2", _SOLID, _KNOWN, _below(6), ANY, C.C2, "solid nodule < 6 mm at baseline"),
    _sized("solid-baseline-3", _SOLID, _KNOWN, sphere(6, 8), ANY, C.C3, "solid nodule ≥ 6 to < 8 mm at baseline"),
    _sized("solid-baseline-4A", _SOLID, _KNOWN, sphere(8, 15), ANY, C.C4A, "solid nodule ≥ 8 to < 15 mm at baseline"),
    _sized("solid-baseline-4B", _SOLID, _KNOWN, sphere(15), ANY, C.C4B, "solid nodule ≥ 15 mm"),
    _sized("solid-new-2", _SOLID, (_NEW,), _below(4), ANY, C.C2, "new solid nodule < 4 mm"),
    _sized("solid-new-3", _SOLID, (_NEW,), sphere(4, 6), ANY, C.C3, "new solid nodule ≥ 4 to < 6 mm"),
    _sized("solid-new-4A", _SOLID, (_NEW,), sphere(6, 8), ANY, C.C4A, "new solid nodule ≥ 6 to < 8 mm"),
    _sized("solid-new-4B", _SOLID, (_NEW,), sphere(8), ANY, C.C4B, "new solid nodule ≥ 8 mm"),
    _sized("solid-growing-4A", _SOLID, (_GROWING,), _below(8), ANY, C.C4A, "growing solid nodule < 8 mm"),
    _sized("solid-growing-4B", _SOLID, (_GROWING,), sphere(8), ANY, C.C4B, "growing solid nodule ≥ 8 mm"),
    _sized(
        "part-solid-baseline-2", _PART, _KNOWN, _below(6), ANY, C.C2, "part-solid nodule < 6 mm in total at baseline"
    ),
    _sized(
        "part-solid-baseline-3",
        _PART,
        _KNOWN,
        sphere(6),
        _below(6),
        C.C3,
        "part-solid nodule ≥ 6 mm in total with a solid part < 6 mm at baseline",
    ),
    _sized(
        "part-solid-baseline-4A",
        _PART,
        _KNOWN,
        sphere(6),
        sphere(6, 8),
        C.C4A,
        "part-solid nodule ≥ 6 mm in total with a solid part ≥ 6 to < 8 mm at baseline",
    ),
    _sized(
        "part-solid-baseline-4B",
        _PART,
        _KNOWN,
        sphere(6),
        sphere(8),
        C.C4B,
        "part-solid nodule with a solid part ≥ 8 mm",
    ),
    _sized(
        "part-solid-new-3",
        _PART,
        (_NEW,),
        _below(6),
        ANY,
        C.C3,
        "new part-solid nodule < 6 mm in total",
        "A new part-solid nodule below 6 mm also matches the 'new solid component' wording of 4A and 4B; the row for "
        "its size was applied.",
    ),
    _sized(
        "part-solid-new-4A", _PART, (_NEW,), sphere(6), _below(4), C.C4A, "new part-solid nodule, solid part < 4 mm"
    ),
    _sized(
        "part-solid-new-4B", _PART, (_NEW,), sphere(6), sphere(4), C.C4B, "new part-solid nodule, solid part ≥ 4 mm"
    ),
    _sized(
        "part-solid-growing-4A",
        _PART,
        (_GROWING,),
        ANY,
        _below(4),
        C.C4A,
        "part-solid nodule, new or growing solid part < 4 mm",
    ),
    _sized(
        "part-solid-growing-4B",
        _PART,
        (_GROWING,),
        ANY,
        sphere(4),
        C.C4B,
        "part-solid nodule, new or growing solid part ≥ 4 mm",
    ),
    _sized(
        "ground-glass-baseline-2",
        _GGN,
        (_BASELINE, _NEW, _GROWING),
        _below(30),
        ANY,
        C.C2,
        "ground-glass nodule < 30 mm at baseline, new or growing",
    ),
    _sized(
        "ground-glass-baseline-3",
        _GGN,
        (_BASELINE, _NEW),
        sphere(30),
        ANY,
        C.C3,
        "ground-glass nodule ≥ 30 mm at baseline or new",
    ),
    _sized(
        "ground-glass-growing-3",
        _GGN,
        (_GROWING,),
        sphere(30),
        ANY,
        C.C3,
        "growing ground-glass nodule ≥ 30 mm",
        "Lung-RADS v2022 does not list a growing ground-glass nodule of 30 mm or more; it is taken as category 3 like "
        "a new one. A slowly growing one would be category 2: please decide.",
    ),
    _sized(
        "ground-glass-stable-2",
        _GGN,
        (_STABLE,),
        ANY,
        ANY,
        C.C2,
        "ground-glass nodule < 30 mm, or ≥ 30 mm and stable or slowly growing",
    ),
)

# Of a nodule: what follows from the prior category and from further features

SUSPICIOUS = _row(
    "suspicious-features-4X",
    C.C4X,
    "category 3 or 4 with further features that raise suspicion, such as spiculation or lymphadenopathy",
    {"suspicious_features": _YES},
)


@dataclass(frozen=True)
class StepDown:
    """A nodule of this category, stable or smaller at the interval CT asked for, is one category lower.

    ``at_least_months`` is the interval CT's due time less half a month, for CTs made a little early.
    """

    rule: Rule
    prior: C
    due_months: int
    at_least_months: float

    @property
    def category(self) -> C:
        return self.rule.category or self.prior


def _step(id_: str, prior: C, category: C, months: int) -> StepDown:
    text = f"category {prior} before, stable or smaller at the CT after {months} months"
    return StepDown(
        _row(id_, category, text, {"prior_category": (prior,), "situation": (_STABLE,)}), prior, months, months - 0.5
    )


STEP_DOWNS: tuple[StepDown, ...] = (
    _step("stepped-down-3-to-2", C.C3, C.C2, 6),
    _step("stepped-down-4A-to-3", C.C4A, C.C3, 3),
)
KEPT: dict[C, Rule] = {
    category: _row(
        f"stable-{category}",
        category,
        f"category {category} before, not growing" + ("" if category is C.C2 else ", not (yet) stepped down"),
        {"prior_category": (category,), "situation": (_STABLE,)},
    )
    for category in (C.C2, C.C3, C.C4A, C.C4B, C.C4X)
}
ALL_RULES: tuple[Rule, ...] = (
    *EXAM_RULES,
    NO_NODULE,
    MODIFIER_S,
    *FINDING_RULES,
    *SIZE_RULES,
    *(step.rule for step in STEP_DOWNS),
    *KEPT.values(),
    SUSPICIOUS,
)
