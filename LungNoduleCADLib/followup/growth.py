"""How much a nodule changed between two scans, and how sure that is.

Measurement error
-----------------
The volume V of one scan is taken as log-normal: sd(ln V) of one measurement is

    sqrt(FLOOR**2 + (6 * boundary_mm / d)**2),   boundary_mm**2 = B**2 + (S * max(0, slice_mm - 1.25))**2

with d the diameter of the sphere of that volume: an outline misplaced by ``boundary_mm`` changes ln V by 6 / d times
that, so small nodules are less certain. B is set so that two scans of an unchanged 8 mm nodule in thin slices differ by
the published 95 % limits:

* solid: within ±27 % (Italian MILD screening repeatability) and -25.1 … +28.9 % (ultra-low-dose interscan, PMC3043750);
* subsolid: -35.4 … +28.6 % (Scholten et al., Eur Radiol 2015, doi 10.1007/s00330-014-3478-1).

S, what thick slices add, has no published figure: volume-doubling intervals are "extremely wide" at 2.5 and 5 mm
(PMC5989730), and S is this project's assumption. Errors of the two scans are independent, so they add in quadrature.
"""

from __future__ import annotations

import math

from LungNoduleCADLib.domain.comparison import Change, Growth
from LungNoduleCADLib.domain.nodule import Nodule, NoduleType
from LungNoduleCADLib.errors import InputError

# BTS 2015 and NELSON: a volume change of 25 % or more is growth; -20 % is the same step downwards (1 / 1.25).
GROWTH_PERCENT = 25.0
SHRINKAGE_PERCENT = -20.0
# Two scans of an unchanged solid nodule differ by less than this in about 70 % of cases (MILD).
UNCHANGED_PERCENT = 10.0

REFERENCE_DIAMETER_MM = 8.0
FLOOR_LOG_SD = 0.04
THIN_SLICE_MM = 1.25
SLICE_BOUNDARY = 0.1
Z95 = 1.959964


def _log_sd_of_limits(lower_percent: float, upper_percent: float) -> float:
    """sd(ln V) of one scan from the 95 % limits of the difference between two."""
    width = math.log1p(upper_percent / 100) - math.log1p(lower_percent / 100)
    return width / 2 / Z95 / math.sqrt(2)


def _boundary_mm(log_sd: float) -> float:
    return REFERENCE_DIAMETER_MM / 6 * math.sqrt(log_sd**2 - FLOOR_LOG_SD**2)


SOLID_BOUNDARY_MM = _boundary_mm(_log_sd_of_limits(-27.0, 27.0))
SUBSOLID_BOUNDARY_MM = _boundary_mm(_log_sd_of_limits(-35.4, 28.6))


def log_volume_sd(volume_mm3: float, kind: NoduleType | None, slice_mm: float) -> float:
    """Standard deviation of ln(volume) of one measurement; a nodule of unknown type counts as subsolid (the wider)."""
    diameter_mm = (6.0 * volume_mm3 / math.pi) ** (1 / 3)
    boundary = SOLID_BOUNDARY_MM if kind is NoduleType.SOLID else SUBSOLID_BOUNDARY_MM
    boundary = math.hypot(boundary, SLICE_BOUNDARY * max(0.0, slice_mm - THIN_SLICE_MM))
    return math.hypot(FLOOR_LOG_SD, 6.0 * boundary / diameter_mm)


def volume_doubling_time_days(prior_mm3: float, current_mm3: float, interval_days: float) -> float | None:
    """t·ln2 / ln(V2/V1): negative where the volume shrinks, ``None`` where it is equal or no time has passed."""
    return _doubling_days(math.log(current_mm3 / prior_mm3), interval_days)


def measure_growth(
    prior: Nodule, current: Nodule, interval_days: int | None, slice_spacing_mm: tuple[float, float]
) -> Growth | None:
    """Change of one nodule between two scans, with 95 % intervals.

    Parameters
    ----------
    interval_days : days from prior to current; ``None`` where a date is missing. 0 gives no doubling time.
    slice_spacing_mm : distance (or thickness, if larger) of the slices, prior and current.

    Returns
    -------
    ``None`` where one of the two could not be measured.

    Raises
    ------
    InputError : the interval is negative.
    """
    if interval_days is not None and interval_days < 0:
        raise InputError(
            "The prior scan is later than the current one",
            expected="an interval of 0 days or more",
            got=f"{interval_days} days",
            todo="swap the two scans",
        )
    before, after = prior.measurements, current.measurements
    if before is None or after is None or min(before.volume_mm3, after.volume_mm3) <= 0:
        return None
    ratio = math.log(after.volume_mm3 / before.volume_mm3)
    sd = math.hypot(
        log_volume_sd(before.volume_mm3, _kind(prior, current), slice_spacing_mm[0]),
        log_volume_sd(after.volume_mm3, _kind(prior, current), slice_spacing_mm[1]),
    )
    low, high = ratio - Z95 * sd, ratio + Z95 * sd
    return Growth(
        interval_days=interval_days,
        volume_change_percent=_percent(ratio),
        volume_change_interval_95_percent=(_percent(low), _percent(high)),
        mean_diameter_change_mm=round(after.axes.mean_diameter_mm - before.axes.mean_diameter_mm, 1),
        vdt_days=_doubling_days(ratio, interval_days),
        vdt_interval_95_days=_doubling_interval(low, high, interval_days),
    )


def classify_change(growth: Growth) -> Change:
    """Grown, stable, shrunk, or uncertain.

    * grown: at least +25 % and the 95 % interval excludes no change; shrunk: the same downwards, from -20 %;
    * stable: changed by less than 10 %, or the whole interval lies between -20 and +25 %;
    * uncertain: anything else, because the interval spans the decision.
    """
    low, high = growth.volume_change_interval_95_percent
    change = growth.volume_change_percent
    if change >= GROWTH_PERCENT and low > 0:
        return Change.GROWN
    if change <= SHRINKAGE_PERCENT and high < 0:
        return Change.SHRUNK
    if abs(change) < UNCHANGED_PERCENT or (low > SHRINKAGE_PERCENT and high < GROWTH_PERCENT):
        return Change.STABLE
    return Change.UNCERTAIN


def _kind(prior: Nodule, current: Nodule) -> NoduleType | None:
    """Solid only if both scans say so; anything else counts as the less certain kind."""
    kinds = {nodule.type.type if nodule.type else None for nodule in (prior, current)}
    return NoduleType.SOLID if kinds == {NoduleType.SOLID} else None


def _percent(log_ratio: float) -> float:
    return 100.0 * math.expm1(log_ratio)


def _doubling_days(log_ratio: float, interval_days: float | None) -> float | None:
    return interval_days * math.log(2) / log_ratio if interval_days and log_ratio else None


def _doubling_interval(low: float, high: float, interval_days: int | None) -> tuple[float | None, float | None] | None:
    """Doubling times from the fastest growth to the slowest that the data allow.

    Where the rate may be zero the slow end is unbounded (``None``). Both ends are negative (halving times, the slowest
    first) where the nodule surely shrinks.
    """
    if not interval_days:
        return None
    fastest, slowest = _doubling_days(high, interval_days), _doubling_days(low, interval_days)
    if low > 0 or high < 0:
        return fastest, slowest
    return fastest, None
