"""Single values in words (en-US), the same wherever they are printed. ``NONE`` stands for not computed."""

from __future__ import annotations

from datetime import date

NONE, NOT_KNOWN = "–", "not known"


def day(value: date | None) -> str:
    return value.isoformat() if value else "date unknown"


def signed(value: float, digits: int = 0) -> str:
    """``+12``, ``−3``, ``0``: a change, never a zero with a sign."""
    shown = f"{value:+.{digits}f}".replace("-", "−")
    return shown if shown.strip("+−0.") else shown[1:]


def percent(probability: float | None) -> str:
    """Whole percents; never 0% or 100%, for no model is certain."""
    if probability is None:
        return NONE
    return "<1%" if probability <= 0.005 else ">99%" if probability >= 0.995 else f"{probability:.0%}"


def chance(probability: float | None, spread_95: tuple[float, float] | None, whose: str = "") -> str:
    """A model's probability, and how the answers of its networks to mirrored views spread: ``62% (45% to 77%)``."""
    low, high = (percent(end) for end in spread_95) if spread_95 else ("", "")
    steady = {low, high} <= {"", percent(probability)}
    return percent(probability) if steady else f"{percent(probability)} ({whose}{low} to {high})"
