"""Both collections as TCIA ships them, made here: a CT with a ball, and what points at the ball."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import highdicom as hd
import numpy as np
import pydicom
import pytest
from highdicom.sr.coding import CodedConcept
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, RTStructureSetStorage, generate_uid

from LungNoduleCADLib.domain.ct import CtVolume
from LungNoduleCADLib.errors import InputError
from LungNoduleCADLib.phantom.dicom import write_dicom_series
from LungNoduleCADLib.training.histology import Histology, HistologyCase, open_histology_data
from LungNoduleCADLib.training.lung_pet_ct_dx import LungPetCtDx
from LungNoduleCADLib.training.nsclc_radiomics import NsclcRadiomics

CENTRE_LPS_MM, RADIUS_MM = (-8.0, 6.0, 5.0), 9.0
ADENOCARCINOMA, NOS = "LUNG1-001", "LUNG1-002"


@pytest.fixture
def chest(ct_of: Callable[..., CtVolume]) -> Callable[[], CtVolume]:
    """A new series of a block of tissue with a lung in it, and a ball in the lung; the middle is the origin."""

    def make() -> CtVolume:
        spacing = (2.5, 2.0, 1.6)
        shape = (24, 48, 60)
        origin = tuple(float(-(n - 1) / 2 * s) for n, s in zip(shape[::-1], spacing[::-1], strict=True))
        hu = np.full(shape, 40.0)
        hu[:, 8:40, 10:50] = -850
        empty = ct_of(hu, spacing, origin)
        places = empty.geometry.to_lps_mm(np.moveaxis(np.indices(shape), 0, -1))
        hu[np.linalg.norm(places - CENTRE_LPS_MM, axis=-1) <= RADIUS_MM] = 30
        ct = ct_of(hu, spacing, origin)
        series = replace(ct.series, series_uid=generate_uid(), manufacturer="Siemens", kernel="B31f", kvp=120.0)
        return replace(ct, series=series)

    return make


def in_ball(ct: CtVolume) -> np.ndarray:
    places = ct.geometry.to_lps_mm(np.moveaxis(np.indices(ct.hu.shape), 0, -1))
    return np.linalg.norm(places - CENTRE_LPS_MM, axis=-1) <= RADIUS_MM


def write_structure_set(file: Path, series_uid: str, heights_mm: np.ndarray, name: str = "GTV-1") -> None:
    """Circles of the ball at some heights as region 2; region 1 is another one, elsewhere."""
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID = RTStructureSetStorage
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID = generate_uid()
    dataset.Modality = "RTSTRUCT"
    series, study, frame = Dataset(), Dataset(), Dataset()
    series.SeriesInstanceUID = series_uid
    study.RTReferencedSeriesSequence = [series]
    frame.RTReferencedStudySequence = [study]
    dataset.ReferencedFrameOfReferenceSequence = [frame]
    turns = np.linspace(0, 2 * np.pi, 90, endpoint=False)
    dataset.StructureSetROISequence, dataset.ROIContourSequence = [], []
    for number, (roi_name, shift_mm) in enumerate((("Lung-Left", 40.0), (name, 0.0)), 1):
        roi, contours = Dataset(), Dataset()
        roi.ROINumber, roi.ROIName = number, roi_name
        contours.ReferencedROINumber, contours.ContourSequence = number, []
        for height in heights_mm:
            radius = np.sqrt(RADIUS_MM**2 - (height - CENTRE_LPS_MM[2]) ** 2)
            x = CENTRE_LPS_MM[0] + shift_mm + radius * np.cos(turns)
            y = CENTRE_LPS_MM[1] + radius * np.sin(turns)
            contour = Dataset()
            contour.ContourGeometricType = "CLOSED_PLANAR"
            contour.NumberOfContourPoints = len(turns)
            points = np.stack([x, y, np.full(len(turns), height)], axis=1)
            contour.ContourData = [f"{value:.4f}" for value in points.ravel()]
            contours.ContourSequence.append(contour)
        dataset.StructureSetROISequence.append(roi)
        dataset.ROIContourSequence.append(contours)
    file.parent.mkdir(parents=True, exist_ok=True)
    dataset.save_as(file, enforce_file_format=True)


def write_segmentation(file: Path, ct: CtVolume, slices: list[Path]) -> None:
    tissue = CodedConcept("49755003", "SCT", "Morphologically Altered Structure")
    described = hd.seg.SegmentDescription(
        segment_number=1,
        segment_label="Neoplasm, Primary",
        segmented_property_category=tissue,
        segmented_property_type=CodedConcept("86049000", "SCT", "Neoplasm, Primary"),
        algorithm_type=hd.seg.SegmentAlgorithmTypeValues.MANUAL,
    )
    segmentation = hd.seg.Segmentation(
        source_images=[pydicom.dcmread(path) for path in slices],
        pixel_array=in_ball(ct).astype(np.uint8),
        segmentation_type=hd.seg.SegmentationTypeValues.BINARY,
        segment_descriptions=[described],
        series_instance_uid=generate_uid(),
        series_number=2,
        sop_instance_uid=generate_uid(),
        instance_number=1,
        manufacturer="nobody",
        manufacturer_model_name="none",
        software_versions="1",
        device_serial_number="1",
    )
    file.parent.mkdir(parents=True, exist_ok=True)
    segmentation.save_as(file)


@pytest.fixture
def lung1(tmp_path: Path, chest: Callable[[], CtVolume]) -> Path:
    """NSCLC-Radiomics: one patient of known histology, one of unknown, one who is not in the folder."""
    for patient in (ADENOCARCINOMA, NOS):
        ct = chest()
        study = tmp_path / "manifest/NSCLC-Radiomics" / patient / "study"
        write_dicom_series(ct, study / "ct", patient_id=patient)
        heights = np.arange(-2.5, 12.6, 2.5)
        write_structure_set(study / "rtstruct/1-1.dcm", ct.series.series_uid, heights)
    rows = [
        "PatientID,age,Histology",
        f"{ADENOCARCINOMA},60,adenocarcinoma",
        f"{NOS},61,nos",
        "LUNG1-003,62,large cell",
    ]
    (tmp_path / "clinical.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    return tmp_path


def test_a_patients_structure_set_gives_tumour_histology_and_scanner(lung1: Path) -> None:
    data = open_histology_data(lung1)

    assert isinstance(data, NsclcRadiomics)
    (case,) = data.cases
    assert (case.patient, case.histology) == (ADENOCARCINOMA, Histology.ADENOCARCINOMA)
    assert case.centre_lps_mm == pytest.approx(CENTRE_LPS_MM, abs=0.02)
    assert case.diameter_mm == pytest.approx(2 * RADIUS_MM, rel=0.02)
    assert (case.settings.manufacturer, case.settings.kernel, case.settings.kvp) == ("SIEMENS", "B31f", 120.0)
    assert case.settings.slice_thickness_mm == 2.5
    assert case.site == "NSCLC-Radiomics: SIEMENS"
    assert data.notes == (f"{NOS}: histology not given",)


def test_the_cases_ct_holds_the_tumour_at_its_centre(lung1: Path) -> None:
    case = open_histology_data(lung1).cases[0]
    ct = case.load()

    k, j, i = np.rint(ct.geometry.to_kji(case.centre_lps_mm)).astype(int)

    assert ct.hu[k, j, i] == 30
    with pytest.raises(InputError, match="The tumour of LUNG1-001 lies outside of its CT"):
        replace(case, centre_lps_mm=(500.0, 0.0, 0.0)).load()


def test_the_hospital_in_the_header_is_the_site(lung1: Path) -> None:
    for file in sorted((lung1 / "manifest/NSCLC-Radiomics" / ADENOCARCINOMA / "study/ct").iterdir()):
        dataset = pydicom.dcmread(file)
        dataset.InstitutionName = "General"
        dataset.save_as(file)

    assert open_histology_data(lung1).cases[0].site == "NSCLC-Radiomics: General"


def test_a_segmentation_serves_as_well_as_a_structure_set(lung1: Path, chest: Callable[[], CtVolume]) -> None:
    study = lung1 / "manifest/NSCLC-Radiomics" / ADENOCARCINOMA / "study"
    (study / "rtstruct/1-1.dcm").unlink()
    ct = replace(chest(), series=replace(chest().series, series_uid=generate_uid()))
    for file in (study / "ct").iterdir():
        file.unlink()
    slices = write_dicom_series(ct, study / "ct", patient_id=ADENOCARCINOMA)
    write_segmentation(study / "seg/1-1.dcm", ct, slices)

    (case,) = NsclcRadiomics(lung1).cases

    assert case.centre_lps_mm == pytest.approx(CENTRE_LPS_MM, abs=0.4)
    assert case.diameter_mm == pytest.approx(2 * RADIUS_MM, rel=0.03)


@pytest.mark.parametrize("name", ["gtv1", "GTV 1"])
def test_the_region_is_known_by_its_other_spellings(lung1: Path, name: str) -> None:
    study = lung1 / "manifest/NSCLC-Radiomics" / ADENOCARCINOMA / "study"
    uid = pydicom.dcmread(study / "ct/0001.dcm").SeriesInstanceUID
    write_structure_set(study / "rtstruct/1-1.dcm", uid, np.arange(0.0, 10.1, 2.5), name)

    assert NsclcRadiomics(lung1).cases[0].centre_lps_mm == pytest.approx(CENTRE_LPS_MM, abs=0.02)


@pytest.mark.parametrize(("name", "of_this_series"), [("GTV-2", True), ("Heart", True), ("GTV-1", False)])
def test_contours_of_something_else_or_elsewhere_are_not_taken(lung1: Path, name: str, of_this_series: bool) -> None:
    study = lung1 / "manifest/NSCLC-Radiomics" / ADENOCARCINOMA / "study"
    uid = pydicom.dcmread(study / "ct/0001.dcm").SeriesInstanceUID if of_this_series else generate_uid()
    write_structure_set(study / "rtstruct/1-1.dcm", uid, np.arange(0.0, 10.1, 2.5), name)

    with pytest.raises(InputError, match=r"LUNG1-001: no contours of GTV-1 on a CT that can be used"):
        NsclcRadiomics(lung1)


def voc(*boxes: tuple[int, int, int, int]) -> str:
    objects = "".join(
        f"<object><name>G</name><bndbox><xmin>{a}</xmin><ymin>{b}</ymin><xmax>{c}</xmax><ymax>{d}</ymax></bndbox>"
        "</object>"
        for a, b, c, d in boxes
    )
    return f"<annotation><filename>x.dcm</filename>{objects}</annotation>"


@pytest.fixture
def lung_pet_ct_dx(tmp_path: Path, chest: Callable[[], CtVolume]) -> Path:
    """Lung-PET-CT-Dx: G0001 annotated on one of two series, with a second, smaller box elsewhere; A0002 has no scan."""
    ct = chest()
    patient = tmp_path / "dicom/Lung-PET-CT-Dx/Lung_Dx-G0001"
    slices = write_dicom_series(ct, patient / "a", patient_id="Lung_Dx-G0001")
    write_dicom_series(chest(), patient / "b", patient_id="Lung_Dx-G0001")
    annotations = tmp_path / "Annotation/G0001"
    annotations.mkdir(parents=True)
    ball = in_ball(ct)
    for k in np.flatnonzero(ball.any(axis=(1, 2))):
        j, i = np.nonzero(ball[k])
        boxes = [(int(i.min()), int(j.min()), int(i.max()), int(j.max())), *([(50, 40, 52, 42)] if k == 12 else [])]
        uid = pydicom.dcmread(slices[k]).SOPInstanceUID
        (annotations / f"{uid}.xml").write_text(voc(*boxes), encoding="utf-8")
    (tmp_path / "Annotation/A0002").mkdir()
    (tmp_path / "Annotation/A0002/1.2.3.xml").write_text(voc((1, 1, 2, 2)), encoding="utf-8")
    return tmp_path


def test_boxes_give_the_largest_tumour_on_the_annotated_series(lung_pet_ct_dx: Path) -> None:
    data = open_histology_data(lung_pet_ct_dx)

    assert isinstance(data, LungPetCtDx)
    (case,) = data.cases
    assert (case.patient, case.histology) == ("G0001", Histology.SQUAMOUS)
    assert case.series.files[0].parent.name == "a"
    assert case.centre_lps_mm == pytest.approx(CENTRE_LPS_MM, abs=1.0)
    assert case.diameter_mm == pytest.approx(2 * RADIUS_MM, abs=2.0)
    assert data.notes == ("A0002: no scan",)


@pytest.mark.parametrize(
    ("letter", "histology"), [("A", "adenocarcinoma"), ("B", "small-cell"), ("E", "large-cell"), ("G", "squamous")]
)
def test_the_letter_is_the_histology(lung_pet_ct_dx: Path, letter: str, histology: str) -> None:
    (lung_pet_ct_dx / "dicom/Lung-PET-CT-Dx/Lung_Dx-G0001").rename(
        lung_pet_ct_dx / f"dicom/Lung-PET-CT-Dx/Lung_Dx-{letter}0001"
    )
    (lung_pet_ct_dx / "Annotation/G0001").rename(lung_pet_ct_dx / f"Annotation/{letter}0001")

    assert [case.histology for case in LungPetCtDx(lung_pet_ct_dx).cases] == [histology]


def test_damaged_annotations_are_named(lung_pet_ct_dx: Path) -> None:
    (lung_pet_ct_dx / "Annotation/G0001/9.9.xml").write_text("<annotation><object><bndbox>", encoding="utf-8")

    with pytest.raises(InputError, match=r"9\.9\.xml cannot be read"):
        LungPetCtDx(lung_pet_ct_dx)


def test_annotations_without_their_series_are_no_data(lung_pet_ct_dx: Path) -> None:
    for file in (lung_pet_ct_dx / "Annotation/G0001").iterdir():
        file.unlink()

    with pytest.raises(InputError, match="A0002: no scan"):
        LungPetCtDx(lung_pet_ct_dx)


def test_another_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no histology data"):
        open_histology_data(tmp_path)


def test_settings_become_words_with_numbers_rounded(lung1: Path) -> None:
    case: HistologyCase = open_histology_data(lung1).cases[0]
    settings = replace(case.settings, tube_current_ma=287.0, slice_thickness_mm=2.999, kvp=None)

    assert settings.as_categories() == ["siemens", "", "b31f", "3.0", "none", "300.0", ""]
