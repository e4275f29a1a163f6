"""What became of a nodule, in the words of the report."""

from slicer.i18n import tr as _

NONE = "–"


def doublingTime(match: dict) -> str:
    """Volume-doubling time with its interval; none where the change lies within the measurement error."""
    days, interval = match["vdt_days"], match["vdt_interval_95_days"]
    if days is None:
        return _("volume-doubling time not defined (no change, or dates unknown)")
    if interval is not None and None in interval:
        text = _("volume-doubling time not determined: the change lies within the measurement error")
        if not interval[0]:
            return text
        return _("{text}; if it grows, it doubles in no less than {days:,.0f} days").format(text=text, days=interval[0])
    if days < 0:
        return _("volume halving in {days:,.0f} days").format(days=-days)
    text = _("volume-doubling time {days:,.0f} days").format(days=days)
    if interval is None:
        return text
    return _("{text} (95% interval {low:,.0f} to {high:,.0f} days)").format(
        text=text, low=interval[0], high=interval[1]
    )


def signed(value: float, digits: int = 0) -> str:
    """``+12``, ``−3``, ``0``: a change, never a zero with a sign."""
    shown = f"{value:+.{digits}f}".replace("-", "−")
    return shown if shown.strip("+−0.") else shown[1:]


def growth(match: dict) -> str:
    """The change of one nodule in a sentence."""
    if match["volume_change_percent"] is None:
        return match["change"] if match["prior_id"] else _("{change}; not seen in the prior CT").format(**match)
    low, high = match["volume_change_interval_95_percent"]
    days = match["interval_days"]
    when = _(" in {days:,} days").format(days=days) if days is not None else ""
    return _(
        "{change} ({prior_id} in the prior CT): volume {percent}% (95% interval {low}% to {high}%), "
        "mean diameter {diameter} mm{when}; {doubling}"
    ).format(
        change=match["change"],
        prior_id=match["prior_id"],
        percent=signed(match["volume_change_percent"]),
        low=signed(low),
        high=signed(high),
        diameter=signed(match["mean_diameter_change_mm"], 1),
        when=when,
        doubling=doublingTime(match),
    )


def summary(findings: dict) -> str:
    """When the prior CT was made, and what became of the nodules: ``2019-07-31, 184 days earlier: 1 new.``"""
    comparison, prior = findings["comparison"], findings["prior"]
    day = (prior["series"]["study_date"] if prior else None) or _("date unknown")
    days = comparison["interval_days"]
    earlier = _(", {days:,} days earlier").format(days=days) if days is not None else ""
    return _("Prior CT of {day}{earlier}: {counts}.").format(day=day, earlier=earlier, counts=_counts(findings))


def registration(comparison: dict) -> str:
    """How well the prior CT was laid onto the current one; empty where that was not measured."""
    quality = comparison["registration"]
    if quality is None:
        return ""
    distance = quality["mean_surface_distance_mm"]
    surface = _(", mean surface distance {distance:.1f} mm").format(distance=distance) if distance is not None else ""
    return _(
        "Registration: lung overlap (Dice) {lung_dice_before:.2f} before, {lung_dice_after:.2f} after{surface}; "
        "folded {folding_fraction:.1%}."
    ).format(**quality, surface=surface)


def flags(items: list[dict]) -> str:
    """One line a flag, the severity first."""
    return "\n".join(f"{flag['severity'].capitalize()}: {flag['message']}" for flag in items)


def _counts(findings: dict) -> str:
    rejected = {nodule["id"] for nodule in findings["nodules"] if nodule["review"] == "rejected"}
    changes = [m["change"] for m in findings["comparison"]["matches"] if m["current_id"] not in rejected]
    counted = ", ".join(f"{changes.count(change)} {change}" for change in dict.fromkeys(changes))
    return counted or _("no nodule in either CT")
