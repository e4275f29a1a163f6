"""Stand-in for Slicer's DICOMUtils: folders into the database, CT series as volumes. No DICOM plugins."""

import logging
import time
from pathlib import Path

import numpy as np
import slicer
import vtk

POSITION, ORIENTATION = "0020,0032", "0020,0037"
SERIES_NUMBER, SERIES_DESCRIPTION, SOP_CLASS = "0020,0011", "0008,103E", "0008,0016"
IMAGES = ("1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.4")  # CT and MR Image Storage


class TemporaryDICOMDatabase:
    """``with`` it, the application's database is an empty one."""

    def __init__(self, directory=None):
        self.temporaryDatabaseDir = directory
        self.originalDatabaseDir = None

    def __enter__(self):
        self.originalDatabaseDir = openTemporaryDatabase(self.temporaryDatabaseDir)
        return slicer.dicomDatabase

    def __exit__(self, kind, value, traceback):
        closeTemporaryDatabase(self.originalDatabaseDir)


def openDatabase(databaseDir):
    return slicer.dicomDatabase.openDatabase(f"{databaseDir}/ctkDICOM.sql")


def openTemporaryDatabase(directory=None):
    """Answers the folder of the database that was open."""
    original = slicer.dicomDatabase.databaseDirectory
    folder = Path(slicer.app.temporaryPath) / (directory or time.strftime("%Y%m%d_%H%M%S_TempDICOMDatabase"))
    folder.mkdir(parents=True, exist_ok=True)
    openDatabase(str(folder))
    slicer.dicomDatabase.initializeDatabase()
    return original


def closeTemporaryDatabase(originalDatabaseDir, cleanup=True):
    if cleanup:
        slicer.dicomDatabase.initializeDatabase()
    slicer.dicomDatabase.closeDatabase()
    return not originalDatabaseDir or openDatabase(originalDatabaseDir)


def importDicom(dicomDataDir, dicomDatabase=None, copyFiles=False):
    database = slicer.dicomDatabase if dicomDatabase is None else dicomDatabase
    try:
        database._hImport(Path(dicomDataDir), copyFiles)
    except Exception:
        logging.exception("Failed to import DICOM folder %s", dicomDataDir)
        return False
    return True


def allSeriesUIDsInDatabase(database=None):
    database = slicer.dicomDatabase if database is None else database
    studies = [study for patient in database.patients() for study in database.studiesForPatient(patient)]
    return [series for study in studies for series in database.seriesForStudy(study)]


def loadPatientByUID(patientUID, messages=None, progressCallback=None):
    studies = slicer.dicomDatabase.studiesForPatient(str(patientUID))
    if not studies:
        raise OSError(f"No patient found with DICOM database UID {patientUID}")
    return loadSeriesByUID([series for study in studies for series in slicer.dicomDatabase.seriesForStudy(study)])


def loadPatientByPatientID(patientID, messages=None, progressCallback=None):
    database = slicer.dicomDatabase
    found = [patient for patient in database.patients() if database.fieldForPatient("PatientID", patient) == patientID]
    if not found:
        raise OSError(f"Patient not found by PatientID {patientID}")
    return loadPatientByUID(found[0])


def loadPatientByName(patientName, messages=None, progressCallback=None):
    database = slicer.dicomDatabase
    found = [patient for patient in database.patients() if database.nameForPatient(patient) == patientName]
    if not found:
        raise OSError(f"Patient not found by name {patientName}")
    return loadPatientByUID(found[0])


def loadSeriesByUID(seriesUIDs, messages=None, progressCallback=None):
    """Ids of the nodes that were loaded; a series that is no CT or MR needs a plugin that the host has not."""
    if not isinstance(seriesUIDs, list):
        raise ValueError("SeriesUIDs must contain a list")
    if not seriesUIDs:
        raise ValueError("No series UIDs given")
    if not slicer.dicomDatabase.isOpen:
        raise OSError("DICOM module or database cannot be accessed")
    nodes = [_loadVolume(seriesUID) for seriesUID in seriesUIDs]
    return [node.GetID() for node in nodes if node is not None]


def _loadVolume(seriesUID):
    database = slicer.dicomDatabase
    files = database.filesForSeries(seriesUID)
    if not files or database.fileValue(files[0], SOP_CLASS) not in IMAGES:
        return None
    files, _distances, warning = getSortedImageFiles(files)
    if warning:
        logging.warning(warning)
    names = vtk.vtkStringArray()
    for file in files:
        names.InsertNextValue(file)
    number, description = (database.fileValue(files[0], tag) for tag in (SERIES_NUMBER, SERIES_DESCRIPTION))
    name = ": ".join(filter(None, (number, description or "Unnamed Series")))
    node = slicer.modules.volumes.logic().AddArchetypeVolume(files[0], name, 0, names)
    if node is not None:
        node.SetAttribute("DICOM.instanceUIDs", " ".join(database.instanceForFile(file) for file in files))
    return node


def getSortedImageFiles(filePaths, epsilon=0.01):
    """Files in the order of their slices, the place of each (mm), and what is wrong with the spacing."""
    database = slicer.dicomDatabase
    axes = np.array(database.fileValue(filePaths[0], ORIENTATION).split("\\"), float)
    normal = np.cross(axes[:3], axes[3:])
    places = {file: normal @ np.array(database.fileValue(file, POSITION).split("\\"), float) for file in filePaths}
    ordered = sorted(filePaths, key=places.get)
    gaps = np.diff([places[file] for file in ordered])
    uneven = len(gaps) > 0 and np.abs(gaps - gaps[0]).max() > epsilon
    return ordered, places, "Image slices are not equally spaced" if uneven else ""
