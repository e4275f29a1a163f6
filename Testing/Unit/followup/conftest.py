"""Records of nodules and studies."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date

import numpy as np
import pytest

from LungNoduleCADLib.domain.findings import LungSummary, StudyFindings
from LungNoduleCADLib.domain.geometry import Geometry
from LungNoduleCADLib.domain.nodule import (
    AxialAxes,
    Measurements,
    Nodule,
    NoduleCandidate,
    NoduleType,
    Review,
    TypeEstimate,
)
from LungNoduleCADLib.domain.provenance import Method, Provenance
from LungNoduleCADLib.domain.study import SeriesDescription

METHOD = Method("by hand", "1")


@pytest.fixture
def nodule() -> Callable[..., Nodule]:
    def make(
        id: str = "N1",
        place_lps_mm: tuple[float, float, float] = (0.0, 0.0, 0.0),
        volume_mm3: float | None = 268.0,
        kind: NoduleType | None = NoduleType.SOLID,
        review: Review = Review.UNREVIEWED,
    ) -> Nodule:
        measurements = None
        if volume_mm3 is not None:
            d = round((6 * volume_mm3 / np.pi) ** (1 / 3), 1)
            axes = AxialAxes(d, d, 0, (place_lps_mm,) * 2, (place_lps_mm,) * 2)
            measurements = Measurements(volume_mm3, axes, -100.0, volume_mm3 * 0.9, None, None, None)
        estimate = TypeEstimate(kind, {kind: 1.0}, METHOD) if kind else None
        return Nodule(id, NoduleCandidate(place_lps_mm), place_lps_mm, None, measurements, estimate, review=review)

    return make


@pytest.fixture
def study() -> Callable[..., StudyFindings]:
    def make(nodules: list[Nodule], day: date | None = date(2024, 1, 1), slice_mm: float = 1.0) -> StudyFindings:
        geometry = Geometry((200, 200, 200), (-100.0, -100.0, -100.0 * slice_mm), (slice_mm, 1.0, 1.0))
        series = SeriesDescription(f"uid-{day}", patient_key="abc", study_date=day)
        provenance = Provenance("0", "2024-01-01", "cpu", "test")
        return StudyFindings(series, geometry, LungSummary(2500.0, 2300.0, METHOD), tuple(nodules), provenance)

    return make
