"""Reading, sentence by sentence: the table, the views, the review, heat maps, the operating point."""

import time
from copy import deepcopy

import slicer

from LungNoduleCADSlicer.NoduleTable import CATEGORY_COLUMN, VDT_COLUMN
from LungNoduleCADSlicer.SampleResults import CENTROIDS_LPS, LUNGS
from LungNoduleCADSlicer.Segments import CLOSED_SURFACE, idsOf
from LungNoduleCADSlicer.SelfTest.Fakes import addSampleScan, fakePanel, openSampleStudy
from LungNoduleCADSlicer.SelfTest.Sentences import runEach
from LungNoduleCADSlicer.Study import PRIOR_SEGMENTATION, SCAN, SEGMENTATION
from LungNoduleCADSlicer.Views import lpsToRas

# What Slicer's main window, slice views and 3D views listen to without a modifier
SLICERS_KEYS = set("bfgrtv[]{}+-") | {"Left", "Right", "Up", "Down", "Home", "End", "PgUp", "PgDown", "Ins", "Del"}
GENEROUS_SECONDS = 0.5


def everySentence(test) -> None:
    runEach(test, globals())


def the_table_shows_every_nodule_most_suspicious_first(test) -> None:
    panel, _study = _open(test)

    test.assertEqual(
        _texts(panel),
        [
            ["", "N1", "4A", "R upper", "10.0", "524", "solid", "61%", "191"],
            ["", "N2", "2", "L upper", "6.0", "113", "GGN", "–", "–"],
        ],
    )


def what_was_not_computed_is_a_dash_that_says_why(test) -> None:
    panel, _study = _open(test)
    table = panel.ui_table

    test.assertIn("not in the self-test", table.item(1, 7).toolTip())
    test.assertIn("not defined", table.item(1, VDT_COLUMN).toolTip())


def without_a_comparison_there_is_no_doubling_time(test) -> None:
    panel, _study = _open(test, compared=False)

    test.assertTrue(panel.ui_table.isColumnHidden(VDT_COLUMN))


def the_most_suspicious_is_first_and_keeps_its_row_when_it_is_rejected(test) -> None:
    panel, study = _open(test)
    findings = deepcopy(study.findings)
    findings["nodules"][1]["lung_rads"] = "4B"
    study.setFindings(findings)

    panel.reading.open(None)
    panel.reading.open(study)

    test.assertEqual(panel.nodules.table.order, ["N2", "N1"])
    test.assertEqual(panel.reading.selectedId, "N2")
    panel.corrections.send("review", nodule="N2", review="rejected")
    test.assertEqual(panel.nodules.table.order, ["N2", "N1"])


def a_click_on_a_column_sorts_and_keeps_the_nodule(test) -> None:
    panel, _study = _open(test)
    table = panel.nodules.table
    panel.reading.select("N2")

    table.sortBy(4)
    test.assertEqual(table.order, ["N1", "N2"])
    table.sortBy(4)
    test.assertEqual(table.order, ["N2", "N1"])
    test.assertEqual(table.selected, "N2")
    panel.ui_table.selectRow(1)
    test.assertEqual(panel.reading.selectedId, "N1")
    table.sortBy(4)
    test.assertEqual(table.order, ["N1", "N2"])
    table.sortBy(7)
    table.sortBy(7)
    test.assertEqual(table.order, ["N1", "N2"], "what was not computed comes last, up or down")


def the_category_is_a_chip_that_brings_both_of_its_colors(test) -> None:
    panel, _study = _open(test)

    for line, category in enumerate(("4A", "2")):
        chip = panel.ui_table.cellWidget(line, CATEGORY_COLUMN)
        test.assertEqual(chip.text, category)
        test.assertIn("background-color: rgb(", chip.styleSheet)
        test.assertRegex(chip.styleSheet, r"[^-]color: (black|white)")


def choosing_a_row_centers_all_views_on_the_nodule(test) -> None:
    panel, _study = _open(test)
    camera = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLCameraNode")
    camera.SetFocalPoint(0, 0, 0)
    camera.SetPosition(0, 300, 0)

    for line, name in ((1, "N2"), (0, "N1")):
        panel.ui_table.selectRow(line)
        ras = lpsToRas(CENTROIDS_LPS[name])
        test.assertEqual(panel.reading.selectedId, name)
        _assertSlicesShow(test, ras)
        for found, expected in zip(camera.GetFocalPoint(), ras, strict=True):
            test.assertAlmostEqual(found, expected, delta=0.01)
        test.assertAlmostEqual(camera.GetPosition()[1] - camera.GetFocalPoint()[1], 300, delta=0.01)


def the_chosen_nodule_stands_out(test) -> None:
    panel, study = _open(test)
    display = study.get(SEGMENTATION).GetDisplayNode()

    panel.reading.select("N2")
    test.assertGreater(display.GetSegmentOpacity2DOutline("N2"), display.GetSegmentOpacity2DOutline("N1"))
    test.assertGreater(display.GetSegmentOpacity3D("N2"), display.GetSegmentOpacity3D("N1"))
    panel.reading.select("N1")
    test.assertGreater(display.GetSegmentOpacity2DOutline("N1"), display.GetSegmentOpacity2DOutline("N2"))


def next_and_previous_walk_through_the_table_as_it_is_sorted(test) -> None:
    panel, _study = _open(test)
    ui = panel.nodules.ui
    test.assertEqual(panel.reading.selectedId, "N1")

    ui.nextButton.click()
    test.assertEqual(panel.reading.selectedId, "N2")
    ui.nextButton.click()
    test.assertEqual(panel.reading.selectedId, "N2")
    panel.nodules.table.sortBy(4)
    panel.nodules.table.sortBy(4)
    ui.nextButton.click()
    test.assertEqual(panel.reading.selectedId, "N1")
    ui.previousButton.click()
    test.assertEqual(panel.reading.selectedId, "N2")


def accepting_or_rejecting_goes_on_to_the_next_unreviewed(test) -> None:
    panel, study = _open(test)
    ui = panel.nodules.ui

    ui.acceptButton.click()
    test.assertEqual(study.nodule("N1")["review"], "accepted")
    test.assertEqual(panel.reading.selectedId, "N2")
    ui.rejectButton.click()
    test.assertEqual(study.nodule("N2")["review"], "rejected")
    test.assertEqual(panel.reading.selectedId, "N2", "none is left")
    test.assertEqual([row[0] for row in _texts(panel)], ["✓", "✗"])
    test.assertTrue(panel.ui_table.item(1, 1).font().strikeOut())
    test.assertTrue(ui.rejectButton.checked)

    ui.rejectButton.click()
    test.assertEqual(study.nodule("N2")["review"], "unreviewed")


def every_step_has_a_key_of_its_own_that_slicer_does_not_use(test) -> None:
    panel, _study = _open(test)
    ui = panel.nodules.ui
    keys = []
    for button in (ui.previousButton, ui.acceptButton, ui.rejectButton, ui.nextButton, panel.correction.ui.addButton):
        key = button.shortcut.toString()
        keys.append(key)
        test.assertIn(f"({key})", button.toolTip)
        test.assertNotIn(key.lower(), SLICERS_KEYS)
    test.assertEqual(len(set(keys)), len(keys))


def masks_are_segments_with_outlines_and_no_fill(test) -> None:
    _panel, study = _open(test)
    node = study.get(SEGMENTATION)

    test.assertEqual(set(idsOf(node.GetSegmentation())), {*LUNGS, "N1", "N2"})
    for name in ("N1", "N2"):
        test.assertEqual(node.GetDisplayNode().GetSegmentOpacity2DFill(name), 0.0)
        test.assertTrue(node.GetDisplayNode().GetSegmentVisibility2DOutline(name))
        for found, expected in zip(node.GetSegmentCenterRAS(name), lpsToRas(CENTROIDS_LPS[name]), strict=True):
            test.assertAlmostEqual(found, expected, delta=0.51)
    test.assertTrue(node.GetDisplayNode().GetVisibility())


def nodules_are_surfaces_at_once_and_lungs_when_asked_for(test) -> None:
    panel, study = _open(test)
    segmentation = study.get(SEGMENTATION).GetSegmentation()
    display = study.get(SEGMENTATION).GetDisplayNode()
    ui = panel.nodules.ui

    test.assertTrue(ui.surfacesCheckBox.checked)
    test.assertGreater(segmentation.GetSegment("N1").GetRepresentation(CLOSED_SURFACE).GetNumberOfPoints(), 10)
    test.assertIsNone(segmentation.GetSegment("lung_left").GetRepresentation(CLOSED_SURFACE))
    test.assertTrue(display.GetVisibility3D())
    ui.lungsCheckBox.checked = True
    test.assertGreater(segmentation.GetSegment("lung_left").GetRepresentation(CLOSED_SURFACE).GetNumberOfPoints(), 10)
    test.assertTrue(display.GetSegmentVisibility3D("lung_left"))
    test.assertLess(display.GetSegmentOpacity3D("lung_left"), 0.5)
    ui.lungsCheckBox.checked = False
    test.assertFalse(display.GetSegmentVisibility3D("lung_left"))
    ui.surfacesCheckBox.checked = False
    test.assertFalse(display.GetVisibility3D())


def the_heat_map_lies_over_the_slices_with_its_own_legend_and_opacity(test) -> None:
    panel, study = _open(test)
    ui = panel.nodules.ui
    heat = study.saliency("N1")
    logic = slicer.modules.colors.logic()
    test.assertEqual(_foregrounds(), {None})

    ui.saliencyCheckBox.checked = True
    test.assertEqual(_foregrounds(), {heat.GetID()})
    legend = logic.GetColorLegendDisplayNode(heat)
    test.assertTrue(legend.GetVisibility())
    test.assertIn("Heat map", legend.GetTitleText())
    ui.saliencyOpacitySlider.value = 0.7
    test.assertEqual({node.GetForegroundOpacity() for node in _composites()}, {0.7})
    test.assertLess(max(heat.GetImageData().GetDimensions()), max(study.get(SCAN).GetImageData().GetDimensions()))

    panel.reading.select("N2")
    test.assertEqual(_foregrounds(), {None}, "N2 has no map")
    test.assertFalse(ui.saliencyCheckBox.enabled)
    test.assertIn("not in the self-test", ui.saliencyCheckBox.toolTip)
    test.assertIsNone(logic.GetColorLegendDisplayNode(heat))
    panel.reading.select("N1")
    test.assertEqual(_foregrounds(), {heat.GetID()})
    ui.saliencyCheckBox.checked = False
    test.assertEqual(_foregrounds(), {None})
    other = addSampleScan()
    slicer.util.setSliceViewerLayers(foreground=other)
    panel.reading.select("N2")
    test.assertEqual(_foregrounds(), {other.GetID()}, "what the reader laid over the CT stays")


def no_heat_map_is_shown_where_the_malignancy_score_is_low(test) -> None:
    panel, study = _open(test)
    ui = panel.nodules.ui
    ui.saliencyCheckBox.checked = True
    test.assertEqual(_foregrounds(), {study.saliency("N1").GetID()})

    findings = deepcopy(study.findings)
    findings["nodules"][0]["malignancy"]["encoder_probability"] = 0.49
    panel.reading.update(findings)

    test.assertEqual(_foregrounds(), {None}, "not even the map of an earlier version")
    test.assertFalse(ui.saliencyCheckBox.enabled)
    test.assertEqual(ui.saliencyCheckBox.toolTip, "No heat map: the malignancy score is low")


def the_heat_map_is_rendered_in_3d_and_leaves_nothing_behind(test) -> None:
    panel, study = _open(test)
    ui = panel.nodules.ui
    kinds = ("vtkMRMLVolumeRenderingDisplayNode", "vtkMRMLVolumePropertyNode")

    ui.saliencyCheckBox.checked = True
    ui.saliency3DCheckBox.checked = True
    display = slicer.modules.volumerendering.logic().GetFirstVolumeRenderingDisplayNode(study.saliency("N1"))
    test.assertTrue(display.GetVisibility())
    opacity = display.GetVolumePropertyNode().GetScalarOpacity()
    test.assertEqual(opacity.GetValue(0.0), 0.0)
    test.assertAlmostEqual(opacity.GetValue(1.5), ui.saliencyOpacitySlider.value, delta=0.01)
    ui.saliencyOpacitySlider.value = 0.9
    test.assertAlmostEqual(display.GetVolumePropertyNode().GetScalarOpacity().GetValue(1.5), 0.9, delta=0.01)
    ui.saliency3DCheckBox.checked = False
    test.assertEqual([len(slicer.util.getNodesByClass(kind)) for kind in kinds], [0, 0])


def the_operating_point_says_what_it_stands_for_and_is_sent_when_let_go(test) -> None:
    panel, study = _open(test)
    ui = panel.nodules.ui
    test.assertEqual(ui.thresholdSlider.value, 1)
    test.assertIn("sensitivity 90%, 2.0 false positives per scan (Made up", ui.thresholdLabel.text)

    ui.thresholdSlider.setSliderDown(True)
    ui.thresholdSlider.value = 2
    test.assertIn("sensitivity 70%, 0.5 false positives per scan", ui.thresholdLabel.text)
    test.assertEqual(study.findings["operating_threshold"], 0.5, "not before it is let go")
    ui.thresholdSlider.setSliderDown(False)
    test.assertEqual(study.findings["operating_threshold"], 0.8)
    test.assertEqual([row[1] for row in _texts(panel)], ["N1"], "N2 lies below it")
    test.assertIsNone(study.get(SEGMENTATION).GetSegmentation().GetSegment("N2"))


def without_measured_operating_points_the_slider_says_so(test) -> None:
    panel, study = _open(test)
    panel.reading.update({**study.findings, "operating_points": [], "operating_points_source": ""})

    test.assertFalse(panel.nodules.ui.thresholdSlider.enabled)
    test.assertIn("not measured", panel.nodules.ui.thresholdLabel.text)


def the_line_below_the_table_says_rule_malignancy_and_doubts(test) -> None:
    panel, study = _open(test)
    findings = study.findings
    findings["nodules"][0]["flags"] = [{"code": "x", "severity": "warning", "message": "Cut <off> at the edge"}]
    panel.reading.update(findings)
    text = panel.nodules.ui.detailLabel.text

    for part in (
        "made up as 4A (rule self-test)",
        "Malignancy 61% (networks and views: 50% to 70%), rating 3.4 of 1 to 5",
        "readers' opinion, not pathology".replace("'", "&#x27;"),
        "Clinical risk: Brock 2a 3.1% to 12%",
        "Histology not available: not in the self-test",
        "Found by the detector, 90% (80% to 95%); looks like those the models know",
        "<b>Warning</b>: Cut &lt;off&gt; at the edge",
    ):
        test.assertIn(part, text)
    findings["nodules"][0]["unfamiliarity"] = 1.4
    panel.reading.update(findings)
    test.assertIn("looks unlike the nodules that the models know", panel.nodules.ui.detailLabel.text)


def of_several_studies_only_the_one_being_read_is_outlined(test) -> None:
    panel, first = _open(test)
    second = openSampleStudy(test, panel)

    test.assertEqual(panel.reading.study, second)
    test.assertFalse(first.get(SEGMENTATION).GetDisplayNode().GetVisibility())
    test.assertFalse(first.get(PRIOR_SEGMENTATION).GetDisplayNode().GetVisibility())
    panel.reading.open(first)
    test.assertTrue(first.get(SEGMENTATION).GetDisplayNode().GetVisibility())
    test.assertTrue(first.get(PRIOR_SEGMENTATION).GetDisplayNode().GetVisibility())
    test.assertFalse(second.get(SEGMENTATION).GetDisplayNode().GetVisibility())
    test.assertEqual({node.GetBackgroundVolumeID() for node in _composites()}, {first.get(SCAN).GetID()})


def a_study_lies_in_one_folder_named_after_its_day(test) -> None:
    _panel, study = _open(test)
    hierarchy = slicer.mrmlScene.GetSubjectHierarchyNode()
    made = [study.node, study.get(SCAN), study.get(SEGMENTATION), study.get(PRIOR_SEGMENTATION), study.saliency("N1")]
    folders = {hierarchy.GetItemParent(hierarchy.GetItemByDataNode(node)) for node in made}

    test.assertEqual(len(folders), 1)
    test.assertIn("2020-01-31", hierarchy.GetItemName(folders.pop()))


def choosing_a_nodule_never_keeps_the_reader_waiting(test) -> None:
    panel, _study = _open(test)
    panel.nodules.ui.saliencyCheckBox.checked = True

    for name in ("N2", "N1"):
        start = time.perf_counter()
        panel.reading.select(name)
        test.assertLess(time.perf_counter() - start, GENEROUS_SECONDS)


def _open(test, compared: bool = True):
    panel = fakePanel(test)
    panel.ui_table = panel.nodules.ui.noduleTable
    study = openSampleStudy(test, panel, compared)
    return panel, study


def _texts(panel) -> list[list[str]]:
    """What each row shows, the chip included."""
    table = panel.ui_table
    rows = []
    for line in range(table.rowCount):
        chip = table.cellWidget(line, CATEGORY_COLUMN)
        texts = [table.item(line, column).text() for column in range(table.columnCount)]
        texts[CATEGORY_COLUMN] = chip.text if chip is not None else texts[CATEGORY_COLUMN]
        rows.append(texts)
    return rows


def _composites() -> list:
    return slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode")


def _foregrounds() -> set:
    return {node.GetForegroundVolumeID() for node in _composites()}


def _assertSlicesShow(test, ras) -> None:
    """The middle of every slice view is the point."""
    nodes = slicer.util.getNodesByClass("vtkMRMLSliceNode")
    test.assertGreater(len(nodes), 0)
    for node in nodes:
        for axis in range(3):
            test.assertAlmostEqual(node.GetSliceToRAS().GetElement(axis, 3), ras[axis], delta=0.51)
