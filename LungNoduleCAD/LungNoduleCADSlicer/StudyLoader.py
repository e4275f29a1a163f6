"""A results folder into the scene, and the answers of corrections into what was made of it."""

import json
from pathlib import Path

import slicer
from slicer.i18n import tr as _

from LungNoduleCADSlicer.Layouts import PRIOR_VIEWS
from LungNoduleCADSlicer.Outlines import giveOwnLabelmap, isKnown, readOutline, setKnown, setOutline
from LungNoduleCADSlicer.Saliency import styleSaliency
from LungNoduleCADSlicer.Segments import describeSegments, noduleIdsOf, styleSegments
from LungNoduleCADSlicer.Study import PRIOR_SCAN, PRIOR_SEGMENTATION, REGISTRATION, SCAN, SEGMENTATION, Study
from LungNoduleCADSlicer.Surfaces import ensureSurface

SCAN_FILE = "ct.nrrd"
SEGMENTATION_FILE = "segmentation.seg.nrrd"
REGISTRATION_FILE = "current_to_prior.h5"
# Hounsfield units
LUNG_WINDOW, LUNG_LEVEL = 1500, -500


class StudyLoader:
    """Makes the nodes of a study, and keeps them as the findings say."""

    def load(self, folder: Path, scan=None, prior=None) -> Study:
        """Everything that an analysis left in its folder, in a subject hierarchy folder of the study's date.

        ``scan`` and ``prior`` are the volumes that were analyzed; without them the folder's own are loaded. ``prior``
        stays where it is: a volume that shares its voxels is laid onto the current scan.

        Raises FileNotFoundError where the folder does not hold the results, RuntimeError where a file cannot be read.
        """
        folder = Path(folder)
        study = Study.create(json.loads((folder / "findings.json").read_text(encoding="utf-8")), folder)
        made = []
        try:
            self._loadCurrent(study, scan, made)
            if study.findings["prior"] is not None and (folder / "prior" / SEGMENTATION_FILE).is_file():
                self._loadPrior(study, prior, made)
        except Exception:
            study.remove()
            for node in made:
                slicer.mrmlScene.RemoveNode(node)
            raise
        _file(study, [study.node, *made])
        return study

    def applyAnswer(self, study: Study, answer: dict) -> None:
        """New, changed and removed outlines and heat maps of an answer of ``review``, names and colors of all."""
        segmentation = study.get(SEGMENTATION)
        if segmentation is not None:
            for noduleId in answer.get("removed", []):
                segmentation.GetSegmentation().RemoveSegment(noduleId)
            for noduleId, file in _files(answer, "masks"):
                # what the reader drew since is newer than the answer
                there = segmentation.GetSegmentation().GetSegment(noduleId) is not None
                if not there or isKnown(segmentation, noduleId):
                    setOutline(segmentation, noduleId, readOutline(file))
            describeSegments(segmentation, answer["findings"]["nodules"])
        mapless = [nodule["id"] for nodule in answer["findings"]["nodules"] if not nodule["saliency"]]
        for noduleId in (*answer.get("removed", []), *mapless):
            study.setSaliency(noduleId, None)
        maps = [_loadSaliency(study, noduleId, file) for noduleId, file in _files(answer, "saliency")]
        if maps:
            _file(study, maps)

    def _loadCurrent(self, study: Study, scan, made: list) -> None:
        day = _day(study.findings)
        if scan is None:
            scan = _loadVolume(study.folder / SCAN_FILE, _("CT {day}").format(day=day))
            made.append(scan)
        _useLungWindow(scan)
        study.set(SCAN, scan)
        segmentation = _loadSegmentation(study.folder, study.findings, scan, _("Nodules {day}").format(day=day))
        made.append(segmentation)
        study.set(SEGMENTATION, segmentation)
        for noduleId in noduleIdsOf(segmentation):
            ensureSurface(segmentation, noduleId)
        for nodule in study.nodules:
            if nodule["saliency"] and (study.folder / nodule["saliency"]).is_file():
                made.append(_loadSaliency(study, nodule["id"], study.folder / nodule["saliency"]))

    def _loadPrior(self, study: Study, given, made: list) -> None:
        folder, findings = study.folder / "prior", study.findings["prior"]
        day = _day(findings)
        name = _("Prior CT {day}").format(day=day)
        prior = _sharing(given, name) if given is not None else _loadVolume(folder / SCAN_FILE, name)
        made.append(prior)
        _useLungWindow(prior)
        study.set(PRIOR_SCAN, prior)
        segmentation = _loadSegmentation(folder, findings, prior, _("Prior nodules {day}").format(day=day))
        made.append(segmentation)
        study.set(PRIOR_SEGMENTATION, segmentation)
        for view in PRIOR_VIEWS:
            segmentation.GetDisplayNode().AddViewNodeID(f"vtkMRMLSliceNode{view}")
        if (study.folder / REGISTRATION_FILE).is_file():
            registration = slicer.util.loadTransform(str(study.folder / REGISTRATION_FILE))
            registration.SetName(_("Prior {prior} to {day}").format(prior=day, day=_day(study.findings)))
            made.append(registration)
            study.set(REGISTRATION, registration)
            for node in (prior, segmentation):
                node.SetAndObserveTransformNodeID(registration.GetID())


def _files(answer: dict, kind: str) -> list[tuple[str, Path]]:
    """The files of an answer by nodule; one that is gone belongs to a nodule that a later answer takes away."""
    files = [(noduleId, Path(file)) for noduleId, file in answer.get(kind, {}).items()]
    return [(noduleId, file) for noduleId, file in files if file.is_file()]


def _day(findings: dict) -> str:
    return findings["series"]["study_date"] or _("date unknown")


def _loadVolume(file: Path, name: str):
    if not file.is_file():
        raise FileNotFoundError(_("{file} is not there").format(file=file))
    return slicer.util.loadVolume(str(file), {"name": name, "show": False, "singleFile": True})


def _sharing(volume, name: str):
    """A volume with the voxels of another one, so that it alone can be moved."""
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", name)
    node.CopyOrientation(volume)
    node.SetAndObserveImageData(volume.GetImageData())
    node.SetHideFromEditors(True)  # else it could be taken for a scan to analyze
    node.CreateDefaultDisplayNodes()
    return node


def _useLungWindow(volume) -> None:
    volume.CreateDefaultDisplayNodes()
    display = volume.GetDisplayNode()
    display.SetAutoWindowLevel(False)
    display.SetWindowLevel(LUNG_WINDOW, LUNG_LEVEL)


def _loadSegmentation(folder: Path, findings: dict, scan, name: str):
    """Each nodule with a labelmap of its own; the file knows all of them as they are."""
    node = slicer.util.loadSegmentation(str(folder / SEGMENTATION_FILE))
    node.SetName(name)
    node.SetReferenceImageGeometryParameterFromVolumeNode(scan)
    styleSegments(node)
    describeSegments(node, findings["nodules"])
    for noduleId in noduleIdsOf(node):
        giveOwnLabelmap(node, noduleId)
        setKnown(node, noduleId)
    return node


def _loadSaliency(study: Study, noduleId: str, file: Path):
    node = _loadVolume(file, _("Heat map {nodule}").format(nodule=noduleId))
    node.SetHideFromEditors(True)  # no scan to analyze either
    styleSaliency(node)
    study.setSaliency(noduleId, node)
    return node


def _file(study: Study, nodes: list) -> None:
    """Everything of a study under one subject hierarchy folder; scans that were there before stay in their place."""
    hierarchy = slicer.mrmlScene.GetSubjectHierarchyNode()
    root, scan = hierarchy.GetSceneItemID(), study.get(SCAN)
    folder = hierarchy.GetItemParent(_item(hierarchy, study.node))
    if folder in (0, root):
        place = hierarchy.GetItemParent(_item(hierarchy, scan)) if scan not in nodes else root
        folder = hierarchy.CreateFolderItem(place or root, _("Lung nodules {day}").format(day=_day(study.findings)))
        if place in (0, root):
            nodes = [scan, *nodes]
    for node in nodes:
        hierarchy.SetItemParent(_item(hierarchy, node), folder)


def _item(hierarchy, node) -> int:
    return hierarchy.GetItemByDataNode(node) or hierarchy.CreateItem(hierarchy.GetSceneItemID(), node)
