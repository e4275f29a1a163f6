"""NSCLC-Radiomics (LUNG1) as The Cancer Imaging Archive ships it: not for commercial use (CC BY-NC 3.0).

Below the folder lie one folder a patient (``LUNG1-001``) with a CT series and the contours of the gross tumour volume
(RTSTRUCT with a region ``GTV-1``, or the same as SEG), and the clinical table (CSV with ``PatientID`` and
``Histology``). Patients whose histology is ``nos`` or missing, and those without contours, are left out.

Source: Aerts HJWL et al., Nat Commun 2014;5:4006; The Cancer Imaging Archive, doi 10.7937/K9/TCIA.2015.PF0M9REI.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pydicom
from pydicom.dataset import Dataset
from pydicom.uid import RTStructureSetStorage, SegmentationStorage

from LungNoduleCADLib.dicom.discover import find_series
from LungNoduleCADLib.dicom.headers import is_dicom, quiet_pydicom, text
from LungNoduleCADLib.domain.nodule import Point
from LungNoduleCADLib.errors import InputError
from LungNoduleCADLib.training.histology import (
    Histology,
    HistologyCase,
    HistologyData,
    folders_below,
    site_and_settings,
)

HISTOLOGIES = {
    "adenocarcinoma": Histology.ADENOCARCINOMA,
    "squamous cell carcinoma": Histology.SQUAMOUS,
    "large cell": Histology.LARGE_CELL,
}
PRIMARY_TUMOUR = re.compile(r"(gtv[-_ ]?1|neoplasm, primary)", re.IGNORECASE)
COLUMNS = {"PatientID", "Histology"}

Tumour = tuple[Point, float]
"""Centre in LPS mm, and the diameter in mm of the ball of the tumour's volume."""


class NsclcRadiomics(HistologyData):
    """The collection, or any part of it.

    Raises
    ------
    InputError : no patient of the table has a CT with contours.
    """

    name = "NSCLC-Radiomics"
    licence = (
        "NSCLC-Radiomics is CC BY-NC 3.0: no commercial use, nor of weights trained on it; cite Aerts et al. 2014 and "
        "the collection."
    )

    def __init__(self, folder: Path) -> None:
        folders, self.cases, left_out = folders_below(folder), [], []
        for patient, histology in _table(folder).items():
            if patient not in folders:
                continue
            case = self._case(patient, HISTOLOGIES.get(histology), folders[patient])
            if isinstance(case, HistologyCase):
                self.cases.append(case)
            else:
                left_out.append(f"{patient}: {case}")
        if not self.cases:
            raise InputError(
                f"{folder} has no patient to learn from",
                expected="a CT, contours named GTV-1 and a histology",
                got="; ".join(left_out[:3]) or "no patient's folder",
            )
        self.notes = tuple(left_out)

    @classmethod
    def is_in(cls, folder: Path) -> bool:
        return bool(_tables(folder))

    def _case(self, patient: str, histology: Histology | None, folder: Path) -> HistologyCase | str:
        """The case, or why there is none."""
        if histology is None:
            return "histology not given"
        usable = [ref for ref in find_series(folder) if ref.modality == "CT" and ref.usable]
        series = {ref.description.series_uid: ref for ref in usable}
        for contours in _contour_files(folder):
            referenced, tumour = _tumour(contours)
            if tumour is not None and referenced in series:
                site, settings = site_and_settings(self.name, series[referenced])
                return HistologyCase(patient, self.name, site, settings, histology, series[referenced], *tumour)
        return "no contours of GTV-1 on a CT that can be used"


def _tables(folder: Path) -> list[Path]:
    found = []
    for file in [*folder.glob("*.csv"), *folder.glob("*/*.csv")]:
        with file.open(newline="", encoding="utf-8-sig") as stream:
            if set(next(csv.reader(stream), [])) >= COLUMNS:
                found.append(file)
    return found


def _table(folder: Path) -> dict[str, str]:
    """{patient: histology as written, lower case}."""
    with _tables(folder)[0].open(newline="", encoding="utf-8-sig") as stream:
        return {row["PatientID"].strip(): (row["Histology"] or "").strip().lower() for row in csv.DictReader(stream)}


def _contour_files(folder: Path) -> Iterator[Dataset]:
    """Structure sets, then segmentations, without pixels."""
    found = []
    with quiet_pydicom():
        for file in sorted(path for path in folder.rglob("*") if path.is_file() and is_dicom(path)):
            header = pydicom.dcmread(file, specific_tags=["SOPClassUID"], stop_before_pixels=True)
            if header.get("SOPClassUID") in (RTStructureSetStorage, SegmentationStorage):
                found.append((header.SOPClassUID == SegmentationStorage, file))
        for _, file in sorted(found):
            yield pydicom.dcmread(file)


def _tumour(contours: Dataset) -> tuple[str, Tumour | None]:
    """UID of the CT series that the contours lie on, and the primary tumour."""
    try:
        if contours.SOPClassUID == SegmentationStorage:
            return text(contours.ReferencedSeriesSequence[0], "SeriesInstanceUID"), _tumour_of_segmentation(contours)
        study = contours.ReferencedFrameOfReferenceSequence[0].RTReferencedStudySequence[0]
        return text(study.RTReferencedSeriesSequence[0], "SeriesInstanceUID"), _tumour_of_structure_set(contours)
    except (AttributeError, IndexError):
        return "", None


def _tumour_of_structure_set(structures: Dataset) -> Tumour | None:
    """From polygons in axial planes; a plane stands for the median distance of planes."""
    numbers = [
        roi.ROINumber for roi in structures.StructureSetROISequence if PRIMARY_TUMOUR.fullmatch(text(roi, "ROIName"))
    ]
    polygons = [
        np.asarray(contour.ContourData, float).reshape(-1, 3)
        for roi in structures.ROIContourSequence
        if numbers and roi.ReferencedROINumber == numbers[0]
        for contour in roi.get("ContourSequence", [])
        if text(contour, "ContourGeometricType") == "CLOSED_PLANAR"
    ]
    areas, centres = zip(*(_area_and_centre(p) for p in polygons), strict=True) if polygons else ((), ())
    if not sum(areas):
        return None
    heights = np.unique([round(p[0, 2], 2) for p in polygons])
    spacing_mm = float(np.median(np.diff(heights))) if len(heights) > 1 else 1.0
    centre = np.average(centres, axis=0, weights=areas)
    return _as_point(centre), _ball_diameter_mm(sum(areas) * spacing_mm)


def _area_and_centre(polygon: np.ndarray) -> tuple[float, np.ndarray]:
    """Area in mm² and centroid (3,) of an axial polygon (N, 3), by the shoelace formula."""
    here, following = polygon[:, :2] - polygon[0, :2], np.roll(polygon[:, :2] - polygon[0, :2], -1, axis=0)
    cross = here[:, 0] * following[:, 1] - following[:, 0] * here[:, 1]
    twice = cross.sum()
    if abs(twice) < 1e-6:
        return 0.0, polygon.mean(axis=0)
    centre = ((here + following) * cross[:, None]).sum(axis=0) / (3 * twice)
    return abs(twice) / 2, np.array([*(centre + polygon[0, :2]), polygon[0, 2]])


def _tumour_of_segmentation(dataset: Dataset) -> Tumour | None:
    from highdicom.seg import Segmentation

    names = {
        segment.SegmentNumber: (text(segment, "SegmentLabel"), text(segment, "SegmentDescription"))
        for segment in dataset.SegmentSequence
    }
    numbers = [n for n, labels in names.items() if any(PRIMARY_TUMOUR.fullmatch(label) for label in labels)]
    if not numbers:
        return None
    volume = Segmentation.from_dataset(dataset).get_volume(segment_numbers=numbers[:1], combine_segments=True)
    marked = np.argwhere(volume.array)
    if not len(marked):
        return None
    centre = volume.map_indices_to_reference(marked.mean(axis=0)[None])[0]
    return _as_point(centre), _ball_diameter_mm(len(marked) * float(np.prod(volume.spacing)))


def _as_point(values: np.ndarray) -> Point:
    return tuple(float(v) for v in values)  # type: ignore[return-value]


def _ball_diameter_mm(volume_mm3: float) -> float:
    return float((6.0 * volume_mm3 / np.pi) ** (1 / 3))
