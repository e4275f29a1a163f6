"""What is known of a volume of the scene: by the folder it was loaded from, or by Slicer's DICOM database."""

import hashlib
import json
import re
from dataclasses import dataclass

import slicer

INSTANCES = "DICOM.instanceUIDs"
SERIES = "LungNoduleCAD.Series"
SERIES_FACTS = ("series_uid", "study_date", "patient_key", "age_years", "sex", "modality")

CHEST = ("CHEST", "THORAX", "LUNG")
MIN_SLICES = 40  # fewer do not cover the lungs: a localizer, a key image


@dataclass(frozen=True)
class ScanFacts:
    """Empty or None where it is not known. ``date`` is YYYY-MM-DD, ``sex`` as in DICOM (F, M, O).

    ``patientKey`` tells patients apart without naming them.
    """

    seriesUid: str = ""
    date: str = ""
    patientKey: str = ""
    ageYears: float | None = None
    sex: str | None = None
    isChestCt: bool = False


def factsOf(volumeNode) -> ScanFacts:
    """What is known of a volume (or of None)."""
    if volumeNode is None:
        return ScanFacts()
    image = volumeNode.GetImageData()
    slices = image.GetDimensions()[2] if image is not None else 0
    if volumeNode.GetAttribute(SERIES):
        return _factsOfSeries(json.loads(volumeNode.GetAttribute(SERIES)), slices)
    database, instances = openDatabase(), instancesOf(volumeNode)
    # a file that the database does not have is another computer's
    if database is None or not instances or not database.fileForInstance(instances[0]):
        return ScanFacts()
    return _factsOfInstance(database, instances[0], slices)


def rememberSeries(volumeNode, series: dict) -> None:
    """``series`` as the library's verb of that name lists it; kept with the scene."""
    volumeNode.SetAttribute(SERIES, json.dumps({key: series[key] for key in SERIES_FACTS}))


def openDatabase():
    """Slicer's DICOM database where it is there and open, else None."""
    database = getattr(slicer, "dicomDatabase", None)
    return database if database is not None and database.isOpen else None


def instancesOf(volumeNode) -> list[str]:
    """Of a volume that Slicer's DICOM module loaded; one for each file."""
    return (volumeNode.GetAttribute(INSTANCES) or "").split()


def isFromDicom(volumeNode) -> bool:
    return bool(volumeNode.GetAttribute(SERIES) or volumeNode.GetAttribute(INSTANCES))


def isChestCt(modality: str, bodyPart: str, slices: int) -> bool:
    """By what DICOM says; a body part that nobody entered counts as chest."""
    part = bodyPart.upper()
    return modality == "CT" and slices >= MIN_SLICES and (not part or any(word in part for word in CHEST))


def patientKey(patientId: str) -> str:
    """As the library makes it of PatientID (``dicom.describe``), so that both sides' scans can be told apart."""
    return hashlib.sha256(patientId.encode()).hexdigest()[:16] if patientId else ""


def isoDate(value: str) -> str:
    """YYYY-MM-DD of DICOM's or the database's form; empty where it is no date."""
    digits = value.replace("-", "").replace(".", "")[:8]
    return f"{digits[:4]}-{digits[4:6]}-{digits[6:]}" if len(digits) == 8 and digits.isdigit() else ""


def _factsOfSeries(series: dict, slices: int) -> ScanFacts:
    return ScanFacts(
        series["series_uid"],
        series["study_date"] or "",
        series["patient_key"],
        series["age_years"],
        series["sex"],
        isChestCt(series["modality"], "", slices),
    )


def _factsOfInstance(database, instance: str, slices: int) -> ScanFacts:
    def value(tag: str) -> str:
        return database.instanceValue(instance, tag).strip()

    date = isoDate(value("0008,0020")) or isoDate(value("0008,0022"))
    sex = value("0010,0040").upper()
    return ScanFacts(
        database.seriesForFile(database.fileForInstance(instance)),
        date,
        patientKey(value("0010,0020")),
        _age(value("0010,1010"), isoDate(value("0010,0030")), date),
        sex if sex in ("F", "M", "O") else None,
        isChestCt(value("0008,0060"), value("0018,0015"), slices),
    )


def _age(text: str, born: str, date: str) -> float | None:
    """Years, of DICOM's PatientAge (061Y) or else the birth date."""
    match = re.fullmatch(r"(\d{1,3})Y", text.upper())
    if match:
        return float(match[1])
    if born and date:
        return float(int(date[:4]) - int(born[:4]) - (date[5:] < born[5:]))
    return None
