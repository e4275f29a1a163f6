"""Two scans of one patient, side by side."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from LungNoduleCADLib.domain.provenance import Method
from LungNoduleCADLib.domain.quality import QualityFlag


class Change(StrEnum):
    """What became of a nodule between two scans."""

    NEW = "new"
    GROWN = "grown"
    STABLE = "stable"
    SHRUNK = "shrunk"
    GONE = "gone"
    UNCERTAIN = "uncertain"


@dataclass(frozen=True)
class Growth:
    """Change of one nodule seen twice.

    ``vdt_days``: volume-doubling time t·ln2 / ln(V2/V1), negative where it shrinks, ``None`` where the volumes are
    equal or the dates unknown. ``vdt_interval_95_days``: (lower, upper); an end is ``None`` where it is unbounded (the
    interval of the growth rate contains zero).
    """

    interval_days: int | None
    volume_change_percent: float
    volume_change_interval_95_percent: tuple[float, float]
    mean_diameter_change_mm: float
    vdt_days: float | None
    vdt_interval_95_days: tuple[float | None, float | None] | None


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
class RegistrationQuality:
    """How well the prior was laid onto the current scan; computed inside the lungs."""

    lung_dice_before: float
    lung_dice_after: float
    mean_surface_distance_mm: float | None
    folding_fraction: float
    seconds: float
    method: Method


@dataclass(frozen=True)
class StudyComparison:
    """Everything that follow-up adds to the current findings."""

    matches: tuple[NoduleMatch, ...]
    interval_days: int | None
    registration: RegistrationQuality | None
    flags: tuple[QualityFlag, ...] = ()
