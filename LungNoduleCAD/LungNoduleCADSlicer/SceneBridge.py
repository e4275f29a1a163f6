"""Results of the library into the MRML scene and back. The only place where RAS exists: the library speaks LPS."""

import json
from dataclasses import dataclass
from pathlib import Path

import slicer

LUNG_WORD = "lung"
STUDY_DATE_TAG = "0008,0020"
SALIENCY_COLORS = "vtkMRMLColorTableNodeIron"
SALIENCY_FLOOR = 0.2  # of a map's maximum: cooler voxels are transparent


@dataclass(frozen=True)
class LoadedResults:
    """A results folder and the nodes that were made of it; ``saliency`` by nodule id."""

    folder: Path
    findings: dict
    segmentation: object
    saliency: dict

    @property
    def report(self) -> Path:
        return self.folder / "report.pdf"


def lpsToRas(point) -> tuple[float, float, float]:
    return -point[0], -point[1], point[2]


class SceneBridge:
    """Moves images, masks and positions between Slicer's scene and the library's files."""

    def exportScan(self, volumeNode, folder: Path) -> Path:
        """A volume of the scene as a file that the command line reads."""
        file = folder / "scan.nrrd"
        if not slicer.util.exportNode(volumeNode, str(file), {}):
            raise RuntimeError(f"{volumeNode.GetName()} could not be written to {file}")
        return file

    def studyDate(self, volumeNode) -> str:
        """YYYY-MM-DD by the DICOM database; empty where the volume did not come from there."""
        instances = (volumeNode.GetAttribute("DICOM.instanceUIDs") or "").split()
        value = slicer.dicomDatabase.instanceValue(instances[0], STUDY_DATE_TAG) if instances else ""
        return f"{value[:4]}-{value[4:6]}-{value[6:8]}" if len(value) == 8 and value.isdigit() else ""

    def loadDicomSeries(self, folder: str, seriesUid: str):
        """The analyzed series as a volume, through Slicer's own DICOM reader; the user's database is left alone."""
        from DICOMLib import DICOMUtils

        with DICOMUtils.TemporaryDICOMDatabase() as database:
            DICOMUtils.importDicom(folder, database)
            nodeIds = DICOMUtils.loadSeriesByUID([seriesUid])
        nodes = [slicer.mrmlScene.GetNodeByID(nodeId) for nodeId in nodeIds]
        return next((node for node in nodes if node.IsA("vtkMRMLScalarVolumeNode")), None)

    def loadResults(self, folder: Path) -> LoadedResults:
        """Everything that an analysis left in its folder.

        Raises FileNotFoundError where the folder holds no findings.
        """
        findings = json.loads((folder / "findings.json").read_text(encoding="utf-8"))
        segmentation = slicer.util.loadSegmentation(str(folder / "segmentation.seg.nrrd"))
        self._styleSegments(segmentation)
        saliency = {}
        for nodule in findings["nodules"]:
            if nodule["saliency"]:
                node = slicer.util.loadVolume(
                    str(folder / nodule["saliency"]), {"name": f"Grad-CAM {nodule['id']}", "show": False}
                )
                self._styleSaliency(node)
                saliency[nodule["id"]] = node
        return LoadedResults(folder, findings, segmentation, saliency)

    def jumpTo(self, pointLps) -> None:
        """All slice views onto a point."""
        slicer.vtkMRMLSliceNode.JumpAllSlices(
            slicer.mrmlScene, *lpsToRas(pointLps), slicer.vtkMRMLSliceNode.CenteredJumpSlice
        )

    def showScan(self, volumeNode) -> None:
        slicer.util.setSliceViewerLayers(background=volumeNode, fit=True)

    def showSaliency(self, saliencyNode, opacity: float = 0.4) -> None:
        """One map over the CT in all slice views; None takes it away."""
        slicer.util.setSliceViewerLayers(foreground=saliencyNode, foregroundOpacity=opacity)

    def showSurfaces(self, segmentationNode, visible: bool) -> None:
        if visible:
            segmentationNode.CreateClosedSurfaceRepresentation()
        segmentationNode.GetDisplayNode().SetVisibility3D(visible)

    def _styleSegments(self, segmentation) -> None:
        segmentation.CreateDefaultDisplayNodes()
        display = segmentation.GetDisplayNode()
        display.SetVisibility3D(False)
        display.SetAllSegmentsOpacity2DFill(0.0)
        segments = segmentation.GetSegmentation()
        for index in range(segments.GetNumberOfSegments()):
            identifier = segments.GetNthSegmentID(index)
            if LUNG_WORD in segments.GetSegment(identifier).GetName().lower():
                display.SetSegmentOpacity3D(identifier, 0.15)
                display.SetSegmentOpacity2DOutline(identifier, 0.4)

    def _styleSaliency(self, volume) -> None:
        display = volume.GetDisplayNode()
        top = volume.GetImageData().GetScalarRange()[1]
        display.SetAndObserveColorNodeID(SALIENCY_COLORS)
        display.SetAutoWindowLevel(False)
        display.SetWindowLevelMinMax(0.0, top)
        display.SetThreshold(SALIENCY_FLOOR * top, top)
        display.SetApplyThreshold(True)
