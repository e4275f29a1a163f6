"""What only a reader knows of a nodule and of the exam, and what follows from it at once."""

import time

import slicer

from LungNoduleCADSlicer.SelfTest.Fakes import fakePanel, openSampleStudy
from LungNoduleCADSlicer.SelfTest.Sentences import runEach

PATIENCE_SECONDS = 5


def everySentence(test) -> None:
    runEach(test, globals())


def a_fact_of_a_nodule_changes_its_category_rule_and_management_at_once(test) -> None:
    panel, study = _open(test)
    ui = panel.facts.ui
    test.assertIn("N1, Lung-RADS 4A", ui.factsLabel.text)

    _choose(ui.calcificationBox, "yes")

    test.assertIs(study.nodule("N1")["stated"]["benign_calcification"], True)
    test.assertIn("N1, Lung-RADS 1: made up as 1", ui.factsLabel.text)
    for part in ("rule_id", "management"):
        test.assertIn(study.nodule("N1")["lung_rads_assessment"][part], ui.factsLabel.text)
    test.assertIn("• made-up note", ui.factsLabel.text)
    test.assertIn("Lung-RADS 2", panel.ui.categoryLabel.text)
    test.assertEqual([edit["action"] for edit in study.findings["edits"]], ["facts"])


def what_nobody_stated_is_unknown_and_what_is_stated_is_the_chosen_nodules(test) -> None:
    panel, study = _open(test)
    ui = panel.facts.ui
    test.assertEqual(set(panel.facts.choices.values.values()), {None})
    test.assertEqual(panel.facts.choices.values.keys(), study.nodule("N1")["stated"].keys())

    _choose(ui.fatBox, "no")
    panel.reading.select("N2")
    test.assertEqual(ui.fatBox.currentText, "unknown")
    panel.reading.select("N1")

    test.assertEqual(ui.fatBox.currentText, "no")
    test.assertEqual(len(study.findings["edits"]), 1, "nothing is stated by looking")


def the_change_of_a_cyst_is_asked_only_where_there_is_one(test) -> None:
    panel, study = _open(test)
    ui = panel.facts.ui
    test.assertFalse(ui.cystChangeBox.enabled)

    _choose(ui.cystBox, "thick-walled")
    test.assertTrue(ui.cystChangeBox.enabled)
    _choose(ui.cystChangeBox, "growing cyst")
    test.assertEqual(study.nodule("N1")["stated"]["cyst_change"], "growing cyst")
    _choose(ui.cystBox, "no")

    test.assertIsNone(study.nodule("N1")["stated"]["cyst_change"])
    test.assertFalse(ui.cystChangeBox.enabled)


def without_a_nodule_nothing_can_be_stated(test) -> None:
    panel = fakePanel(test)

    test.assertFalse(panel.facts.ui.factsFrame.enabled)
    test.assertEqual(panel.facts.ui.factsFrame.toolTip, "Analyze a scan first")


def a_pending_prior_is_told_to_the_analysis(test) -> None:
    panel, study = _open(test)

    for box, fact in (("priorPendingBox", "prior_ct_pending"), ("notEvaluableBox", "lungs_not_evaluable"),
                      ("inflammatoryBox", "inflammatory_findings")):  # fmt: skip
        _choose(getattr(panel.report.ui, box), "yes")
        end = time.monotonic() + PATIENCE_SECONDS
        while not (study.findings["clinical"] or {}).get(fact) and time.monotonic() < end:
            slicer.app.processEvents()
            time.sleep(0.01)
        test.assertIs(study.findings["clinical"][fact], True)


def _open(test):
    panel = fakePanel(test)
    return panel, openSampleStudy(test, panel)


def _choose(box, text: str) -> None:
    box.currentIndex = box.findText(text)
    slicer.app.processEvents()
