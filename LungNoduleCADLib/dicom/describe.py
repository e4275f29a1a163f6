"""A series as its header describes it, without anything that names the patient."""

from __future__ import annotations

import hashlib
import re
from datetime import date

from pydicom.dataset import Dataset

from LungNoduleCADLib.dicom.headers import SliceHeader, number, text
from LungNoduleCADLib.dicom.wording import kernel_name, known_words, manufacturer_name
from LungNoduleCADLib.domain.study import SeriesDescription

_YEARS_PER_UNIT = {"Y": 1.0, "M": 1 / 12, "W": 7 / 365.25, "D": 1 / 365.25}
_SHARP_NAMES = {"LUNG", "BONE", "BONEPLUS", "BONE+", "EDGE", "ULTRA", "D", "E", "L", "YC", "YD", "YE"}


def describe(first: SliceHeader) -> SeriesDescription:
    """De-identified facts from one slice's header."""
    header = first.dataset
    study_date = study_date_of(header)
    patient_id = text(header, "PatientID")
    sex = text(header, "PatientSex").upper()
    return SeriesDescription(
        series_uid=first.series_uid,
        study_uid=text(header, "StudyInstanceUID"),
        patient_key=hashlib.sha256(patient_id.encode()).hexdigest()[:16] if patient_id else "",
        study_date=study_date,
        description=known_words(text(header, "SeriesDescription")),
        age_years=_age_years(header, study_date),
        sex=sex if sex in ("M", "F", "O") else None,
        slice_thickness_mm=first.thickness_mm,
        kernel=kernel_name(text(header, "ConvolutionKernel")),
        manufacturer=manufacturer_name(text(header, "Manufacturer")),
        kvp=number(header, "KVP"),
        contrast=_contrast(header),
    )


def study_date_of(header: Dataset) -> date | None:
    """The date that follow-up counts from: of the study, else of acquisition, series or content."""
    dates = (_date(text(header, key)) for key in ("StudyDate", "AcquisitionDate", "SeriesDate", "ContentDate"))
    return next((day for day in dates if day), None)


def is_sharp_kernel(kernel: str) -> bool:
    """Whether a reconstruction kernel is a lung or bone kernel: sharp, noisy, HU overshoot at edges.

    By the vendors' naming: GE and Philips names, Siemens numbers from 50 (B50f, Bl57, I70f), Canon FC30-39 and FC50+.
    """
    name = kernel.upper().split(" ")[0]
    if name in _SHARP_NAMES:
        return True
    canon = re.fullmatch(r"FC(\d\d).*", name)
    if canon:
        return 30 <= int(canon[1]) < 40 or int(canon[1]) >= 50
    siemens = re.fullmatch(r"[A-Z]{1,2}(\d\d)[A-Z]?.*", name)
    return bool(siemens) and int(siemens[1]) >= 50


def _date(value: str) -> date | None:
    digits = value.replace(".", "").replace("-", "")[:8]
    try:
        return date(int(digits[:4]), int(digits[4:6]), int(digits[6:8]))
    except ValueError:
        return None


def _age_years(header: Dataset, study_date: date | None) -> float | None:
    age = re.fullmatch(r"(\d{1,3})([YMWD])", text(header, "PatientAge").upper())
    if age:
        return round(int(age[1]) * _YEARS_PER_UNIT[age[2]], 2)
    birth = _date(text(header, "PatientBirthDate"))
    if birth and study_date and birth <= study_date:
        return float(int((study_date - birth).days / 365.25))
    return None


def _contrast(header: Dataset) -> bool | None:
    agent = text(header, "ContrastBolusAgent").upper()
    if not agent:
        return None
    return agent not in ("NONE", "NO", "N", "WITHOUT")
