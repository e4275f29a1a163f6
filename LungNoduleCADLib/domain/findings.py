"""Everything one analysis found in one study."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from LungNoduleCADLib.domain.clinical import ClinicalContext
from LungNoduleCADLib.domain.comparison import StudyComparison
from LungNoduleCADLib.domain.geometry import Geometry
from LungNoduleCADLib.domain.lung_rads import LungRadsAssessment
from LungNoduleCADLib.domain.nodule import Nodule, Origin, Point
from LungNoduleCADLib.domain.provenance import Method, Provenance
from LungNoduleCADLib.domain.quality import QualityFlag
from LungNoduleCADLib.domain.study import SeriesDescription

SCHEMA_VERSION = "1.3"


@dataclass(frozen=True)
class LungSummary:
    """Volumes of the lung mask in millilitres, and what made it."""

    right_volume_ml: float
    left_volume_ml: float
    method: Method


class EditAction(StrEnum):
    """What a reader can change."""

    ACCEPT = "accept"
    REJECT = "reject"
    UNREVIEW = "unreview"
    DELETE = "delete"
    ADD = "add"
    OUTLINE = "outline"
    TYPE = "type"
    FACTS = "facts"
    CLINICAL = "clinical"
    THRESHOLD = "threshold"
    EXAM_CATEGORY = "exam_category"


@dataclass(frozen=True)
class Edit:
    """What a reader changed and when, never who: ``at`` is ISO 8601 UTC, ``before`` and ``after`` are short words."""

    at: str
    action: EditAction
    nodule_id: str | None = None
    before: str | None = None
    after: str | None = None


@dataclass(frozen=True)
class RatedPlace:
    """A place that was rated; ``nodule_id``: what it was called on the list, also when it is off it now.

    ``origin``: who pointed at it; only the detector's own places follow the threshold.
    """

    centre_lps_mm: Point
    probability: float
    nodule_id: str | None = None
    origin: Origin = Origin.DETECTOR


@dataclass(frozen=True)
class OperatingPoint:
    """What a threshold on the nodule probability was measured to give, per outlined nodule; ``None``: not measured."""

    threshold: float
    sensitivity: float | None
    false_positives_per_scan: float | None


@dataclass(frozen=True)
class StudyFindings:
    """The result of ``analyse``; with ``comparison``, of ``compare`` (then the prior study's nodules are in it too).

    ``candidates``: every place rated 0.05 or more, most probable first, so that the threshold can be lowered later.
    ``edits``: what readers changed, oldest first; nothing is ever taken out.
    """

    series: SeriesDescription
    geometry: Geometry
    lungs: LungSummary
    nodules: tuple[Nodule, ...]
    provenance: Provenance
    lung_rads: LungRadsAssessment | None = None
    clinical: ClinicalContext | None = None
    comparison: StudyComparison | None = None
    prior: StudyFindings | None = None
    flags: tuple[QualityFlag, ...] = ()
    operating_threshold: float | None = None
    operating_points: tuple[OperatingPoint, ...] = ()
    operating_points_source: str = ""
    candidates: tuple[RatedPlace, ...] = ()
    edits: tuple[Edit, ...] = ()
    schema_version: str = SCHEMA_VERSION
