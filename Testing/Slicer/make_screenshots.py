"""The README's pictures of the panel: ``--python-script make_screenshots.py RESULTS OUT`` in the stand-in for Slicer.

RESULTS is the folder of ``demo``: a comparison, and its two scans under ``dicom/``. Nothing in it is changed.
"""

import shutil
import sys
import tempfile
from pathlib import Path

import slicer
from host import screenshot

slicer.util.selectModule("LungNoduleCAD")


WIDTH, HEIGHT, PANEL_WIDTH = 1500, 930, 500
PATIENCE_SECONDS = 120
CLOSE_UP_MM = 110.0


class Photographer:
    """The genuine panel on a copy of the results, as a reader goes through it."""

    def __init__(self, results: Path, out: Path) -> None:
        self.results, self.out = results, out
        self.panel = slicer.modules.LungNoduleCADWidget.panel

    def all(self) -> None:
        self.open()
        self.take("panel-read")
        self.panel.nodules.ui.saliencyCheckBox.checked = True
        self.panel.nodules.ui.saliency3DCheckBox.checked = True
        self.zoom(CLOSE_UP_MM)
        self.take("panel-gradcam", dark=True)
        slicer.util.resetSliceViews()
        self.panel.views.jumpTo(self.panel.reading.selected["centroid_lps_mm"])
        self.panel.nodules.ui.saliencyCheckBox.checked = False
        self.panel.ui.tabs.setCurrentWidget(self.panel.ui.comparisonTab)
        self.panel.comparison.ui.layoutButton.click()
        self.take("panel-compare")
        self.panel.comparison.ui.layoutButton.click()
        self.panel.ui.tabs.setCurrentWidget(self.panel.ui.reportTab)
        self.report()

    def open(self) -> None:
        scans = [self.load("follow-up"), self.load("baseline")]
        self.panel.reading.open(self.panel.loader.load(self.results, *scans))

    def load(self, name: str):
        loaded, failed = [], []
        folder = self.results / "dicom" / name
        self.panel.report.sources.loadFolder(folder, loaded.append, lambda *why: failed.append(why))
        self.wait(lambda: loaded or failed)
        if failed:
            raise RuntimeError(f"{folder} could not be loaded: {failed}")
        return loaded[0]

    def report(self) -> None:
        ui = self.panel.report.ui
        ui.smokingBox.currentIndex = 2
        ui.packYearsEdit.text = "30"
        ui.otherFindingBox.currentIndex = ui.otherFindingBox.findText("yes")
        self.wait(lambda: "S:" in ui.examLabel.text)
        self.take("panel-report")
        ui.previewButton.click()
        self.wait(lambda: self.panel.report.preview is not None and self.panel.report.preview.shown)
        slicer.app.processEvents()
        self.panel.report.preview.window.grab().save(str(self.out / "panel-preview.png"))

    def zoom(self, width_mm: float) -> None:
        for node in slicer.util.getNodesByClass("vtkMRMLSliceNode"):
            before = node.GetFieldOfView()
            node.SetFieldOfView(width_mm, width_mm * before[1] / before[0], before[2])

    def take(self, name: str, dark: bool = False) -> None:
        slicer.app.processEvents()
        screenshot.grabWindow(self.out / f"{name}.png", WIDTH, HEIGHT, dark, panelWidth=PANEL_WIDTH)
        print(self.out / f"{name}.png", flush=True)

    def wait(self, until) -> None:
        import time

        end = time.monotonic() + PATIENCE_SECONDS
        while not until():
            slicer.app.processEvents()
            time.sleep(0.01)
            if time.monotonic() > end:
                raise TimeoutError("waited in vain")


with tempfile.TemporaryDirectory() as scratch:
    copy = shutil.copytree(sys.argv[1], Path(scratch) / "results")
    photographer = Photographer(copy, Path(sys.argv[2]))
    photographer.all()
    photographer.panel.reading.open(None)
slicer.util.exit(slicer.util.EXIT_SUCCESS)
