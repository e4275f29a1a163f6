"""``slicer.app.coreIOManager()``: files into the scene and back, by slicer-core's own logics and storage nodes."""

from __future__ import annotations

from pathlib import Path

import slicer
import vtk
from PySide6 import QtCore
from slicer import vtkDataFileFormatHelper

from host.members import SLICER
from host.offering import offered

# vtkSlicerVolumesLogic::LoadingOptions
LABEL_MAP, CENTER, SINGLE_FILE, AUTO_WINDOW, DISCARD_ORIENTATION = 1, 2, 4, 8, 16
FILE_TYPES = {  # by the end of the name, longest first
    ".seg.nrrd": "SegmentationFile",
    ".seg.nhdr": "SegmentationFile",
    ".mrk.json": "MarkupsFile",
    ".nrrd": "VolumeFile",
    ".nhdr": "VolumeFile",
    ".nii.gz": "VolumeFile",
    ".nii": "VolumeFile",
    ".mha": "VolumeFile",
    ".mhd": "VolumeFile",
    ".dcm": "VolumeFile",
    ".tfm": "TransformFile",
    ".h5": "TransformFile",
    ".tsv": "TableFile",
    ".csv": "TableFile",
    ".ctbl": "ColorTableFile",
    ".txt": "TextFile",
    ".json": "TextFile",
    ".vtk": "ModelFile",
    ".vtp": "ModelFile",
    ".stl": "ModelFile",
    ".ply": "ModelFile",
    ".mrb": "SceneFile",
    ".mrml": "SceneFile",
}


@offered(SLICER)
class qSlicerCoreIOManager(QtCore.QObject):
    def __init__(self, application) -> None:
        super().__init__()
        self._hApp = application

    # ---- reading

    def fileType(self, fileName: str) -> str:
        name = str(fileName).lower()
        return next((kind for end, kind in FILE_TYPES.items() if name.endswith(end)), "NoFile")

    def loadNodes(self, fileType: str, properties: dict, loadedNodes=None, userMessages=None) -> bool:
        reader = getattr(self, f"_hRead{fileType}", None)
        if reader is None or (fileType != "NoFile" and not Path(properties["fileName"]).exists()):
            if userMessages is not None:
                userMessages.AddMessage(vtk.vtkCommand.ErrorEvent, f"Cannot read {properties['fileName']}")
            return False
        nodes = reader(properties["fileName"], dict(properties))
        if nodes is None:
            return False
        for node in nodes:
            if loadedNodes is not None:
                loadedNodes.AddItem(node)
        return True

    def loadScene(self, fileName: str, clear: bool = True) -> bool:
        return self.loadNodes("SceneFile", {"fileName": fileName, "clear": clear})

    def _hReadVolumeFile(self, fileName: str, properties: dict):
        flags = (
            ("labelmap", LABEL_MAP),
            ("center", CENTER),
            ("singleFile", SINGLE_FILE),
            ("autoWindowLevel", AUTO_WINDOW),
            ("discardOrientation", DISCARD_ORIENTATION),
        )
        properties.setdefault("autoWindowLevel", True)
        options = sum(bit for key, bit in flags if properties.get(key))
        name = properties.get("name") or Path(fileName).name.partition(".")[0]
        files = None
        if properties.get("fileNames"):
            files = vtk.vtkStringArray()
            for file in properties["fileNames"]:
                files.InsertNextValue(str(file))
        logic = slicer.modules.volumes.logic()
        node = logic.AddArchetypeVolume(fileName, name, options, files)
        if node is None:
            return None
        if properties.get("colorNodeID"):
            node.GetDisplayNode().SetAndObserveColorNodeID(properties["colorNodeID"])
        if properties.get("show", True):
            selection = self._hApp.applicationLogic().GetSelectionNode()
            selection.SetActiveVolumeID(node.GetID())
            self._hApp.applicationLogic().PropagateVolumeSelection()
        return [node]

    def _hReadSegmentationFile(self, fileName: str, properties: dict):
        logic = slicer.modules.segmentations.logic()
        node = logic.LoadSegmentationFromFile(
            fileName, bool(properties.get("autoOpacities", True)), properties.get("name") or ""
        )
        return None if node is None else [node]

    def _hReadTransformFile(self, fileName: str, properties: dict):
        node = slicer.modules.transforms.logic().AddTransform(fileName, slicer.mrmlScene)
        return None if node is None else [node]

    def _hReadTableFile(self, fileName: str, properties: dict):
        node = slicer.modules.tables.logic().AddTable(fileName, properties.get("name") or Path(fileName).stem)
        return None if node is None else [node]

    def _hReadModelFile(self, fileName: str, properties: dict):
        node = slicer.modules.models.logic().AddModel(fileName)
        return None if node is None else [node]

    def _hReadMarkupsFile(self, fileName: str, properties: dict):
        ids = slicer.modules.markups.logic().LoadMarkups(fileName, properties.get("name") or Path(fileName).stem)
        return [slicer.mrmlScene.GetNodeByID(text) for text in ids.split(",")] if ids else None

    def _hReadColorTableFile(self, fileName: str, properties: dict):
        node = slicer.modules.colors.logic().LoadColorFile(fileName, properties.get("name") or Path(fileName).stem)
        return None if node is None else [node]

    def _hReadTextFile(self, fileName: str, properties: dict):
        node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLTextNode", properties.get("name") or Path(fileName).stem)
        storage = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLTextStorageNode")
        storage.SetFileName(fileName)
        node.SetAndObserveStorageNodeID(storage.GetID())
        return [node] if storage.ReadData(node) else None

    def _hReadSceneFile(self, fileName: str, properties: dict):
        scene, clear = slicer.mrmlScene, bool(properties.get("clear", False))
        if fileName.lower().endswith(".mrb"):
            return [] if scene.ReadFromMRB(fileName, clear) else None
        scene.SetURL(fileName)
        return [] if (scene.Connect() if clear else scene.Import()) else None

    # ---- writing

    def fileWriterFileType(self, node, _preferred: str = "") -> str:
        return "NodeFile"

    def fileWriterExtensions(self, node) -> tuple[str, ...]:
        storage = self._hStorage(node)
        kinds = storage.GetSupportedWriteFileTypes() if storage is not None else vtk.vtkStringArray()
        return tuple(kinds.GetValue(index) for index in range(kinds.GetNumberOfValues()))

    def extractKnownExtension(self, fileName: str, node) -> str:
        ends = [
            vtkDataFileFormatHelper.GetFileExtensionFromFormatString(text) for text in self.fileWriterExtensions(node)
        ]
        known = [end for end in ends if str(fileName).lower().endswith(end)]
        return max(known, key=len, default=Path(fileName).suffix)

    def saveNodes(self, fileType: str, properties: dict, userMessages=None) -> bool:
        fileName = str(properties["fileName"])
        if fileType != "SceneFile":
            return self._hWrite(slicer.mrmlScene.GetNodeByID(properties["nodeID"]), fileName, properties)
        scene = slicer.mrmlScene
        if fileName.lower().endswith(".mrb"):
            return bool(scene.WriteToMRB(fileName, vtk.vtkImageData()))
        if fileName.lower().endswith(".mrml"):
            scene.SetURL(fileName)
            return bool(scene.Commit())
        return bool(self._hApp.applicationLogic().SaveSceneToSlicerDataBundleDirectory(fileName, None))

    def exportNodes(self, nodeIds, fileNames, properties: dict, hardenTransform: bool, userMessages=None) -> bool:
        nodes = [slicer.mrmlScene.GetNodeByID(nodeId) for nodeId in nodeIds]
        if hardenTransform:
            raise NotImplementedError("The host exports nodes as they are, without their transform")
        return all(self._hWrite(node, str(file), properties) for node, file in zip(nodes, fileNames, strict=True))

    def _hStorage(self, node):
        storage = node.CreateDefaultStorageNode()
        if storage is not None:
            storage.UnRegister(None)
        return storage

    def _hWrite(self, node, fileName: str, properties: dict) -> bool:
        storage = self._hStorage(node)
        if storage is None:
            return False
        storage.SetScene(slicer.mrmlScene)
        storage.SetFileName(fileName)
        if "useCompression" in properties:
            storage.SetUseCompression(int(properties["useCompression"]))
        return bool(storage.WriteData(node))
