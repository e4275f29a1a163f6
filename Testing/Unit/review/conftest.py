"""A made-up patient, scanned twice: balls in empty lung, and models that see a ball by its density."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import date

import numpy as np
import pytest
import SimpleITK as sitk
from scipy import ndimage

from LungNoduleCADLib.domain.comparison import RegistrationQuality, StudyComparison
from LungNoduleCADLib.domain.ct import CtVolume
from LungNoduleCADLib.domain.findings import LungSummary, StudyFindings
from LungNoduleCADLib.domain.geometry import Geometry
from LungNoduleCADLib.domain.masks import LungMask, NoduleMask
from LungNoduleCADLib.domain.nodule import MalignancyEstimate, Nodule, NoduleCandidate, NoduleType, Point, TypeEstimate
from LungNoduleCADLib.domain.provenance import Method, Provenance
from LungNoduleCADLib.domain.study import SeriesDescription
from LungNoduleCADLib.followup.register import Registration
from LungNoduleCADLib.followup.series import with_series
from LungNoduleCADLib.guidelines.exam import assess_findings
from LungNoduleCADLib.nodule_list import Looks, Models, by_suspicion, rated_places, with_candidates
from LungNoduleCADLib.pipeline import AnalysedStudy, pair_nodules
from LungNoduleCADLib.review_case import Case, CaseLooks

GEOMETRY = Geometry((24, 110, 110), (-55.0, -55.0, -12.0), (1.0, 1.0, 1.0))
METHOD = Method("stub", "1")
THRESHOLD = 0.8
# name: (place, radius in mm, probability); the models take HU = 1000 * probability - 1000 for that probability
NOW = {
    "large": ((-40.0, 0.0, 0.0), 6.0, 0.95),
    "new": ((40.0, 0.0, 0.0), 5.0, 0.85),
    "faint": ((0.0, 40.0, 0.0), 4.0, 0.6),
    "fainter": ((0.0, -40.0, 0.0), 4.0, 0.3),
}
BEFORE = {
    "large": ((-40.0, 0.0, 0.0), 5.0, 0.95),
    "half seen": ((40.0, 0.0, 0.0), 4.0, 0.5),
    "gone": ((-40.0, 40.0, 0.0), 4.0, 0.9),
}


class StubSegmenter:
    """The connected tissue at a point."""

    method = METHOD

    def __init__(self) -> None:
        self.asked: list[Point] = []

    def segment(self, ct: CtVolume, point: Point) -> NoduleMask | None:
        self.asked.append(point)
        k, j, i = np.rint(ct.geometry.to_kji(point)).astype(int)
        labels, _ = ndimage.label(ct.hu > -950)
        if not labels[k, j, i]:
            return None
        inside = labels == labels[k, j, i]
        start = np.argwhere(inside).min(axis=0)
        stop = np.argwhere(inside).max(axis=0) + 1
        box = tuple(slice(int(a), int(b)) for a, b in zip(start, stop, strict=True))
        return NoduleMask(inside[box], tuple(int(v) for v in start), ct.geometry, METHOD)


@dataclass
class StubCharacteriser:
    """Everything is solid, and as malignant as it is large."""

    asked: list[str] = field(default_factory=list)

    @dataclass(frozen=True)
    class Encoder:
        size = 3
        spacing_mm = 1.0

    encoder = Encoder()

    def nodule_probability(self, patches: list[np.ndarray]) -> np.ndarray:
        return np.array([(float(patch.mean()) + 1000) / 1000 for patch in patches])

    def characterise(self, _ct: CtVolume, nodule: Nodule) -> Nodule:
        self.asked.append(nodule.id)
        if nodule.measurements is None:
            return nodule
        volume = nodule.measurements.volume_mm3
        return replace(
            nodule,
            type=TypeEstimate(NoduleType.SOLID, {NoduleType.SOLID: 1.0}, METHOD),
            malignancy=MalignancyEstimate(min(volume / 2000, 1.0)),
            radiomics={"volume": volume},
        )


def make_ct(balls: dict[str, tuple[Point, float, float]], day: date) -> CtVolume:
    points = GEOMETRY.to_lps_mm(np.stack(np.indices(GEOMETRY.shape_kji), axis=-1))
    hu = np.full(GEOMETRY.shape_kji, -1000, np.int16)
    hu[:, :, :8] = -1024  # not kept
    for place, radius_mm, probability in balls.values():
        hu[np.linalg.norm(points - place, axis=-1) <= radius_mm] = round(1000 * probability) - 1000
    return CtVolume(hu, GEOMETRY, SeriesDescription(f"1.2.{day:%Y%m%d}", study_date=day))


def analysed(balls: dict[str, tuple[Point, float, float]], day: date, models: Models) -> tuple[AnalysedStudy, Looks]:
    ct = make_ct(balls, day)
    lungs = LungMask(np.ones(GEOMETRY.shape_kji, np.uint8), GEOMETRY, METHOD)
    looks = Looks(ct, lungs, lambda: models)
    rated = looks.rated([NoduleCandidate(place) for place, _, _ in balls.values()])
    chosen = [c for c in rated if (c.probability or 0) >= THRESHOLD]
    nodules = by_suspicion([looks.characterised(n) for n in with_candidates((), chosen, looks)])
    findings = StudyFindings(
        ct.series,
        GEOMETRY,
        LungSummary(1.0, 1.0, METHOD),
        nodules,
        Provenance("0", "", "cpu", "test"),
        operating_threshold=THRESHOLD,
        candidates=rated_places(rated, nodules),
    )
    return AnalysedStudy(assess_findings(findings), ct, lungs), looks


@pytest.fixture
def models() -> Models:
    return Models(StubSegmenter(), StubCharacteriser(), THRESHOLD)  # type: ignore[arg-type]


@pytest.fixture
def scanned(models: Models) -> Callable[..., AnalysedStudy]:
    """Analyses a scan of that day with balls, or with "large" alone."""
    return lambda day, **balls: analysed(balls or {"large": NOW["large"]}, day, models)[0]


@pytest.fixture
def alone(models: Models) -> tuple[Case, CaseLooks]:
    """One scan: N1 is "large", N2 is "new"; "faint" and "fainter" are below the threshold."""
    study, looks = analysed(NOW, date(2024, 7, 1), models)
    return Case(study), CaseLooks(looks)


@pytest.fixture
def followed_up(models: Models) -> tuple[Case, CaseLooks]:
    """Two scans that lie on each other: "new" has a partner that the detector missed, the prior's "gone" has none."""
    prior, looks_then = analysed(BEFORE, date(2024, 1, 1), models)
    current, looks_now = analysed(NOW, date(2024, 7, 1), models)
    identity = sitk.CompositeTransform([sitk.AffineTransform(3)])
    quality = RegistrationQuality(0.9, 0.98, 0.5, 0.0, 1.0, METHOD)
    registration = Registration(identity, sitk.AffineTransform(3), quality, 0.9)
    prior, current, matches = pair_nodules(prior, current, registration, (looks_then, looks_now), THRESHOLD)
    comparison = with_series(StudyComparison(matches, 182, quality), current.findings, prior.findings, {})
    findings = replace(current.findings, comparison=comparison, prior=prior.findings, lung_rads=None)
    case = Case(replace(current, findings=assess_findings(findings)), prior, registration)
    return case, CaseLooks(looks_now, looks_then)
