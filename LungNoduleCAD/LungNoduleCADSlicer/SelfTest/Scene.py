"""The scene: saved and loaded it is whole, several studies in it, with and without the results folders."""

import json
import shutil
from copy import deepcopy

import numpy as np
import SimpleITK as sitk
import slicer

from LungNoduleCADSlicer.Layouts import PRIOR_VIEWS
from LungNoduleCADSlicer.Outlines import outlineOf
from LungNoduleCADSlicer.ResultsRestorer import onGrid
from LungNoduleCADSlicer.SampleResults import CENTROIDS_LPS, LUNGS, SHAPE_KJI, TO_PRIOR_MM
from LungNoduleCADSlicer.Segments import idsOf
from LungNoduleCADSlicer.SelfTest.Fakes import fakePanel, openSampleStudy, temporaryFolder
from LungNoduleCADSlicer.SelfTest.Sentences import runEach
from LungNoduleCADSlicer.Study import (
    GROWTH_CHART,
    PRIOR_SCAN,
    PRIOR_SEGMENTATION,
    REGISTRATION,
    ROLES,
    SCAN,
    SEGMENTATION,
    Study,
)
from LungNoduleCADSlicer.Views import lpsToRas

ADDED_LPS = (-5.0, 10.0, 112.0)


def everySentence(test):
    runEach(test, globals())


def a_saved_scene_brings_the_study_back_whole(test):
    panel = fakePanel(test)
    study = openSampleStudy(test, panel)
    panel.corrections.send("add", point_lps_mm=list(ADDED_LPS))
    panel.nodules.ui.saliencyCheckBox.checked = True
    panel.nodules.ui.saliencyOpacitySlider.value = 0.7
    panel.reading.select("N1")
    before = _contents(study)

    _saveAndLoad(test, panel)

    study = panel.reading.study
    for name, content in _contents(study).items():
        test.assertEqual(content, before[name], name)
    test.assertEqual(len(Study.inScene()), 1)
    test.assertIs(panel.ui.studySelector.currentNode(), study.node)
    test.assertEqual(panel.nodules.ui.noduleTable.rowCount, 3)
    test.assertTrue(panel.nodules.ui.saliencyCheckBox.checked)
    test.assertAlmostEqual(panel.nodules.ui.saliencyOpacitySlider.value, 0.7, places=3)
    test.assertEqual(panel.comparison.ui.comparisonTable.rowCount, 3)


def a_loaded_scene_can_be_corrected_further(test):
    panel = fakePanel(test)
    openSampleStudy(test, panel)
    panel.corrections.send("review", nodule="N1", review="accepted")
    folder = panel.reading.study.folder

    _saveAndLoad(test, panel)
    panel.corrections.send("review", nodule="N2", review="rejected")

    study = panel.reading.study
    test.assertEqual(study.folder, folder)
    test.assertEqual([edit["action"] for edit in study.findings["edits"]], ["accept", "reject"])
    test.assertEqual(study.nodule("N1")["review"], "accepted")


def a_scene_saved_side_by_side_comes_back_so(test):
    panel = fakePanel(test)
    openSampleStudy(test, panel)
    panel.comparison.ui.layoutButton.click()

    _saveAndLoad(test, panel)

    test.assertTrue(panel.comparison.layout.shown)
    test.assertTrue(panel.comparison.ui.layoutButton.checked)
    prior = panel.reading.study.get(PRIOR_SEGMENTATION).GetDisplayNode()
    test.assertTrue(prior.IsDisplayableInView("vtkMRMLSliceNodePrior"))
    test.assertFalse(prior.IsDisplayableInView("vtkMRMLSliceNodeCurrent"))
    panel.comparison.ui.layoutButton.click()
    test.assertFalse(panel.comparison.layout.shown)


def several_studies_are_read_in_turn(test):
    panel = fakePanel(test)
    first = openSampleStudy(test, panel).node
    second = openSampleStudy(test, panel, compared=False).node
    test.assertEqual(panel.ui.studySelector.nodeCount(), 2)
    panel.corrections.send("review", nodule="N1", review="rejected")

    panel.ui.studySelector.setCurrentNode(first)

    test.assertIs(panel.reading.study.node, first)
    test.assertEqual([Study(node).nodule("N1")["review"] for node in (first, second)], ["unreviewed", "rejected"])
    test.assertEqual(panel.comparison.ui.comparisonTable.rowCount, 3)
    for composite in slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode"):
        if composite.GetLayoutName() not in PRIOR_VIEWS:
            test.assertEqual(composite.GetBackgroundVolumeID(), Study(first).get(SCAN).GetID())
    test.assertFalse(Study(second).get(SEGMENTATION).GetDisplayNode().GetVisibility())
    panel.corrections.send("review", nodule="N2", review="accepted")
    test.assertEqual([Study(node).nodule("N2")["review"] for node in (first, second)], ["accepted", "unreviewed"])


def removing_a_study_leaves_the_scans_and_the_other_studies(test):
    panel = fakePanel(test)
    first, second = openSampleStudy(test, panel), openSampleStudy(test, panel)
    scans = [first.get(SCAN), first.get(PRIOR_SCAN)]

    first.remove()

    test.assertEqual(Study.inScene(), [second])
    for scan in scans:
        test.assertIsNotNone(slicer.mrmlScene.GetNodeByID(scan.GetID()))
    test.assertEqual(len(slicer.util.getNodesByClass("vtkMRMLSegmentationNode")), 2)
    test.assertEqual(len(slicer.util.getNodesByClass("vtkMRMLPlotChartNode")), 1)


def a_reload_goes_on_with_the_open_study(test):
    panel = fakePanel(test)
    study = openSampleStudy(test, panel)
    nodeId, nodules = study.node.GetID(), [nodule["id"] for nodule in study.nodules]
    shutil.rmtree(study.folder)  # so that the reloaded panel starts no process

    slicer.util.reloadScriptedModule("LungNoduleCAD")

    reloaded = slicer.modules.LungNoduleCADWidget.panel
    test.assertIsNot(reloaded, panel)
    test.assertEqual(reloaded.reading.study.node.GetID(), nodeId)
    test.assertEqual([nodule["id"] for nodule in reloaded.reading.study.nodules], nodules)
    test.assertEqual(reloaded.nodules.ui.noduleTable.rowCount, len(nodules))


def without_its_folder_a_study_goes_on_from_the_scene(test):
    panel = fakePanel(test)
    openSampleStudy(test, panel)
    panel.corrections.send("add", point_lps_mm=list(ADDED_LPS))
    gone = panel.reading.study.folder
    before = deepcopy(panel.reading.study.findings)
    _saveAndLoad(test, panel, meanwhile=lambda: shutil.rmtree(gone))
    study = panel.reading.study
    test.assertEqual(panel.corrections.whyNotPossible(), "")

    panel.corrections.send("review", nodule="N3", review="rejected")

    test.assertEqual(study.nodule("N3")["review"], "rejected")
    test.assertNotEqual(study.folder, gone)
    for path in (study.folder, study.folder / "prior"):
        for name in ("findings.json", "run.json", "ct.nrrd", "segmentation.seg.nrrd"):
            test.assertTrue((path / name).is_file(), f"{path / name}")
    test.assertEqual(json.loads((study.folder / "prior" / "findings.json").read_text()), before["prior"])
    _checkRestored(test, study, ["N1", "N2", "N3"])


def a_folder_that_went_another_way_is_not_mixed_with_the_scene(test):
    panel = fakePanel(test)
    study = openSampleStudy(test, panel)
    panel.corrections.send("review", nodule="N1", review="accepted")
    panel.reading.open(None)
    other = study.folder
    elsewhere = json.loads((other / "findings.json").read_text())
    elsewhere["edits"] = []
    elsewhere["nodules"][0]["review"] = "rejected"
    (other / "findings.json").write_text(json.dumps(elsewhere))

    panel.reading.open(study)
    panel.corrections.send("review", nodule="N2", review="rejected")

    test.assertNotEqual(study.folder, other)
    test.assertEqual(study.nodule("N1")["review"], "accepted")
    test.assertEqual(json.loads((other / "findings.json").read_text()), elsewhere)


def what_the_scene_lacks_is_said(test):
    panel = fakePanel(test)
    study = openSampleStudy(test, panel)
    shutil.rmtree(study.folder)
    slicer.mrmlScene.RemoveNode(study.get(SEGMENTATION))
    panel.reading.open(study)

    test.assertIn("is not here", panel.corrections.whyNotPossible())
    with test.assertRaises(RuntimeError):
        panel.corrections.send("review", nodule="N1", review="accepted")
    test.assertFalse(panel.report.ui.previewButton.enabled)
    test.assertIn("is not here", panel.report.ui.possibleLabel.text)


def turned_images_find_their_place_on_the_grid(test):
    voxels = np.arange(2 * 3 * 4).reshape(2, 3, 4)
    grid = np.diag([1.0, 2.0, 3.0, 1.0])
    turned = np.flip(voxels.transpose(0, 2, 1), 0)  # j and i changed over, k upside down
    ijkToLps = np.array([[0, 1, 0, 5], [2, 0, 0, 4], [0, 0, -3, 9], [0, 0, 0, 1]], float)

    found, first = onGrid(turned, ijkToLps, grid)

    test.assertTrue(np.array_equal(found, voxels))
    test.assertEqual(list(first), [2, 2, 5])
    with test.assertRaises(ValueError):
        onGrid(voxels, np.diag([1.1, 2.0, 3.0, 1.0]), grid)


def _checkRestored(test, study, names) -> None:
    """CT, outlines and transform of the new folder are those of the scene."""
    ct = sitk.ReadImage(str(study.folder / "ct.nrrd"))
    test.assertTrue(np.array_equal(sitk.GetArrayFromImage(ct), slicer.util.arrayFromVolume(study.get(SCAN))))
    layers = sitk.ReadImage(str(study.folder / "segmentation.seg.nrrd"))
    array = sitk.GetArrayFromImage(layers)
    test.assertEqual(array.shape, (*SHAPE_KJI, 2))
    segments = {}
    for number in range(len(LUNGS) + len(names)):
        label, layer = (int(layers.GetMetaData(f"Segment{number}_{key}")) for key in ("LabelValue", "Layer"))
        segments[layers.GetMetaData(f"Segment{number}_ID")] = array[..., layer] == label
    test.assertEqual(sorted(segments), sorted([*LUNGS, *names]))
    for name in names:
        outline = outlineOf(study.get(SEGMENTATION), name)
        test.assertEqual(int(segments[name].sum()), int(outline.voxels.sum()))
    at = layers.TransformPhysicalPointToIndex(CENTROIDS_LPS["N2"])[::-1]
    test.assertTrue(segments["N2"][at])
    transform = sitk.ReadTransform(str(study.folder / "current_to_prior.h5"))
    for found, expected in zip(transform.TransformPoint((1.0, 2.0, 3.0)), TO_PRIOR_MM, strict=True):
        test.assertAlmostEqual(found - expected, (1.0, 2.0, 3.0)[TO_PRIOR_MM.index(expected)], places=3)


def _contents(study) -> dict:
    """Everything that is to come back with the scene, in plain values."""
    contents = {"findings": deepcopy(study.findings), "name": study.node.GetName()}
    for role in ROLES:
        node = study.get(role)
        contents[role] = (node.GetName(), node.GetClassName())
    for role in (SCAN, PRIOR_SCAN):
        volume = study.get(role)
        display = volume.GetDisplayNode()
        voxels = slicer.util.arrayFromVolume(volume)
        contents[role] += (voxels.shape, int(voxels.sum()), volume.GetOrigin(), display.GetWindow(), display.GetLevel())
    for role in (SEGMENTATION, PRIOR_SEGMENTATION):
        node = study.get(role)
        segmentation = node.GetSegmentation()
        contents[role] += tuple(
            (name, segment.GetName(), segment.GetColor(), outlineOf(node, name).fingerprint)
            for name, segment in ((name, segmentation.GetSegment(name)) for name in idsOf(segmentation))
        )
    contents["views"] = [
        study.get(PRIOR_SEGMENTATION).GetDisplayNode().GetNthViewNodeID(n)
        for n in range(study.get(PRIOR_SEGMENTATION).GetDisplayNode().GetNumberOfViewNodeIDs())
    ]
    heat = study.saliency("N1")
    display = heat.GetDisplayNode()
    contents["heat"] = (
        float(slicer.util.arrayFromVolume(heat).sum()),
        display.GetColorNode().GetName(),
        round(display.GetLowerThreshold(), 6),
        display.GetApplyThreshold(),
    )
    moved = [0.0] * 3
    study.get(PRIOR_SCAN).TransformPointToWorld(lpsToRas(TO_PRIOR_MM), moved)
    contents["registered"] = [round(value, 3) + 0.0 for value in moved]
    contents["transform"] = study.get(PRIOR_SCAN).GetParentTransformNode() is study.get(REGISTRATION)
    chart = study.get(GROWTH_CHART)
    series = [chart.GetNthPlotSeriesNode(n) for n in range(chart.GetNumberOfPlotSeriesNodes())]
    contents["plot"] = (chart.GetTitle(), chart.GetYAxisRange(), [one.GetYColumnName() for one in series])
    table = series[0].GetTableNode()
    contents["table"] = [list(slicer.util.arrayFromTableColumn(table, name)) for name in ("days", "volume", "high")]
    return contents


def _saveAndLoad(test, panel, meanwhile=lambda: None) -> None:
    """The scene as one .mrb file, closed, and loaded again."""
    file = temporaryFolder(test) / "scene.mrb"
    test.assertTrue(slicer.util.saveScene(str(file)))
    slicer.mrmlScene.Clear()
    test.assertIsNone(panel.reading.study)
    test.assertEqual(Study.inScene(), [])
    meanwhile()
    slicer.util.loadScene(str(file))
    test.assertIsNotNone(panel.reading.study)
