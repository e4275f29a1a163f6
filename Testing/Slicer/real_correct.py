"""Every correction by the panel's own widgets, with the genuine process: ``--python-script real_correct.py RESULTS``.

RESULTS is the folder that ``demo`` made; it is changed. Prints one line of JSON: what changed, whether the panel was
free while the process worked, and what went wrong.
"""

import json
import sys
import time
from pathlib import Path

import slicer
from vtk.util.numpy_support import vtk_to_numpy

slicer.util.selectModule("LungNoduleCAD")

from LungNoduleCADLib.domain.nodule import Saliency  # noqa: E402
from LungNoduleCADSlicer.Outlines import BINARY_LABELMAP, outlineOf  # noqa: E402
from LungNoduleCADSlicer.Study import SEGMENTATION  # noqa: E402
from LungNoduleCADSlicer.Views import lpsToRas  # noqa: E402

PATIENCE_SECONDS = 120
OPERATING_POINTS = [
    {"threshold": 0.9, "sensitivity": None, "false_positives_per_scan": None},
    {"threshold": 0.95, "sensitivity": None, "false_positives_per_scan": None},
    {"threshold": 0.999, "sensitivity": None, "false_positives_per_scan": None},
]


class Run:
    """The genuine panel on a results folder."""

    def __init__(self, results: Path) -> None:
        self.results, self.free, self.errors = results, {}, []
        self.panel = slicer.modules.LungNoduleCADWidget.panel
        self.panel.corrections.onError = self.errors.append
        self.panel.correction.confirm = lambda _text, _title: True
        self.reading, self.correcting = self.panel.nodules.ui, self.panel.correction.ui

    def all(self) -> dict:
        seen = {}
        self.open()
        self.warmUp()
        for step in (self.review, self.type, self.facts, self.outline, self.deleteAndAdd, self.threshold, self.refused):
            seen[step.__name__] = step()
        seen["audit"] = [
            self.correcting.auditTable.item(line, 1).text() for line in range(self.correcting.auditTable.rowCount)
        ]
        return {**seen, "free": self.free, "errors": self.errors}

    @property
    def study(self):
        return self.panel.reading.study

    def open(self) -> None:
        """The demo, with operating points that this test chose: a few nodules leave and come back."""
        file = self.results / "findings.json"
        findings = json.loads(file.read_text(encoding="utf-8"))
        findings["operating_points"], findings["operating_points_source"] = OPERATING_POINTS, "Made up for a test."
        file.write_text(json.dumps(findings), encoding="utf-8")
        study = self.panel.loader.load(self.results)
        self.panel.reading.open(study)
        for nodule in self.study.nodules[::-1]:
            self.panel.reading.select(nodule["id"])
        self.reading.saliencyCheckBox.checked = True
        self.reading.saliency3DCheckBox.checked = True
        self.reading.saliencyOpacitySlider.value = 0.6
        self.reading.nextButton.click()
        self.reading.lungsCheckBox.checked = True

    def warmUp(self) -> None:
        """The process is loading its models; a type there and back and a redrawn outline make it use them."""
        name = self.study.nodules[0]["id"]
        self.panel.reading.select(name)
        for index in (1, 0, 2):
            if self.correcting.typeSelector.itemData(index) != self.study.nodule(name)["type"]:
                self.changed("warming up", lambda index=index: self.panel.correction.onTypeChosen(index))
        self.redraw(self.study.nodules[-1]["id"])
        self.changed("warming up", self.panel.correction.editing.lookForChanges)

    def review(self) -> dict:
        name = self.study.nodules[-1]["id"]
        self.panel.reading.select(name)
        self.changed("accept", self.reading.acceptButton.click)
        accepted, then = self.study.nodule(name)["review"], self.panel.reading.selectedId
        worst = self.study.findings["lung_rads"]["decided_by"]
        exam = self.panel.ui.categoryLabel.text
        self.panel.reading.select(worst)
        self.changed("reject", self.reading.rejectButton.click)
        rejected = self.study.nodule(worst)["review"]
        after = self.panel.ui.categoryLabel.text
        self.panel.reading.select(worst)
        self.changed("take back", self.reading.rejectButton.click)
        again = self.panel.ui.categoryLabel.text
        return {"marks": [accepted, rejected], "went_on": then != name, "exam": [exam, after, again]}

    def type(self) -> dict:
        nodule = next(n for n in self.study.nodules if n["type"] == "solid" and n["lung_rads"] not in (None, "2", "3"))
        self.panel.reading.select(nodule["id"])
        before = self.values(nodule["id"])
        self.changed("type", lambda: self.panel.correction.onTypeChosen(2))
        return {"before": before, "after": self.values(nodule["id"])}

    def facts(self) -> dict:
        """An airway nodule by the reader's word, then not: category, rule and management stand in the panel."""
        name = self.study.nodules[-1]["id"]
        self.panel.reading.select(name)
        box, told = self.panel.facts.ui.airwayBox, [self.panel.facts.ui.factsLabel.text]
        for value in ("segmental", "none"):
            index = next(n for n in range(box.count) if box.itemData(n) == value)
            self.changed("facts", lambda index=index: setattr(box, "currentIndex", index))
            told.append(self.panel.facts.ui.factsLabel.text)
        return {"told": told, "stated": self.study.nodule(name)["stated"]["airway"]}

    def outline(self) -> dict:
        """Half a nodule rubbed out as Segment Editor does it: first told at once, then when it rests."""
        name = self.study.nodules[0]["id"]
        before = self.values(name)
        self.redraw(name)
        self.changed("outline", self.panel.correction.editing.lookForChanges)
        first = self.values(name)
        self.changed("outline, with its rest", lambda: self.redraw(name))
        return {"before": before, "first": first, "second": self.values(name)}

    def deleteAndAdd(self) -> dict:
        """A nodule is deleted, then missed: one click brings it back."""
        nodule = next(n for n in self.study.nodules if n["type"] == "solid")
        self.panel.reading.select(nodule["id"])
        self.changed("delete", self.correcting.deleteButton.click)
        names = [one["id"] for one in self.study.nodules]
        self.correcting.addButton.click()
        markup = slicer.util.getNodesByClass("vtkMRMLMarkupsFiducialNode")[-1]
        ras = lpsToRas(nodule["centroid_lps_mm"])
        self.changed("add", lambda: markup.AddControlPointWorld(*ras))
        added = [one for one in self.study.nodules if one["id"] not in names]
        outline, estimate = outlineOf(self.study.get(SEGMENTATION), added[0]["id"]), added[0]["malignancy"]
        return {
            "gone": nodule["id"] not in names,
            "added": [one["id"] for one in added],
            "chosen": self.panel.reading.selectedId,
            "volumes": [nodule["volume_mm3"], added[0]["volume_mm3"]],
            "malignancy": estimate["probability"],
            "lung_rads": added[0]["lung_rads"],
            "voxels": int(outline.voxels.sum()),
            "heat": self.study.saliency(added[0]["id"]) is not None,
            "score_is_low": Saliency.score_is_low(estimate["probability"], estimate["encoder_probability"]),
        }

    def threshold(self) -> dict:
        counts, slider = [len(self.study.nodules)], self.reading.thresholdSlider
        for position in (2, 0, 1):
            slider.setSliderDown(True)
            slider.value = position
            self.changed(f"threshold {position}", lambda: slider.setSliderDown(False))
            counts.append(len(self.study.nodules))
        segments = self.study.get(SEGMENTATION).GetSegmentation().GetNumberOfSegments()
        return {"counts": counts, "segments": segments, "text": self.reading.thresholdLabel.text}

    def refused(self) -> dict:
        """A point outside of the body: a sentence, and nothing changed."""
        before = json.dumps(self.study.findings)
        self.panel.correction.onPointPlaced((500.0, 500.0, 500.0))
        self.wait(lambda: self.errors)
        told, self.errors[:] = list(self.errors), []
        return {"told": told, "unchanged": before == json.dumps(self.study.findings)}

    def values(self, name: str) -> dict:
        nodule = self.study.nodule(name)
        keys = ("type", "volume_mm3", "mean_diameter_mm", "lung_rads")
        return {**{key: nodule[key] for key in keys}, "malignancy": nodule["malignancy"]["probability"]}

    def redraw(self, name: str) -> None:
        node = self.study.get(SEGMENTATION)
        labelmap = slicer.vtkOrientedImageData()
        labelmap.DeepCopy(node.GetSegmentation().GetSegment(name).GetRepresentation(BINARY_LABELMAP))
        voxels = vtk_to_numpy(labelmap.GetPointData().GetScalars())
        inside = voxels.nonzero()[0]
        voxels[inside[len(inside) * 3 // 4 :]] = 0
        slicer.vtkSlicerSegmentationsModuleLogic.SetBinaryLabelmapToSegment(labelmap, node, name)

    def changed(self, name: str, call) -> None:
        """Until the values are there."""
        edits = len(self.study.findings["edits"])
        call()
        self.free[name] = len(self.study.findings["edits"]) == edits
        self.wait(lambda: len(self.study.findings["edits"]) > edits)

    def wait(self, condition) -> None:
        end = time.monotonic() + PATIENCE_SECONDS
        while not condition() and not self.errors and time.monotonic() < end:
            slicer.app.processEvents()
            time.sleep(0.005)


try:
    print(f"RESULT {json.dumps(Run(Path(sys.argv[1])).all())}")
    slicer.util.exit(slicer.util.EXIT_SUCCESS)
except Exception:
    import traceback

    traceback.print_exc()
    slicer.util.exit(slicer.util.EXIT_FAILURE)
