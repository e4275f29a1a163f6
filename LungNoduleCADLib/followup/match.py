"""Which nodule of the prior scan is which nodule of the current one."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.optimize import linear_sum_assignment

from LungNoduleCADLib.domain.comparison import Change, Growth, NoduleMatch
from LungNoduleCADLib.domain.findings import StudyFindings
from LungNoduleCADLib.domain.nodule import Nodule, Review
from LungNoduleCADLib.domain.quality import QualityFlag, Severity
from LungNoduleCADLib.domain.study import SeriesDescription
from LungNoduleCADLib.errors import InputError
from LungNoduleCADLib.followup.growth import classify_change, measure_growth
from LungNoduleCADLib.followup.register import Registration

GATE_MM = 10.0
FAILED_GATE_MM = 25.0
# Cost of a pair: distance over the gate, plus these. Nodules do grow and solidify, so position weighs most.
SIZE_WEIGHT = 0.25  # per unit of |ln(volume ratio)|
SIZE_LIMIT = 0.5
TYPE_WEIGHT = 0.25
ALONE_COST = 0.75  # for each of two nodules left without a partner
AMBIGUITY = 0.3
WIDE_INTERVAL_PERCENT = 100.0


def check_order(prior: SeriesDescription, current: SeriesDescription) -> tuple[QualityFlag, ...]:
    """Refuse scans of two people or in the wrong order; doubts about dates and identity come back as flags.

    Raises
    ------
    InputError : different patients, or the prior is the later scan.
    """
    if prior.patient_key and current.patient_key and prior.patient_key != current.patient_key:
        raise InputError(
            "The two scans are of different patients",
            expected="one patient ID in both",
            got="two different ones",
            todo="choose a prior scan of the same patient",
        )
    before, after = prior.study_date, current.study_date
    if before and after and before > after:
        raise InputError(
            "The prior scan is later than the current one",
            expected=f"a prior before {after}",
            got=str(before),
            todo="swap the two scans",
        )
    flags = []
    if not (prior.patient_key and current.patient_key):
        flags.append(
            _warning(
                "patient_unknown",
                "At least one scan has no patient ID, so that both are of the same person was not checked.",
            )
        )
    if prior.series_uid and prior.series_uid == current.series_uid:
        flags.append(_warning("same_series", "Prior and current are the same series: no change can be seen."))
    if not (before and after):
        flags.append(
            _warning(
                "date_missing",
                "At least one scan has no study date, so no doubling time and no 12-month growth can be given.",
            )
        )
    elif before == after:
        flags.append(
            _warning(
                "same_day",
                "Both scans are of the same day: a change in volume is measurement error, and "
                "no doubling time is given.",
            )
        )
    return tuple(flags)


def match_nodules(prior: StudyFindings, current: StudyFindings, registration: Registration) -> tuple[NoduleMatch, ...]:
    """One-to-one pairs at the lowest total cost of registered distance, size and type; then what has no partner.

    Rejected nodules take no part. Rows: the current nodules in their order, then the prior ones that are gone. A place
    that the other scan does not show is ``uncertain``, neither new nor gone. Doubts are in each row's flags.
    """
    before = [n for n in prior.nodules if n.review is not Review.REJECTED]
    after = [n for n in current.nodules if n.review is not Review.REJECTED]
    table = _costs(before, after, registration)
    partners = _assign(table.cost)
    rows = []
    for c, nodule in enumerate(after):
        if c in partners:
            p = partners[c]
            rows.append(_pair(before[p], nodule, prior, current, table, (p, c), _rivals(table, before, after, (p, c))))
        else:
            seen = prior.geometry.contains(registration.to_prior_lps_mm(nodule.centroid_lps_mm))
            near = [before[p].id for p in np.flatnonzero(np.isfinite(table.cost[:, c]))]
            rows.append(
                NoduleMatch(
                    None,
                    nodule.id,
                    Change.NEW if seen else Change.UNCERTAIN,
                    flags=_alone_flags("prior", seen, near, registration),
                )
            )
    for p, nodule in enumerate(before):
        if p not in partners.values():
            seen = current.geometry.contains(registration.to_current_lps_mm(nodule.centroid_lps_mm))
            near = [after[c].id for c in np.flatnonzero(np.isfinite(table.cost[p]))]
            rows.append(
                NoduleMatch(
                    nodule.id,
                    None,
                    Change.GONE if seen else Change.UNCERTAIN,
                    flags=_alone_flags("current", seen, near, registration),
                )
            )
    return tuple(rows)


@dataclass(frozen=True)
class _Table:
    """Distances (mm) and costs of every prior x current pair; the cost is inf beyond the gate."""

    distance_mm: np.ndarray
    cost: np.ndarray


def _costs(before: list[Nodule], after: list[Nodule], registration: Registration) -> _Table:
    places = [registration.to_prior_lps_mm(nodule.centroid_lps_mm) for nodule in after]
    distance = np.zeros((len(before), len(after)))
    cost = np.full_like(distance, np.inf)
    for p, old in enumerate(before):
        for c, new in enumerate(after):
            distance[p, c] = math.dist(places[c], old.centroid_lps_mm)
            gate = max(FAILED_GATE_MM if registration.failed else GATE_MM, _diameter_mm(old), _diameter_mm(new))
            if distance[p, c] <= gate:
                cost[p, c] = distance[p, c] / gate + _difference(old, new)
    return _Table(distance, cost)


def _diameter_mm(nodule: Nodule) -> float:
    return nodule.measurements.axes.mean_diameter_mm if nodule.measurements else 0.0


def _difference(old: Nodule, new: Nodule) -> float:
    """What size and type add to the cost; nothing where they are unknown."""
    cost = 0.0
    a, b = old.measurements, new.measurements
    if a and b and a.volume_mm3 > 0 and b.volume_mm3 > 0:
        cost += min(SIZE_LIMIT, SIZE_WEIGHT * abs(math.log(b.volume_mm3 / a.volume_mm3)))
    if old.type and new.type and old.type.type is not new.type.type:
        cost += TYPE_WEIGHT
    return cost


def _assign(cost: np.ndarray) -> dict[int, int]:
    """Current index -> prior index; leaving two nodules alone costs ``2 * ALONE_COST``, so a bad pair is not made."""
    n, m = cost.shape
    full = np.full((n + m, n + m), ALONE_COST)
    full[:n, :m] = np.where(np.isfinite(cost), cost, 4 * ALONE_COST * (n + m + 1))
    full[n:, m:] = 0.0
    rows, columns = linear_sum_assignment(full)
    return {int(c): int(p) for p, c in zip(rows, columns, strict=True) if p < n and c < m and np.isfinite(cost[p, c])}


def _rivals(table: _Table, before: list[Nodule], after: list[Nodule], pair: tuple[int, int]) -> list[str]:
    """Other nodules that would have suited nearly as well as the chosen partner."""
    p, c = pair
    limit = table.cost[p, c] + AMBIGUITY
    names = [f"prior {before[q].id}" for q in np.flatnonzero(table.cost[:, c] <= limit) if q != p]
    return names + [f"current {after[d].id}" for d in np.flatnonzero(table.cost[p] <= limit) if d != c]


def _pair(
    old: Nodule,
    new: Nodule,
    prior: StudyFindings,
    current: StudyFindings,
    table: _Table,
    pair: tuple[int, int],
    rivals: list[str],
) -> NoduleMatch:
    interval = _interval_days(prior.series, current.series)
    growth = measure_growth(old, new, interval, (_slice_mm(prior), _slice_mm(current)))
    flags = []
    if rivals:
        flags.append(_warning("ambiguous_match", f"Could also belong to {', '.join(rivals)}; look at the pair."))
    if growth is None:
        flags.append(_warning("growth_not_measured", "One of the two could not be measured, so no change is given."))
    else:
        flags += _growth_flags(old, new, growth)
    return NoduleMatch(
        prior_id=old.id,
        current_id=new.id,
        change=classify_change(growth) if growth else Change.UNCERTAIN,
        distance_mm=round(float(table.distance_mm[pair]), 2),
        growth=growth,
        flags=tuple(flags),
    )


def _growth_flags(old: Nodule, new: Nodule, growth: Growth) -> list[QualityFlag]:
    flags = []
    low, high = growth.volume_change_interval_95_percent
    if high - low > WIDE_INTERVAL_PERCENT:
        flags.append(
            _warning(
                "wide_growth_interval",
                f"The volume change is known only to within {low:+.0f} to {high:+.0f} % (small nodule, "
                "subsolid or thick slices).",
            )
        )
    if old.mask and new.mask and old.mask.method != new.mask.method:
        flags.append(
            _warning(
                "different_segmentation",
                f"The outlines are by {_named(old)} and {_named(new)}; part of the change may come from that.",
            )
        )
    if old.type and new.type and old.type.type is not new.type.type:
        flags.append(
            QualityFlag("type_changed", Severity.INFO, f"Was {old.type.type.value}, is now {new.type.type.value}.")
        )
    return flags


def _alone_flags(other: str, seen: bool, near: list[str], registration: Registration) -> tuple[QualityFlag, ...]:
    flags = []
    if not seen:
        flags.append(_warning("outside_other_scan", f"The {other} scan does not show this place."))
    if near:
        flags.append(
            _warning(
                "possible_match",
                f"{', '.join(near)} of the {other} scan lies near; look whether it is the same nodule.",
            )
        )
    if registration.failed:
        flags.append(
            _warning(
                "unreliable_registration",
                f"The scans could not be laid on each other, so a partner in the {other} scan may have been missed.",
            )
        )
    return tuple(flags)


def _named(nodule: Nodule) -> str:
    method = nodule.mask.method if nodule.mask else None
    return f"{method.name} {method.version}" if method else "nothing"


def _slice_mm(findings: StudyFindings) -> float:
    return max(findings.geometry.spacing_kji_mm[0], findings.series.slice_thickness_mm or 0.0)


def _interval_days(prior: SeriesDescription, current: SeriesDescription) -> int | None:
    if prior.study_date is None or current.study_date is None:
        return None
    return (current.study_date - prior.study_date).days


def _warning(code: str, message: str) -> QualityFlag:
    return QualityFlag(code, Severity.WARNING, message)
