"""The report: clinical facts, the exam's category and why, the preview, the export."""

import time
from pathlib import Path
from types import ModuleType
from unittest import mock

import slicer

from LungNoduleCADSlicer.ClinicalForm import FACTS
from LungNoduleCADSlicer.SelfTest.FakeDicom import FakeDatabase, useDatabase
from LungNoduleCADSlicer.SelfTest.Fakes import fakePanel, openSampleStudy, temporaryFolder
from LungNoduleCADSlicer.SelfTest.Sentences import runEach
from LungNoduleCADSlicer.Study import SCAN

PATIENCE_SECONDS = 5


def everySentence(test):
    runEach(test, globals())


def age_and_sex_are_filled_from_the_header(test):
    panel = fakePanel(test)
    openSampleStudy(test, panel)

    test.assertEqual(panel.report.ui.ageEdit.text, "63")
    test.assertEqual(panel.report.ui.sexBox.currentText, "female")
    _pause()
    test.assertEqual(panel.reading.study.findings["edits"], [])  # nothing is changed by looking


def what_nobody_said_is_unknown_and_not_no(test):
    panel = fakePanel(test)
    openSampleStudy(test, panel)
    form, ui = panel.report.form, panel.report.ui

    test.assertEqual({form.values[name] for name in FACTS if name not in ("age_years", "sex")}, {None})
    test.assertEqual(ui.emphysemaBox.currentText, "unknown")
    ui.emphysemaBox.currentIndex = ui.emphysemaBox.findText("no")
    test.assertIs(form.values["emphysema"], False)
    ui.emphysemaBox.currentIndex = ui.emphysemaBox.findText("yes")
    test.assertIs(form.values["emphysema"], True)
    ui.emphysemaBox.currentIndex = ui.emphysemaBox.findText("unknown")
    test.assertIsNone(form.values["emphysema"])


def facts_are_sent_once_after_a_pause(test):
    panel = fakePanel(test)
    study = openSampleStudy(test, panel)
    ui = panel.report.ui

    ui.smokingBox.currentIndex = ui.smokingBox.findText("former")
    for text in ("3", "35", "35.5"):
        ui.packYearsEdit.text = text
    ui.quitEdit.text = "4"
    test.assertEqual(study.findings["edits"], [])
    _waitFor(lambda: study.findings["edits"])

    test.assertEqual([edit["action"] for edit in study.findings["edits"]], ["clinical"])
    said = study.findings["clinical"]
    test.assertEqual((said["smoking_status"], said["pack_years"], said["years_since_quit"]), ("former", 35.5, 4.0))
    test.assertEqual((said["age_years"], said["sex"]), (63.0, "F"))
    test.assertIsNone(said["emphysema"])
    test.assertEqual(ui.packYearsEdit.text, "35.5")


def who_never_smoked_has_no_pack_years(test):
    panel = fakePanel(test)
    openSampleStudy(test, panel)
    ui = panel.report.ui
    ui.packYearsEdit.text, ui.quitEdit.text = "20", "3"

    ui.smokingBox.currentIndex = ui.smokingBox.findText("never")

    test.assertFalse(ui.packYearsEdit.enabled)
    test.assertIsNone(panel.report.form.values["pack_years"])
    test.assertIsNone(panel.report.form.values["years_since_quit"])


def what_is_no_number_is_said_and_not_sent(test):
    panel = fakePanel(test)
    study = openSampleStudy(test, panel)

    panel.report.ui.ageEdit.text = "1963"

    test.assertIn("1963", panel.report.ui.clinicalLabel.text)
    _pause()
    test.assertEqual(study.findings["edits"], [])
    panel.report.ui.ageEdit.text = "64"
    test.assertEqual(panel.report.ui.clinicalLabel.text, "")
    _waitFor(lambda: study.findings["edits"])
    test.assertEqual(study.findings["clinical"]["age_years"], 64.0)


def facts_that_the_form_has_no_field_for_are_kept(test):
    panel = fakePanel(test)
    openSampleStudy(test, panel)
    form = panel.report.form

    form.show({**form.values, "a_later_fact": True})

    test.assertIs(form.values["a_later_fact"], True)


def another_significant_finding_adds_the_s_modifier_at_once(test):
    panel = fakePanel(test)
    openSampleStudy(test, panel)
    ui = panel.report.ui
    test.assertEqual(ui.examLabel.text, "Lung-RADS 4A: suspicious")

    ui.otherFindingBox.currentIndex = ui.otherFindingBox.findText("yes")
    _waitFor(lambda: "4AS" in ui.examLabel.text)

    test.assertIn("4AS", panel.ui.categoryLabel.text)
    test.assertIn("significant finding", ui.reasonLabel.text)


def the_category_says_which_rule_decided_it(test):
    panel = fakePanel(test)
    study = openSampleStudy(test, panel)
    exam = study.findings["lung_rads"]

    for part in (exam["reason"], exam["rule_id"], exam["source"], exam["management"]):
        test.assertIn(part, panel.report.ui.reasonLabel.text)
    panel.corrections.send("review", nodule="N1", review="rejected")
    test.assertEqual(panel.report.ui.examLabel.text, "Lung-RADS 2: benign appearance or behavior")


def the_reader_may_decide_the_category_and_go_back_to_the_rules(test):
    panel = fakePanel(test)
    study = openSampleStudy(test, panel)
    box = panel.report.ui.categoryBox

    box.currentIndex = box.findText("4X")
    test.assertEqual(
        (study.findings["lung_rads"]["category"], study.findings["lung_rads"]["decided_by"]), ("4X", "reader")
    )
    test.assertEqual(box.currentText, "4X")
    box.currentIndex = 0
    test.assertEqual(study.findings["lung_rads"]["category"], "4A")
    test.assertEqual([edit["action"] for edit in study.findings["edits"]], ["exam_category"] * 2)


def the_preview_shows_the_pages_of_the_report(test):
    panel = fakePanel(test)
    openSampleStudy(test, panel)

    panel.report.ui.previewButton.click()

    preview = panel.report.preview
    test.assertTrue(preview.window.visible)
    test.assertEqual(preview.pageLabel.text, "1 of 1")
    test.assertFalse(preview.picture.pixmap.isNull())
    preview.show([*preview.pages, *preview.pages], preview.report)
    preview.nextButton.click()
    test.assertEqual(preview.pageLabel.text, "2 of 2")
    test.assertFalse(preview.nextButton.enabled)
    preview.previousButton.click()
    test.assertEqual(preview.pageLabel.text, "1 of 2")


def a_report_is_made_of_what_was_just_entered(test):
    panel = fakePanel(test)
    study = openSampleStudy(test, panel)

    panel.report.ui.otherFindingBox.currentIndex = panel.report.ui.otherFindingBox.findText("yes")
    panel.report.ui.previewButton.click()  # before the pause is over

    test.assertTrue(study.findings["clinical"]["significant_other_finding"])
    _pause()
    test.assertEqual(len(study.findings["edits"]), 1)


def export_writes_into_the_chosen_folder(test):
    panel = fakePanel(test)
    openSampleStudy(test, panel)
    folder = temporaryFolder(test) / "export"
    ui = panel.report.ui
    test.assertFalse(ui.exportButton.enabled)

    ui.folderEdit.currentPath = str(folder)
    ui.exportButton.click()

    test.assertTrue((folder / "report.pdf").is_file())
    test.assertIn("report.pdf", ui.exportedLabel.text)
    test.assertTrue(ui.openFolderButton.enabled)
    test.assertEqual(panel.report.exported, folder)


def without_dicom_files_only_pdf_and_json_are_offered(test):
    panel = fakePanel(test)
    study = openSampleStudy(test, panel)
    ui = panel.report.ui

    test.assertFalse(ui.databaseButton.enabled)
    test.assertIn("Only PDF and JSON", ui.possibleLabel.text)

    _giveDicom(test, panel, study)
    test.assertTrue(ui.databaseButton.enabled)
    test.assertEqual(ui.possibleLabel.text, "")


def the_dicom_files_of_the_scan_go_with_the_export(test):
    panel = fakePanel(test)
    study = openSampleStudy(test, panel)
    source = _giveDicom(test, panel, study)
    sent = []
    panel.corrections.send = lambda do, _onAnswer=None, **arguments: sent.append((do, arguments))
    panel.report.ui.folderEdit.currentPath = str(temporaryFolder(test))

    panel.report.ui.exportButton.click()

    test.assertEqual(sent[0][0], "export")
    test.assertEqual(sent[0][1]["dicom_source"], str(source))


def the_dicom_database_is_written_to_on_its_own_click_only(test):
    panel = fakePanel(test)
    study = openSampleStudy(test, panel)
    _giveDicom(test, panel, study)
    database, imported = useDatabase(test, FakeDatabase()), []

    def importDicom(folder, into, copy):
        imported.append((sorted(file.name for file in Path(folder).iterdir()), into, copy))
        return True

    library, utilities = ModuleType("DICOMLib"), ModuleType("DICOMLib.DICOMUtils")
    library.DICOMUtils, utilities.importDicom = utilities, importDicom
    with mock.patch.dict("sys.modules", {"DICOMLib": library, "DICOMLib.DICOMUtils": utilities}):
        panel.report.ui.folderEdit.currentPath = str(temporaryFolder(test) / "export")
        panel.report.ui.exportButton.click()
        test.assertEqual(imported, [])
        panel.report.ui.databaseButton.click()

    # copies, for the exported files are not kept
    test.assertEqual(imported, [(["measurements.dcm", "report.dcm", "segmentation.dcm"], database, True)])
    test.assertIn("segmentation.dcm", panel.report.ui.exportedLabel.text)


def _giveDicom(test, panel, study):
    """As if the scan had been loaded from a folder of DICOM files."""
    folder = temporaryFolder(test)
    study.get(SCAN).SetAttribute("LungNoduleCAD.SourceFolder", str(folder))
    panel.reading.open(study)
    return folder


def _pause() -> None:
    """Longer than the panel waits before it sends what was entered."""
    end = time.monotonic() + 0.5
    while time.monotonic() < end:
        slicer.app.processEvents()
        time.sleep(0.01)


def _waitFor(condition) -> None:
    end = time.monotonic() + PATIENCE_SECONDS
    while not condition() and time.monotonic() < end:
        slicer.app.processEvents()
        time.sleep(0.01)
