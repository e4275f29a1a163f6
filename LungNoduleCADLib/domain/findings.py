"""Everything one analysis found in one study."""

from __future__ import annotations

from dataclasses import dataclass

from LungNoduleCADLib.domain.clinical import ClinicalContext
from LungNoduleCADLib.domain.comparison import StudyComparison
from LungNoduleCADLib.domain.geometry import Geometry
from LungNoduleCADLib.domain.lung_rads import LungRadsAssessment
from LungNoduleCADLib.domain.nodule import Nodule
from LungNoduleCADLib.domain.provenance import Method, Provenance
from LungNoduleCADLib.domain.quality import QualityFlag
from LungNoduleCADLib.domain.study import SeriesDescription

SCHEMA_VERSION = "1.0"


@dataclass(frozen=True)
class LungSummary:
    """Volumes of the lung mask in millilitres, and what made it."""

    right_volume_ml: float
    left_volume_ml: float
    method: Method


@dataclass(frozen=True)
class StudyFindings:
    """The result of ``analyse``; with ``comparison``, of ``compare`` (then the prior study's nodules are in it too)."""

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
    schema_version: str = SCHEMA_VERSION
