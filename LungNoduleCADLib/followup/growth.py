"""How much a nodule changed between two scans, and how sure that is.

Measurement error
-----------------
The volume V of one scan is taken as log-normal: sd(ln V) of one measurement is

    sqrt(floor**2 + (6 * boundary_mm / d)**2 + (again * u)**2)
    boundary_mm**2 = b**2 + (s * max(0, slice_mm - 1.25))**2

with d the diameter of the sphere of that volume: an outline misplaced by ``boundary_mm`` changes ln V by 6 / d times
that, so small nodules are less certain; b depends on the type, s on the slices. u = |ln V'/V| is how far the outline
drawn again from the middle of the first differs: one that takes in a vessel, or a part only, is rarely drawn twice
alike. Errors of two scans are independent and add in quadrature; to them comes an error in proportion to the change
itself (``share_of_change`` of ln V2/V1), for an outline that is a little too large on small nodules and too small on
large ones errs in the change by a part of it.

The constants are those of this software's own outlines: fitted on simulated follow-up of fold 3 of LIDC-IDRI
(``Testing/Benchmarks/growth.py --fit``) and judged on fold 2 (``growth.json``). The simulation holds neither another
breath-hold's effect on the nodule nor another scanner or kernel, so what is published for patients scanned twice is
wider: ±27 % for an unchanged solid nodule (Italian MILD screening repeatability), -25.1 to +28.9 % (ultra-low-dose
interscan, PMC3043750), -35.4 to +28.6 % for a subsolid one (Scholten et al., Eur Radiol 2015, doi
10.1007/s00330-014-3478-1); in slices of 2.5 and 5 mm doubling times are "extremely wide" (PMC5989730). For that reason
less than +25 % is never called growth, however narrow its interval; the report says so among its limits.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from LungNoduleCADLib.domain.comparison import Change, DoublingBand, Growth
from LungNoduleCADLib.domain.nodule import Measurements, Nodule, NoduleType
from LungNoduleCADLib.errors import InputError

# BTS 2015 and NELSON: a volume change of 25 % or more is growth; -20 % is the same step downwards (1 / 1.25).
GROWTH_PERCENT = 25.0
SHRINKAGE_PERCENT = -20.0
FAST_DAYS, SLOW_DAYS = 400.0, 600.0

THIN_SLICE_MM = 1.25
Z95 = 1.959964


@dataclass(frozen=True)
class MeasurementError:
    """How far one measured volume may be from the true one; see the head of this module."""

    floor_log_sd: float
    solid_boundary_mm: float
    subsolid_boundary_mm: float
    boundary_mm_a_slice_mm: float
    again: float
    share_of_change: float
    mass_share: float

    def log_volume_sd(
        self, volume_mm3: float, kind: NoduleType | None, slice_mm: float, volume_again_mm3: float | None = None
    ) -> float:
        """Standard deviation of ln(volume) of one measurement; an unknown type counts as subsolid (the wider)."""
        diameter_mm = (6.0 * volume_mm3 / math.pi) ** (1 / 3)
        boundary_mm = self.solid_boundary_mm if kind is NoduleType.SOLID else self.subsolid_boundary_mm
        boundary_mm = math.hypot(boundary_mm, self.boundary_mm_a_slice_mm * max(0.0, slice_mm - THIN_SLICE_MM))
        unsteady = self.again * unsteadiness(volume_mm3, volume_again_mm3)
        return math.hypot(self.floor_log_sd, 6.0 * boundary_mm / diameter_mm, unsteady)

    def log_ratio_sd(
        self, sizes: tuple[Measurements, Measurements], kind: NoduleType | None, slices_mm: tuple[float, float]
    ) -> float:
        """Standard deviation of ln(V2 / V1) of two scans."""
        each = [
            self.log_volume_sd(size.volume_mm3, kind, mm, size.volume_again_mm3)
            for size, mm in zip(sizes, slices_mm, strict=True)
        ]
        return math.hypot(*each, self.share_of_change * math.log(sizes[1].volume_mm3 / sizes[0].volume_mm3))


ERROR = MeasurementError(0.025, 0.037, 0.047, 0.025, 1.241, 0.091, 0.662)
MOST_UNSTEADY = 1.5


def unsteadiness(volume_mm3: float, volume_again_mm3: float | None) -> float:
    """|ln V'/V| of an outline drawn twice, 1.5 at most; 0 where it was drawn once."""
    if volume_again_mm3 is None:
        return 0.0
    return min(MOST_UNSTEADY, abs(math.log(volume_again_mm3 / volume_mm3))) if volume_again_mm3 > 0 else MOST_UNSTEADY


def log_volume_sd(
    volume_mm3: float, kind: NoduleType | None, slice_mm: float, volume_again_mm3: float | None = None
) -> float:
    """Standard deviation of ln(volume) of one measurement of this software."""
    return ERROR.log_volume_sd(volume_mm3, kind, slice_mm, volume_again_mm3)


def volume_interval_95_mm3(
    volume_mm3: float, kind: NoduleType | None, slice_mm: float, volume_again_mm3: float | None = None
) -> tuple[float, float]:
    """The volume with the part of its error that differs from scan to scan."""
    reach = math.exp(Z95 * log_volume_sd(volume_mm3, kind, slice_mm, volume_again_mm3))
    return volume_mm3 / reach, volume_mm3 * reach


def volume_doubling_time_days(prior_mm3: float, current_mm3: float, interval_days: float) -> float | None:
    """t·ln2 / ln(V2/V1): negative where the volume shrinks, ``None`` where it is equal or no time has passed."""
    return doubling_days(math.log(current_mm3 / prior_mm3), interval_days)


def measure_growth(
    prior: Nodule,
    current: Nodule,
    interval_days: int | None,
    slice_spacing_mm: tuple[float, float],
    *,
    same_image: bool = False,
) -> Growth | None:
    """Change of one nodule between two scans, with 95 % intervals.

    Parameters
    ----------
    interval_days : days from prior to current; ``None`` where a date is missing. 0 gives no doubling time.
    slice_spacing_mm : distance (or thickness, if larger) of the slices, prior and current.
    same_image : both are one and the same scan, whose measurement errors are the same and cancel.

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
    kind = common_kind(prior, current)
    sd = 0.0 if same_image else ERROR.log_ratio_sd((before, after), kind, slice_spacing_mm)
    volume = _Change.of(before.volume_mm3, after.volume_mm3, sd)
    weighed = min(before.mass_mg, after.mass_mg) > 0
    mass = _Change.of(before.mass_mg, after.mass_mg, sd * ERROR.mass_share) if weighed else None
    return Growth(
        interval_days=interval_days,
        volume_change_percent=volume.percent,
        volume_change_interval_95_percent=volume.interval_percent,
        mean_diameter_change_mm=round(after.axes.mean_diameter_mm - before.axes.mean_diameter_mm, 1),
        vdt_days=doubling_days(volume.log_ratio, interval_days),
        vdt_interval_95_days=doubling_interval(volume.low, volume.high, interval_days),
        vdt_bands=doubling_bands(volume.low, volume.high, interval_days),
        mass_change_percent=mass.percent if mass else None,
        mass_change_interval_95_percent=mass.interval_percent if mass else None,
        mdt_days=doubling_days(mass.log_ratio, interval_days) if mass else None,
        mdt_interval_95_days=doubling_interval(mass.low, mass.high, interval_days) if mass else None,
    )


def classify_change(change_percent: float, interval_95_percent: tuple[float, float]) -> Change:
    """Growing, stable, shrinking, or uncertain.

    * growing: at least +25 % and the 95 % interval excludes no change; shrinking: the same downwards, from -20 %;
    * stable: the whole interval lies between -20 and +25 %;
    * uncertain: anything else, because the interval spans the decision.
    """
    low, high = interval_95_percent
    if change_percent >= GROWTH_PERCENT and low > 0:
        return Change.GROWING
    if change_percent <= SHRINKAGE_PERCENT and high < 0:
        return Change.SHRINKING
    if low > SHRINKAGE_PERCENT and high < GROWTH_PERCENT:
        return Change.STABLE
    return Change.UNCERTAIN


def common_kind(*nodules: Nodule) -> NoduleType | None:
    """Solid only if every scan says so; anything else counts as the less certain kind."""
    kinds = {nodule.type.type if nodule.type else None for nodule in nodules}
    return NoduleType.SOLID if kinds == {NoduleType.SOLID} else None


def percent(log_ratio: float) -> float:
    return 100.0 * math.expm1(log_ratio)


def doubling_days(log_ratio: float, interval_days: float | None) -> float | None:
    """Negative where it halves; ``None`` where nothing changed or the time is not known or zero."""
    return interval_days * math.log(2) / log_ratio if interval_days and log_ratio else None


def doubling_interval(low: float, high: float, interval_days: float | None) -> tuple[float | None, float | None] | None:
    """Doubling times from the fastest growth to the slowest that the data allow (``low``, ``high``: log ratios).

    Where the rate may be zero the slow end is unbounded (``None``). Both ends are negative (halving times, the slowest
    first) where the nodule surely shrinks.
    """
    if not interval_days:
        return None
    fastest, slowest = doubling_days(high, interval_days), doubling_days(low, interval_days)
    if low > 0 or high < 0:
        return fastest, slowest
    return (fastest if high > 0 else None), None


def doubling_bands(low: float, high: float, interval_days: float | None) -> tuple[DoublingBand, ...]:
    """The bands of BTS and NELSON that growth between two log ratios reaches into, fastest first."""
    if not interval_days:
        return ()
    edges = [math.inf, math.log(2) / FAST_DAYS, math.log(2) / SLOW_DAYS, 0.0, -math.inf]  # growth a day
    slowest, fastest = low / interval_days, high / interval_days
    bands = zip(DoublingBand, edges, edges[1:], strict=False)
    return tuple(band for band, above, below in bands if slowest < above and fastest >= below)


@dataclass(frozen=True)
class _Change:
    """A ratio of two measurements in logarithms, with its 95 % interval."""

    log_ratio: float
    low: float
    high: float

    @classmethod
    def of(cls, before: float, after: float, sd: float) -> _Change:
        ratio = math.log(after / before)
        return cls(ratio, ratio - Z95 * sd, ratio + Z95 * sd)

    @property
    def percent(self) -> float:
        return percent(self.log_ratio)

    @property
    def interval_percent(self) -> tuple[float, float]:
        return percent(self.low), percent(self.high)
