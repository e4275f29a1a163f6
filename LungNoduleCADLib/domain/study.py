"""A CT series as its headers describe it, without anything that names the patient."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from pathlib import Path

from LungNoduleCADLib.domain.quality import QualityFlag


@dataclass(frozen=True)
class SeriesDescription:
    """De-identified facts of one CT series.

    ``patient_key`` is a salted-free SHA-256 of PatientID, first 16 hex digits: enough to notice that two scans are of
    different people. None of the fields holds a name, birth date, accession number or free text: what a header says in
    ``description``, ``kernel`` and ``manufacturer`` is there as far as it is known words (``dicom.wording``).
    """

    series_uid: str
    study_uid: str = ""
    patient_key: str = ""
    study_date: date | None = None
    description: str = ""
    age_years: float | None = None
    sex: str | None = None
    slice_thickness_mm: float | None = None
    kernel: str = ""
    manufacturer: str = ""
    kvp: float | None = None
    contrast: bool | None = None


@dataclass(frozen=True)
class PatientHeader:
    """Whom a scan is of, by its DICOM headers: for a report that is asked for with a patient header, nowhere else."""

    name: str
    patient_id: str
    birth_date: str
    accession_number: str


@dataclass(frozen=True)
class SeriesRef:
    """A CT series found in a folder: its files in slice order (caudal to cranial), and what speaks against it.

    ``damaged``: names of files beside it that cannot be read; for messages only, since they may be a patient's.
    """

    description: SeriesDescription
    files: tuple[Path, ...]
    modality: str
    n_slices: int
    spacing_kji_mm: tuple[float, float, float] | None
    flags: tuple[QualityFlag, ...] = ()
    usable: bool = True
    damaged: tuple[str, ...] = ()
