"""Opening a scan and its prior: what the reader may pick, what is offered, what is refused."""

import json

import numpy as np
import SimpleITK as sitk
import slicer

from LungNoduleCADSlicer import Samples
from LungNoduleCADSlicer.ScanFacts import INSTANCES, MIN_SLICES, patientKey
from LungNoduleCADSlicer.ScanSources import SOURCE_FOLDER, ScanSources
from LungNoduleCADSlicer.SelfTest.FakeDicom import PATIENT, FakeDatabase, addVolume, fromDatabase, useDatabase
from LungNoduleCADSlicer.SelfTest.Fakes import (
    FakeInstaller,
    FakeLibrary,
    FakeRunner,
    addSampleScan,
    fakePanel,
    temporaryFolder,
)
from LungNoduleCADSlicer.SelfTest.Sentences import runEach


def everySentence(test):
    runEach(test, globals())


def a_loaded_ct_is_picked_and_kept_in_the_scene(test):
    panel = fakePanel(test)
    test.assertFalse(panel.study.ui.analyzeButton.enabled)
    test.assertIn("Choose", panel.study.ui.analyzeButton.toolTip)
    test.assertIn("Choose", panel.study.ui.noteLabel.text)
    scan, prior = addSampleScan(), addSampleScan(prior=True)

    panel.study.ui.scanSelector.setCurrentNode(scan)
    panel.study.ui.priorSelector.setCurrentNode(prior)

    test.assertTrue(panel.study.ui.analyzeButton.enabled)
    test.assertIs(panel.parameters.scan, scan)
    test.assertIs(panel.parameters.prior, prior)
    again = fakePanel(test)  # as when the module is reloaded, or the scene opened again
    test.assertIs(again.study.chooser.scan, scan)
    test.assertIs(again.study.chooser.prior, prior)


def the_newest_chest_ct_from_the_dicom_browser_is_chosen_by_itself(test):
    panel = fakePanel(test)
    shown = []
    selectModule, slicer.util.selectModule = slicer.util.selectModule, shown.append
    test.addCleanup(lambda: setattr(slicer.util, "selectModule", selectModule))
    panel.study.ui.dicomButton.click()
    test.assertEqual(shown, ["DICOM"])

    database = useDatabase(test, FakeDatabase())
    addVolume("NRRD")
    fromDatabase(database, "older", "20190106")
    newest = fromDatabase(database, "newest", "20200105")
    fromDatabase(database, "localizer", "20210105", slices=3)
    fromDatabase(database, "MR", "20210106", Modality="MR")
    panel.study.chooser.chooseByItself()

    test.assertIs(panel.study.chooser.scan, newest)
    fromDatabase(database, "newer still", "20220105")
    panel.study.chooser.chooseByItself()
    test.assertIs(panel.study.chooser.scan, newest)  # what is chosen stays


def a_volume_that_comes_into_the_scene_is_noticed(test):
    panel = fakePanel(test)
    database = useDatabase(test, FakeDatabase())

    scan = fromDatabase(database, "scan", "20200105")
    _waitFor(lambda: panel.study.chooser.scan is not None)

    test.assertIs(panel.study.chooser.scan, scan)


def a_folder_is_looked_through_loaded_and_chosen(test):
    panel, folder = fakePanel(test), temporaryFolder(test)
    chooser, ui = panel.study.chooser, panel.study.ui
    chooser.askFolder = lambda _title, _start: str(folder)

    ui.folderButton.click()

    look = chooser.sources.start.last("series")
    test.assertEqual(look.arguments, ["series", str(folder), "--json"])
    test.assertFalse(ui.progressFrame.isHidden())
    test.assertIn(folder.name, ui.stageLabel.text)
    test.assertFalse(ui.folderButton.enabled)
    look.answer(_seriesDocument(folder, "2020-01-05"))
    test.assertTrue(ui.progressFrame.isHidden())
    test.assertEqual(chooser.scan.GetAttribute(SOURCE_FOLDER), str(folder))
    test.assertEqual(chooser.scan.GetImageData().GetDimensions()[2], MIN_SLICES)
    test.assertEqual(chooser.sources.studyDate(chooser.scan), "2020-01-05")
    test.assertEqual(chooser.sources.patientFacts(chooser.scan), {"age_years": 61.0, "sex": "F"})
    test.assertEqual(chooser.sources.exportScan(chooser.scan, folder / "work"), folder)
    background = {node.GetBackgroundVolumeID() for node in slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode")}
    test.assertEqual(background, {chooser.scan.GetID()})


def a_look_through_a_folder_is_cancelled_or_says_why_it_found_nothing(test):
    panel, folder = fakePanel(test), temporaryFolder(test)
    chooser, ui = panel.study.chooser, panel.study.ui
    chooser.askFolder = lambda _title, _start: str(folder)

    ui.folderButton.click()
    ui.cancelButton.click()
    test.assertTrue(ui.progressFrame.isHidden())
    test.assertTrue(ui.failureFrame.isHidden())

    ui.folderButton.click()
    nothing = {"chosen": None, "reason": "No CT series among the images found.", "series": []}
    chooser.sources.start.last("series").answer(nothing, 3)
    test.assertFalse(ui.failureFrame.isHidden())
    test.assertEqual(ui.failureLabel.text, "No CT series among the images found.")

    ui.folderButton.click()
    chooser.sources.start.last("series").answer(None, 3, "Traceback …\nThe folder is empty")
    test.assertEqual(ui.failureLabel.text, "The folder is empty")
    test.assertIn("Traceback", ui.detailsText.plainText)
    test.assertIsNone(chooser.scan)


def an_earlier_ct_of_the_patient_is_offered_and_taken_with_one_click(test):
    panel, database = fakePanel(test), useDatabase(test, FakeDatabase())
    scan = fromDatabase(database, "scan", "20200105")
    prior = fromDatabase(database, "prior", "20190105")
    for name, date, changes in (
        ("older", "20180105", {}),
        ("same day", "20200105", {}),
        ("later", "20210105", {}),
        ("localizer", "20191105", {"slices": 3}),
        ("MR", "20191106", {"Modality": "MR"}),
        ("abdomen", "20191107", {"BodyPartExamined": "ABDOMEN"}),
        ("another patient", "20191108", {"PatientID": "patient 2"}),
        ("nobody", "20191109", {"PatientID": ""}),
    ):
        fromDatabase(database, name, date, **changes)
    ui = panel.study.ui

    ui.scanSelector.setCurrentNode(scan)
    test.assertFalse(ui.offerButton.isHidden())
    test.assertEqual(ui.offerButton.text, "Earlier CT of 2019-01-05 found: use it")
    ui.offerButton.click()

    test.assertIs(panel.parameters.prior, prior)
    test.assertTrue(ui.offerButton.isHidden())
    test.assertIn("365 days", ui.noteLabel.text)


def an_earlier_ct_in_the_dicom_database_is_offered(test):
    panel, database = fakePanel(test), useDatabase(test, FakeDatabase())
    scan = fromDatabase(database, "scan", "20200105", BodyPartExamined="CHEST")
    study = {"StudyInstanceUID": "a study", "StudyDate": "20190105", "PatientID": PATIENT}
    database.add("1.soft", _instancesOf("1.soft", MIN_SLICES), **study)
    database.add("1.thin", _instancesOf("1.thin", 90), **study)
    database.add("1.other", _instancesOf("1.other", 90), StudyDate="20190205", PatientID="patient 2")
    sources, loaded = panel.study.chooser.sources, []
    sources.loadSeries = lambda uid: loaded.append(uid) or fromDatabase(database, uid, "20190105")

    panel.study.ui.scanSelector.setCurrentNode(scan)
    test.assertEqual([offer.seriesUid for offer in sources.priorOffers(scan)], ["1.thin"])
    panel.study.ui.offerButton.click()

    test.assertEqual(loaded, ["1.thin"])
    test.assertEqual(panel.study.chooser.prior.GetName(), "1.thin")


def a_prior_of_a_folder_is_found_in_the_dicom_database_and_the_other_way_round(test):
    database, folder = useDatabase(test, FakeDatabase()), temporaryFolder(test)
    library = FakeLibrary()
    sources, loaded = ScanSources(library), []
    database.add("1.prior", _instancesOf("1.prior", MIN_SLICES), StudyDate="20190105", PatientID=PATIENT)

    sources.loadFolder(folder, loaded.append, test.fail)
    library.last("series").answer(_seriesDocument(folder, "2020-01-05"))

    test.assertEqual([offer.seriesUid for offer in sources.priorOffers(loaded[0])], ["1.prior"])
    later = fromDatabase(database, "later", "20210105")
    test.assertIs(sources.priorOffers(later)[0].node, loaded[0])


def scan_and_prior_that_do_not_fit_are_refused_before_anything_starts(test):
    panel, database = fakePanel(test), useDatabase(test, FakeDatabase())
    ui, chooser = panel.study.ui, panel.study.chooser
    scan, prior = fromDatabase(database, "scan", "20200105"), fromDatabase(database, "prior", "20190105")
    stranger = fromDatabase(database, "stranger", "20190105", PatientID="patient 2")
    twin = fromDatabase(database, "scan", "20200105")

    for earlier, word in ((scan, "same"), (twin, "same"), (stranger, "patient")):
        ui.scanSelector.setCurrentNode(scan)
        ui.priorSelector.setCurrentNode(earlier)
        test.assertIn(word, ui.noteLabel.text)
        test.assertEqual(ui.analyzeButton.toolTip, ui.noteLabel.text)
        test.assertFalse(ui.analyzeButton.enabled)
        test.assertTrue(ui.swapButton.isHidden())

    ui.scanSelector.setCurrentNode(prior)
    ui.priorSelector.setCurrentNode(scan)
    test.assertIn("later", ui.noteLabel.text)
    test.assertFalse(ui.analyzeButton.enabled)
    test.assertFalse(ui.swapButton.isHidden())
    ui.swapButton.click()
    test.assertIs(chooser.scan, scan)
    test.assertIs(chooser.prior, prior)
    test.assertTrue(ui.analyzeButton.enabled)
    test.assertTrue(ui.swapButton.isHidden())
    test.assertEqual(panel.study.activity.busy, False)


def try_it_makes_both_scans_and_chooses_them(test):
    panel, cache = fakePanel(test), temporaryFolder(test)
    _useCache(test, cache)
    ui, chooser = panel.study.ui, panel.study.chooser
    runner, library = panel.study.activity.runner, chooser.sources.start

    ui.tryButton.click()

    test.assertEqual(
        runner.arguments, ["phantom", "-o", str(cache / "LungNoduleCAD" / "phantom"), "--progress", "jsonl"]
    )
    runner.listener.onProgress("baseline", 0.25, "making the baseline scan")
    test.assertEqual(ui.stageLabel.text, "making the baseline scan")
    test.assertEqual(ui.progressBar.value, 25)
    for scan, date in (("baseline", "2019-01-05"), ("follow-up", "2020-01-05")):
        (cache / scan).mkdir()
        if scan == "baseline":
            runner.endWithResult(cache)
        look = library.last("series")
        test.assertEqual(look.arguments[1], str(cache / scan))
        look.answer(_seriesDocument(cache / scan, date))

    test.assertEqual(chooser.sources.studyDate(panel.parameters.scan), "2020-01-05")
    test.assertEqual(chooser.sources.studyDate(panel.parameters.prior), "2019-01-05")
    test.assertTrue(ui.progressFrame.isHidden())
    test.assertTrue(ui.analyzeButton.enabled)


def sample_data_lists_both_scans_and_makes_them_without_an_address(test):
    listed = _listedSamples()
    test.assertEqual([source.sampleName for source in listed], ["Phantom baseline", "Phantom follow-up"])
    for source in listed:
        test.assertTrue(source.uris[0].startswith("generated:"))
        test.assertTrue(source.customDownloader)
        test.assertGreater(sitk.ReadImage(source.thumbnailFileName).GetSize()[0], 100)
    folder = temporaryFolder(test)
    runner, library = FakeRunner(), FakeLibrary()
    downloader = Samples.SampleDownloader(runner, ScanSources(library), FakeInstaller())

    downloader.onSampleChosen(listed[1])
    downloader.onSampleChosen(listed[0])  # impatient
    runner.listener.onProgress("baseline", 0.5, "making the baseline scan")
    (folder / "follow-up").mkdir()
    (folder / "baseline").mkdir()
    _useCache(test, folder)
    runner.endWithResult(folder)
    library.last("series").answer(_seriesDocument(folder / "follow-up", "2020-01-05"))
    library.last("series").answer(_seriesDocument(folder / "baseline", "2019-01-05"))

    names = [node.GetName() for node in slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode")]
    test.assertEqual(names, ["CT 2020-01-05", "CT 2019-01-05"])
    downloader.onSampleChosen(listed[0])
    test.assertTrue(runner.running)
    runner.cancel()
    test.assertEqual(len(slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode")), 2)


def dicom_files_are_linked_for_the_process_and_other_volumes_written(test):
    database, folder = useDatabase(test, FakeDatabase()), temporaryFolder(test)
    files = {f"1.scan.{number}": folder / f"{number}.dcm" for number in range(3)}
    for uid, file in files.items():
        file.write_text(uid, encoding="utf-8")
    scan = fromDatabase(
        database, "1.scan", "20200105", instances=list(files), files=[str(file) for file in files.values()]
    )
    sources = ScanSources(FakeLibrary())

    linked = sources.exportScan(scan, folder / "linked")

    test.assertEqual(linked, folder / "linked")
    test.assertEqual([file.read_text() for file in sorted(linked.iterdir())], list(files))
    test.assertEqual(sources.dicomFolder(scan, folder / "again"), folder / "again")

    scan.SetAttribute(INSTANCES, "1.scan.2 1.scan.0")  # a part of the series
    part = sources.exportScan(scan, folder / "part")
    test.assertEqual([file.read_text() for file in sorted(part.iterdir())], ["1.scan.2", "1.scan.0"])

    scan.SetAttribute(INSTANCES, " ".join(files))
    (folder / "1.dcm").unlink()  # one file is gone: all voxels are still in the scene
    image = sitk.ReadImage(str(sources.exportScan(scan, folder / "written")))
    test.assertEqual(image.GetSize()[2], MIN_SLICES)
    written = sources.exportScan(addSampleScan(), folder / "plain")
    test.assertIsNone(sources.dicomFolder(addSampleScan(), folder / "none"))
    test.assertGreater(written.stat().st_size, 2 * np.prod(sitk.ReadImage(str(written)).GetSize()))  # not compressed
    test.assertEqual(sitk.ReadImage(str(written)).GetOrigin(), (-32.0, -24.0, 100.0))


# ---- what the tests are made of


def _instancesOf(seriesUid, count):
    return [f"{seriesUid}.{number}" for number in range(count)]


def _seriesDocument(folder, date):
    """What ``series FOLDER --json`` answers; the series is one file here."""
    file = folder / "series.nrrd"
    sitk.WriteImage(sitk.Image(4, 4, MIN_SLICES, sitk.sitkInt16), str(file))
    series = {
        "series_uid": f"1.{date}",
        "study_date": date,
        "patient_key": patientKey(PATIENT),
        "age_years": 61.0,
        "sex": "F",
        "modality": "CT",
        "files": [str(file)],
    }
    return json.loads(json.dumps({"folder": str(folder), "chosen": 0, "reason": "the only one", "series": [series]}))


def _listedSamples():
    """What the module put into Slicer's Sample Data when it started."""
    return slicer.modules.sampleDataSources[Samples.CATEGORY]


def _useCache(test, folder):
    before, Samples.cacheFolder = Samples.cacheFolder, lambda: folder
    test.addCleanup(lambda: setattr(Samples, "cacheFolder", before))


def _waitFor(condition, seconds=5.0):
    import time

    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        slicer.app.processEvents()
        time.sleep(0.01)
