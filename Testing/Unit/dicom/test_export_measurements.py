"""Findings as a DICOM structured report: what another program reads from it is what was found."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date
from pathlib import Path

import highdicom
import pytest
from highdicom.seg import Segmentation
from highdicom.sr import Comprehensive3DSR
from pydicom.sr.codedict import codes

from LungNoduleCADLib.dicom import export_codes as code
from LungNoduleCADLib.dicom.export_identity import tracking_uid
from LungNoduleCADLib.dicom.export_measurements import Remarks, make_measurements
from LungNoduleCADLib.dicom.export_source import SourceSeries, save
from LungNoduleCADLib.domain.comparison import Change, Growth, NoduleMatch, StudyComparison
from LungNoduleCADLib.domain.findings import StudyFindings
from LungNoduleCADLib.domain.lung_rads import LungRadsCategory
from LungNoduleCADLib.domain.nodule import MalignancyEstimate, Nodule, NoduleCandidate, Review
from LungNoduleCADLib.report.findings_json import from_json, to_json


@pytest.fixture
def measured(
    source: SourceSeries, segmentation: Segmentation, tmp_path: Path
) -> Callable[[StudyFindings], Comprehensive3DSR]:
    """Writes the measurements of findings and reads them back."""

    def write(findings: StudyFindings, remarks: Remarks | None = None) -> Comprehensive3DSR:
        save(make_measurements(source, segmentation, findings, remarks or Remarks()), tmp_path / "sr.dcm")
        return highdicom.sr.srread(tmp_path / "sr.dcm")

    return write


def test_measured_values_are_those_of_the_findings(
    measured: Callable[..., Comprehensive3DSR], findings: StudyFindings
) -> None:
    growth = Growth(181, 48.25, (21.0, 80.0), 1.8, 320.5, (214.0, 657.0))
    matches = (NoduleMatch("N7", "N1", Change.GROWING, 1.2, growth), NoduleMatch(None, "N2", Change.NEW))
    report = measured(replace(findings, comparison=StudyComparison(matches, 181, None))).content

    nodule = findings.nodules[0]
    (group,) = report.get_volumetric_roi_measurement_groups(tracking_uid=tracking_uid(findings, "N1"))
    size, part = nodule.measurements, nodule.measurements.solid_axes
    values = {one.name.value: (one.value, one.unit.value) for one in group.get_measurements()}
    assert values == {
        "118565006": (size.volume_mm3, "mm3"),
        "103339001": (11.3, "mm"),
        "103340004": (8.9, "mm"),
        "81827009": (size.axes.mean_diameter_mm, "mm"),
        "112181": (size.mean_hu, "[hnsf'U]"),
        "118538004": (425.6, "mg"),
        "solid_volume": (61.5, "mm3"),
        "solid_long_axis": (4.1, "mm"),
        "solid_short_axis": (3.2, "mm"),
        "solid_diameter": (part.mean_diameter_mm, "mm"),
        "volume_change": (48.25, "%"),
        "doubling_time": (320.5, "d"),
        "malignancy": (pytest.approx(62.34), "%"),
    }
    said = {one.name.value: one.value.value for one in group.get_qualitative_evaluations()}
    expected = {"C41144": "RID50152", "change": "15454001", "RID50134": "RID50139", "review": "unreviewed"}
    assert said.items() >= expected.items()
    assert group.finding_type == codes.SCT.Nodule
    (site,) = group.finding_sites
    assert (site.value, site.laterality, site.topographical_modifier) == (
        codes.SCT.Lung,
        codes.SCT.Right,
        codes.SCT.LowerZoneOfLung,
    )


def test_what_is_not_known_is_left_out(measured: Callable[..., Comprehensive3DSR], findings: StudyFindings) -> None:
    undetermined = Growth(181, 2.0, (-15.0, 21.0), 0.1, 6336.0, (657.0, None))
    bare = replace(findings.nodules[0], malignancy=MalignancyEstimate(None, not_available="no weights"), lung_rads=None)
    findings = replace(
        findings,
        nodules=(bare, findings.nodules[1]),
        comparison=StudyComparison((NoduleMatch("N1", "N1", Change.STABLE, 1.0, undetermined),), 181, None),
    )
    groups = measured(findings).content.get_volumetric_roi_measurement_groups(finding_type=code.NODULE)

    names = [{one.name.value for one in group.get_measurements()} for group in groups]
    assert "volume_change" in names[0]
    assert not names[0] & {"doubling_time", "malignancy"}
    assert not {name for name in names[1] if name.startswith("solid")}, "all of a solid nodule is solid"
    assert "RID50134" not in {one.name.value for one in groups[0].get_qualitative_evaluations()}


def test_malignancy_says_that_it_is_readers_opinion(
    measured: Callable[..., Comprehensive3DSR], findings: StudyFindings
) -> None:
    report = measured(findings)
    group = report.content.get_volumetric_roi_measurement_groups(finding_type=code.NODULE)[0]

    (malignancy,) = group.get_measurements(code.MALIGNANCY)
    assert "not pathology" in malignancy.method.meaning
    assert malignancy.name.scheme_designator == report.CodingSchemeIdentificationSequence[0].CodingSchemeDesignator
    assert malignancy.name.scheme_designator.startswith("99")


def test_references_lead_to_the_segment_of_the_same_nodule(
    measured: Callable[..., Comprehensive3DSR],
    segmentation: Segmentation,
    source: SourceSeries,
    findings: StudyFindings,
) -> None:
    report = measured(findings)

    by_number = {item.SegmentNumber: item for item in segmentation.SegmentSequence}
    groups = report.content.get_volumetric_roi_measurement_groups()
    assert len(groups) == len(by_number) == 4
    for group in groups:
        (image,) = (item for item in group[0].ContentSequence if item.ValueType == "IMAGE")
        reference = image.ReferencedSOPSequence[0]
        assert reference.ReferencedSOPInstanceUID == segmentation.SOPInstanceUID
        segment = by_number[reference.ReferencedSegmentNumber]
        assert (segment.TrackingUID, segment.TrackingID) == (group.tracking_uid, group.tracking_identifier)
        assert group.finding_type.value == segment.SegmentedPropertyTypeCodeSequence[0].CodeValue
    evidence = {uids[2] for uids in report.get_evidence()}
    assert evidence == {segmentation.SOPInstanceUID, *(one.SOPInstanceUID for one in source.datasets)}


def test_a_rejected_nodule_is_not_reported_and_reviewing_all_completes_the_report(
    measured: Callable[..., Comprehensive3DSR], findings: StudyFindings
) -> None:
    first, second = findings.nodules
    assert measured(findings).CompletionFlag == "PARTIAL"
    reviewed = (replace(first, review=Review.REJECTED), replace(second, review=Review.ACCEPTED))

    report = measured(replace(findings, nodules=reviewed))

    groups = report.content.get_volumetric_roi_measurement_groups(finding_type=code.NODULE)
    assert [group.tracking_identifier for group in groups] == ["N2"]
    assert "accepted" in {one.value.value for one in groups[0].get_qualitative_evaluations(code.REVIEW)}
    assert (report.CompletionFlag, report.VerificationFlag, report.PreliminaryFlag) == (
        "COMPLETE",
        "UNVERIFIED",
        "PRELIMINARY",
    )


def test_a_nodule_that_was_not_outlined_is_a_point(
    measured: Callable[..., Comprehensive3DSR], findings: StudyFindings
) -> None:
    marked = Nodule("N3", NoduleCandidate((5.0, 6.0, 42.0)), (5.0, 6.0, 42.0))

    report = measured(replace(findings, nodules=(*findings.nodules, marked)))

    (group,) = report.content.get_planar_roi_measurement_groups()
    assert group.tracking_identifier == "N3"
    assert group.roi.value.tolist() == [[5.0, 6.0, 42.0]]


def test_the_exam_has_its_category_and_its_texts_in_any_script(
    measured: Callable[..., Comprehensive3DSR], findings: StudyFindings
) -> None:
    exam = replace(findings.lung_rads, category=LungRadsCategory.C0, modifier_s=True)
    remark = "Größe ≥ 8 mm – 結節 عقدة"
    remarks = Remarks([(code.COMMENT, "RESEARCH USE ONLY")], {"N2": [(code.COMMENT, remark)]})

    report = measured(replace(findings, lung_rads=exam), remarks)

    (container,) = (
        one for one in report.ContentSequence if one.ConceptNameCodeSequence[0].CodeMeaning == "Qualitative Evaluations"
    )
    coded = [one.ConceptCodeSequence[0] for one in container.ContentSequence if one.ValueType == "CODE"]
    assert [(one.CodeValue, one.CodeMeaning) for one in coded] == [
        ("RID50135", "Lung-RADS 0"),
        ("RID50710", "Lung-RADS S"),
    ]
    assert container.ContentSequence[-1].TextValue == "RESEARCH USE ONLY"
    group = report.content.get_volumetric_roi_measurement_groups(tracking_uid=tracking_uid(findings, "N2"))[0]
    assert group[0].ContentSequence[-1].TextValue == remark


def test_lungs_without_a_nodule_are_a_report_too(
    measured: Callable[..., Comprehensive3DSR], findings: StudyFindings
) -> None:
    report = measured(replace(findings, nodules=()))

    volumes = [
        group.get_measurements(code.VOLUME)[0] for group in report.content.get_volumetric_roi_measurement_groups()
    ]
    assert [(one.value, one.unit.value) for one in volumes] == [(2101.5, "mL"), (1890.2, "mL")]
    assert report.CompletionFlag == "PARTIAL"


def test_a_nodule_keeps_its_tracking_uid_through_exports_and_follow_up(findings: StudyFindings) -> None:
    prior = replace(findings, series=replace(findings.series, series_uid="1.2.9", study_date=date(2023, 1, 1)))
    matches = (NoduleMatch("N2", "N1", Change.STABLE), NoduleMatch(None, "N2", Change.NEW))
    current = replace(findings, prior=prior, comparison=StudyComparison(matches, 400, None))

    assert tracking_uid(findings, "N1") == tracking_uid(findings, "N1")
    assert tracking_uid(current, "N1") == tracking_uid(prior, "N2")
    uids = {tracking_uid(study, name) for study in (prior, current) for name in ("N1", "N2", "lung_left")}
    assert len(uids) == 5, "one nodule is the same in both studies"


def test_over_three_time_points_a_nodule_keeps_the_tracking_uid_of_the_first(findings: StudyFindings) -> None:
    def after(prior: StudyFindings, day: date, before: str, now: str) -> StudyFindings:
        series = replace(findings.series, series_uid=f"1.2.{day.year}", study_date=day)
        comparison = StudyComparison((NoduleMatch(before, now, Change.STABLE),), 365, None)
        return replace(findings, series=series, prior=prior, comparison=comparison)

    second = after(findings, date(2025, 3, 1), "N2", "N1")
    third = after(second, date(2026, 3, 1), "N1", "N2")
    assert tracking_uid(third, "N2") == tracking_uid(second, "N1") == tracking_uid(findings, "N2")
    assert tracking_uid(third, "N1") not in {tracking_uid(second, "N1"), tracking_uid(second, "N2")}


def test_results_that_were_written_and_read_still_know_the_first_exam(findings: StudyFindings) -> None:
    first = replace(findings, series=replace(findings.series, series_uid="1.2.1", study_date=date(2023, 1, 1)))
    second = replace(
        findings, prior=first, comparison=StudyComparison((NoduleMatch("N2", "N1", Change.STABLE),), 9, None)
    )
    third = replace(findings, series=replace(findings.series, series_uid="1.2.3"), prior=second)
    third = replace(third, comparison=StudyComparison((NoduleMatch("N1", "N2", Change.STABLE),), 9, None))

    read = from_json(to_json(third), "findings.json")

    assert tracking_uid(read, "N2") == tracking_uid(third, "N2") == tracking_uid(first, "N2")


def test_a_scan_that_is_analysed_again_gives_a_nodule_its_tracking_uid_whatever_its_number(
    findings: StudyFindings,
) -> None:
    first, second = (_found_at(one, left) for one, left in zip(findings.nodules, (10.2, -30.0), strict=True))
    study = replace(findings, nodules=(first, second))
    again = replace(findings, nodules=(replace(second, id="N1"), replace(_found_at(first, 9.8), id="N2")))

    assert tracking_uid(again, "N1") == tracking_uid(study, "N2")
    assert tracking_uid(again, "N2") == tracking_uid(study, "N1")
    elsewhere = replace(findings, nodules=(_found_at(first, 13.0),))
    assert tracking_uid(elsewhere, "N1") != tracking_uid(study, "N1")


def _found_at(nodule: Nodule, left_mm: float) -> Nodule:
    return replace(nodule, candidate=replace(nodule.candidate, centre_lps_mm=(left_mm, 0.0, 40.0)))


def test_the_report_names_the_scheme_of_every_private_code(source, segmentation, findings) -> None:
    report = make_measurements(source, segmentation, findings, Remarks())
    named = {one.CodingSchemeDesignator for one in report.CodingSchemeIdentificationSequence}
    used = {str(one.value) for one in report.iterall() if one.keyword == "CodingSchemeDesignator"}
    assert named == {scheme for scheme in used if scheme.startswith("99")} == {"99LUNGNODULECAD"}
