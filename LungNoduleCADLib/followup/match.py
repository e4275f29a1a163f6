"""Which nodule of the prior scan is which nodule of the current one."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from scipy.optimize import linear_sum_assignment

from LungNoduleCADLib.domain.comparison import Change, Growth, NoduleMatch
from LungNoduleCADLib.domain.findings import StudyFindings
from LungNoduleCADLib.domain.nodule import Nodule, Review
from LungNoduleCADLib.domain.quality import QualityFlag, Severity
from LungNoduleCADLib.domain.study import SeriesDescription
from LungNoduleCADLib.followup.growth import classify_change, measure_growth, unsteadiness
from LungNoduleCADLib.followup.register import Registration
from LungNoduleCADLib.followup.series import slice_mm

GATE_MM = 10.0
FAILED_GATE_MM = 25.0
# Cost of a pair: distance over the gate, plus these. Nodules do grow and solidify, so position weighs most.
SIZE_WEIGHT = 0.25  # per unit of |ln(volume ratio)|
SIZE_LIMIT = 0.5
TYPE_WEIGHT = 0.25
ALONE_COST = 0.75  # for each of two nodules left without a partner
AMBIGUITY = 0.3
UNSURE_PAIR = QualityFlag(
    "unreliable_registration",
    Severity.WARNING,
    "The scans could not be laid on each other, so this pair may be of two different nodules; look at both.",
)
WIDE_INTERVAL_PERCENT = 100.0
UNSTEADY = 0.22  # |ln| of the ratio: a quarter, as much as counts for growth


def match_nodules(
    prior: StudyFindings, current: StudyFindings, registration: Registration, *, same_image: bool = False
) -> tuple[NoduleMatch, ...]:
    """One-to-one pairs at the lowest total cost of registered distance, size and type; then what has no partner.

    Rejected nodules take no part. Rows: the current nodules in their order, then the prior ones that resolved. A place
    that the other scan does not show, or that a failed registration points at, is ``uncertain``, neither new nor
    resolved. Doubts are in each row's flags.

    Parameters
    ----------
    same_image : both studies are of one and the same scan.
    """
    before = [n for n in prior.nodules if n.review is not Review.REJECTED]
    after = [n for n in current.nodules if n.review is not Review.REJECTED]
    table = _costs(before, after, registration)
    partners = _assign(table.cost)
    rows = []
    for c, nodule in enumerate(after):
        if c in partners:
            p = partners[c]
            rivals = _rivals(table, before, after, (p, c))
            growth = measure_growth(
                before[p],
                nodule,
                _interval_days(prior.series, current.series),
                (slice_mm(prior), slice_mm(current)),
                same_image=same_image,
            )
            row = _pair(before[p], nodule, growth, float(table.distance_mm[p, c]), rivals)
            rows.append(replace(row, flags=(*row.flags, UNSURE_PAIR)) if registration.failed else row)
        else:
            seen = prior.geometry.contains(registration.to_prior_lps_mm(nodule.centroid_lps_mm))
            near = [before[p].id for p in np.flatnonzero(np.isfinite(table.cost[:, c]))]
            rows.append(
                NoduleMatch(
                    None,
                    nodule.id,
                    Change.NEW if seen and not registration.failed else Change.UNCERTAIN,
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
                    Change.RESOLVED if seen and not registration.failed else Change.UNCERTAIN,
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


def _pair(old: Nodule, new: Nodule, growth: Growth | None, distance_mm: float, rivals: list[str]) -> NoduleMatch:
    flags = []
    if rivals:
        flags.append(_warning("ambiguous_match", f"Could also belong to {', '.join(rivals)}; look at the pair."))
    if growth is None:
        flags.append(_warning("growth_not_measured", "One of the two could not be measured, so no change is given."))
        change = Change.UNCERTAIN
    else:
        flags += _growth_flags(old, new, growth)
        change = classify_change(growth.volume_change_percent, growth.volume_change_interval_95_percent)
    return NoduleMatch(old.id, new.id, change, round(distance_mm, 2), growth, tuple(flags))


def _growth_flags(old: Nodule, new: Nodule, growth: Growth) -> list[QualityFlag]:
    flags = []
    low, high = growth.volume_change_interval_95_percent
    if high - low > WIDE_INTERVAL_PERCENT:
        flags.append(
            _warning(
                "wide_growth_interval",
                f"The volume change is known only to within {low:+.0f} to {high:+.0f}% (small nodule, "
                "subsolid or thick slices).",
            )
        )
    for when, nodule in (("prior", old), ("current", new)):
        size = nodule.measurements
        if size and unsteadiness(size.volume_mm3, size.volume_again_mm3) > UNSTEADY:
            message = (
                f"Drawn again, the outline in the {when} scan has {size.volume_again_mm3:.0f} instead of "
                f"{size.volume_mm3:.0f} mm³: check it."
            )
            flags.append(_warning("unsteady_outline", message))
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


def _interval_days(prior: SeriesDescription, current: SeriesDescription) -> int | None:
    if prior.study_date is None or current.study_date is None:
        return None
    return (current.study_date - prior.study_date).days


def _warning(code: str, message: str) -> QualityFlag:
    return QualityFlag(code, Severity.WARNING, message)
