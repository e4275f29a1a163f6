"""British Thoracic Society 2015 as data: nodules of adults, however they were found.

Source: Callister MEJ et al., Thorax 2015;70 Suppl 2:ii1-ii54. Volumes where there are any, else longest diameters. The
first row that holds counts.
"""

from __future__ import annotations

from typing import Any

from LungNoduleCADLib.domain.nodule import NoduleType
from LungNoduleCADLib.guidelines.incidental import Guideline
from LungNoduleCADLib.guidelines.rules import ANY, Bounds, Interval, Rule, Situation
from LungNoduleCADLib.guidelines.scope import Scope

SOURCE = "British Thoracic Society 2015 (Callister MEJ et al., Thorax 2015;70 Suppl 2:ii1-ii54)"
_SOLID = (NoduleType.SOLID,)
_SUBSOLID = (NoduleType.PART_SOLID, NoduleType.GROUND_GLASS)
_FIRST = (Situation.BASELINE, Situation.NEW)
_NOT_GROWING = (*_FIRST, Situation.STABLE)
_STABLE, _GROWING = (Situation.STABLE,), (Situation.GROWING,)
_YES = (True,)
_FROM_5, _FROM_8 = Bounds(5, None, 80), Bounds(8, None, 300)
_LOW, _NOT_LOW = Interval(below=0.10), Interval(at_least=0.10)
_AT_3_AND_12 = "CT at 3 months; if stable or doubling in more than 400 days, CT at 12 months."
_ESTIMATE = "Estimate the risk by Brock; from 10% on PET/CT, below CT surveillance."


def _row(
    id_: str,
    text: str,
    management: str,
    total: Bounds = ANY,
    note: str | None = None,
    /,
    **when: tuple[Any, ...] | Interval,
) -> Rule:
    return Rule(id_, text, SOURCE, management, when, total, note=note)


_LARGE: dict[str, Any] = {"type": _SOLID, "situation": _FIRST}
RULES: tuple[Rule, ...] = (
    _row(
        "bts-calcification",
        "diffuse, central, laminated or popcorn calcification",
        "No follow-up.",
        benign_calcification=_YES,
    ),
    _row("bts-fat", "macroscopic fat", "No follow-up.", fat=_YES),
    _row(
        "bts-perifissural",
        "smooth solid perifissural nodule < 10 mm",
        "No follow-up.",
        Bounds(None, 10, None, 524),
        perifissural_smooth=_YES,
        type=_SOLID,
        situation=_NOT_GROWING,
    ),
    _row(
        "bts-subpleural",
        "smooth solid subpleural nodule < 10 mm",
        "No follow-up.",
        Bounds(None, 10, None, 524),
        juxtapleural_smooth=_YES,
        type=_SOLID,
        situation=_NOT_GROWING,
    ),
    _row(
        "bts-small-new",
        "nodule < 5 mm or < 80 mm³ that is definitely new since a CT of the last 1 to 2 years",
        "Follow-up CT.",
        Bounds(None, 5, None, 80),
        "The guideline names no interval for it: please decide.",
        situation=(Situation.NEW,),
    ),
    _row(
        "bts-small",
        "nodule < 5 mm or < 80 mm³",
        "No follow-up.",
        Bounds(None, 5, None, 80),
        situation=(Situation.BASELINE, Situation.STABLE),
    ),
    _row(
        "bts-solid-5-mm",
        "solid nodule of 5 to < 6 mm, measured by diameter",
        "CT at 12 months; if stable, CT at 24 months.",
        Bounds(5, 6, 0, 0),
        **_LARGE,
    ),
    _row(
        "bts-solid-6-mm",
        "solid nodule of 6 to < 8 mm or 80 to < 300 mm³",
        _AT_3_AND_12,
        Bounds(6, 8, 80, 300),
        **_LARGE,
    ),
    _row(
        "bts-solid-8-mm-low",
        "solid nodule of 8 mm or 300 mm³ or more, Brock below 10%",
        _AT_3_AND_12,
        _FROM_8,
        brock_probability=_LOW,
        **_LARGE,
    ),
    _row(
        "bts-solid-8-mm-herder-low",
        "solid nodule of 8 mm or 300 mm³ or more, Brock 10% or more, Herder after PET/CT below 10%",
        "CT surveillance.",
        _FROM_8,
        brock_probability=_NOT_LOW,
        herder_probability=_LOW,
        **_LARGE,
    ),
    _row(
        "bts-solid-8-mm-herder-medium",
        "solid nodule of 8 mm or 300 mm³ or more, Brock 10% or more, Herder after PET/CT 10 to 70%",
        "Consider image-guided biopsy; else excision biopsy or CT surveillance, by individual risk and preference.",
        _FROM_8,
        brock_probability=_NOT_LOW,
        herder_probability=Interval(at_least=0.10, at_most=0.70),
        **_LARGE,
    ),
    _row(
        "bts-solid-8-mm-herder-high",
        "solid nodule of 8 mm or 300 mm³ or more, Brock 10% or more, Herder after PET/CT above 70%",
        "Consider excision or non-surgical treatment, with or without image-guided biopsy.",
        _FROM_8,
        brock_probability=_NOT_LOW,
        herder_probability=Interval(above=0.70),
        **_LARGE,
    ),
    _row(
        "bts-solid-8-mm-pet",
        "solid nodule of 8 mm or 300 mm³ or more, Brock 10% or more",
        "PET/CT, then the risk by Herder.",
        _FROM_8,
        "Where the nodule is too small for the PET/CT at hand, CT surveillance or biopsy by individual risk.",
        brock_probability=_NOT_LOW,
        herder_probability=(None,),
        **_LARGE,
    ),
    _row(
        "bts-solid-8-mm-unknown",
        "solid nodule of 8 mm or 300 mm³ or more, risk not stated",
        _ESTIMATE,
        _FROM_8,
        brock_probability=(None,),
        **_LARGE,
    ),
    _row(
        "bts-solid-doubling-400",
        "growing solid nodule, volume doubling in 400 days or less",
        "Further work-up: biopsy, imaging or resection.",
        type=_SOLID,
        situation=_GROWING,
        vdt_days=Interval(above=0, at_most=400),
    ),
    _row(
        "bts-solid-doubling-600",
        "growing solid nodule, volume doubling in 400 to 600 days",
        "Consider biopsy or further CT surveillance, by preference.",
        type=_SOLID,
        situation=_GROWING,
        vdt_days=Interval(above=400, at_most=600),
    ),
    _row(
        "bts-solid-doubling-slow",
        "growing solid nodule, volume doubling in more than 600 days",
        "Consider discharge or further CT surveillance, by preference.",
        type=_SOLID,
        situation=_GROWING,
        vdt_days=Interval(above=600),
    ),
    _row(
        "bts-solid-growing-unknown",
        "growing solid nodule, doubling time not stated",
        "Measure the volume doubling time; where growth is clear, further work-up.",
        type=_SOLID,
        situation=_GROWING,
    ),
    _row(
        "bts-solid-stable-volume",
        "solid nodule that changed by less than 25% in volume over 12 months",
        "No further follow-up.",
        type=_SOLID,
        situation=_STABLE,
        by_volume=_YES,
        months_since_first=Interval(at_least=11.5),
    ),
    _row(
        "bts-solid-stable-diameter",
        "solid nodule with the same diameter over 24 months",
        "No further follow-up.",
        type=_SOLID,
        situation=_STABLE,
        by_volume=(False,),
        months_since_first=Interval(at_least=23.5),
    ),
    _row(
        "bts-solid-stable",
        "stable solid nodule, not followed long enough",
        "CT at 12 months from the first (by volume) or 12 and 24 months (by diameter).",
        type=_SOLID,
        situation=_STABLE,
    ),
    _row(
        "bts-subsolid-first",
        "subsolid nodule of 5 mm or 80 mm³ or more",
        "CT at 3 months.",
        _FROM_5,
        type=_SUBSOLID,
        situation=_FIRST,
    ),
    _row(
        "bts-subsolid-growing",
        "growing subsolid nodule",
        "Favor resection or non-surgical treatment.",
        type=_SUBSOLID,
        situation=_GROWING,
    ),
    _row(
        "bts-subsolid-altered",
        "subsolid nodule with altered morphology",
        "Favor resection or non-surgical treatment.",
        type=_SUBSOLID,
        situation=_STABLE,
        altered_morphology=_YES,
    ),
    _row(
        "bts-subsolid-concerning",
        "stable subsolid nodule with concerning morphology",
        "Discuss CT surveillance, biopsy or resection.",
        type=_SUBSOLID,
        situation=_STABLE,
        suspicious_features=_YES,
    ),
    _row(
        "bts-subsolid-high",
        "stable subsolid nodule, Brock 10% or more",
        "Discuss CT surveillance, biopsy or resection.",
        type=_SUBSOLID,
        situation=_STABLE,
        brock_probability=_NOT_LOW,
    ),
    _row(
        "bts-subsolid-low",
        "stable subsolid nodule, Brock below 10%",
        "CT at 1, 2 and 4 years from the first.",
        type=_SUBSOLID,
        situation=_STABLE,
        brock_probability=_LOW,
    ),
    _row(
        "bts-subsolid-unknown",
        "stable subsolid nodule, risk not stated",
        "Estimate the risk by Brock: below 10% CT at 1, 2 and 4 years, else discuss biopsy or resection.",
        type=_SUBSOLID,
        situation=_STABLE,
    ),
)
BTS = Guideline(
    "BTS 2015",
    SOURCE,
    Scope(18, 30),
    RULES,
    step_mm=0.1,
    longest=True,
    volume_first=True,
    notes=(
        "Growth is 25% or more in volume. An earlier cancer counts in the judgement of risk.",
        "A doubling time of exactly 400 days, which summaries put on either side, is taken as the faster growth.",
    ),
)
