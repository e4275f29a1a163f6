"""The report and the scene with the genuine process on the phantom: ``--python-script real_report.py WORK``.

WORK holds ``results``, which ``compare`` or ``demo`` made, and ``dicom``, the current scan; results are changed and
removed. What happened is printed as one line of JSON.
"""

import json
import shutil
import sys
import time
from pathlib import Path

import slicer

slicer.util.selectModule("LungNoduleCAD")

from LungNoduleCADSlicer.ScanSources import SOURCE_FOLDER  # noqa: E402
from LungNoduleCADSlicer.Study import PRIOR_SCAN, SCAN, Study  # noqa: E402

PATIENCE_SECONDS = 120


class Run:
    """The genuine panel on a results folder."""

    def __init__(self, work: Path) -> None:
        self.results, self.work, self.milliseconds, self.errors = work / "results", work, {}, []
        self.panel = slicer.modules.LungNoduleCADWidget.panel
        self.panel.corrections.onError = self.errors.append
        self.ui = self.panel.report.ui

    def all(self) -> dict:
        self.open()
        seen = {"before": self.ui.examLabel.text, "after_s": self.clinical()}
        seen["pages"] = self.preview()
        seen["exported"] = self.export("exported")
        seen["database"] = self.database()
        self.save_and_load("with-folder.mrb")
        seen["loaded"] = self.correct("N1", "accept")
        seen["volumes"] = self.volumes()
        self.save_and_load("without-folder.mrb", gone=self.results)
        seen["restored"] = self.correct("N2", "write a lost results folder again")
        seen["volumes_restored"] = self.volumes()
        seen["added"] = self.add()
        seen["pages_restored"] = self.preview()
        seen["exported_restored"] = self.export("exported-restored")
        return {**seen, "errors": self.errors, "milliseconds": self.milliseconds}

    @property
    def study(self):
        return self.panel.reading.study

    def open(self) -> None:
        """The results with the scan they were made of, as at the end of an analysis."""
        scans = []
        self.panel.report.sources.loadFolder(self.work / "dicom", scans.append, lambda *why: self.errors.append(why))
        self.wait(lambda: scans or self.errors)
        study = self.panel.loader.load(self.results, scans[0])
        self.timed("open", lambda: self.panel.reading.open(study))

    def clinical(self) -> str:
        box = self.ui.otherFindingBox
        box.currentIndex = box.findText("yes")
        self.wait(lambda: "S:" in self.ui.examLabel.text)
        self.ui.ageEdit.text = "66"
        self.wait(lambda: (self.study.findings["clinical"] or {}).get("age_years") == 66)
        return self.ui.examLabel.text

    def preview(self) -> dict:
        before = self.panel.report.preview.shown if self.panel.report.preview is not None else 0
        self.timed("preview click", self.ui.previewButton.click)
        self.wait(lambda: self.panel.report.preview is not None and self.panel.report.preview.shown > before)
        preview = self.panel.report.preview
        for _page in preview.pages[1:]:
            self.timed("next page", preview.nextButton.click)
        return {"count": len(preview.pages), "shown": preview.pageLabel.text, "width": preview.picture.width}

    def export(self, name: str) -> list[str]:
        folder = self.work / name
        self.ui.exportedLabel.text = ""
        self.ui.folderEdit.currentPath = str(folder)
        self.timed("export click", self.ui.exportButton.click)
        self.wait(lambda: self.ui.exportedLabel.text)
        return sorted(file.name for file in folder.iterdir())

    def database(self) -> list[str]:
        self.ui.exportedLabel.text = ""
        self.timed("database click", self.ui.databaseButton.click)
        self.wait(lambda: self.ui.exportedLabel.text)
        database = slicer.dicomDatabase
        series = [
            series
            for patient in database.patients()
            for study in database.studiesForPatient(patient)
            for series in database.seriesForStudy(study)
        ]
        files = [database.filesForSeries(one)[0] for one in series]
        return sorted(database.fileValue(file, "0008,0060") for file in files if Path(file).is_file())

    def correct(self, nodule_id: str, name: str) -> str:
        self.panel.reading.select(nodule_id)
        self.timed(name, self.panel.nodules.ui.acceptButton.click)
        self.wait(lambda: self.study.nodule(nodule_id)["review"] == "accepted")
        return self.study.nodule(nodule_id)["review"]

    def volumes(self) -> dict:
        return {nodule["id"]: nodule["volume_mm3"] for nodule in self.study.nodules}

    def add(self) -> list:
        """A nodule of the prior CT that is gone, looked for in the current one at its registered place."""
        gone = next(row for row in self.panel.comparison.rows if row.current is None)
        before = len(self.study.nodules)
        place = self.panel.comparison.registeredPlace(gone.prior)
        self.panel.corrections.send("add", point_lps_mm=list(place))
        self.wait(lambda: len(self.study.nodules) > before)
        return [nodule["id"] for nodule in self.study.nodules if nodule["candidate"]["origin"] == "reader"]

    def save_and_load(self, name: str, gone: Path | None = None) -> None:
        assert slicer.util.saveScene(str(self.work / name))
        slicer.mrmlScene.Clear()
        assert self.study is None
        assert not Study.inScene()
        self.wait(lambda: False, seconds=1.0)  # the process of the closed study ends
        if gone is not None:
            shutil.rmtree(gone)
        slicer.util.loadScene(str(self.work / name))
        assert self.study.get(PRIOR_SCAN) is not None
        assert self.study.get(SCAN).GetAttribute(SOURCE_FOLDER)

    def timed(self, name: str, call) -> None:
        start = time.perf_counter()
        call()
        self.milliseconds.setdefault(name, []).append(round(1000 * (time.perf_counter() - start)))

    def wait(self, condition, seconds: float = PATIENCE_SECONDS) -> None:
        end = time.monotonic() + seconds
        while not condition() and not self.errors and time.monotonic() < end:
            slicer.app.processEvents()
            time.sleep(0.01)


try:
    print(f"RESULT {json.dumps(Run(Path(sys.argv[1])).all())}")
    slicer.util.exit(slicer.util.EXIT_SUCCESS)
except Exception:
    import traceback

    traceback.print_exc()
    slicer.util.exit(slicer.util.EXIT_FAILURE)
