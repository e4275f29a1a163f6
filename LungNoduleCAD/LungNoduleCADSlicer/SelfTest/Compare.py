"""Comparing with the prior CT: the side-by-side layout, the registration, paired rows, the growth plot, the doubts."""

from copy import deepcopy

import slicer
import vtk

from LungNoduleCADSlicer import GrowthWords
from LungNoduleCADSlicer.GrowthPlot import showGrowth
from LungNoduleCADSlicer.Layouts import COMPARISON_LAYOUT, GROWTH_VIEW, PAIRS, compositeNode, sliceNode
from LungNoduleCADSlicer.SampleResults import CENTROIDS_LPS, INTERVAL_DAYS
from LungNoduleCADSlicer.SelfTest.Fakes import fakePanel, openSampleStudy
from LungNoduleCADSlicer.SelfTest.Sentences import runEach
from LungNoduleCADSlicer.Study import GROWTH_CHART, PRIOR_SCAN, PRIOR_SEGMENTATION, SCAN, SEGMENTATION
from LungNoduleCADSlicer.Views import lpsToRas

INSIDE_HU = 30


def everySentence(test):
    runEach(test, globals())


def side_by_side_shows_both_scans_and_leaving_brings_the_former_layout_back(test):
    panel = fakePanel(test)
    study = openSampleStudy(test, panel)
    layoutNode = slicer.app.layoutManager().layoutLogic().GetLayoutNode()
    former = slicer.vtkMRMLLayoutNode.SlicerLayoutConventionalView
    layoutNode.SetViewArrangement(former)

    panel.comparison.ui.layoutButton.click()

    test.assertEqual(layoutNode.GetViewArrangement(), COMPARISON_LAYOUT)
    for pair in PAIRS:
        test.assertEqual(compositeNode(pair.current).GetBackgroundVolumeID(), study.get(SCAN).GetID())
        test.assertEqual(compositeNode(pair.prior).GetBackgroundVolumeID(), study.get(PRIOR_SCAN).GetID())
        for name in (pair.current, pair.prior):
            test.assertTrue(sliceNode(name).IsMappedInLayout())
            test.assertEqual(sliceNode(name).GetOrientation(), pair.orientation)
    plotView = slicer.mrmlScene.GetSingletonNode(GROWTH_VIEW, "vtkMRMLPlotViewNode")
    test.assertEqual(plotView.GetPlotChartNodeID(), study.get(GROWTH_CHART).GetID())

    panel.comparison.ui.layoutButton.click()
    test.assertEqual(layoutNode.GetViewArrangement(), former)
    test.assertFalse(panel.comparison.ui.layoutButton.checked)


def leaving_side_by_side_by_slicers_own_menu_is_noticed(test):
    panel = fakePanel(test)
    study = openSampleStudy(test, panel)
    panel.comparison.ui.layoutButton.click()

    slicer.app.layoutManager().setLayout(slicer.vtkMRMLLayoutNode.SlicerLayoutOneUpRedSliceView)

    test.assertFalse(panel.comparison.ui.layoutButton.checked)
    test.assertEqual(study.get(SEGMENTATION).GetDisplayNode().GetNumberOfViewNodeIDs(), 0)


def both_views_show_the_same_place_through_the_registration(test):
    panel = fakePanel(test)
    study = openSampleStudy(test, panel)
    panel.comparison.ui.layoutButton.click()

    for line, name in enumerate(("N1", "N2", "N3")):
        panel.comparison.ui.comparisonTable.selectRow(line)
        shown = [_center(viewName) for pair in PAIRS for viewName in pair[:2]]
        for place in shown:
            for found, expected in zip(place, lpsToRas(CENTROIDS_LPS[name]), strict=True):
                test.assertAlmostEqual(found, expected, delta=0.51)
        test.assertEqual(_valueAt(study.get(PRIOR_SCAN), shown[1]), INSIDE_HU)


def scrolling_moving_and_zooming_one_view_takes_the_other_along(test):
    panel = fakePanel(test)
    openSampleStudy(test, panel)
    panel.comparison.ui.layoutButton.click()
    current, prior = (sliceNode(name) for name in PAIRS[0][:2])
    logic = slicer.app.applicationLogic().GetSliceLogic(current)

    logic.StartSliceOffsetInteraction()
    logic.SetSliceOffset(105.0)
    logic.EndSliceOffsetInteraction()
    test.assertAlmostEqual(prior.GetSliceOffset(), 105.0, delta=0.51)
    test.assertAlmostEqual(current.GetSliceOffset(), prior.GetSliceOffset(), places=3)

    logic.StartSliceNodeInteraction(slicer.vtkMRMLSliceNode.XYZOriginFlag)
    current.SetXYZOrigin(7.0, -3.0, 0.0)
    logic.EndSliceNodeInteraction()
    test.assertEqual(prior.GetXYZOrigin()[:2], (7.0, -3.0))

    logic.StartSliceNodeInteraction(slicer.vtkMRMLSliceNode.FieldOfViewFlag)
    current.SetFieldOfView(44.0, 44.0, current.GetFieldOfView()[2])
    logic.EndSliceNodeInteraction()
    test.assertAlmostEqual(prior.GetFieldOfView()[0], 44.0, places=3)


def outlines_are_drawn_on_their_own_scan_only(test):
    panel = fakePanel(test)
    study = openSampleStudy(test, panel)
    panel.comparison.ui.layoutButton.click()

    current, prior = (study.get(role).GetDisplayNode() for role in (SEGMENTATION, PRIOR_SEGMENTATION))
    for pair in PAIRS:
        for name, here, notHere in ((pair.current, current, prior), (pair.prior, prior, current)):
            test.assertTrue(here.IsDisplayableInView(sliceNode(name).GetID()))
            test.assertFalse(notHere.IsDisplayableInView(sliceNode(name).GetID()))
    test.assertTrue(current.IsDisplayableInView("vtkMRMLViewNode1"))
    test.assertFalse(prior.IsDisplayableInView("vtkMRMLSliceNodeRed"))


def the_heat_map_stays_off_the_prior_scan(test):
    panel = fakePanel(test)
    study = openSampleStudy(test, panel)
    panel.comparison.ui.layoutButton.click()

    panel.nodules.ui.saliencyCheckBox.checked = True

    test.assertEqual(compositeNode(PAIRS[0].current).GetForegroundVolumeID(), study.saliency("N1").GetID())
    test.assertFalse(compositeNode(PAIRS[0].prior).GetForegroundVolumeID())
    test.assertEqual(compositeNode(PAIRS[0].prior).GetBackgroundVolumeID(), study.get(PRIOR_SCAN).GetID())


def rows_pair_the_nodules_and_say_what_changed(test):
    panel = fakePanel(test)
    openSampleStudy(test, panel)

    test.assertEqual(
        [row.texts for row in panel.comparison.rows],
        [
            ("N1 → N1", "growing", "8.0 → 10.0", "+95%\n+56 to +134%", "191\n150 to 286"),
            ("N2 → N2", "stable", "6.0 → 6.0", "0%\n−20 to +20%", "–"),
            ("N3 → –", "resolved", "6.0 → –", "–", "–"),
        ],
    )
    table = panel.comparison.ui.comparisonTable
    test.assertEqual(table.rowCount, 3)
    test.assertEqual(table.item(0, 4).text(), panel.comparison.rows[0].texts[4])
    test.assertIn("growing (N1 in the prior CT): volume +95%", table.item(0, 0).toolTip())


def a_doubling_time_stands_only_where_it_is_determined(test):
    panel = fakePanel(test)
    study = openSampleStudy(test, panel)
    match = deepcopy(study.matchOf("N1"))
    test.assertEqual(GrowthWords.doublingTime(match), "volume-doubling time 191 days (95% interval 150 to 286 days)")
    match["vdt_interval_95_days"][1] = None
    test.assertEqual(
        GrowthWords.doublingTime(match),
        "volume-doubling time not determined: the change lies within the measurement error; "
        "if it grows, it doubles in no less than 150 days",
    )
    findings = deepcopy(study.findings)
    findings["comparison"]["matches"][0] = match
    panel.reading.update(findings)
    test.assertEqual(panel.comparison.rows[0].texts[4], GrowthWords.NONE)


def choosing_a_row_chooses_the_nodule_and_the_other_way_round(test):
    panel = fakePanel(test)
    openSampleStudy(test, panel)
    table = panel.comparison.ui.comparisonTable

    table.selectRow(1)
    test.assertEqual(panel.reading.selectedId, "N2")
    test.assertIn("stable", panel.comparison.ui.growthLabel.text)

    panel.reading.select("N1")
    test.assertEqual(table.currentRow(), 0)
    test.assertIn("growing", panel.comparison.ui.growthLabel.text)

    table.selectRow(2)  # gone: chosen here, not in the current CT
    test.assertEqual(panel.reading.selectedId, "")
    test.assertEqual(table.currentRow(), 2)
    test.assertEqual(
        panel.comparison.ui.growthLabel.text,
        "Prior N3 (left, upper third of the lung, ground-glass, 6.0 mm): resolved.",
    )


def the_growth_plot_draws_both_volumes_and_the_interval(test):
    panel = fakePanel(test)
    study = openSampleStudy(test, panel)
    panel.reading.select("N1")
    chart = study.get(GROWTH_CHART)

    series = [chart.GetNthPlotSeriesNode(n) for n in range(chart.GetNumberOfPlotSeriesNodes())]
    columns = [_column(one.GetTableNode(), one.GetYColumnName()) for one in series]
    before, after = study.priorNodule("N1")["volume_mm3"], study.nodule("N1")["volume_mm3"]
    low, high = (before * (1 + c / 100) for c in study.matchOf("N1")["volume_change_interval_95_percent"])

    test.assertEqual([one.GetXColumnName() for one in series], ["days"] * 3)
    test.assertEqual(_column(series[0].GetTableNode(), "days"), [0.0, INTERVAL_DAYS])
    for found, expected in zip(columns, ([before, after], [before, low], [before, high]), strict=True):
        for a, b in zip(found, expected, strict=True):
            test.assertAlmostEqual(a, b, places=3)
    test.assertGreater(chart.GetYAxisRange()[1], high)
    test.assertEqual(chart.GetTitle(), "N1 before, N1 now: growing\ndashed: 95% interval")
    test.assertEqual(chart.GetXAxisTitle(), "days since 2019-07-31")

    panel.comparison.ui.comparisonTable.selectRow(2)
    test.assertEqual(chart.GetTitle(), "N3: resolved")
    test.assertEqual(_column(series[0].GetTableNode(), "days"), [0.0, 0.0])
    showGrowth(study, None)
    test.assertEqual(_column(series[0].GetTableNode(), "days"), [])

    exams = [
        {"study_date": "2018-01-01", "days": 700, "volume_mm3": 200.0, "volume_interval_95_mm3": [150.0, 260.0]},
        {"study_date": "2018-07-01", "days": 519, "volume_mm3": None, "volume_interval_95_mm3": None},
        {"study_date": "2019-07-31", "days": 184, "volume_mm3": before, "volume_interval_95_mm3": [before, before]},
        {"study_date": "2020-01-31", "days": 0, "volume_mm3": after, "volume_interval_95_mm3": [0.9 * after, after]},
    ]
    study.findings["comparison"]["series"] = [{"current_id": "N1", "points": exams}]
    showGrowth(study, panel.comparison.rows[0])
    test.assertEqual(_column(series[0].GetTableNode(), "days"), [0.0, 516.0, 700.0])
    test.assertEqual(_column(series[1].GetTableNode(), "low")[0], 150.0)
    test.assertEqual(chart.GetXAxisTitle(), "days since 2018-01-01")


def interval_registration_and_doubts_are_said_in_words(test):
    panel = fakePanel(test)
    study = openSampleStudy(test, panel)
    findings = deepcopy(study.findings)
    findings["comparison"]["flags"] = [{"code": "x", "severity": "warning", "message": "The lungs overlap badly."}]

    panel.reading.update(findings)

    test.assertEqual(
        panel.comparison.ui.summaryLabel.text,
        "Prior CT of 2019-07-31, 184 days earlier: 1 growing, 1 stable, 1 resolved.",
    )
    test.assertIn("lung overlap (Dice) 0.90 before, 0.99 after", panel.comparison.ui.registrationLabel.text)
    test.assertIn("Warning: The lungs overlap badly.", panel.comparison.ui.registrationLabel.text)
    findings["comparison"]["interval_days"] = None
    test.assertNotIn("days earlier", GrowthWords.summary(findings))


def corrections_show_in_the_rows_at_once(test):
    panel = fakePanel(test)
    openSampleStudy(test, panel)
    panel.reading.select("N1")

    panel.corrections.send("review", nodule="N1", review="rejected")

    test.assertEqual(panel.comparison.rows[0].texts[1], "growing, rejected")
    test.assertNotIn("growing", panel.comparison.ui.summaryLabel.text)


def a_study_without_a_prior_leaves_the_layout(test):
    panel = fakePanel(test)
    openSampleStudy(test, panel)
    panel.comparison.ui.layoutButton.click()

    openSampleStudy(test, panel, compared=False)

    test.assertFalse(panel.comparison.layout.shown)
    test.assertEqual(panel.comparison.ui.comparisonTable.rowCount, 0)
    test.assertFalse(panel.ui.tabs.isTabEnabled(panel.ui.tabs.indexOf(panel.ui.comparisonTab)))


def _center(viewName: str) -> tuple:
    matrix = sliceNode(viewName).GetSliceToRAS()
    return tuple(matrix.GetElement(axis, 3) for axis in range(3))


def _valueAt(volume, ras) -> float:
    """The voxel of a volume at a place of the world."""
    local, ijk = [0.0] * 3, [0.0] * 4
    volume.TransformPointFromWorld(ras, local)
    matrix = vtk.vtkMatrix4x4()
    volume.GetRASToIJKMatrix(matrix)
    matrix.MultiplyPoint([*local, 1.0], ijk)
    i, j, k = (round(value) for value in ijk[:3])
    return float(slicer.util.arrayFromVolume(volume)[k, j, i])


def _column(table, name: str) -> list[float]:
    return list(slicer.util.arrayFromTableColumn(table, name))
