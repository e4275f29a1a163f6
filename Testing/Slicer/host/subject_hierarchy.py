"""Data nodes get an item of the subject hierarchy and lose it again, as by the plugin logic of the application."""

from __future__ import annotations

import slicer
import vtk

KINDS = ("vtkMRMLDisplayableNode", "vtkMRMLTableNode", "vtkMRMLTextNode", "vtkMRMLPlotChartNode")


class SubjectHierarchyKeeper:
    def __init__(self, scene) -> None:
        self._scene = scene
        scene.AddObserver(slicer.vtkMRMLScene.NodeAddedEvent, self._onAdded)
        scene.AddObserver(slicer.vtkMRMLScene.NodeAboutToBeRemovedEvent, self._onRemoved)
        scene.AddObserver(slicer.vtkMRMLScene.EndCloseEvent, self._onClosed)
        scene.AddObserver(slicer.vtkMRMLScene.EndImportEvent, lambda _caller, _event: self._addAll())

    def _onClosed(self, _scene, _event) -> None:
        hierarchy = self._scene.GetSubjectHierarchyNode()
        if hierarchy is not None:
            hierarchy.RemoveAllItems(False)

    def _addAll(self) -> None:
        for node in slicer.util.getNodesByClass("vtkMRMLNode", self._scene):
            self._add(node)

    def _add(self, node) -> None:
        if node.GetHideFromEditors() or not any(node.IsA(kind) for kind in KINDS):
            return
        hierarchy = self._scene.GetSubjectHierarchyNode()
        if hierarchy is not None and not hierarchy.GetItemByDataNode(node):
            hierarchy.CreateItem(hierarchy.GetSceneItemID(), node)

    @vtk.calldata_type(vtk.VTK_OBJECT)
    def _onAdded(self, _scene, _event, node) -> None:
        if not self._scene.IsImporting():
            self._add(node)

    @vtk.calldata_type(vtk.VTK_OBJECT)
    def _onRemoved(self, _scene, _event, node) -> None:
        # asking for the hierarchy while it is taken away itself would make another one, and so on
        if self._scene.IsClosing() or node.IsA("vtkMRMLSubjectHierarchyNode"):
            return
        hierarchy = self._scene.GetSubjectHierarchyNode()
        item = hierarchy.GetItemByDataNode(node) if hierarchy is not None else 0
        if item:
            hierarchy.RemoveItem(item, False, False)
