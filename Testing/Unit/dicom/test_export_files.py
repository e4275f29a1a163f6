"""Exported DICOM objects as files: whole by the standard, filed with their study, from the right series."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pydicom
import pytest
from highdicom.seg import Segmentation
from pydicom.dataset import Dataset

from LungNoduleCADLib import __version__
from LungNoduleCADLib.dicom.export_document import make_document
from LungNoduleCADLib.dicom.export_measurements import Remarks, make_measurements
from LungNoduleCADLib.dicom.export_picture import make_picture
from LungNoduleCADLib.dicom.export_source import SourceSeries, open_source, save
from LungNoduleCADLib.domain.ct import CtVolume
from LungNoduleCADLib.domain.findings import StudyFindings
from LungNoduleCADLib.errors import InputError
from LungNoduleCADLib.phantom.dicom import write_dicom_series

# Type 1 attributes of the modules that each object must have (DICOM PS3.3)
COMMON = ("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID", "SeriesNumber", "Modality")
TYPE_1 = {
    "segmentation": (
        *COMMON, "Manufacturer", "ManufacturerModelName", "DeviceSerialNumber", "SoftwareVersions",
        "FrameOfReferenceUID", "ImageType", "InstanceNumber", "ContentLabel", "ContentDate", "ContentTime",
        "SegmentationType", "SegmentSequence", "SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence",
        "DimensionOrganizationSequence", "DimensionIndexSequence", "ReferencedSeriesSequence", "NumberOfFrames",
        "LossyImageCompression", "PixelData",
    ),
    "measurements": (
        *COMMON, "InstanceNumber", "CompletionFlag", "VerificationFlag", "ContentDate", "ContentTime", "ValueType",
        "ConceptNameCodeSequence", "ContinuityOfContent", "ContentSequence", "ContentTemplateSequence",
        "CurrentRequestedProcedureEvidenceSequence", "Manufacturer",
    ),
    "document": (
        *COMMON, "InstanceNumber", "ConversionType", "BurnedInAnnotation", "SourceInstanceSequence",
        "MIMETypeOfEncapsulatedDocument", "EncapsulatedDocument", "Manufacturer",
    ),
    "picture": (
        *COMMON, "InstanceNumber", "ImageType", "ConversionType", "BurnedInAnnotation", "SourceImageSequence",
        "PhotometricInterpretation", "PixelData", "Manufacturer", "BodyPartExamined",
    ),
}  # fmt: skip
PICTURE = np.random.default_rng(0).integers(0, 255, (20, 31, 3), np.uint8)
TYPE_2 = ("PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyDate", "StudyTime", "AccessionNumber",
          "StudyID", "ReferringPhysicianName")  # fmt: skip


@pytest.fixture
def export(
    box_files: list[Path],
    findings: StudyFindings,
    segmented: Callable[[SourceSeries, StudyFindings], Segmentation],
    tmp_path: Path,
) -> Callable[[], list[Dataset]]:
    """Writes SEG, SR and encapsulated PDF of the box's files as they are now, and reads them back."""

    def write() -> list[Dataset]:
        source = open_source(box_files[0].parent, findings.series, findings.geometry)
        segmentation = segmented(source, findings)
        save(make_measurements(source, segmentation, findings, Remarks()), tmp_path / "sr.dcm")
        save(make_document(source, b"%PDF-1.4 five"), tmp_path / "pdf.dcm")
        save(make_picture(source, PICTURE, "1.2.3.99", 1, "N1 · solid", (0.0, 0.0, 40.0)), tmp_path / "sc.dcm")
        return [pydicom.dcmread(tmp_path / name) for name in ("seg.dcm", "sr.dcm", "pdf.dcm", "sc.dcm")]

    return write


@pytest.fixture
def objects(export: Callable[[], list[Dataset]]) -> list[Dataset]:
    return export()


def test_what_dicom_demands_is_there_and_said_to_be_research(objects: list[Dataset]) -> None:
    for dataset, wanted in zip(objects, TYPE_1.values(), strict=True):
        assert [name for name in wanted if name not in dataset or dataset[name].is_empty] == []
        assert [name for name in TYPE_2 if name not in dataset] == []
        assert "research use only" in dataset.SeriesDescription
        assert dataset.ContentQualification == "RESEARCH"
        assert dataset.SoftwareVersions == __version__
        assert dataset.file_meta.MediaStorageSOPInstanceUID == dataset.SOPInstanceUID
    assert [one.Modality for one in objects] == ["SEG", "SR", "DOC", "OT"]
    assert len({one.SeriesInstanceUID for one in objects} | {"1.2.3.4"}) == 5
    assert len({one.SOPInstanceUID for one in objects}) == 4


def test_the_objects_file_with_the_study(objects: list[Dataset], box_files: list[Path]) -> None:
    scan = pydicom.dcmread(box_files[0])
    for dataset in objects:
        for keyword in ("StudyInstanceUID", "PatientID", "PatientName", "PatientSex", "StudyDate", "AccessionNumber"):
            assert dataset[keyword].value == scan[keyword].value, keyword


def test_the_pdf_comes_out_as_it_went_in(objects: list[Dataset]) -> None:
    document = objects[2]

    assert document.EncapsulatedDocument[: document.EncapsulatedDocumentLength] == b"%PDF-1.4 five"
    assert document.DocumentTitle
    assert document.ConceptNameCodeSequence[0].CodingSchemeDesignator == "LN"


def test_a_picture_comes_out_as_it_went_in_and_names_the_slice_it_shows(
    objects: list[Dataset], box_files: list[Path]
) -> None:
    picture = objects[3]

    assert np.array_equal(picture.pixel_array, PICTURE)
    (shown,) = picture.SourceImageSequence
    heights = {one.SOPInstanceUID: one.ImagePositionPatient[2] for one in map(pydicom.dcmread, box_files)}
    assert abs(heights[shown.ReferencedSOPInstanceUID] - 40.0) <= 0.75
    assert (picture.SeriesInstanceUID, picture.BurnedInAnnotation) == ("1.2.3.99", "NO")


@pytest.mark.parametrize(
    ("charset", "name"),
    [("ISO_IR 192", "Ångström^Žofia"), (["", "ISO 2022 IR 87"], "Yamada^Tarou=山田^太郎=やまだ^たろう")],
)
def test_names_in_any_script_stay_what_they_are(
    charset: str | list[str],
    name: str,
    box_files: list[Path],
    edit: Callable[..., None],
    export: Callable[[], list[Dataset]],
) -> None:
    for path in box_files:
        edit(path, SpecificCharacterSet=charset, PatientName=name, StudyDescription="肺" if "山" in name else "Lunge ö")

    for dataset in export():
        assert dataset.SpecificCharacterSet == "ISO_IR 192"
        assert str(dataset.PatientName) == name
        assert dataset.StudyDescription in ("肺", "Lunge ö")


def test_headers_as_sloppy_as_the_loader_takes_are_taken(
    box_files: list[Path], edit: Callable[..., None], export: Callable[[], list[Dataset]]
) -> None:
    def spoil(dataset: Dataset) -> None:
        for keyword in ("PatientID", "PatientBirthDate", "StudyID", "StudyTime", "SliceThickness"):
            delattr(dataset, keyword)
        with pydicom.config.disable_value_validation():
            dataset.PatientSex, dataset.StudyDate = "female", "2024.13.01"
            dataset.AccessionNumber = "longer than sixteen characters"
            dataset.ImageOrientationPatient = [1, 0, 0.0001 * dataset.InstanceNumber, 0, 1, 0]

    for path in box_files:
        with pydicom.config.disable_value_validation():
            edit(path, spoil)

    for dataset in export():
        assert dataset.AccessionNumber == "longer than sixteen characters"
        assert all(name in dataset for name in TYPE_2)
        assert (dataset.PatientSex or "", dataset.StudyDate or "") == ("", "")


def test_a_series_without_frame_of_reference_is_refused(
    box_files: list[Path], edit: Callable[..., None], findings: StudyFindings
) -> None:
    for path in box_files:
        edit(path, lambda dataset: delattr(dataset, "FrameOfReferenceUID"))

    with pytest.raises(InputError, match="no FrameOfReferenceUID"):
        open_source(box_files[0].parent, findings.series, findings.geometry)


def test_another_series_is_refused_with_what_was_expected(box_files: list[Path], findings: StudyFindings) -> None:
    other = replace(findings.series, series_uid="1.2.99", description="LUNG 1.0")

    with pytest.raises(InputError, match=r"expected series 1.2.99 \(LUNG 1.0\), got 1.2.3.4"):
        open_source(box_files[0].parent, other, findings.geometry)


def test_the_right_series_is_picked_among_others_and_from_one_of_its_files(
    box_ct: CtVolume, box_files: list[Path], findings: StudyFindings
) -> None:
    thick = replace(box_ct, series=replace(box_ct.series, series_uid="1.2.3.5"))
    write_dicom_series(thick, box_files[0].parent / "another")

    for place in (box_files[0].parent, box_files[5]):
        source = open_source(place, findings.series, findings.geometry)
        assert {one.SeriesInstanceUID for one in source.datasets} == {"1.2.3.4"}
        assert len(source.datasets) == 16


def test_an_incomplete_or_moved_series_is_refused(box_files: list[Path], findings: StudyFindings) -> None:
    moved = replace(findings.geometry, origin_lps_mm=(-110.0, -90.0, 31.0))
    with pytest.raises(InputError, match="not the slices that were analysed"):
        open_source(box_files[0].parent, findings.series, moved)

    box_files[-1].unlink()
    with pytest.raises(InputError, match=r"expected 16 slices.*got 15 slices"):
        open_source(box_files[0].parent, findings.series, findings.geometry)
