"""Made-up findings and a small synthetic CT for the report's tests."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date

import numpy as np
import pytest

from LungNoduleCADLib.domain.clinical import ClinicalContext
from LungNoduleCADLib.domain.comparison import (
    Change,
    DoublingBand,
    EarlierExam,
    Growth,
    NoduleMatch,
    NoduleSeries,
    RegistrationQuality,
    StudyComparison,
    TimePoint,
)
from LungNoduleCADLib.domain.ct import CtVolume
from LungNoduleCADLib.domain.findings import Edit, EditAction, LungSummary, OperatingPoint, RatedPlace, StudyFindings
from LungNoduleCADLib.domain.geometry import Geometry
from LungNoduleCADLib.domain.masks import LungMask, NoduleMask, Side
from LungNoduleCADLib.domain.nodule import (
    AxialAxes,
    HistologyEstimate,
    MalignancyEstimate,
    Measurements,
    Nodule,
    NoduleCandidate,
    NoduleType,
    Saliency,
    TypeEstimate,
)
from LungNoduleCADLib.domain.provenance import Method, Provenance, StageCost
from LungNoduleCADLib.domain.quality import QualityFlag, Severity
from LungNoduleCADLib.domain.study import SeriesDescription
from LungNoduleCADLib.guidelines.exam import assess_findings

GEOMETRY = Geometry((48, 96, 128), (-126.0, -100.0, -300.0), (2.5, 2.0, 2.0))
MODEL = Method("nodule_ct_classify", "0.1.0", "9f2c" * 16)
NO_HISTOLOGY = HistologyEstimate(None, "histology is decided by tissue; no trained weights")
TYPES = (NoduleType.SOLID, NoduleType.PART_SOLID, NoduleType.GROUND_GLASS)
CENTRES = [
    (-70.0, -20.0, -240.0),
    (60.0, 10.0, -250.0),
    (-80.0, 20.0, -210.0),
    (70.0, -30.0, -215.0),
    (-60.0, -40.0, -225.0),
    (55.0, 40.0, -230.0),
    (-90.0, 0.0, -255.0),
    (85.0, 0.0, -205.0),
]


def _series(study_date: date | None, description: str = "CHEST LUNG 2.5 LUNG") -> SeriesDescription:
    return SeriesDescription(
        "1.2.3.4",
        "1.2.3",
        "0123456789abcdef",
        study_date,
        description,
        63.0,
        "F",
        2.5,
        "LUNG",
        "GE MEDICAL SYSTEMS",
        120.0,
        False,
    )


def _points() -> np.ndarray:
    k, j, i = np.indices(GEOMETRY.shape_kji)
    return GEOMETRY.to_lps_mm(np.stack([k, j, i], axis=-1))


def _lung_labels(points: np.ndarray) -> np.ndarray:
    labels = np.zeros(GEOMETRY.shape_kji, np.uint8)
    for label, left in ((1, -68.0), (2, 68.0)):
        radius = (points - (left, 0.0, -240.0)) / (45.0, 70.0, 52.0)
        labels[(radius**2).sum(axis=-1) < 1] = label
    return labels


def _measurements(centre: tuple[float, float, float], diameter_mm: float, kind: NoduleType) -> Measurements:
    left, posterior, superior = centre
    half, short = diameter_mm / 2 + 0.6, diameter_mm / 2 - 0.6

    def axes(factor: float) -> AxialAxes:
        a, b = half * factor, short * factor
        return AxialAxes(
            round(2 * a, 1),
            round(2 * b, 1),
            24,
            ((left - a, posterior, superior), (left + a, posterior, superior)),
            ((left, posterior - b, superior), (left, posterior + b, superior)),
        )

    return Measurements(
        np.pi / 6 * diameter_mm**3,
        axes(1.0),
        -120.5,
        210.4,
        Side.RIGHT if left < 0 else Side.LEFT,
        "upper",
        12.3,
        solid_volume_mm3=60.0 if kind is NoduleType.PART_SOLID else None,
        solid_axes=axes(0.5) if kind is NoduleType.PART_SOLID else None,
    )


def _nodule(number: int, diameter_mm: float, masked: bool) -> Nodule:
    centre, kind = CENTRES[number % len(CENTRES)], TYPES[number % 3]
    mask = saliency = None
    if masked:
        inside = ((_points() - centre) ** 2).sum(axis=-1) < (diameter_mm / 2 + 1) ** 2
        where = np.argwhere(inside)
        start, stop = where.min(axis=0), where.max(axis=0) + 1
        box = tuple(slice(a, b) for a, b in zip(start, stop, strict=True))
        mask = NoduleMask(inside[box], tuple(int(v) for v in start), GEOMETRY, MODEL)
        grid = GEOMETRY.crop(tuple(int(v) - 4 for v in start), tuple(int(v) + 8 for v in inside[box].shape))
        distance = np.linalg.norm(grid.to_lps_mm(np.stack(np.indices(grid.shape_kji), axis=-1)) - centre, axis=-1)
        saliency = Saliency(
            np.exp(-((distance / diameter_mm) ** 2)).astype(np.float32) * 1.7, grid, "malignancy", 0.62, MODEL
        )
    return Nodule(
        f"N{number + 1}",
        NoduleCandidate(centre, diameter_mm, 0.91),
        centre,
        mask,
        _measurements(centre, diameter_mm, kind),
        TypeEstimate(kind, {other: 0.8 if other is kind else 0.1 for other in TYPES}, MODEL),
        MalignancyEstimate(0.62, 3.6, (0.45, 0.77), 0.6, MODEL, ("age",)),
        NO_HISTOLOGY,
        saliency,
        {"original_shape_Sphericity": 0.71},
    )


def _comparison(nodules: tuple[Nodule, ...]) -> StudyComparison:
    growth = Growth(
        181,
        48.0,
        (21.0, 80.0),
        1.8,
        320.0,
        (214.0, 657.0),
        (DoublingBand.FAST, DoublingBand.MIDDLE, DoublingBand.SLOW),
        50.0,
        (22.0, 84.0),
        309.0,
        (206.0, 631.0),
    )
    matches = [NoduleMatch(n.id, n.id, Change.GROWING, 1.2, growth) for n in nodules[:1]]
    matches += [NoduleMatch(None, n.id, Change.NEW) for n in nodules[1:2]]
    matches += [
        NoduleMatch(n.id, n.id, Change.STABLE, 0.8, Growth(181, 2.0, (-15.0, 21.0), 0.1, 6336.0, (657.0, None)))
        for n in nodules[2:]
    ]
    matches.append(NoduleMatch("N9", None, Change.RESOLVED))
    quality = RegistrationQuality(0.81, 0.97, 1.1, 0.0, 24.0, Method("affine and B-spline", "SimpleITK 2.5"))
    unsure = QualityFlag("registration_partial_coverage", Severity.WARNING, "The exam of 2022 shows 80 % of the lungs.")
    earlier = (EarlierExam("1.2.3", date(2022, 9, 3), 546, quality, (unsure,)),)
    return StudyComparison(tuple(matches), 181, quality, (), earlier, tuple(_series_over(n) for n in nodules))


def _series_over(nodule: Nodule) -> NoduleSeries:
    volume = nodule.measurements.volume_mm3
    points = (
        TimePoint(date(2022, 9, 3), 546),
        TimePoint(date(2023, 9, 3), 181, nodule.id, volume * 0.7, (volume * 0.6, volume * 0.82), 5.2, 60.0),
        TimePoint(date(2024, 3, 2), 0, nodule.id, volume, (volume * 0.85, volume * 1.18), 6.2, 80.0),
    )
    return NoduleSeries(nodule.id, points, Change.GROWING, 60.0, (30.0, 97.0), 270.0, (186.0, 483.0), True)


@pytest.fixture(scope="session")
def lungs() -> LungMask:
    return LungMask(_lung_labels(_points()), GEOMETRY, Method("classical", "1"))


@pytest.fixture(scope="session")
def make_ct(lungs: LungMask) -> Callable[[StudyFindings], CtVolume]:
    def make(findings: StudyFindings) -> CtVolume:
        noise = np.random.default_rng(1).normal(0, 25, GEOMETRY.shape_kji)
        hu = np.where(lungs.labels > 0, -860, 40) + noise
        for nodule in findings.nodules:
            if nodule.mask is not None:
                hu[nodule.mask.box][nodule.mask.voxels] = -550 if nodule.type and nodule.type.type is TYPES[2] else 20
        return CtVolume(hu.astype(np.int16), GEOMETRY, findings.series)

    return make


@pytest.fixture(scope="session")
def make_findings() -> Callable[..., StudyFindings]:
    def make(
        count: int = 2, *, prior: bool = False, masked: bool = False, description: str = "CHEST LUNG 2.5 LUNG"
    ) -> StudyFindings:
        nodules = tuple(_nodule(n, 6.2 + 2.3 * ((n * 3) % 5), masked) for n in range(count))
        earlier = tuple(_nodule(n, 5.2 + 2.3 * ((n * 3) % 5), masked) for n in range(count) if n != 1)
        earlier += (replace(_nodule(1, 6.0, masked), id="N9"),)
        findings = StudyFindings(
            _series(date(2024, 3, 2), description),
            GEOMETRY,
            LungSummary(2410.0, 2155.0, Method("lung_ct_segmentation", "0.1.0", "ab" * 32)),
            nodules,
            Provenance(
                "0.1.0",
                "2024-03-02T10:11:12",
                "cpu",
                "analyse CT -o OUT",
                (MODEL,),
                {"torch": "2.13"},
                (StageCost("load", 3.2, 410.0), StageCost("detect", 61.0, 2900.0)),
            ),
            clinical=ClinicalContext(age_years=63.0, smoking_status="former"),
            flags=(
                QualityFlag(
                    "thick_slices", Severity.WARNING, "Slices are 2.5 mm thick: volumes below 100 mm³ are uncertain."
                ),
            ),
            operating_threshold=0.35,
            operating_points=(OperatingPoint(0.35, 0.9, 4.0), OperatingPoint(0.8, 0.7, None)),
            operating_points_source="Two scans with 4 nodules.",
            candidates=(RatedPlace(CENTRES[0], 0.91, "N1"), RatedPlace((0.0, 1.0, -2.0), 0.07)),
            edits=(Edit("2024-03-02T10:20:00+00:00", EditAction.TYPE, "N1", "solid", "part-solid"),),
        )
        if prior:
            before = replace(findings, series=_series(date(2023, 9, 3)), nodules=earlier, flags=(), clinical=None)
            findings = replace(findings, comparison=_comparison(nodules), prior=assess_findings(before))
        return assess_findings(findings)

    return make
