"""Lung-PET-CT-Dx as The Cancer Imaging Archive ships it (CC BY 4.0): CT series, and boxes around tumours as XML.

Below the folder lie one folder a patient (``Lung_Dx-A0001``) and, together or apart, the annotations: a folder a
patient (``A0001``) of XML files in Pascal VOC's form, each named by the SOP instance UID of its slice, with boxes in
pixels. The letter is the histology: A adenocarcinoma, B small cell, E large cell, G squamous cell.

A patient's tumour is the largest connected stack of boxes on one CT series. Boxes are counted from pixel 0; whether the
annotators counted from 1 is not documented, and half a millimetre does not matter here.

Source: Li P et al., The Cancer Imaging Archive 2020, doi 10.7937/TCIA.2020.NNC2-0461.
"""

from __future__ import annotations

import re
from collections import defaultdict
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
from scipy import ndimage

from LungNoduleCADLib.dicom.discover import find_series
from LungNoduleCADLib.dicom.headers import SliceHeader, quiet_pydicom, read_dataset, slice_headers
from LungNoduleCADLib.dicom.stack import in_order, stack_geometry
from LungNoduleCADLib.domain.study import SeriesRef
from LungNoduleCADLib.errors import InputError
from LungNoduleCADLib.training.histology import (
    Histology,
    HistologyCase,
    HistologyData,
    folders_below,
    site_and_settings,
)
from LungNoduleCADLib.training.xml_file import parse_xml

LETTERS = {
    "A": Histology.ADENOCARCINOMA,
    "B": Histology.SMALL_CELL,
    "E": Histology.LARGE_CELL,
    "G": Histology.SQUAMOUS,
}
PATIENT = re.compile(r"(?:Lung_Dx-)?([ABEG]\d{4})")

Box = tuple[float, float, float, float]
"""First column, first row, last column, last row."""


class LungPetCtDx(HistologyData):
    """The collection, or any part of it.

    Raises
    ------
    InputError : no annotation belongs to a CT that is here.
    """

    name = "Lung-PET-CT-Dx"
    licence = "Lung-PET-CT-Dx is CC BY 4.0: cite Li et al. 2020 and the collection."

    def __init__(self, folder: Path) -> None:
        annotations, scans = _annotations(folder), _patient_folders(folder)
        self.cases, left_out = [], []
        for patient, boxes in sorted(annotations.items()):
            case = self._case(patient, boxes, scans[patient]) if patient in scans else "no scan"
            if isinstance(case, HistologyCase):
                self.cases.append(case)
            else:
                left_out.append(f"{patient}: {case}")
        if not self.cases:
            raise InputError(
                f"{folder} has no patient to learn from",
                expected="folders Lung_Dx-A0001 … with CT, and XML named by the slices' UIDs in folders A0001 …",
                got="; ".join(left_out[:3]) or "no annotation",
            )
        self.notes = tuple(left_out)

    @classmethod
    def is_in(cls, folder: Path) -> bool:
        return any(PATIENT.fullmatch(name) for name in folders_below(folder))

    def _case(self, patient: str, boxes: dict[str, list[Box]], folder: Path) -> HistologyCase | str:
        """The case on the CT series with most annotated slices, or why there is none."""
        best: tuple[SeriesRef, list[SliceHeader]] | None = None
        most = 0
        for ref in find_series(folder):
            if ref.modality != "CT" or not ref.usable:
                continue
            slices = _slices(ref)
            count = sum(one.sop_uid in boxes for one in slices)
            if count > most:
                best, most = (ref, slices), count
        if best is None:
            return "no annotated CT that can be used"
        site, settings = site_and_settings(self.name, best[0])
        centre, diameter_mm = _largest_stack(best[1], boxes)
        return HistologyCase(patient, self.name, site, settings, LETTERS[patient[0]], best[0], centre, diameter_mm)


def _annotations(folder: Path) -> dict[str, dict[str, list[Box]]]:
    """{patient: {SOP instance UID: boxes}}."""
    found: dict[str, dict[str, list[Box]]] = defaultdict(dict)
    for file in sorted(folder.rglob("*.xml")):
        patient = PATIENT.fullmatch(file.parent.name)
        if patient:
            found[patient[1]][file.stem] = _boxes(file)
    return found


def _boxes(file: Path) -> list[Box]:
    """Raises InputError where the file is damaged."""
    try:
        root = parse_xml(file)
        return [
            tuple(float(box.findtext(name)) for name in ("xmin", "ymin", "xmax", "ymax"))  # type: ignore[arg-type,misc]
            for box in root.iter("bndbox")
        ]
    except (OSError, ElementTree.ParseError, TypeError, ValueError) as error:
        raise InputError(f"{file} cannot be read", expected="boxes in Pascal VOC's XML", got=str(error)) from error


def _patient_folders(folder: Path) -> dict[str, Path]:
    """{patient: folder of scans}: what TCIA calls ``Lung_Dx-A0001``."""
    found = {PATIENT.fullmatch(name): path for name, path in folders_below(folder).items() if name[:1] == "L"}
    return {match[1]: path for match, path in found.items() if match}


def _slices(ref: SeriesRef) -> list[SliceHeader]:
    with quiet_pydicom():
        return in_order([one for file in ref.files for one in slice_headers(file, read_dataset(file, pixels=False))])


def _largest_stack(slices: list[SliceHeader], boxes: dict[str, list[Box]]) -> tuple[tuple[float, float, float], float]:
    """Centre (LPS mm) and mean edge (mm) of the largest connected stack of boxes; ``slices`` from feet to head."""
    grid = stack_geometry(slices)
    marked = np.zeros(grid.shape_kji, bool)
    for k, one in enumerate(slices):
        for left, top, right, bottom in boxes.get(one.sop_uid, []):
            marked[k, max(int(top), 0) : int(bottom) + 1, max(int(left), 0) : int(right) + 1] = True
    labels, count = ndimage.label(marked)
    if not count:
        raise InputError("An annotation lies outside of its slice", got=slices[0].series_uid)
    largest = 1 + int(np.argmax(np.bincount(labels.ravel())[1:]))
    voxels = np.argwhere(labels == largest)
    edges_mm = (np.ptp(voxels, axis=0) + 1) * grid.spacing_kji_mm
    return tuple(float(v) for v in grid.to_lps_mm(voxels.mean(axis=0))), float(edges_mm.mean())  # type: ignore[return-value]
