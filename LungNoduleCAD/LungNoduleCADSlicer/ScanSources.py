"""Where scans come from, and their files: the scene, Slicer's DICOM database, a folder."""

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import slicer
import vtk
from slicer.i18n import tr as _

from LungNoduleCADSlicer.JsonProcess import JsonProcess
from LungNoduleCADSlicer.ScanFacts import (
    ScanFacts,
    factsOf,
    instancesOf,
    isChestCt,
    isFromDicom,
    isoDate,
    openDatabase,
    patientKey,
    rememberSeries,
)

SOURCE_FOLDER = "LungNoduleCAD.SourceFolder"


@dataclass(frozen=True)
class PriorOffer:
    """An earlier chest CT of the same patient: a volume of the scene, or (``node`` None) a series of the database."""

    date: str
    node: object
    seriesUid: str

    @property
    def label(self) -> str:
        return _("Earlier CT of {date} found: use it").format(date=self.date)


class ScanSources:
    """``start`` starts a process of the library, as ``JsonProcess`` does."""

    def __init__(self, start: Callable = JsonProcess) -> None:
        self.start = start

    # ---- what is known of a volume

    def studyDate(self, volumeNode) -> str:
        """YYYY-MM-DD; empty where it is not known."""
        return factsOf(volumeNode).date

    def patientFacts(self, volumeNode) -> dict:
        """``age_years`` and ``sex`` as Resources/clinical.schema.json has them, None where not known."""
        facts = factsOf(volumeNode)
        return {"age_years": facts.ageYears, "sex": facts.sex}

    def newestScan(self):
        """The latest chest CT in the scene, of those that came from DICOM; None where there is none."""
        dated = [(facts.date, node) for node, facts in _scans() if facts.isChestCt]
        return max(dated, key=lambda entry: entry[0], default=("", None))[1]

    # ---- files

    def exportScan(self, volumeNode, folder: Path) -> Path:
        """The scan for the command line: the folder of its DICOM files, else an image file written into ``folder``.

        Raises RuntimeError where it cannot be written.
        """
        return self.dicomFolder(volumeNode, folder) or _writeImage(volumeNode, folder)

    def dicomFolder(self, volumeNode, folder: Path) -> Path | None:
        """A folder with the DICOM files of the series, linked into ``folder`` where need be; None where unknown."""
        source = volumeNode.GetAttribute(SOURCE_FOLDER)
        if source and Path(source).is_dir():
            return Path(source)
        files = _filesOf(volumeNode)
        if not files or not all(file and Path(file).is_file() for file in files):
            return None
        folder.mkdir(parents=True, exist_ok=True)
        for number, file in enumerate(files):
            _link(file, folder / f"{number:05d}.dcm")
        return folder

    def hasDicom(self, volumeNode) -> bool:
        """Whether the DICOM files of the series are on this computer, as ``dicomFolder`` would find them."""
        source = volumeNode.GetAttribute(SOURCE_FOLDER)
        if source and Path(source).is_dir():
            return True
        database, instances = openDatabase(), instancesOf(volumeNode)
        return database is not None and bool(instances) and bool(database.fileForInstance(instances[0]))

    # ---- the prior

    def priorOffers(self, volumeNode) -> list[PriorOffer]:
        """Earlier chest CT of the same patient (by PatientID), latest first; of the database, one for each study."""
        facts = factsOf(volumeNode)
        if not facts.date or not facts.patientKey:
            return []
        offers = {offer.seriesUid: offer for offer in _offersOfDatabase(facts)}
        offers |= {offer.seriesUid: offer for offer in _offersOfScene(facts)}
        return sorted(offers.values(), key=lambda offer: (offer.date, offer.node is not None), reverse=True)

    def loadSeries(self, seriesUid: str):
        """A series of Slicer's DICOM database as a volume node.

        Raises RuntimeError where none comes of it.
        """
        from DICOMLib import DICOMUtils

        nodes = [slicer.mrmlScene.GetNodeByID(nodeId) for nodeId in DICOMUtils.loadSeriesByUID([seriesUid])]
        volume = next((node for node in nodes if node is not None and node.IsA("vtkMRMLScalarVolumeNode")), None)
        if volume is None:
            raise RuntimeError(_("Slicer could not load the series from its DICOM database"))
        return volume

    # ---- a folder

    def loadFolder(self, folder: Path, onLoaded: Callable, onFailed: Callable[[str, str], None]) -> Callable[[], None]:
        """Load the best CT series of a folder, which the library chooses in a process of its own.

        ``onLoaded`` is called with the volume node, or ``onFailed`` with a sentence and what the process said. Answers
        a function that stops it; then nobody is called.
        """
        found: list[dict] = []
        stopped: list[bool] = []

        def onEnded(_code, details: str) -> None:
            if stopped:
                return
            document = found[0] if found else {"chosen": None, "reason": details.rpartition("\n")[2]}
            if document["chosen"] is None:
                onFailed(document["reason"] or _("The folder could not be looked through"), details)
                return
            try:
                node = _loadFiles(document["series"][document["chosen"]], folder)
            except RuntimeError as error:
                onFailed(str(error), details)
            else:
                onLoaded(node)

        process = self.start(["series", str(folder), "--json"], found.append, onEnded)

        def stop() -> None:
            stopped.append(True)
            process.close()

        return stop


def _loadFiles(series: dict, folder: Path):
    """The library has put the files in slice order; the DICOM database has no part in it."""
    files = vtk.vtkStringArray()
    for file in series["files"]:
        files.InsertNextValue(file)
    name = _("CT {date}").format(date=series["study_date"]) if series["study_date"] else _("CT")
    node = slicer.modules.volumes.logic().AddArchetypeVolume(series["files"][0], name, 0, files)
    if node is None:
        raise RuntimeError(_("Slicer could not read the series; try to load it in the DICOM browser"))
    folders = {str(Path(file).parent) for file in series["files"]}
    node.SetAttribute(SOURCE_FOLDER, folders.pop() if len(folders) == 1 else str(folder))
    rememberSeries(node, series)
    return node


def _filesOf(volumeNode) -> tuple[str, ...]:
    """The files of a volume by the DICOM database: the whole series at once, or one by one where it is part of it."""
    database, instances = openDatabase(), instancesOf(volumeNode)
    if database is None or not instances:
        return ()
    files = database.filesForSeries(database.seriesForFile(database.fileForInstance(instances[0])))
    return files if len(files) == len(instances) else tuple(map(database.fileForInstance, instances))


def _scans() -> Iterator[tuple[object, ScanFacts]]:
    for node in slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode"):
        if isFromDicom(node):
            yield node, factsOf(node)


def _offersOfScene(current: ScanFacts) -> Iterator[PriorOffer]:
    for node, facts in _scans():
        if facts.isChestCt and facts.patientKey == current.patientKey and "" < facts.date < current.date:
            yield PriorOffer(facts.date, node, facts.seriesUid)


def _offersOfDatabase(current: ScanFacts) -> Iterator[PriorOffer]:
    database = openDatabase()
    for patient in database.patients() if database is not None else ():
        if patientKey(database.fieldForPatient("PatientID", patient)) != current.patientKey:
            continue
        for study in database.studiesForPatient(patient):
            date = isoDate(database.fieldForStudy("StudyDate", study))
            series = _bestSeries(database, study) if "" < date < current.date else ""
            if series:
                yield PriorOffer(date, None, series)


def _bestSeries(database, study: str) -> str:
    """The chest CT series with the most slices, as a rule the thinnest; empty where there is none."""
    counted = []
    for series in database.seriesForStudy(study):
        slices = len(database.instancesForSeries(series))
        modality, part = (database.fieldForSeries(field, series) for field in ("Modality", "BodyPartExamined"))
        if isChestCt(modality, part, slices):
            counted.append((slices, series))
    return max(counted, default=(0, ""))[1]


def _writeImage(volumeNode, folder: Path) -> Path:
    file = folder / "scan.nrrd"
    folder.mkdir(parents=True, exist_ok=True)
    storage = slicer.vtkMRMLNRRDStorageNode()
    storage.SetFileName(str(file))
    storage.SetUseCompression(0)  # compressing a chest CT takes seconds
    if not storage.WriteData(volumeNode):
        raise RuntimeError(_("{name} could not be written to {file}").format(name=volumeNode.GetName(), file=file))
    return file


def _link(source: str, target: Path) -> None:
    """A link costs nothing; a copy is for where neither kind can be made."""
    for make in (os.link, os.symlink, shutil.copyfile):
        try:
            make(source, target)
            return
        except OSError:
            continue
    raise RuntimeError(_("{file} could not be copied to {folder}").format(file=source, folder=target.parent))
