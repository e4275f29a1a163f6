"""Scans of one patient at two or more times, side by side."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from LungNoduleCADLib.domain.provenance import Method
from LungNoduleCADLib.domain.quality import QualityFlag, Severity


class Change(StrEnum):
    """What became of a nodule between two scans; UNCERTAIN: the 95 % interval spans the decision."""

    NEW = "new"
    GROWING = "growing"
    STABLE = "stable"
    SHRINKING = "shrinking"
    RESOLVED = "resolved"
    UNCERTAIN = "uncertain"


class DoublingBand(StrEnum):
    """Bands of the volume-doubling time in which BTS 2015 and NELSON decide, fastest first."""

    FAST = "below 400 days"
    MIDDLE = "400 to 600 days"
    SLOW = "above 600 days"
    NOT_GROWING = "not growing"


@dataclass(frozen=True)
class Growth:
    """Change of one nodule seen twice.

    ``vdt_days``: volume-doubling time t·ln2 / ln(V2/V1), negative where it shrinks, ``None`` where the volumes are
    equal or the dates unknown. ``vdt_interval_95_days``: (lower, upper); an end is ``None`` where it is unbounded (the
    interval of the growth rate contains zero). ``vdt_bands``: every band that the interval reaches into; more than one
    means that the scans do not decide. ``mass_*``, ``mdt_*``: the same of the mass.
    """

    interval_days: int | None
    volume_change_percent: float
    volume_change_interval_95_percent: tuple[float, float]
    mean_diameter_change_mm: float
    vdt_days: float | None
    vdt_interval_95_days: tuple[float | None, float | None] | None
    vdt_bands: tuple[DoublingBand, ...] = ()
    mass_change_percent: float | None = None
    mass_change_interval_95_percent: tuple[float, float] | None = None
    mdt_days: float | None = None
    mdt_interval_95_days: tuple[float | None, float | None] | None = None


@dataclass(frozen=True)
class NoduleMatch:
    """A row of the comparison: a pair, or a nodule seen in one scan only (the other id is ``None``)."""

    prior_id: str | None
    current_id: str | None
    change: Change
    distance_mm: float | None = None
    growth: Growth | None = None
    flags: tuple[QualityFlag, ...] = ()


@dataclass(frozen=True)
class TimePoint:
    """One nodule in one exam; sizes are ``None`` where it was not seen or could not be measured there.

    ``days``: from this exam to the current one, ``None`` where a date is unknown. ``volume_interval_95_mm3``: by the
    measurement error that differs from scan to scan.
    """

    study_date: date | None
    days: int | None
    nodule_id: str | None = None
    volume_mm3: float | None = None
    volume_interval_95_mm3: tuple[float, float] | None = None
    mean_diameter_mm: float | None = None
    mass_mg: float | None = None


@dataclass(frozen=True)
class NoduleSeries:
    """One nodule over all exams, oldest first, the current one last.

    ``change``, ``volume_change_*``, ``vdt_*``: of the constant growth rate that fits all volumes best, from the first
    exam that shows the nodule to the current one; ``None`` where fewer than three dated exams show it.
    ``slow_growth``: it grew over the exams, though the last two by themselves do not say so.
    """

    current_id: str
    points: tuple[TimePoint, ...]
    change: Change | None = None
    volume_change_percent: float | None = None
    volume_change_interval_95_percent: tuple[float, float] | None = None
    vdt_days: float | None = None
    vdt_interval_95_days: tuple[float | None, float | None] | None = None
    slow_growth: bool = False


@dataclass(frozen=True)
class RegistrationQuality:
    """How well the prior was laid onto the current scan; computed inside the lungs."""

    lung_dice_before: float
    lung_dice_after: float
    mean_surface_distance_mm: float | None
    folding_fraction: float
    seconds: float
    method: Method


@dataclass(frozen=True)
class EarlierExam:
    """An exam before the prior one, laid onto the current scan; ``flags`` say what to doubt of it."""

    series_uid: str
    study_date: date | None
    days: int
    registration: RegistrationQuality
    flags: tuple[QualityFlag, ...] = ()

    @property
    def failed(self) -> bool:
        """Whether it could not be laid onto the current scan; its volumes are then left out."""
        return any(flag.severity is Severity.SERIOUS for flag in self.flags)


@dataclass(frozen=True)
class StudyComparison:
    """Everything that follow-up adds to the current findings.

    ``matches``: against the prior exam (the last one before the current). ``earlier``: exams before that one, oldest
    first. ``series``: every current nodule over all exams.
    """

    matches: tuple[NoduleMatch, ...]
    interval_days: int | None
    registration: RegistrationQuality | None
    flags: tuple[QualityFlag, ...] = ()
    earlier: tuple[EarlierExam, ...] = ()
    series: tuple[NoduleSeries, ...] = ()
