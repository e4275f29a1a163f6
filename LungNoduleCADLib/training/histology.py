"""Scans of tumours whose histology is known: one record a patient, whatever collection it comes from."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Protocol

import pydicom

from LungNoduleCADLib.dicom.headers import number, quiet_pydicom, text
from LungNoduleCADLib.domain.ct import CtVolume
from LungNoduleCADLib.domain.nodule import Point
from LungNoduleCADLib.domain.study import SeriesRef
from LungNoduleCADLib.errors import InputError

FOLDER_DEPTH = 4


class Histology(StrEnum):
    ADENOCARCINOMA = "adenocarcinoma"
    SQUAMOUS = "squamous"
    LARGE_CELL = "large-cell"
    SMALL_CELL = "small-cell"


@dataclass(frozen=True)
class ScannerSettings:
    """How a series was made: what a network must not tell a histology by. Empty or ``None``: the header is silent."""

    manufacturer: str
    model: str
    kernel: str
    slice_thickness_mm: float | None
    kvp: float | None
    tube_current_ma: float | None
    contrast: str

    def as_categories(self) -> list[str]:
        """Every setting as a word; numbers rounded, the current (which the dose control changes) to 100 mA."""
        current = None if self.tube_current_ma is None else round(self.tube_current_ma, -2)
        thickness = None if self.slice_thickness_mm is None else round(self.slice_thickness_mm, 1)
        values = (self.manufacturer, self.model, self.kernel, thickness, self.kvp, current, self.contrast)
        return [str(value).strip().lower() for value in values]


@dataclass(frozen=True)
class HistologyCase:
    """One patient's CT with one tumour.

    ``site``: the hospital that the header names or, where the collection took it out, the maker of the scanner inside
    the collection, which is the best stand-in there is. ``centre_lps_mm``, ``diameter_mm``: of the tumour.
    """

    patient: str
    collection: str
    site: str
    settings: ScannerSettings
    histology: Histology
    series: SeriesRef
    centre_lps_mm: Point
    diameter_mm: float

    def load(self) -> CtVolume:
        """The CT; raises InputError where it is damaged or does not hold the tumour."""
        from LungNoduleCADLib.dicom.load import load_series

        ct = load_series(self.series)
        if not ct.geometry.contains(self.centre_lps_mm):
            raise InputError(f"The tumour of {self.patient} lies outside of its CT", got=str(self.centre_lps_mm))
        return ct


class HistologyData(Protocol):
    """A collection: its cases, its licence, and what was left out and why."""

    name: str
    licence: str
    cases: list[HistologyCase]
    notes: tuple[str, ...]

    @classmethod
    @abstractmethod
    def is_in(cls, folder: Path) -> bool:
        """Whether a folder holds this collection."""


def open_histology_data(folder: Path) -> HistologyData:
    """The collection in a folder.

    Raises
    ------
    InputError : the folder holds none that is known, or a damaged one.
    """
    from LungNoduleCADLib.training.lung_pet_ct_dx import LungPetCtDx
    from LungNoduleCADLib.training.nsclc_radiomics import NsclcRadiomics

    for kind in (NsclcRadiomics, LungPetCtDx):
        if kind.is_in(folder):
            return kind(folder)
    raise InputError(
        f"{folder} holds no histology data",
        expected="NSCLC-Radiomics (CT, RTSTRUCT or SEG, clinical CSV) or Lung-PET-CT-Dx (CT, XML named by patient)",
        got="neither",
    )


def site_and_settings(collection: str, series: SeriesRef) -> tuple[str, ScannerSettings]:
    """From the header of a series' first file."""
    with quiet_pydicom():
        header = pydicom.dcmread(series.files[0], stop_before_pixels=True, force=True)
    settings = ScannerSettings(
        manufacturer=text(header, "Manufacturer").upper(),
        model=text(header, "ManufacturerModelName"),
        kernel=text(header, "ConvolutionKernel"),
        slice_thickness_mm=number(header, "SliceThickness"),
        kvp=number(header, "KVP"),
        tube_current_ma=number(header, "XRayTubeCurrent"),
        contrast="" if series.description.contrast is None else str(series.description.contrast),
    )
    hospital = text(header, "InstitutionName") or settings.manufacturer or "unknown"
    return f"{collection}: {hospital}", settings


def folders_below(folder: Path) -> dict[str, Path]:
    """{name: folder} of folders down to the fourth level; of one name the highest."""
    found: dict[str, Path] = {}
    for depth in range(1, FOLDER_DEPTH + 1):
        for path in sorted(folder.glob("/".join("*" * depth))):
            if path.is_dir():
                found.setdefault(path.name, path)
    return found
