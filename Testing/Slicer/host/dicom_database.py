"""``slicer.dicomDatabase``: what ctkDICOMDatabase answers, from the files themselves by pydicom, kept in memory."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import ClassVar

from PySide6 import QtCore

from host.members import CTK
from host.offering import offered

PATIENT_FIELDS = {"PatientID": "PatientID", "PatientsName": "PatientName", "PatientsBirthDate": "PatientBirthDate",
                  "PatientsSex": "PatientSex"}  # fmt: skip


@offered(CTK)
class ctkDICOMDatabase(QtCore.QObject):
    _kept: ClassVar[dict[str, dict[str, object]]] = {}  # what each database folder holds: file -> header

    def __init__(self, *_arguments) -> None:
        super().__init__()
        self._hFolder: Path | None = None

    isOpen = property(lambda self: self._hFolder is not None)
    databaseDirectory = property(lambda self: str(self._hFolder) if self.isOpen else "")
    databaseFilename = property(lambda self: f"{self._hFolder}/ctkDICOM.sql" if self.isOpen else "")
    lastError = property(lambda self: "")
    isInMemory = property(lambda self: False)

    @property
    def _hHeaders(self) -> dict:
        return self._kept.setdefault(self.databaseDirectory, {}) if self.isOpen else {}

    def openDatabase(self, databaseFile: str, _connectionName: str = "") -> bool:
        self._hFolder = Path(databaseFile).parent
        self.opened.emit()
        return True

    def closeDatabase(self) -> None:
        self._hFolder = None
        self.closed.emit()

    def initializeDatabase(self) -> bool:
        self._hHeaders.clear()
        return True

    def _hImport(self, folder: Path, copyFiles: bool) -> None:
        """What ctkDICOMIndexer does with a folder."""
        import pydicom

        for file in sorted(path for path in folder.rglob("*") if path.is_file()):
            try:
                header = pydicom.dcmread(file, stop_before_pixels=True)
                uid = str(header.SOPInstanceUID)
            except (pydicom.errors.InvalidDicomError, AttributeError):
                continue
            if self.fileForInstance(uid):
                continue
            place = file
            if copyFiles:
                place = self._hFolder / "dicom" / str(header.SeriesInstanceUID) / uid
                place.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(file, place)
            self._hHeaders[str(place)] = header
        self.databaseChanged.emit()

    # ---- the tree

    def _hDistinct(self, value, chosen=lambda _header: True) -> tuple[str, ...]:
        return tuple(dict.fromkeys(value(header) for header in self._hHeaders.values() if chosen(header)))

    def _hPatientKeys(self) -> list[tuple[str, ...]]:
        return list(dict.fromkeys(_patient(header) for header in self._hHeaders.values()))

    def patients(self) -> tuple[str, ...]:
        return tuple(str(number + 1) for number in range(len(self._hPatientKeys())))

    def studiesForPatient(self, patientUID: str) -> tuple[str, ...]:
        if patientUID not in self.patients():
            return ()
        key = self._hPatientKeys()[int(patientUID) - 1]
        return self._hDistinct(_study, lambda header: _patient(header) == key)

    def seriesForStudy(self, studyUID: str) -> tuple[str, ...]:
        return self._hDistinct(_series, lambda header: _study(header) == studyUID)

    def filesForSeries(self, seriesUID: str, hits: int = -1) -> tuple[str, ...]:
        files = tuple(file for file, header in self._hHeaders.items() if _series(header) == seriesUID)
        return files if hits < 0 else files[:hits]

    def instancesForSeries(self, seriesUID: str, hits: int = -1) -> tuple[str, ...]:
        return tuple(self.instanceForFile(file) for file in self.filesForSeries(seriesUID, hits))

    def studyForSeries(self, seriesUID: str) -> str:
        return next((_study(header) for header in self._hHeaders.values() if _series(header) == seriesUID), "")

    def patientForStudy(self, studyUID: str) -> str:
        found = (patient for patient in self.patients() if studyUID in self.studiesForPatient(patient))
        return next(found, "")

    def fileForInstance(self, sopInstanceUID: str) -> str:
        items = self._hHeaders.items()
        return next((file for file, header in items if str(header.SOPInstanceUID) == sopInstanceUID), "")

    def instanceForFile(self, fileName: str) -> str:
        header = self._hHeaders.get(str(fileName))
        return "" if header is None else str(header.SOPInstanceUID)

    def seriesForFile(self, fileName: str) -> str:
        header = self._hHeaders.get(str(fileName))
        return "" if header is None else _series(header)

    def allFiles(self) -> tuple[str, ...]:
        return tuple(self._hHeaders)

    def patientsCount(self) -> int:
        return len(self.patients())

    def studiesCount(self) -> int:
        return len(self._hDistinct(_study))

    def seriesCount(self) -> int:
        return len(self._hDistinct(_series))

    def imagesCount(self) -> int:
        return len(self._hHeaders)

    # ---- values

    def _hField(self, field: str, chosen) -> str:
        header = next((header for header in self._hHeaders.values() if chosen(header)), None)
        return "" if header is None else _text(header.get(PATIENT_FIELDS.get(field, field)))

    def fieldForPatient(self, field: str, patientUID: str) -> str:
        if patientUID not in self.patients():
            return ""
        key = self._hPatientKeys()[int(patientUID) - 1]
        return _isoDate(field, self._hField(field, lambda header: _patient(header) == key))

    def fieldForStudy(self, field: str, studyUID: str) -> str:
        return _isoDate(field, self._hField(field, lambda header: _study(header) == studyUID))

    def fieldForSeries(self, field: str, seriesUID: str) -> str:
        return _isoDate(field, self._hField(field, lambda header: _series(header) == seriesUID))

    def nameForPatient(self, patientUID: str) -> str:
        return self.fieldForPatient("PatientsName", patientUID)

    displayedNameForPatient = nameForPatient

    def descriptionForStudy(self, studyUID: str) -> str:
        return self.fieldForStudy("StudyDescription", studyUID)

    def descriptionForSeries(self, seriesUID: str) -> str:
        return self.fieldForSeries("SeriesDescription", seriesUID)

    def fileValue(self, fileName: str, tag, element: int | None = None) -> str:
        """``tag`` is "0008,0020", or group and element as numbers; empty where the file has no such value."""
        header = self._hHeaders.get(str(fileName))
        if header is None:
            return ""
        group, element = (int(part, 16) for part in tag.split(",")) if element is None else (tag, element)
        found = header.get((group, element))
        return "" if found is None else _text(found.value)

    def instanceValue(self, sopInstanceUID: str, tag, element: int | None = None) -> str:
        return self.fileValue(self.fileForInstance(sopInstanceUID), tag, element)

    def fileValueExists(self, fileName: str, tag, element: int | None = None) -> bool:
        return bool(self.fileValue(fileName, tag, element))

    def instanceValueExists(self, sopInstanceUID: str, tag, element: int | None = None) -> bool:
        return bool(self.instanceValue(sopInstanceUID, tag, element))

    # ---- taking away

    def _hRemove(self, chosen) -> bool:
        files = [file for file, header in self._hHeaders.items() if chosen(header)]
        for file in files:
            del self._hHeaders[file]
        self.databaseChanged.emit()
        return bool(files)

    def removeSeries(self, seriesUID: str, _clearCachedTags: bool = False, _cleanup: bool = True) -> bool:
        return self._hRemove(lambda header: _series(header) == seriesUID)

    def removeStudy(self, studyUID: str, _cleanup: bool = True) -> bool:
        return self._hRemove(lambda header: _study(header) == studyUID)

    def removePatient(self, patientUID: str, _cleanup: bool = True) -> bool:
        key = self._hPatientKeys()[int(patientUID) - 1]
        return self._hRemove(lambda header: _patient(header) == key)


def _patient(header) -> tuple[str, ...]:
    return tuple(_text(header.get(name)) for name in ("PatientID", "PatientName", "PatientBirthDate"))


def _study(header) -> str:
    return str(header.get("StudyInstanceUID", ""))


def _series(header) -> str:
    return str(header.get("SeriesInstanceUID", ""))


def _text(value) -> str:
    if value is None:
        return ""
    if isinstance(value, str) or not hasattr(value, "__iter__") or hasattr(value, "original_string"):
        return str(value)
    return "\\".join(str(item) for item in value)


def _isoDate(field: str, text: str) -> str:
    """The database keeps dates as YYYY-MM-DD; the header has them without dashes."""
    isDate = field.endswith("Date") and len(text) == 8 and text.isdigit()
    return f"{text[:4]}-{text[4:6]}-{text[6:]}" if isDate else text
