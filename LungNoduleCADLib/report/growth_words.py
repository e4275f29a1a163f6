"""Changes in words (en-US): of a nodule since the prior CT, and over all exams."""

from __future__ import annotations

from LungNoduleCADLib.domain.comparison import DoublingBand, EarlierExam, Growth, NoduleMatch, NoduleSeries
from LungNoduleCADLib.guidelines.lung_rads_2022 import is_growth
from LungNoduleCADLib.report.values import NONE, day, signed


def doubling_time(growth: Growth) -> str:
    """VDT with its interval; none where the change lies within the measurement error, for then it means nothing."""
    return _doubling("volume", growth.vdt_days, growth.vdt_interval_95_days)


def _doubling(what: str, days: float | None, interval: tuple[float | None, float | None] | None) -> str:
    if days is None:
        return f"{what}-doubling time not defined (no change, or dates unknown)"
    if interval is not None and None in interval:
        least = f"; if it grows, it doubles in no less than {interval[0]:,.0f} days" if interval[0] else ""
        return f"{what}-doubling time not determined: the change lies within the measurement error{least}"
    if days < 0:
        return f"{what} halving in {-days:,.0f} days"
    text = f"{what}-doubling time {days:,.0f} days"
    return text if interval is None else f"{text} (95% interval {interval[0]:,.0f} to {interval[1]:,.0f} days)"


def growth_rules(change: Growth) -> str:
    """What the rules for growth say: Lung-RADS by diameter, BTS and NELSON by volume; and the mass beside them."""
    grows, slow = is_growth(change.mean_diameter_change_mm, change.interval_days)
    by_diameter = "more than" if grows else "not more than"
    over = " (over more than 12 months)" if slow else ""
    parts = [f"Lung-RADS: mean diameter {by_diameter} 1.5 mm in 12 months{over}"]
    bands = change.vdt_bands
    if len(bands) == 1:
        said = "not growing" if bands[0] is DoublingBand.NOT_GROWING else f"volume-doubling time {bands[0]}"
        parts.append(f"BTS and NELSON: {said}")
    elif bands:
        parts.append(f"BTS and NELSON: the interval reaches from {bands[0]} to {bands[-1]}, not decided")
    if change.mass_change_percent is not None and change.mass_change_interval_95_percent is not None:
        low, high = change.mass_change_interval_95_percent
        doubling = _doubling("mass", change.mdt_days, change.mdt_interval_95_days)
        parts.append(
            f"mass {signed(change.mass_change_percent)}% (95% interval {signed(low)}% to {signed(high)}%), {doubling}"
        )
    return "; ".join(parts)


def earlier_exam(exam: EarlierExam) -> str:
    """Whether an exam before the prior one could be used."""
    failed = "could not be laid onto the current CT, its sizes are left out" if exam.failed else "measured too"
    overlap = f"lung overlap {exam.registration.lung_dice_after:.2f}"
    return f"{day(exam.study_date)}, {exam.days:,} days earlier: {failed} ({overlap})."


def over_all_exams(series: NoduleSeries) -> str:
    """The growth rate that fits all exams: ``growing over 4 exams since 2021-01-02: volume +60% (…)``."""
    shown = [point for point in series.points if point.volume_mm3 is not None]
    low, high = series.volume_change_interval_95_percent or (0.0, 0.0)
    doubling = _doubling("volume", series.vdt_days, series.vdt_interval_95_days)
    return (
        f"{series.change} over {len(shown)} exams since {day(shown[0].study_date)}: volume "
        f"{signed(series.volume_change_percent or 0.0)}% (95% interval {signed(low)}% to {signed(high)}%); {doubling}"
    )


def growth(match: NoduleMatch) -> str:
    """What changed, for a nodule's card."""
    change = match.growth
    if change is None:
        return f"{match.change}{'' if match.prior_id else '; not seen in the prior CT'}"
    low, high = change.volume_change_interval_95_percent
    when = f" in {change.interval_days:,} days" if change.interval_days is not None else ""
    return (
        f"{match.change} ({match.prior_id} in the prior CT): volume {signed(change.volume_change_percent)}% "
        f"(95% interval {signed(low)}% to {signed(high)}%), mean diameter "
        f"{signed(change.mean_diameter_change_mm, 1)} mm{when}; "
        f"{doubling_time(change)}"
    )


def change_short(match: NoduleMatch | None) -> str:
    """For the table: ``growing +48%``."""
    if match is None:
        return NONE
    return f"{match.change} {signed(match.growth.volume_change_percent)}%" if match.growth else match.change.value
