"""Measurements of lungs and nodules as a DICOM structured report: Comprehensive 3D SR, template TID 1500."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from highdicom.seg import Segmentation
from highdicom.sr import (
    AlgorithmIdentification,
    CodeContentItem,
    CodedConcept,
    Comprehensive3DSR,
    ContainerContentItem,
    ContentSequence,
    DeviceObserverIdentifyingAttributes,
    FindingSite,
    ImageRegion3D,
    Measurement,
    MeasurementReport,
    ObservationContext,
    ObserverContext,
    PlanarROIMeasurementsAndQualitativeEvaluations,
    QualitativeEvaluation,
    ReferencedSegment,
    RelationshipTypeValues,
    SourceSeriesForSegmentation,
    TextContentItem,
    TrackingIdentifier,
    VolumetricROIMeasurementsAndQualitativeEvaluations,
)
from pydicom.config import disable_value_validation
from pydicom.sr.codedict import Code, codes

from LungNoduleCADLib.dicom import export_codes as code
from LungNoduleCADLib.dicom.export_identity import DEVICE_UID, MEASUREMENTS_SERIES, NAME, new_instance, tracking_uid
from LungNoduleCADLib.dicom.export_source import SourceSeries
from LungNoduleCADLib.dicom.headers import quiet_pydicom
from LungNoduleCADLib.domain.comparison import NoduleMatch
from LungNoduleCADLib.domain.findings import StudyFindings
from LungNoduleCADLib.domain.lung_rads import LungRadsAssessment
from LungNoduleCADLib.domain.masks import Side
from LungNoduleCADLib.domain.nodule import MalignancyEstimate, Measurements, Nodule, NoduleType, Review
from LungNoduleCADLib.domain.provenance import Method

Concept = Code | CodedConcept
Remark = tuple[Concept, str]
"""What a text is (conclusion, recommendation, comment) and the text."""
Group = VolumetricROIMeasurementsAndQualitativeEvaluations | PlanarROIMeasurementsAndQualitativeEvaluations

_CONTAINS = RelationshipTypeValues.CONTAINS


@dataclass(frozen=True)
class Remarks:
    """Sentences for people, of the exam and of each nodule by its id."""

    exam: Sequence[Remark] = ()
    nodules: Mapping[str, Sequence[Remark]] = field(default_factory=dict)


def reported(findings: StudyFindings) -> list[Nodule]:
    """The nodules that leave the house: all that were not rejected."""
    return [nodule for nodule in findings.nodules if nodule.review is not Review.REJECTED]


def all_reviewed(findings: StudyFindings) -> bool:
    """Whether a reader has said of every nodule what it is."""
    return bool(findings.nodules) and all(nodule.review is not Review.UNREVIEWED for nodule in findings.nodules)


def make_measurements(
    source: SourceSeries, segmentation: Segmentation, findings: StudyFindings, remarks: Remarks
) -> Comprehensive3DSR:
    """A measurement report of the lungs and of every nodule that was not rejected, referring to their segments.

    COMPLETE once a reader has reviewed every nodule, never VERIFIED. What was not computed is left out.
    """
    segments = {item.TrackingID: int(item.SegmentNumber) for item in segmentation.SegmentSequence}
    source_series = SourceSeriesForSegmentation(segmentation.ReferencedSeriesSequence[0].SeriesInstanceUID)

    def segment(name: str) -> ReferencedSegment | None:
        if name not in segments:
            return None
        return ReferencedSegment(
            segmentation.SOPClassUID, segmentation.SOPInstanceUID, segments[name], source_series=source_series
        )

    with quiet_pydicom(), disable_value_validation():
        groups: list[Group] = list(_lung_groups(findings, segment("lung_right"), segment("lung_left")))
        for nodule in reported(findings):
            region = segment(nodule.id) or ImageRegion3D(
                "POINT", np.asarray([nodule.centroid_lps_mm]), source.datasets[0].FrameOfReferenceUID
            )
            group = _nodule_group(nodule, region, findings)
            group[0].ContentSequence.extend(_texts(remarks.nodules.get(nodule.id, ())))
            groups.append(group)
        report = MeasurementReport(_observer(), code.CHEST_CT, groups, codes.DCM.ImagingMeasurementReport)
        report[0].ContentSequence.append(_exam(findings.lung_rads, remarks.exam))
        return Comprehensive3DSR(
            evidence=[*source.datasets, segmentation],
            content=report,
            is_complete=all_reviewed(findings),
            coding_schemes=code.PRIVATE_SCHEMES,
            **new_instance(MEASUREMENTS_SERIES),
        )


def _observer() -> ObservationContext:
    device = DeviceObserverIdentifyingAttributes(uid=DEVICE_UID, name=NAME, manufacturer_name=NAME, model_name=NAME)
    return ObservationContext(observer_device_context=ObserverContext(codes.DCM.Device, device))


def _lung_groups(
    findings: StudyFindings, right: ReferencedSegment | None, left: ReferencedSegment | None
) -> Iterator[Group]:
    lungs = findings.lungs
    for side, region, volume_ml in (
        (Side.RIGHT, right, lungs.right_volume_ml),
        (Side.LEFT, left, lungs.left_volume_ml),
    ):
        if region is not None:
            yield VolumetricROIMeasurementsAndQualitativeEvaluations(
                tracking_identifier=_tracking(findings, f"lung_{side}"),
                referenced_segment=region,
                finding_type=code.LUNG,
                finding_category=code.ANATOMY,
                finding_sites=[FindingSite(code.LUNG, code.SIDES[side])],
                algorithm_id=_made_by(lungs.method),
                measurements=[Measurement(code.VOLUME, float(volume_ml), code.MILLILITER)],
            )


def _nodule_group(nodule: Nodule, region: ReferencedSegment | ImageRegion3D, findings: StudyFindings) -> Group:
    """TID 1411 on the nodule's segment; TID 1410 on a point where it was never outlined."""
    match = _match_of(nodule, findings)
    content = {
        "tracking_identifier": _tracking(findings, nodule.id),
        "finding_type": code.NODULE,
        "finding_category": code.LESION,
        "finding_sites": [_site(nodule.measurements)],
        "algorithm_id": _made_by(Method(NAME, findings.provenance.software_version)),
        "measurements": [*_sizes(nodule), *_growth(match), *_malignancy(nodule.malignancy)],
        "qualitative_evaluations": list(_evaluations(nodule, match)),
    }
    if isinstance(region, ReferencedSegment):
        return VolumetricROIMeasurementsAndQualitativeEvaluations(referenced_segment=region, **content)
    return PlanarROIMeasurementsAndQualitativeEvaluations(referenced_region=region, **content)


def _tracking(findings: StudyFindings, name: str) -> TrackingIdentifier:
    return TrackingIdentifier(uid=tracking_uid(findings, name), identifier=name)


def _made_by(method: Method) -> AlgorithmIdentification:
    return AlgorithmIdentification(
        method.name, method.version, parameters=[f"sha256 {method.sha256}"] if method.sha256 else None
    )


def _site(measured: Measurements | None) -> FindingSite:
    if measured is None:
        return FindingSite(code.LUNG)
    side = code.SIDES[measured.side] if measured.side else None
    return FindingSite(code.LUNG, side, code.ZONES.get(measured.zone or ""))


def _sizes(nodule: Nodule) -> Iterator[Measurement]:
    """Sizes and densities; of the solid part only where there is something else beside it."""
    measured = nodule.measurements
    if measured is None:
        return
    axes, solid = measured.axes, measured.solid_axes
    whole = [
        (code.VOLUME, measured.volume_mm3, code.MM3),
        (code.LONG_AXIS, axes.long_axis_mm, code.MM),
        (code.SHORT_AXIS, axes.short_axis_mm, code.MM),
        (code.DIAMETER, axes.mean_diameter_mm, code.MM),
        (code.MEAN_HU, measured.mean_hu, code.HU),
        (code.MASS, measured.mass_mg, code.MILLIGRAM),
    ]
    part = [
        (code.SOLID_VOLUME, measured.solid_volume_mm3, code.MM3),
        (code.SOLID_LONG_AXIS, solid.long_axis_mm if solid else None, code.MM),
        (code.SOLID_SHORT_AXIS, solid.short_axis_mm if solid else None, code.MM),
        (code.SOLID_DIAMETER, solid.mean_diameter_mm if solid else None, code.MM),
    ]
    all_solid = nodule.type is not None and nodule.type.type is NoduleType.SOLID
    for name, value, unit in whole if all_solid else whole + part:
        if value is not None:
            yield Measurement(name, float(value), unit, derivation=code.MEAN if name is code.DIAMETER else None)


def _growth(match: NoduleMatch | None) -> Iterator[Measurement]:
    """Volume change, and a doubling time only where the change exceeds the measurement error."""
    change = match.growth if match else None
    if change is None:
        return
    yield Measurement(code.VOLUME_CHANGE, float(change.volume_change_percent), code.PERCENT)
    if change.vdt_days is not None and None not in (change.vdt_interval_95_days or ()):
        yield Measurement(code.DOUBLING_TIME, float(change.vdt_days), code.DAY)


def _malignancy(estimate: MalignancyEstimate | None) -> Iterator[Measurement]:
    if estimate is not None and estimate.probability is not None:
        yield Measurement(
            code.MALIGNANCY,
            round(100.0 * estimate.probability, 4),
            code.PERCENT,
            method=code.READERS_OPINION,
            algorithm_id=_made_by(estimate.method) if estimate.method else None,
        )


def _evaluations(nodule: Nodule, match: NoduleMatch | None) -> Iterator[QualitativeEvaluation]:
    if nodule.type is not None:
        yield QualitativeEvaluation(code.TEXTURE, code.TYPES[nodule.type.type])
    if match is not None and match.change in code.CHANGES:
        yield QualitativeEvaluation(code.CHANGE, code.CHANGES[match.change])
    if nodule.lung_rads is not None:
        yield QualitativeEvaluation(code.LUNG_RADS, code.CATEGORIES[nodule.lung_rads.category])
    yield QualitativeEvaluation(code.REVIEW, code.REVIEWS[nodule.review])


def _exam(assessment: LungRadsAssessment | None, remarks: Sequence[Remark]) -> ContainerContentItem:
    """Qualitative Evaluations of the exam: its Lung-RADS category, and the texts."""
    container = ContainerContentItem(code.EVALUATIONS, relationship_type=_CONTAINS)
    container.ContentSequence = ContentSequence()
    if assessment is not None:
        said = [code.CATEGORIES[assessment.category], *([code.MODIFIER_S] if assessment.modifier_s else [])]
        container.ContentSequence.extend(CodeContentItem(code.LUNG_RADS, one, _CONTAINS) for one in said)
    container.ContentSequence.extend(_texts(remarks))
    return container


def _texts(remarks: Sequence[Remark]) -> list[TextContentItem]:
    return [TextContentItem(concept, text, _CONTAINS) for concept, text in remarks]


def _match_of(nodule: Nodule, findings: StudyFindings) -> NoduleMatch | None:
    matches = findings.comparison.matches if findings.comparison else ()
    return next((match for match in matches if match.current_id == nodule.id), None)
