"""A nodule over two to six exams: what every exam measured, and the growth rate that fits all of them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from LungNoduleCADLib.domain.comparison import Change, NoduleMatch, NoduleSeries, StudyComparison, TimePoint
from LungNoduleCADLib.domain.findings import StudyFindings
from LungNoduleCADLib.domain.nodule import Nodule
from LungNoduleCADLib.domain.quality import QualityFlag, Severity
from LungNoduleCADLib.followup.growth import (
    ERROR,
    Z95,
    classify_change,
    common_kind,
    doubling_days,
    doubling_interval,
    percent,
    volume_interval_95_mm3,
)

MOST_EXAMS = 6
LEAST_EXAMS_OF_A_TREND = 3
SLOW_GROWTH = "slow_growth"


def slice_mm(findings: StudyFindings) -> float:
    """Distance of the slices, or their thickness where that is larger."""
    return max(findings.geometry.spacing_kji_mm[0], findings.series.slice_thickness_mm or 0.0)


def time_point(exam: StudyFindings, current: StudyFindings, nodule: Nodule | None) -> TimePoint:
    """A nodule of an exam as a point of its series; ``None`` where the exam does not show it."""
    before, after = exam.series.study_date, current.series.study_date
    days = (after - before).days if before and after else None
    if nodule is None or nodule.measurements is None:
        return TimePoint(before, days, nodule.id if nodule else None)
    measured = nodule.measurements
    return TimePoint(
        study_date=before,
        days=days,
        nodule_id=nodule.id,
        volume_mm3=measured.volume_mm3,
        volume_interval_95_mm3=volume_interval_95_mm3(
            measured.volume_mm3, common_kind(nodule), slice_mm(exam), measured.volume_again_mm3
        ),
        mean_diameter_mm=measured.axes.mean_diameter_mm,
        mass_mg=measured.mass_mg,
    )


Points = Mapping[str, Sequence[TimePoint]]
"""{current nodule id: its points in the exams before the prior one, oldest first}."""


def with_series(
    comparison: StudyComparison, current: StudyFindings, prior: StudyFindings, earlier: Points
) -> StudyComparison:
    """The comparison with every current nodule over all exams; slow growth is flagged at the nodule's row."""
    before = {nodule.id: nodule for nodule in prior.nodules}
    now = {nodule.id: nodule for nodule in current.nodules}
    series, matches = [], []
    for match in comparison.matches:
        row = replace(match, flags=tuple(flag for flag in match.flags if flag.code != SLOW_GROWTH))
        if match.current_id is not None:
            old, new = before.get(match.prior_id or ""), now[match.current_id]
            last = time_point(prior, current, old), time_point(current, current, new)
            points = (*earlier.get(match.current_id, ()), *last)
            series.append(_with_trend(NoduleSeries(match.current_id, points), match))
            if series[-1].slow_growth:
                row = replace(row, flags=(*row.flags, _slow_growth_flag(series[-1])))
        matches.append(row)
    return replace(comparison, matches=tuple(matches), series=tuple(series))


def series_of(findings: StudyFindings, nodule_id: str) -> NoduleSeries | None:
    """A current nodule over all exams; of results that were written before there were series, over the last two."""
    comparison = findings.comparison
    if comparison is None:
        return None
    if not comparison.series and findings.prior is not None:
        comparison = with_series(comparison, findings, findings.prior, {})
    return next((series for series in comparison.series if series.current_id == nodule_id), None)


def earlier_points(comparison: StudyComparison) -> Points:
    """What the exams before the prior one measured."""
    return {series.current_id: series.points[:-2] for series in comparison.series}


def _with_trend(series: NoduleSeries, match: NoduleMatch) -> NoduleSeries:
    """The series with the constant growth rate that its volumes, weighted by their errors, fit best."""
    seen = [p for p in series.points if p.volume_mm3 and p.volume_interval_95_mm3 and p.days is not None]
    if len(seen) < LEAST_EXAMS_OF_A_TREND or len({p.days for p in seen}) < LEAST_EXAMS_OF_A_TREND:
        return series
    days = np.array([-float(p.days or 0) for p in seen])
    logs = np.log([p.volume_mm3 or 1.0 for p in seen])
    sds = np.array([math.log(p.volume_interval_95_mm3[1] / p.volume_mm3) / Z95 for p in seen])  # type: ignore[index,operator]
    weights = sds**-2.0
    centred = days - np.average(days, weights=weights)
    spread = float(np.sum(weights * centred**2))
    rate = float(np.sum(weights * centred * logs)) / spread
    sd = math.hypot(spread**-0.5, ERROR.share_of_change * rate)
    span = float(np.ptp(days))
    ratio, low, high = (span * value for value in (rate, rate - Z95 * sd, rate + Z95 * sd))
    change = classify_change(percent(ratio), (percent(low), percent(high)))
    return replace(
        series,
        change=change,
        volume_change_percent=percent(ratio),
        volume_change_interval_95_percent=(percent(low), percent(high)),
        vdt_days=doubling_days(ratio, span),
        vdt_interval_95_days=doubling_interval(low, high, span),
        slow_growth=change is Change.GROWING and match.change is not Change.GROWING,
    )


def _slow_growth_flag(series: NoduleSeries) -> QualityFlag:
    """What a reader must know of a nodule that grew over all exams though not clearly since the last."""
    shown = [point for point in series.points if point.volume_mm3]
    low, high = series.volume_change_interval_95_percent or (math.nan, math.nan)
    message = (
        f"Slow growth over {len(shown)} exams since {shown[0].study_date}: volume "
        f"{series.volume_change_percent:+.0f}% (95% interval {low:+.0f} to {high:+.0f}%), which the last two exams "
        "alone do not show. A solid or part-solid nodule that grows slowly over several exams may be Lung-RADS 4B."
    )
    return QualityFlag(SLOW_GROWTH, Severity.WARNING, message)
