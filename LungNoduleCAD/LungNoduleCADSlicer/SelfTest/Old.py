"""What the module's self-test checks; ``test`` is the unittest case, ``panel`` the module's genuine ModuleWidget."""

import json
from pathlib import Path

import slicer

from LungNoduleCADSlicer.AnalysisRunner import WorkerOutput
from LungNoduleCADSlicer.NoduleTable import rowsOf
from LungNoduleCADSlicer.Parameters import whyNotReady
from LungNoduleCADSlicer.SampleResults import CENTROIDS_LPS, SEGMENTS, sampleScan, writeSampleResults
from LungNoduleCADSlicer.SceneBridge import lpsToRas


def addSampleScan():
    """The sample's CT as a volume of the scene."""
    hu, origin = sampleScan()
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "Sample CT")
    node.SetIJKToRASDirections(-1, 0, 0, 0, -1, 0, 0, 0, 1)
    node.SetOrigin(*lpsToRas(origin))
    slicer.util.updateVolumeFromArray(node, hu)
    return node


def checkResultsInScene(test, panel, folder: Path) -> None:
    findings = writeSampleResults(folder / "results")
    scan = addSampleScan()
    panel.scene.showScan(scan)

    results = panel.scene.loadResults(folder / "results")
    panel.showResults(results)

    segments = results.segmentation.GetSegmentation()
    names = [segments.GetNthSegment(index).GetName() for index in range(segments.GetNumberOfSegments())]
    test.assertEqual(names, list(SEGMENTS.values()))
    test.assertEqual(panel.ui.noduleTable.rowCount, 2)
    test.assertEqual(panel.ui.noduleTable.item(0, 0).text(), "N1")
    test.assertEqual(
        [row.texts for row in rowsOf(findings)],
        [
            ("N1", "4A", "right upper", "9.2", "408", "solid", "61%", "–"),
            ("N2", "2", "left upper", "5.0", "–", "ground-glass", "–", "–"),
        ],
    )
    test.assertIn("4A", panel.ui.categoryLabel.text)
    test.assertIn("made up", panel.ui.flagsLabel.text)

    _checkMaskLiesAtCentroid(test, results.segmentation, "N2")
    panel.table.select(1)
    _checkSlicesShow(test, lpsToRas(CENTROIDS_LPS["N2"]))
    panel.table.select(0)
    _checkSlicesShow(test, lpsToRas(CENTROIDS_LPS["N1"]))

    panel.ui.saliencyCheckBox.checked = True
    shown = {node.GetForegroundVolumeID() for node in slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode")}
    test.assertEqual(shown, {results.saliency["N1"].GetID()})
    panel.ui.saliencyCheckBox.checked = False


def _checkMaskLiesAtCentroid(test, segmentation, name: str) -> None:
    centre = segmentation.GetSegmentCenterRAS(segmentation.GetSegmentation().GetSegmentIdBySegmentName(name))
    for found, expected in zip(centre, lpsToRas(CENTROIDS_LPS[name]), strict=True):
        test.assertAlmostEqual(found, expected, delta=0.51)


def _checkSlicesShow(test, ras) -> None:
    """The middle of every slice view is the point."""
    nodes = slicer.util.getNodesByClass("vtkMRMLSliceNode")
    test.assertGreater(len(nodes), 0)
    for node in nodes:
        for axis in range(3):
            test.assertAlmostEqual(node.GetSliceToRAS().GetElement(axis, 3), ras[axis], delta=0.51)


class _Listener:
    def __init__(self) -> None:
        self.seen = []

    def onProgress(self, stage, fraction, message) -> None:
        self.seen.append((stage, fraction, message))


def checkWorkerMessages(test) -> None:
    listener = _Listener()
    output = WorkerOutput(listener)
    progress = {"stage": "lungs", "fraction": 0.25, "message": "Lungs"}
    lines = "\n".join([json.dumps(progress), "chatter", json.dumps({"result": "out"}), ""]).encode()
    for start in range(0, len(lines), 7):  # in pieces, as a pipe gives them
        output.feed(lines[start : start + 7])
    test.assertEqual(listener.seen, [("lungs", 0.25, "Lungs")])
    test.assertEqual(output.result, Path("out"))
    output.feed(json.dumps({"error": "no CT in there"}).encode() + b"\n")
    test.assertEqual(output.error, "no CT in there")


def checkReadiness(test, panel) -> None:
    test.assertTrue(whyNotReady(panel.parameters))
    test.assertFalse(panel.ui.analyzeButton.enabled)
    scan = addSampleScan()
    panel.ui.scanSelector.setCurrentNode(scan)
    test.assertEqual(whyNotReady(panel.parameters), "")
    test.assertTrue(panel.ui.analyzeButton.enabled)
    panel.ui.scanFolderEdit.currentPath = str(Path(slicer.app.temporaryPath))
    test.assertIsNone(panel.parameters.scan)
    test.assertEqual(panel.parameters.scanFolder, str(Path(slicer.app.temporaryPath)))
    panel.ui.scanFolderEdit.currentPath = ""
    test.assertFalse(panel.ui.analyzeButton.enabled)
