"""Fleischner Society 2017 as data: nodules found by chance, from the age of 35, without cancer or immunosuppression.

Source: MacMahon H et al., Radiology 2017;284:228-243. Diameters are means of both axes, rounded to whole millimeters.
"""

from __future__ import annotations

from typing import Any

from LungNoduleCADLib.domain.nodule import NoduleType
from LungNoduleCADLib.guidelines.incidental import Guideline
from LungNoduleCADLib.guidelines.rules import ANY, Bounds, Rule, Situation
from LungNoduleCADLib.guidelines.scope import Scope

SOURCE = "Fleischner Society 2017 (MacMahon H et al., Radiology 2017;284:228-243)"
_SOLID, _PART, _GGN = NoduleType.SOLID, NoduleType.PART_SOLID, NoduleType.GROUND_GLASS
_SMALL, _MEDIUM, _LARGE = Bounds(None, 6, None, 100), Bounds(6, 9, 100, 251), Bounds(9, None, 251)
_SIX_OR_MORE = Bounds(6, None, 100)
_NONE, _AT_12 = "No routine follow-up.", "CT at 12 months is optional."


def _row(
    id_: str,
    text: str,
    management: str,
    kinds: tuple[NoduleType, ...],
    total: Bounds,
    *,
    multiple: bool | None = None,
    high_risk: bool | None = None,
    solid_part: Bounds = ANY,
    note: str | None = None,
) -> Rule:
    when: dict[str, tuple[Any, ...]] = {"type": kinds}
    if multiple is not None:
        when["multiple"] = (multiple,)
    if high_risk is not None:
        when["high_risk"] = (high_risk,)
    return Rule(id_, text, SOURCE, management, when, total, solid_part, note=note)


_MOST_SUSPICIOUS = "With several nodules the most suspicious one guides management."
RULES: tuple[Rule, ...] = (
    Rule(
        "fleischner-perifissural",
        "smooth perifissural solid nodule of 10 mm or less",
        SOURCE,
        _NONE,
        {"type": (_SOLID,), "perifissural_smooth": (True,)},
        Bounds(None, 11, None, 525),
    ),
    _row(
        "fleischner-solid-single-small-low",
        "single solid nodule < 6 mm, low risk",
        _NONE,
        (_SOLID,),
        _SMALL,
        multiple=False,
        high_risk=False,
    ),
    _row(
        "fleischner-solid-single-small-high",
        "single solid nodule < 6 mm, high risk",
        _AT_12,
        (_SOLID,),
        _SMALL,
        multiple=False,
        high_risk=True,
    ),
    _row(
        "fleischner-solid-single-medium-low",
        "single solid nodule of 6 to 8 mm, low risk",
        "CT at 6 to 12 months; then consider CT at 18 to 24 months.",
        (_SOLID,),
        _MEDIUM,
        multiple=False,
        high_risk=False,
    ),
    _row(
        "fleischner-solid-single-medium-high",
        "single solid nodule of 6 to 8 mm, high risk",
        "CT at 6 to 12 months; then CT at 18 to 24 months.",
        (_SOLID,),
        _MEDIUM,
        multiple=False,
        high_risk=True,
    ),
    _row(
        "fleischner-solid-single-large",
        "single solid nodule > 8 mm",
        "Consider CT at 3 months, PET/CT or tissue sampling.",
        (_SOLID,),
        _LARGE,
        multiple=False,
    ),
    _row(
        "fleischner-solid-multiple-small-low",
        "several solid nodules < 6 mm, low risk",
        _NONE,
        (_SOLID,),
        _SMALL,
        multiple=True,
        high_risk=False,
    ),
    _row(
        "fleischner-solid-multiple-small-high",
        "several solid nodules < 6 mm, high risk",
        _AT_12,
        (_SOLID,),
        _SMALL,
        multiple=True,
        high_risk=True,
    ),
    _row(
        "fleischner-solid-multiple-low",
        "several solid nodules, 6 mm or more, low risk",
        "CT at 3 to 6 months; then consider CT at 18 to 24 months.",
        (_SOLID,),
        _SIX_OR_MORE,
        multiple=True,
        high_risk=False,
        note=_MOST_SUSPICIOUS,
    ),
    _row(
        "fleischner-solid-multiple-high",
        "several solid nodules, 6 mm or more, high risk",
        "CT at 3 to 6 months; then CT at 18 to 24 months.",
        (_SOLID,),
        _SIX_OR_MORE,
        multiple=True,
        high_risk=True,
        note=_MOST_SUSPICIOUS,
    ),
    _row(
        "fleischner-subsolid-single-small",
        "single subsolid nodule < 6 mm",
        _NONE,
        (_GGN, _PART),
        _SMALL,
        multiple=False,
    ),
    _row(
        "fleischner-ground-glass-single",
        "single ground-glass nodule, 6 mm or more",
        "CT at 6 to 12 months to confirm that it persists; then CT every 2 years until 5 years.",
        (_GGN,),
        _SIX_OR_MORE,
        multiple=False,
    ),
    _row(
        "fleischner-part-solid-single-large-solid-part",
        "single part-solid nodule, 6 mm or more, with a solid part of 6 mm or more",
        "CT at 3 to 6 months to confirm that it persists; then PET/CT, biopsy or excision.",
        (_PART,),
        _SIX_OR_MORE,
        multiple=False,
        solid_part=Bounds(6),
    ),
    _row(
        "fleischner-part-solid-single",
        "single part-solid nodule, 6 mm or more, with a solid part < 6 mm",
        "CT at 3 to 6 months to confirm that it persists; if unchanged, CT every year for 5 years.",
        (_PART,),
        _SIX_OR_MORE,
        multiple=False,
        note="A solid part that is not measured counts as smaller than 6 mm: please measure it.",
    ),
    _row(
        "fleischner-subsolid-multiple-small",
        "several subsolid nodules < 6 mm",
        "CT at 3 to 6 months; if stable, consider CT at 2 and 4 years.",
        (_GGN, _PART),
        _SMALL,
        multiple=True,
    ),
    _row(
        "fleischner-subsolid-multiple",
        "several subsolid nodules, 6 mm or more",
        "CT at 3 to 6 months; then by the most suspicious nodule.",
        (_GGN, _PART),
        _SIX_OR_MORE,
        multiple=True,
    ),
)
FLEISCHNER = Guideline(
    "Fleischner 2017",
    SOURCE,
    Scope(35, 30, screening=False, not_with=("known_cancer", "immunosuppressed")),
    RULES,
    step_mm=1.0,
    not_for=(
        ("situation", Situation.GROWING, "grown since an earlier CT; its table is for new findings"),
        ("benign_calcification", True, "benign calcification; its table is for indeterminate nodules"),
        ("fat", True, "fat in the nodule; its table is for indeterminate nodules"),
    ),
    either=("high_risk",),
)
