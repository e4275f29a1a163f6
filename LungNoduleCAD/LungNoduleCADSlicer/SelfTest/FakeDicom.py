"""A stand-in for Slicer's DICOM database, so that no test touches the reader's own."""

import numpy as np
import slicer

from LungNoduleCADSlicer.ScanFacts import INSTANCES, MIN_SLICES

PATIENT = "patient 1"

TAGS = {
    "0008,0020": "StudyDate",
    "0008,0060": "Modality",
    "0010,0020": "PatientID",
    "0010,0030": "PatientsBirthDate",
    "0010,0040": "PatientsSex",
    "0010,1010": "PatientsAge",
    "0018,0015": "BodyPartExamined",
}


def useDatabase(test, database):
    """In place of ``slicer.dicomDatabase`` until the test is through."""
    before = getattr(slicer, "dicomDatabase", None)
    slicer.dicomDatabase = database
    test.addCleanup(lambda: setattr(slicer, "dicomDatabase", before))
    return database


class FakeDatabase:
    """Members of ctkDICOMDatabase; one patient for each PatientID."""

    isOpen = True

    def __init__(self) -> None:
        self._series: dict[str, dict[str, str]] = {}
        self._files: dict[str, dict[str, str]] = {}

    def add(self, seriesUid: str, instances, files=(), **fields) -> None:
        """``instances`` of a series and its ``files`` (default: none that exist), with the headers' fields."""
        self._series[seriesUid] = {"Modality": "CT", "StudyInstanceUID": f"study of {seriesUid}", **fields}
        files = files or [f"/nowhere/{uid}" for uid in instances]
        self._files[seriesUid] = dict(zip(instances, files, strict=True))

    def patients(self):
        return tuple(dict.fromkeys(fields["PatientID"] for fields in self._series.values()))

    def studiesForPatient(self, patient):
        studies = [fields["StudyInstanceUID"] for fields in self._series.values() if fields["PatientID"] == patient]
        return tuple(dict.fromkeys(studies))

    def seriesForStudy(self, study):
        return tuple(uid for uid, fields in self._series.items() if fields["StudyInstanceUID"] == study)

    def instancesForSeries(self, series):
        return tuple(self._files[series])

    def filesForSeries(self, series):
        return tuple(self._files[series].values()) if series else ()

    def fieldForPatient(self, field, patient):
        return next(fields.get(field, "") for fields in self._series.values() if fields["PatientID"] == patient)

    def fieldForStudy(self, field, study):
        return next(fields.get(field, "") for fields in self._series.values() if fields["StudyInstanceUID"] == study)

    def fieldForSeries(self, field, series):
        return self._series[series].get(field, "")

    def fileForInstance(self, instance):
        return next((files[instance] for files in self._files.values() if instance in files), "")

    def seriesForFile(self, file):
        return next((uid for uid, files in self._files.items() if file in files.values()), "")

    def instanceValue(self, instance, tag):
        series = next(uid for uid, files in self._files.items() if instance in files)
        return self._series[series].get(TAGS.get(tag, ""), "")


def addVolume(name, slices=MIN_SLICES):
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", name)
    slicer.util.updateVolumeFromArray(node, np.zeros((slices, 4, 4), np.int16))
    return node


def fromDatabase(database, name, date, slices=MIN_SLICES, instances=(), files=(), **fields):
    """A volume as Slicer's DICOM module leaves it."""
    node = addVolume(name, slices)
    instances = list(instances) or [f"{name}.1"]
    node.SetAttribute(INSTANCES, " ".join(instances))
    database.add(name, instances, files, **{"StudyDate": date, "PatientID": PATIENT, **fields})
    return node
