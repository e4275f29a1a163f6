"""Analyzing: one button, what is shown meanwhile, how it ends, and what is said where it cannot be done."""

import sys
import time
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from unittest import mock

import slicer

from LungNoduleCADSlicer import DependencyInstaller as DependencyInstallerModule
from LungNoduleCADSlicer.DependencyInstaller import DependencyInstaller, explain
from LungNoduleCADSlicer.SampleResults import writeSampleResults
from LungNoduleCADSlicer.SelfTest.FakeDicom import FakeDatabase, fromDatabase, useDatabase
from LungNoduleCADSlicer.SelfTest.Fakes import addSampleScan, fakePanel, openSampleStudy, temporaryFolder
from LungNoduleCADSlicer.SelfTest.Sentences import runEach

GPU = "NVIDIA Self-Test 1"
INFO = {"devices": [{"id": "cpu", "name": "x86, 2 cores"}, {"id": "cuda:0", "name": GPU}], "auto": "cuda:0"}


def everySentence(test):
    runEach(test, globals())


def one_button_starts_the_command_line_with_what_was_chosen(test):
    panel, folder = fakePanel(test), temporaryFolder(test)
    database, ui = useDatabase(test, FakeDatabase()), panel.study.ui
    files = [folder / "current.dcm", folder / "prior.dcm"]
    nodes = []
    for file, date in zip(files, ("20200131", "20190731"), strict=True):
        file.write_text(date, encoding="utf-8")
        nodes.append(fromDatabase(database, date, date, files=[str(file)]))
    panel.study.devices.askNow()
    panel.study.chooser.sources.start.last("info").answer(INFO)
    ui.scanSelector.setCurrentNode(nodes[0])
    ui.priorSelector.setCurrentNode(nodes[1])
    ui.deviceSelector.setCurrentIndex(ui.deviceSelector.findData("cuda:0"))
    ui.resultsFolderEdit.currentPath = str(folder / "results")

    ui.analyzeButton.click()

    verb, scan, dashO, results, dashPrior, prior, *rest = _runnerOf(panel).arguments
    test.assertEqual((verb, dashO, dashPrior), ("analyse", "-o", "--prior"))
    test.assertEqual(Path(results).parent, folder / "results")
    test.assertEqual([file.read_text() for file in Path(scan).iterdir()], ["20200131"])
    test.assertEqual([file.read_text() for file in Path(prior).iterdir()], ["20190731"])
    test.assertEqual(rest, ["--device", "cuda:0", "--progress", "jsonl"])
    _runnerOf(panel).cancel()
    test.assertFalse(Path(scan).exists())
    ui.analyzeButton.click()
    test.assertEqual(panel.parameters.device, "cuda:0")
    _runnerOf(panel).cancel()


def a_volume_without_dicom_files_is_analyzed_from_an_image_file(test):
    panel = fakePanel(test)
    _choose(panel, addSampleScan(), addSampleScan(prior=True))
    panel.study.ui.analyzeButton.click()

    _verb, scan, _o, results, _prior, prior, *rest = _runnerOf(panel).arguments
    test.assertEqual([Path(scan).name, Path(prior).name], ["scan.nrrd", "scan.nrrd"])
    test.assertNotEqual(scan, prior)
    test.assertNotIn("--date", rest)  # nobody knows it
    test.assertTrue(results.startswith(slicer.app.defaultScenePath))
    _runnerOf(panel).cancel()
    test.assertFalse(Path(scan).exists())


def the_device_is_shown_by_name_and_kept_with_the_scene(test):
    panel = fakePanel(test)
    panel.study.devices.askNow()
    box, look = panel.study.ui.deviceSelector, panel.study.chooser.sources.start.last("info")
    test.assertEqual(look.arguments, ["info", "--json", "--torch"])
    test.assertEqual([box.itemText(row) for row in range(box.count)], ["auto", "CPU"])

    look.answer(INFO)

    test.assertEqual(box.currentText, f"auto: {GPU}")
    test.assertEqual([box.itemData(row) for row in range(box.count)], ["auto", "cpu", "cuda:0"])
    test.assertEqual(box.itemText(1), "CPU: x86, 2 cores")
    box.setCurrentIndex(2)
    test.assertEqual(panel.parameters.device, "cuda:0")
    box.setCurrentIndex(0)
    panel.parameters.device = "cuda:7"  # of the computer where the scene was saved
    parameters = panel.parameters
    panel.setParameters(None)
    panel.setParameters(parameters)
    test.assertEqual((box.currentData, panel.parameters.device), ("auto", "cuda:7"))


def stage_fraction_and_time_are_shown_while_it_runs(test):
    panel = fakePanel(test)
    ui, runner = panel.study.ui, _runnerOf(panel)
    _choose(panel, addSampleScan())
    test.assertTrue(ui.progressFrame.isHidden())

    ui.analyzeButton.click()

    test.assertFalse(ui.progressFrame.isHidden())
    test.assertEqual(ui.progressBar.maximum, 0)  # busy: no fraction is known yet
    test.assertEqual(ui.elapsedLabel.text, "0:00")
    runner.listener.onProgress("lungs", 0.25, "finding the lungs")
    test.assertEqual((ui.stageLabel.text, ui.progressBar.value, ui.progressBar.maximum), ("finding the lungs", 25, 100))
    runner.listener.onProgress("detect", 0.5, "")
    test.assertEqual((ui.stageLabel.text, ui.progressBar.value), ("detect", 50))
    with mock.patch("time.monotonic", return_value=panel.study.activity._started + 75):
        panel.study.activity._showElapsed()
    test.assertEqual(ui.elapsedLabel.text, "1:15")
    for button in (ui.analyzeButton, ui.tryButton, ui.folderButton, ui.openResultsButton):
        test.assertFalse(button.enabled)
    test.assertIn("under way", ui.analyzeButton.toolTip)
    runner.cancel()


def cancel_ends_it_and_leaves_everything_as_it_was(test):
    panel, folder = fakePanel(test), temporaryFolder(test)
    ui = panel.study.ui
    study = openSampleStudy(test, panel)
    _choose(panel, addSampleScan())

    ui.resultsFolderEdit.currentPath = str(folder)

    ui.analyzeButton.click()
    unfinished = folder / f".{Path(_runnerOf(panel).arguments[3]).name}.1f2e3d4c.partial"
    unfinished.mkdir()
    ui.cancelButton.click()

    test.assertFalse(_runnerOf(panel).running)
    test.assertEqual([*folder.iterdir()], [])
    test.assertTrue(ui.progressFrame.isHidden())
    test.assertTrue(ui.failureFrame.isHidden())
    test.assertTrue(ui.analyzeButton.enabled)
    test.assertEqual(panel.reading.study, study)


def the_results_are_opened_when_it_ends(test):
    panel, folder = fakePanel(test), temporaryFolder(test) / "results"
    scan, prior = addSampleScan(), addSampleScan(prior=True)
    _choose(panel, scan, prior)
    panel.study.ui.analyzeButton.click()
    writeSampleResults(folder)

    _runnerOf(panel).endWithResult(folder)

    test.assertEqual(panel.reading.study.folder, folder)
    test.assertIs(panel.reading.study.get("scan"), scan)
    test.assertEqual(panel.reading.selectedId, panel.reading.study.nodules[0]["id"])
    test.assertIs(panel.parameters.study, panel.reading.study.node)
    test.assertTrue(panel.study.ui.progressFrame.isHidden())


def each_analysis_has_a_folder_of_its_own(test):
    panel, folder = fakePanel(test), temporaryFolder(test)
    _choose(panel, addSampleScan())
    panel.study.ui.resultsFolderEdit.currentPath = str(folder)
    names = []
    for _ in range(3):
        panel.study.ui.analyzeButton.click()
        names.append(Path(_runnerOf(panel).arguments[3]))
        names[-1].mkdir()
        _runnerOf(panel).cancel()

    test.assertEqual(len(set(names)), 3)
    test.assertEqual({name.parent for name in names}, {folder})
    test.assertEqual(panel.parameters.resultsFolder, str(folder))
    panel.study.ui.resultsFolderEdit.currentPath = str(Path(slicer.app.defaultScenePath) / "LungNoduleCAD")
    test.assertEqual(panel.parameters.resultsFolder, "")


def a_failure_says_why_and_keeps_the_details_folded(test):
    panel = fakePanel(test)
    ui, study = panel.study.ui, openSampleStudy(test, panel)
    _choose(panel, addSampleScan())
    ui.analyzeButton.click()

    _runnerOf(panel).endWithError("The volume holds no lungs", "Traceback\nInputError: the volume holds no lungs")

    test.assertFalse(ui.failureFrame.isHidden())
    test.assertEqual(ui.failureLabel.text, "The volume holds no lungs")
    test.assertTrue(ui.detailsButton.collapsed)
    ui.detailsButton.collapsed = False
    test.assertIn("InputError", ui.detailsText.plainText)
    test.assertEqual(panel.reading.study, study)
    test.assertTrue(ui.analyzeButton.enabled)

    ui.analyzeButton.click()
    test.assertTrue(ui.failureFrame.isHidden())
    _runnerOf(panel).endWithError("Again", "")
    test.assertTrue(ui.detailsButton.isHidden())  # nothing to unfold


def damaged_results_say_so_and_leave_the_study_that_is_read(test):
    panel, folder = fakePanel(test), temporaryFolder(test)
    ui, study = panel.study.ui, openSampleStudy(test, panel)
    _choose(panel, addSampleScan())
    for text in ("{", "{}"):
        ui.analyzeButton.click()
        (folder / "findings.json").write_text(text, encoding="utf-8")
        _runnerOf(panel).endWithResult(folder)
        test.assertIn(str(folder), ui.failureLabel.text)
        test.assertFalse(ui.failureFrame.isHidden())
        test.assertEqual(panel.reading.study, study)


def results_wait_while_another_module_is_shown(test):
    panel, folder = fakePanel(test), temporaryFolder(test) / "results"
    _choose(panel, addSampleScan())
    panel.study.ui.analyzeButton.click()
    writeSampleResults(folder, compared=False)
    parameters = panel.parameters
    panel.setParameters(None)

    _runnerOf(panel).endWithResult(folder)
    test.assertIsNone(panel.reading.study)
    panel.setParameters(parameters)

    test.assertEqual(panel.reading.study.folder, folder)
    test.assertIs(parameters.study, panel.reading.study.node)


def earlier_results_are_opened_from_their_folder(test):
    panel, folder = fakePanel(test), temporaryFolder(test)
    asked = []
    panel.study.chooser.askFolder = lambda title, start: asked.append((title, start)) or str(folder)

    panel.study.ui.openResultsButton.click()
    test.assertIn("findings.json", panel.study.ui.failureLabel.text)
    test.assertIsNone(panel.reading.study)
    writeSampleResults(folder)
    panel.study.ui.openResultsButton.click()

    test.assertEqual(panel.reading.study.folder, folder)
    test.assertIsNotNone(panel.reading.study.get("scan"))
    test.assertTrue(panel.study.ui.failureFrame.isHidden())
    test.assertEqual(asked[0][1], panel.study.ui.resultsFolderEdit.currentPath)
    panel.study.chooser.askFolder = lambda _title, _start: ""
    panel.study.ui.openResultsButton.click()  # the reader thought better of it
    test.assertTrue(panel.study.ui.failureFrame.isHidden())


def missing_packages_are_explained_and_installed_only_on_a_click(test):
    panel = fakePanel(test)
    ui, installer = panel.study.ui, panel.study.installer
    _choose(panel, addSampleScan())
    test.assertTrue(ui.missingFrame.isHidden())
    installer.absent = ["torch>=2.4", "reportlab>=4.0", "rich>=13"]

    panel.study.lookForPackages()

    test.assertFalse(ui.missingFrame.isHidden())
    for words in ("neural networks: torch", "report and figures: reportlab", "progress: rich"):
        test.assertIn(words, ui.missingLabel.text)
    for button in (ui.analyzeButton, ui.tryButton, ui.folderButton):
        test.assertFalse(button.enabled)
        test.assertIn("missing packages", button.toolTip)
    test.assertFalse(installer.installed)
    ui.installButton.click()
    test.assertTrue(installer.installed)
    test.assertTrue(ui.missingFrame.isHidden())
    test.assertTrue(ui.analyzeButton.enabled)


def an_installation_that_fails_says_why(test):
    panel = fakePanel(test)
    ui, installer = panel.study.ui, panel.study.installer
    installer.absent = ["torch>=2.4"]
    panel.study.lookForPackages()

    def fail():
        raise RuntimeError("User declined package installation")

    installer.install = fail
    ui.installButton.click()

    test.assertEqual(ui.failureLabel.text, "User declined package installation")
    test.assertFalse(ui.missingFrame.isHidden())


def torch_comes_through_its_extension_which_is_installed_first(test):
    installer, manager = DependencyInstaller(), mock.Mock()
    with (
        mock.patch("importlib.util.find_spec", return_value=None),
        _outsideOfTesting(test, "torch", manager) as packaging,
    ):
        test.assertIn("PyTorch extension", explain(["torch>=2.4"]))
        test.assertNotIn("PyTorch extension", explain(["reportlab>=4.0"]))
        installer.install()
        manager.installExtensionFromServer.assert_called_once_with("PyTorch")
        packaging.pip_ensure.assert_not_called()
        manager.installExtensionFromServer.return_value = False
        with test.assertRaisesRegex(RuntimeError, "PyTorch"):
            installer.install()
    with mock.patch("importlib.util.find_spec", return_value=object()):
        test.assertIn("no data leaves this computer", explain(["torch>=2.4"]))


def the_radiomics_extension_is_offered_where_it_is_missing(test):
    panel = fakePanel(test)
    ui, installer = panel.study.ui, panel.study.installer
    test.assertTrue(ui.radiomicsButton.isHidden())
    with mock.patch("importlib.util.find_spec", return_value=None):
        installer.remark = DependencyInstaller().remark
        panel.study.lookForPackages()
    installer.installExtension = mock.Mock()

    test.assertFalse(ui.radiomicsButton.isHidden())
    test.assertIn("SlicerRadiomics", ui.radiomicsButton.toolTip)
    ui.radiomicsButton.click()
    installer.installExtension.assert_called_once_with("SlicerRadiomics")


def looking_for_packages_is_quick_and_imports_none(test):
    before = set(sys.modules)
    start = time.perf_counter()
    DependencyInstaller().missing()
    seconds = time.perf_counter() - start

    loaded = {name.partition(".")[0] for name in set(sys.modules) - before}
    test.assertFalse(
        loaded & {"torch", "monai", "sklearn", "matplotlib", "reportlab", "pydicom", "highdicom", "cattrs"}
    )
    test.assertLess(seconds, 0.5)


def nothing_is_installed_in_testing_mode(test):
    test.assertTrue(slicer.app.testingEnabled(), "run the tests with --testing")
    with (
        mock.patch.object(slicer.packaging, "pip_check", return_value=False),
        mock.patch.object(slicer.packaging, "pip_ensure") as ensure,
    ):
        test.assertIn("torch>=2.4", DependencyInstaller().missing())
        DependencyInstaller().install()

    ensure.assert_not_called()


def slicers_own_packages_are_kept_as_they_are(test):
    with _outsideOfTesting(test, "reportlab") as packaging:
        DependencyInstaller().install()

    (requirements,), options = packaging.pip_ensure.call_args
    test.assertEqual([text.partition(">")[0] for text in requirements], ["reportlab"])
    kept = Path(options["constraints"]).read_text(encoding="utf-8")
    for name in ("numpy==", "SimpleITK=="):
        test.assertIn(name.lower(), kept.lower())


# ---- what the tests are made of


def _runnerOf(panel):
    return panel.study.activity.runner


def _choose(panel, scan, prior=None):
    panel.study.ui.scanSelector.setCurrentNode(scan)
    panel.study.ui.priorSelector.setCurrentNode(prior)


@contextmanager
def _outsideOfTesting(test, missing, manager=None):
    """The installer as in daily work, with one package missing, a recorder for pip and a manager of extensions."""
    folder = str(temporaryFolder(test))
    app = SimpleNamespace(
        testingEnabled=lambda: False, temporaryPath=folder, extensionsManagerModel=lambda: manager or mock.Mock()
    )
    packaging = SimpleNamespace(
        load_requirements=slicer.packaging.load_requirements,
        pip_check=lambda requirement: requirement.name != missing,
        pip_ensure=mock.Mock(),
    )
    with mock.patch.object(DependencyInstallerModule, "slicer", SimpleNamespace(app=app, packaging=packaging)):
        yield packaging
