"""The real processes on the synthetic patient: made, loaded, cancelled, analyzed, refused. In Slicer or its stand-in.

Give it to the launcher as ``--python-script``, with a folder for the results. Prints what it measured as JSON.
"""

import json
import sys
import time
from pathlib import Path

import qt
import slicer

LIMIT_S = 900
TICK_MS = 10


class Heart:
    """Beats while Slicer's event loop is free; ``longest`` is the longest time in seconds that it was not."""

    def __init__(self):
        self.longest, self._last = 0.0, time.perf_counter()
        self._timer = qt.QTimer()
        self._timer.connect("timeout()", self.beat)
        self._timer.start(TICK_MS)

    def beat(self):
        now = time.perf_counter()
        self.longest, self._last = max(self.longest, now - self._last), now

    def restart(self):
        self.longest, self._last = 0.0, time.perf_counter()


def waitUntil(condition, what):
    end = time.monotonic() + LIMIT_S
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(what)
        slicer.app.processEvents()
        time.sleep(0.002)


def check(condition, what):
    if not condition:
        raise AssertionError(what)


def timed(call, *arguments):
    start = time.perf_counter()
    call(*arguments)
    return round(1000 * (time.perf_counter() - start), 1)


def watch(panel, heart):
    """What Slicer's own reading takes in milliseconds (no process can do it), and how free the loop was until then."""
    took = {"volumes": []}
    sources, loader, reading = sys.modules["LungNoduleCADSlicer.ScanSources"], panel.loader, panel.reading
    loadFiles, load, openStudy = sources._loadFiles, loader.load, reading.open

    def loadFilesTimed(*arguments):
        start = time.perf_counter()
        node = loadFiles(*arguments)
        took["volumes"].append(round(1000 * (time.perf_counter() - start), 1))
        return node

    def loadTimed(*arguments):
        heart.beat()
        took["pause"], start = round(1000 * heart.longest, 1), time.perf_counter()
        study = load(*arguments)
        took["results"] = round(1000 * (time.perf_counter() - start), 1)
        return study

    def openTimed(study):
        took["open"] = timed(openStudy, study)

    sources._loadFiles, loader.load, reading.open = loadFilesTimed, loadTimed, openTimed
    return took


def tryIt(panel, ui, heart, measured):
    """Makes both scans, loads and chooses them."""
    measured["click Try it, ms"] = timed(ui.tryButton.click)
    heart.restart()
    waitUntil(lambda: ui.progressBar.value > 0 or not panel.study.activity.busy, "the first sign of the process")
    waitUntil(lambda: "Looking" in ui.stageLabel.text or not panel.study.activity.busy, "the phantom")
    measured["longest pause while the scans are made, ms"] = round(1000 * heart.longest, 1)
    waitUntil(lambda: not panel.study.activity.busy, "both scans")
    check(ui.failureFrame.isHidden(), ui.failureLabel.text + ui.detailsText.plainText)
    scan, prior = panel.parameters.scan, panel.parameters.prior
    check(scan is not None and prior is not None, "both scans are chosen")
    days = panel.study.chooser.sources.studyDate(scan), panel.study.chooser.sources.studyDate(prior)
    check(days[0] > days[1] > "", f"the follow-up is later: {days}")
    check(panel.study.chooser.sources.patientFacts(scan) == {"age_years": 62.0, "sex": "F"}, "age and sex are known")
    check(ui.analyzeButton.enabled, ui.analyzeButton.toolTip)


def browse(panel, ui, database, work, measured):
    """A series loaded from Slicer's DICOM database is chosen by itself, the earlier one offered and taken."""
    from DICOMLib import DICOMUtils

    from LungNoduleCADSlicer.Samples import phantomFolder

    slicer.mrmlScene.Clear(0)
    check(DICOMUtils.importDicom(str(phantomFolder()), database), "the import")
    patient = database.patients()[0]
    series = [uid for study in database.studiesForPatient(patient) for uid in database.seriesForStudy(study)]
    check(len(series) == 2, f"two series: {series}")
    newest = max(series, key=lambda uid: database.fieldForStudy("StudyDate", database.studyForSeries(uid)))
    DICOMUtils.loadSeriesByUID([newest])
    waitUntil(lambda: panel.parameters.scan is not None, "the scan to be chosen by itself")
    sources, scan = panel.study.chooser.sources, panel.parameters.scan
    check(sources.patientFacts(scan) == {"age_years": 62.0, "sex": "F"}, "age and sex are known")
    check(not ui.offerButton.isHidden(), "the earlier CT is offered")
    ui.offerButton.click()
    prior = panel.parameters.prior
    check(prior is not None and sources.studyDate(prior) in ui.offerButton.text + ui.noteLabel.text, ui.noteLabel.text)
    check(sources.studyDate(prior) < sources.studyDate(scan), "it is earlier")
    start = time.perf_counter()
    linked = sources.dicomFolder(scan, work)
    measured["DICOM files linked, ms"] = round(1000 * (time.perf_counter() - start), 1)
    check(len([*linked.iterdir()]) == scan.GetImageData().GetDimensions()[2], "all files")


def cancel(panel, ui, results, measured):
    """Within a second, and nothing is left."""
    ui.resultsFolderEdit.currentPath = str(results)
    measured["click Analyze with prior, ms"] = timed(ui.analyzeButton.click)
    waitUntil(lambda: ui.progressBar.value > 2 or not panel.study.activity.busy, "the first stages")
    check(panel.study.activity.busy, ui.failureLabel.text + ui.detailsText.plainText)
    start = time.perf_counter()
    measured["click Cancel, ms"] = timed(ui.cancelButton.click)
    waitUntil(lambda: not panel.study.activity.busy, "the end of a cancelled run")
    measured["cancelled after, s"] = round(time.perf_counter() - start, 2)
    check(time.perf_counter() - start < 5.0, f"cancelled after {measured['cancelled after, s']} s")
    check(not results.exists() or not [*results.iterdir()], "nothing was written")
    check(ui.failureFrame.isHidden(), "a cancelled run is no failure")


def analyze(panel, ui, heart, took, results, measured):
    """The earlier scan alone, to an opened study."""
    ui.scanSelector.setCurrentNode(panel.parameters.prior)
    ui.priorSelector.setCurrentNode(None)
    measured["click Analyze, ms"] = timed(ui.analyzeButton.click)
    heart.restart()
    stages = set()
    waitUntil(lambda: stages.add(ui.stageLabel.text) or not panel.study.activity.busy, "the analysis")
    check(ui.failureFrame.isHidden(), ui.failureLabel.text + ui.detailsText.plainText)
    measured["longest pause while it runs, ms"] = took["pause"]
    measured["load of the results, ms"], measured["open of the study, ms"] = took["results"], took["open"]
    study = panel.reading.study
    check(study is not None, "a study is opened")
    check(study.folder.parent == results, f"{study.folder} lies in {results}")
    check(len(study.nodules) >= 3, f"nodules are found: {len(study.nodules)}")
    check(study.get("scan") is panel.parameters.scan, "the study is that of the scan")
    check(len(stages) >= 4, f"stages were shown: {stages}")


def refuse(panel, ui, folder, measured):
    """A folder without a CT, then a scan that is none: a sentence, with details folded, and the study stays."""
    study = panel.reading.study
    broken = folder / "broken"
    broken.mkdir()
    (broken / "slice.dcm").write_bytes(b"\0" * 128 + b"DICM" + b"damaged")
    panel.study.chooser.askFolder = lambda _title, _start: str(broken)
    measured["click Folder, ms"] = timed(ui.folderButton.click)
    waitUntil(lambda: not panel.study.activity.busy, "the look through the folder")
    check(not ui.failureFrame.isHidden() and "DICOM" in ui.failureLabel.text, ui.failureLabel.text)
    check(ui.detailsButton.collapsed, "details are folded")

    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "no CT")
    slicer.util.updateVolumeFromArray(node, slicer.util.arrayFromVolume(panel.parameters.scan)[::4, ::4, ::4] * 0)
    ui.scanSelector.setCurrentNode(node)
    measured["click Analyze, image file, ms"] = timed(ui.analyzeButton.click)
    waitUntil(lambda: not panel.study.activity.busy, "the refusal")
    check(not ui.failureFrame.isHidden() and ui.failureLabel.text, "a failure is shown")
    check(panel.reading.study == study, "what was read stays")


def main(folder):
    slicer.util.selectModule("LungNoduleCAD")
    panel = slicer.modules.LungNoduleCADWidget.panel
    ui, heart, measured = panel.study.ui, Heart(), {}
    check(ui.missingFrame.isHidden(), ui.missingLabel.text)
    took = watch(panel, heart)
    tryIt(panel, ui, heart, measured)
    measured["load of a volume, ms"] = max(took["volumes"])
    check(ui.deviceSelector.currentText.startswith("auto: "), ui.deviceSelector.currentText)
    from DICOMLib import DICOMUtils

    with DICOMUtils.TemporaryDICOMDatabase(str(folder / "database")) as database:
        browse(panel, ui, database, folder / "linked", measured)
        cancel(panel, ui, folder / "results", measured)
        analyze(panel, ui, heart, took, folder / "results", measured)
    refuse(panel, ui, folder, measured)
    print("measured: " + json.dumps(measured))


main(Path(sys.argv[1]).resolve())
slicer.util.exit(slicer.util.EXIT_SUCCESS)
