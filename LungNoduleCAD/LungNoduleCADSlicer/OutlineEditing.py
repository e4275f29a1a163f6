"""Outlines redrawn in Segment Editor: opened there with a nodule's segment, noticed when they change."""

from collections.abc import Callable

import qt
import slicer

from LungNoduleCADSlicer.Outlines import isKnown, outlineOf
from LungNoduleCADSlicer.Segments import noduleIdsOf
from LungNoduleCADSlicer.Signals import connect

# a stroke follows a stroke: an outline is looked at when it rests for this long
REST_MILLISECONDS = 800


class OutlineEditing:
    """``onChanged(noduleId, outline)`` is called for each nodule that was redrawn, however that was done."""

    def __init__(self, onChanged: Callable[[str, object], None]) -> None:
        self._onChanged = onChanged
        self._segmentation = None
        self._observed: list[tuple] = []
        self._rest = qt.QTimer()
        self._rest.setSingleShot(True)
        self._rest.setInterval(REST_MILLISECONDS)
        connect(self._rest, "timeout()", self.lookForChanges)

    def watch(self, segmentationNode, noduleIds: Callable[[], list[str]]) -> None:
        """Follow the segments of the nodules of a study; None: of no study."""
        self._rest.stop()
        for caller, tag in self._observed:
            caller.RemoveObserver(tag)
        self._observed.clear()
        self._segmentation, self._noduleIds = segmentationNode, noduleIds
        if segmentationNode is not None:
            segmentation = segmentationNode.GetSegmentation()
            for event in (slicer.vtkSegmentation.SourceRepresentationModified, slicer.vtkSegmentation.SegmentModified):
                self._observed.append((segmentation, segmentation.AddObserver(event, self._onModified)))

    def openEditor(self, scan, noduleId: str) -> None:
        """Segment Editor on a nodule; what is drawn takes nothing away from lungs and neighbors."""
        editor = slicer.mrmlScene.GetSingletonNode("SegmentEditor", "vtkMRMLSegmentEditorNode")
        if editor is None:
            editor = slicer.vtkMRMLSegmentEditorNode()
            editor.SetSingletonTag("SegmentEditor")
            editor = slicer.mrmlScene.AddNode(editor)
        editor.SetAndObserveSegmentationNode(self._segmentation)
        editor.SetAndObserveSourceVolumeNode(scan)
        editor.SetOverwriteMode(slicer.vtkMRMLSegmentEditorNode.OverwriteNone)
        slicer.util.selectModule("SegmentEditor")
        editor.SetSelectedSegmentID(noduleId)

    def lookForChanges(self) -> None:
        """Tell of every nodule whose outline is not the one that the results folder knows."""
        self._rest.stop()
        if self._segmentation is None:
            return
        wanted = self._noduleIds()
        for noduleId in noduleIdsOf(self._segmentation):
            if noduleId in wanted and not isKnown(self._segmentation, noduleId):
                self._onChanged(noduleId, outlineOf(self._segmentation, noduleId))

    def _onModified(self, _caller, _event) -> None:
        self._rest.start()
