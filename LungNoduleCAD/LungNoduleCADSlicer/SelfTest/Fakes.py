"""Stand-ins for the processes: they answer as the library's command line does, on made-up results."""

import json
import tempfile
from copy import deepcopy
from importlib import import_module
from pathlib import Path

import numpy as np
import SimpleITK as sitk
import slicer

from LungNoduleCADSlicer.ModuleWidget import Collaborators
from LungNoduleCADSlicer.SampleResults import ball, noduleRecord, sampleScan, writeSampleResults
from LungNoduleCADSlicer.ScanSources import ScanSources
from LungNoduleCADSlicer.Views import lpsToRas

RADIUS_OF_ADDED_MM = 3.0


def fakePanel(test):
    """The genuine panel in its module, with stand-ins for the processes; the genuine ones come back after the test."""
    collaborators = Collaborators.genuine()
    collaborators.runner, collaborators.installer = FakeRunner(), FakeInstaller()
    collaborators.startReview, collaborators.sources = FakeReview, ScanSources(FakeLibrary())
    slicer.modules.LungNoduleCADWidget.build(collaborators)
    test.addCleanup(_bringBack)
    return slicer.modules.LungNoduleCADWidget.panel


def _bringBack() -> None:
    """The genuine collaborators, of the classes that are loaded now: a test may have reloaded the module."""
    genuine = import_module("LungNoduleCADSlicer.ModuleWidget").Collaborators.genuine()
    slicer.modules.LungNoduleCADWidget.build(genuine)


def temporaryFolder(test) -> Path:
    folder = tempfile.TemporaryDirectory(prefix="LungNoduleCAD-test-", ignore_cleanup_errors=True)
    test.addCleanup(folder.cleanup)
    return Path(folder.name)


def addSampleScan(prior: bool = False):
    """The made-up CT as a volume of the scene."""
    image = sampleScan(prior)
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "Prior CT" if prior else "Sample CT")
    node.SetIJKToRASDirections(-1, 0, 0, 0, -1, 0, 0, 0, 1)
    node.SetOrigin(*lpsToRas(image.GetOrigin()))
    slicer.util.updateVolumeFromArray(node, sitk.GetArrayFromImage(image))
    node.CreateDefaultDisplayNodes()
    return node


def openSampleStudy(test, panel, compared: bool = True):
    """Made-up results loaded and opened, as at the end of an analysis; answers the study."""
    folder = temporaryFolder(test) / "results"
    writeSampleResults(folder, compared)
    study = panel.loader.load(folder, addSampleScan(), addSampleScan(prior=True) if compared else None)
    panel.reading.open(study)
    return study


class FakeInstaller:
    """Nothing is missing unless a test says so."""

    def __init__(self) -> None:
        self.absent: list[str] = []
        self.installed = False

    def missing(self) -> list[str]:
        return [] if self.installed else self.absent

    def install(self) -> None:
        self.installed = True

    def remark(self) -> str:
        return ""


class FakeLibrary:
    """Starts nothing: the looks into folders and the question for devices stay open until a test answers them."""

    def __init__(self) -> None:
        self.asked: list[FakeProcess] = []

    def __call__(self, arguments: list[str], onMessage, onEnded) -> "FakeProcess":
        self.asked.append(FakeProcess(arguments, onMessage, onEnded))
        return self.asked[-1]

    def last(self, verb: str) -> "FakeProcess":
        return next(process for process in reversed(self.asked) if process.arguments[0] == verb)


class FakeProcess:
    """Stands for a ``JsonProcess``."""

    def __init__(self, arguments: list[str], onMessage, onEnded) -> None:
        self.arguments, self.running = arguments, True
        self._onMessage, self._onEnded = onMessage, onEnded

    def answer(self, message: dict | None, code: int = 0, details: str = "") -> None:
        if message is not None:
            self._onMessage(message)
        self.running = False
        self._onEnded(code, details)

    def close(self) -> None:
        if self.running:
            self.answer(None, 130, "Cancelled")


class FakeRunner:
    """Records what is started; the test plays the process by calling the listener through ``end…``."""

    def __init__(self) -> None:
        self.listener = None
        self.running = False
        self.arguments: list[str] = []

    def start(self, arguments: list[str]) -> None:
        self.arguments, self.running = arguments, True

    def cancel(self) -> None:
        self.running = False
        self.listener.onCancelled()

    def endWithResult(self, folder: Path) -> None:
        self.running = False
        self.listener.onResult(folder)

    def endWithError(self, message: str, details: str) -> None:
        self.running = False
        self.listener.onError(message, details)


class FakeReview:
    """Answers as ``review`` does, at once; measurements are counted voxels, the exam follows the worst nodule."""

    def __init__(self, folder: Path, onMessage, onEnded) -> None:
        self.running = True
        self._folder, self._onMessage, self._onEnded = folder, onMessage, onEnded
        self._findings = json.loads((folder / "findings.json").read_text(encoding="utf-8"))
        self._onMessage({"ready": True, "findings": self._findings})

    def close(self) -> None:
        self.running = False
        self._onEnded(0, "")

    def write(self, message: dict) -> None:
        before = self._findings
        self._findings = deepcopy(before)
        answer = {"answer": message["id"], "masks": {}, "saliency": {}, "removed": [], "added": []}
        try:
            edit = getattr(self, f"_{message['do']}")(message, answer)
        except ValueError as error:
            self._findings = before
            self._onMessage({"answer": message["id"], "error": str(error)})
            return
        if edit is not None:
            self._findings["edits"].append({"at": "2020-01-31T12:00:00Z", **edit})
        self._assessExam()
        (self._folder / "findings.json").write_text(json.dumps(self._findings), encoding="utf-8")
        self._onMessage({**answer, "findings": self._findings})

    def _review(self, message, answer) -> dict:
        nodule = self._nodule(message["nodule"])
        before, nodule["review"] = nodule["review"], message["review"]
        nodule["lung_rads"] = None if message["review"] == "rejected" else nodule["lung_rads_assessment"]["category"]
        action = {"accepted": "accept", "rejected": "reject", "unreviewed": "unreview"}[message["review"]]
        return _edit(action, nodule, before, message["review"])

    def _type(self, message, answer) -> dict:
        nodule = self._nodule(message["nodule"])
        before, nodule["type"] = nodule["type"], message["type"]
        return _edit("type", nodule, before, message["type"])

    def _facts(self, message, answer) -> dict:
        """Calcification and fat make it category 1, an airway 4A."""
        nodule = self._nodule(message["nodule"])
        nodule["stated"] = message["facts"]
        benign = message["facts"]["benign_calcification"] or message["facts"]["fat"]
        if benign or message["facts"]["airway"]:
            nodule["lung_rads"] = "1" if benign else "4A"
            nodule["lung_rads_assessment"] |= {
                "category": nodule["lung_rads"],
                "reason": f"made up as {nodule['lung_rads']}",
                "notes": ["made-up note"],
            }
        return _edit("facts", nodule, None, "stated")

    def _delete(self, message, answer) -> dict:
        nodule = self._nodule(message["nodule"])
        self._findings["nodules"].remove(nodule)
        answer["removed"] = [nodule["id"]]
        return _edit("delete", nodule, nodule["id"], None)

    def _add(self, message, answer) -> dict:
        name = f"N{1 + max(int(nodule['id'][1:]) for nodule in self._findings['nodules'])}"
        nodule = noduleRecord(name, RADIUS_OF_ADDED_MM, message["point_lps_mm"], "reader")
        self._findings["nodules"].append(nodule)
        file = self._folder / f"{name}.nrrd"
        sitk.WriteImage(ball(message["point_lps_mm"], RADIUS_OF_ADDED_MM), str(file))
        answer["masks"], answer["added"] = {name: str(file)}, [name]
        return _edit("add", nodule, None, f"{nodule['volume_mm3']:.0f} mm³")

    def _outline(self, message, answer) -> dict:
        mask = sitk.ReadImage(message["file"])
        count = int(np.count_nonzero(sitk.GetArrayViewFromImage(mask)))
        if not count:
            raise ValueError("The outline is empty")
        nodule = self._nodule(message["nodule"])
        before = nodule["volume_mm3"]
        nodule["volume_mm3"] = round(count * float(np.prod(mask.GetSpacing())), 1)
        nodule["mean_diameter_mm"] = round((6 * nodule["volume_mm3"] / np.pi) ** (1 / 3), 1)
        return _edit("outline", nodule, f"{before:.0f} mm³", f"{nodule['volume_mm3']:.0f} mm³")

    def _clinical(self, message, answer) -> dict:
        self._findings["clinical"] = {**dict.fromkeys(self._findings["clinical"] or {}), **message["clinical"]}
        return _edit("clinical", None, None, "changed")

    def _threshold(self, message, answer) -> dict:
        before, self._findings["operating_threshold"] = self._findings["operating_threshold"], message["threshold"]
        gone = [
            nodule
            for nodule in self._findings["nodules"]
            if nodule["detection_probability"] < message["threshold"] and nodule["review"] == "unreviewed"
        ]
        answer["removed"] = [nodule["id"] for nodule in gone]
        self._findings["nodules"] = [nodule for nodule in self._findings["nodules"] if nodule not in gone]
        return _edit("threshold", None, str(before), str(message["threshold"]))

    def _exam_category(self, message, answer) -> dict:
        before = self._findings["lung_rads"]["category"]
        self._findings["lung_rads"]["decided_by"] = "reader" if message["category"] else None
        if message["category"]:
            self._findings["lung_rads"]["category"] = message["category"]
        return _edit("exam_category", None, before, message["category"])

    def _report(self, message, answer) -> None:
        page = self._folder / "page-1.png"
        sitk.WriteImage(sitk.Image(85, 110, sitk.sitkUInt8) + 255, str(page))
        answer |= {"report": str(self._folder / "report.pdf"), "pages": [str(page)]}

    def _export(self, message, answer) -> None:
        folder = Path(message["folder"])
        folder.mkdir(parents=True, exist_ok=True)
        names = ["report.pdf", "findings.json"]
        names += ["segmentation.dcm", "measurements.dcm", "report.dcm"] if message["dicom_source"] else []
        for name in names:
            (folder / name).write_bytes((self._folder / "report.pdf").read_bytes())
        answer["files"] = [str(folder / name) for name in names]

    def _nodule(self, name: str) -> dict:
        nodule = next((nodule for nodule in self._findings["nodules"] if nodule["id"] == name), None)
        if nodule is None:
            raise ValueError(f"There is no nodule {name}")
        return nodule

    def _assessExam(self) -> None:
        exam, clinical = self._findings["lung_rads"], self._findings["clinical"] or {}
        exam["modifier_s"] = bool(clinical.get("significant_other_finding"))
        if exam["decided_by"] != "reader":
            counted = [nodule for nodule in self._findings["nodules"] if nodule["lung_rads"]]
            worst = max(counted, key=lambda nodule: nodule["lung_rads"], default=None)
            exam["category"] = worst["lung_rads"] if worst else "1"
            exam["decided_by"] = worst["id"] if worst else None
            exam["reason"] = f"made up as {exam['category']}"


def _edit(action: str, nodule: dict | None, before: str | None, after: str | None) -> dict:
    return {"action": action, "nodule_id": nodule["id"] if nodule else None, "before": before, "after": after}
