"""Correcting, sentence by sentence, with a process that answers at once."""

from copy import deepcopy

import slicer
from vtk.util.numpy_support import vtk_to_numpy

from LungNoduleCADSlicer.Outlines import BINARY_LABELMAP, isKnown, outlineOf
from LungNoduleCADSlicer.Segments import categoryColor
from LungNoduleCADSlicer.SelfTest.Fakes import fakePanel, openSampleStudy
from LungNoduleCADSlicer.SelfTest.Sentences import runEach
from LungNoduleCADSlicer.Study import SCAN, SEGMENTATION
from LungNoduleCADSlicer.Views import lpsToRas

MISSED_LPS = (-20.0, -10.0, 115.0)


def everySentence(test) -> None:
    runEach(test, globals())


def one_click_adds_a_missed_nodule_outlined_and_measured(test) -> None:
    panel, study = _open(test)

    markup = _startPlacing(panel)
    test.assertEqual(_interaction().GetCurrentInteractionMode(), slicer.vtkMRMLInteractionNode.Place)
    markup.AddControlPointWorld(*lpsToRas(MISSED_LPS))
    slicer.app.processEvents()

    test.assertEqual([nodule["id"] for nodule in study.nodules], ["N1", "N2", "N3"])
    test.assertEqual(panel.reading.selectedId, "N3")
    for found, expected in zip(study.nodule("N3")["centroid_lps_mm"], MISSED_LPS, strict=True):
        test.assertAlmostEqual(found, expected, delta=0.01)
    outline = outlineOf(study.get(SEGMENTATION), "N3")
    test.assertGreater(outline.voxels.sum(), 50)
    for found, expected in zip(study.get(SEGMENTATION).GetSegmentCenterRAS("N3"), lpsToRas(MISSED_LPS), strict=True):
        test.assertAlmostEqual(found, expected, delta=0.51)
    test.assertEqual(study.get(SEGMENTATION).GetDisplayNode().GetSegmentOpacity2DFill("N3"), 0.0)
    test.assertEqual(panel.nodules.ui.noduleTable.rowCount, 3)
    _assertNotPlacing(test, panel)


def a_click_that_was_called_off_adds_nothing(test) -> None:
    panel, study = _open(test)

    _startPlacing(panel)
    panel.correction.placement.cancel()  # Escape
    _assertNotPlacing(test, panel)
    _startPlacing(panel)
    panel.correction.ui.addButton.click()
    _assertNotPlacing(test, panel)
    _startPlacing(panel)
    _interaction().SwitchToViewTransformMode()
    slicer.app.processEvents()
    _assertNotPlacing(test, panel)
    test.assertEqual(len(study.nodules), 2)


def deleting_takes_a_nodule_off_the_list_and_out_of_the_scene(test) -> None:
    panel, study = _open(test)

    panel.correction.ui.deleteButton.click()

    test.assertEqual([nodule["id"] for nodule in study.nodules], ["N2"])
    test.assertIsNone(study.get(SEGMENTATION).GetSegmentation().GetSegment("N1"))
    test.assertIsNone(study.saliency("N1"))
    test.assertEqual(panel.reading.selectedId, "N2")
    test.assertIn("Lung-RADS 2", panel.ui.categoryLabel.text)


def a_type_that_the_reader_gives_is_kept(test) -> None:
    panel, study = _open(test)
    selector = panel.correction.ui.typeSelector
    test.assertEqual(selector.currentText, "solid")

    selector.setCurrentIndex(1)
    test.assertEqual(study.nodule("N1")["type"], "solid", "only what the reader picks counts")
    panel.correction.onTypeChosen(1)

    test.assertEqual(study.nodule("N1")["type"], "part-solid")
    test.assertEqual(panel.nodules.ui.noduleTable.item(0, 6).text(), "part-sol.")
    test.assertIn("part-solid", study.get(SEGMENTATION).GetSegmentation().GetSegment("N1").GetName())


def segment_editor_opens_on_the_nodule_and_spares_its_neighbors(test) -> None:
    panel, study = _open(test)
    shown = []
    selectModule, slicer.util.selectModule = slicer.util.selectModule, shown.append
    test.addCleanup(lambda: setattr(slicer.util, "selectModule", selectModule))
    panel.reading.select("N2")

    panel.correction.ui.editButton.click()

    editor = slicer.mrmlScene.GetSingletonNode("SegmentEditor", "vtkMRMLSegmentEditorNode")
    test.assertEqual(shown, ["SegmentEditor"])
    test.assertIs(editor.GetSegmentationNode(), study.get(SEGMENTATION))
    test.assertIs(editor.GetSourceVolumeNode(), study.get(SCAN))
    test.assertEqual(editor.GetSelectedSegmentID(), "N2")
    test.assertEqual(editor.GetOverwriteMode(), editor.OverwriteNone)


def a_redrawn_outline_changes_what_was_measured(test) -> None:
    panel, study = _open(test)
    before = study.nodule("N1")["volume_mm3"]

    voxels = _redraw(study, "N1")
    test.assertFalse(isKnown(study.get(SEGMENTATION), "N1"))
    panel.correction.editing.lookForChanges()  # as when it rests

    test.assertEqual(study.nodule("N1")["volume_mm3"], voxels)
    test.assertLess(voxels, before)
    test.assertEqual(panel.nodules.ui.noduleTable.item(0, 5).text(), f"{voxels:.0f}")
    test.assertTrue(isKnown(study.get(SEGMENTATION), "N1"))
    test.assertEqual(len(study.findings["edits"]), 1, "the neighbors were not touched")


def undoing_in_segment_editor_is_sent_as_well(test) -> None:
    panel, study = _open(test)
    node = study.get(SEGMENTATION)
    before = slicer.vtkSegment()
    before.DeepCopy(node.GetSegmentation().GetSegment("N1"))
    voxels = outlineOf(node, "N1").voxels.sum()

    _redraw(study, "N1")
    panel.correction.editing.lookForChanges()
    node.GetSegmentation().GetSegment("N1").DeepCopy(before)
    panel.correction.editing.lookForChanges()

    test.assertEqual(study.nodule("N1")["volume_mm3"], voxels)


def coming_back_to_the_module_sends_what_was_redrawn(test) -> None:
    _panel, study = _open(test)
    widget = slicer.modules.LungNoduleCADWidget
    widget.exit()

    voxels = _redraw(study, "N2")
    widget.enter()

    test.assertEqual(study.nodule("N2")["volume_mm3"], voxels)


def an_answer_does_not_undo_what_was_drawn_since(test) -> None:
    panel, study = _open(test)
    file = str(study.folder / "old.nrrd")
    outlineOf(study.get(SEGMENTATION), "N1").write(file)
    voxels = _redraw(study, "N1")

    panel.loader.applyAnswer(study, {"masks": {"N1": file}, "findings": study.findings})

    test.assertEqual(outlineOf(study.get(SEGMENTATION), "N1").voxels.sum(), voxels)


def a_heat_map_that_an_answer_no_longer_has_leaves_the_scene(test) -> None:
    panel, study = _open(test)
    test.assertIsNotNone(study.saliency("N1"))
    findings = deepcopy(study.findings)
    findings["nodules"][0]["saliency"] = None

    panel.loader.applyAnswer(study, {"findings": findings})

    test.assertIsNone(study.saliency("N1"))


def an_outline_rubbed_out_altogether_is_refused_in_words(test) -> None:
    panel, study = _open(test)
    told = []
    panel.corrections.onError = told.append

    _redraw(study, "N1", keep=0)
    panel.correction.editing.lookForChanges()

    test.assertIn("empty", told[0])
    test.assertEqual(study.findings["edits"], [])


def an_error_changes_nothing_and_the_widgets_show_what_holds(test) -> None:
    panel, study = _open(test)
    told = []
    slicer.util.errorDisplay, errorDisplay = lambda text, **_more: told.append(text), slicer.util.errorDisplay
    test.addCleanup(lambda: setattr(slicer.util, "errorDisplay", errorDisplay))
    panel.correction.ui.typeSelector.setCurrentIndex(2)

    panel.corrections.send("type", nodule="N9", type="ground-glass")

    test.assertIn("There is no nodule N9", told[0])
    test.assertEqual(panel.correction.ui.typeSelector.currentText, "solid")
    test.assertEqual(study.findings["edits"], [])


def every_change_is_on_the_audit_list_with_its_time_the_newest_first(test) -> None:
    panel, _study = _open(test)
    table = panel.correction.ui.auditTable
    test.assertTrue(panel.correction.ui.auditButton.collapsed)
    test.assertEqual(table.rowCount, 0)

    panel.nodules.ui.acceptButton.click()
    panel.nodules.ui.rejectButton.click()
    panel.correction.onTypeChosen(0)
    panel.correction.ui.deleteButton.click()

    rows = [[table.item(line, column).text() for column in range(3)] for line in range(table.rowCount)]
    test.assertEqual([row[1] for row in rows], ["N2 deleted", "N2 type changed", "N2 rejected", "N1 accepted"])
    test.assertEqual(rows[1][2], "ground-glass → solid")
    test.assertRegex(table.item(0, 0).toolTip(), r"^2020-0[12]-\d\d \d\d:\d\d:00")
    test.assertRegex(rows[0][0], r"^2020-0[12]-\d\d \d\d:\d\d$")
    test.assertIn("4", panel.correction.ui.auditButton.text)


def a_segment_follows_its_category(test) -> None:
    panel, study = _open(test)
    segment = study.get(SEGMENTATION).GetSegmentation().GetSegment("N1")
    for found, expected in zip(segment.GetColor(), categoryColor("4A"), strict=True):
        test.assertAlmostEqual(found, expected, delta=0.01)

    panel.nodules.ui.rejectButton.click()

    for found, expected in zip(segment.GetColor(), categoryColor(None), strict=True):
        test.assertAlmostEqual(found, expected, delta=0.01)


def without_its_results_folder_a_study_is_read_but_not_corrected(test) -> None:
    panel, _study = _open(test)
    panel.corrections.whyNotPossible = lambda: "The folder is not here"
    panel.reading.select("N2")

    for button in (panel.nodules.ui.acceptButton, panel.correction.ui.addButton, panel.correction.ui.editButton):
        test.assertFalse(button.enabled)
        test.assertEqual(button.toolTip, "The folder is not here")
    test.assertEqual(panel.nodules.ui.noduleTable.rowCount, 2)


def _open(test):
    panel = fakePanel(test)
    panel.correction.confirm = lambda _text, _title: True
    return panel, openSampleStudy(test, panel)


def _interaction():
    return slicer.app.applicationLogic().GetInteractionNode()


def _startPlacing(panel):
    """Press the button; answers the markup that waits for its point."""
    panel.correction.ui.addButton.click()
    return slicer.util.getNodesByClass("vtkMRMLMarkupsFiducialNode")[-1]


def _assertNotPlacing(test, panel) -> None:
    test.assertEqual(slicer.util.getNodesByClass("vtkMRMLMarkupsFiducialNode"), [])
    test.assertNotEqual(_interaction().GetCurrentInteractionMode(), slicer.vtkMRMLInteractionNode.Place)
    test.assertFalse(panel.correction.ui.addButton.checked)


def _redraw(study, name: str, keep: float = 0.5) -> int:
    """As Segment Editor does: rub out the upper part of a nodule; answers the voxels left (of 1 mm³)."""
    node = study.get(SEGMENTATION)
    labelmap = slicer.vtkOrientedImageData()
    labelmap.DeepCopy(node.GetSegmentation().GetSegment(name).GetRepresentation(BINARY_LABELMAP))
    voxels = vtk_to_numpy(labelmap.GetPointData().GetScalars())
    voxels[round(keep * len(voxels)) :] = 0
    slicer.vtkSlicerSegmentationsModuleLogic.SetBinaryLabelmapToSegment(labelmap, node, name)
    return int((voxels > 0).sum())
