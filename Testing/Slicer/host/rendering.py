"""Slice and 3D views, rendered off screen by slicer-core's own displayable managers. Pictures are (H, W, 3) uint8."""

from __future__ import annotations

import numpy as np
import slicer
import vtk
from vtk.util.numpy_support import vtk_to_numpy

SLICE_MANAGERS = (
    "vtkMRMLVolumeGlyphSliceDisplayableManager",
    "vtkMRMLModelSliceDisplayableManager",
    "vtkMRMLCrosshairDisplayableManager",
    "vtkMRMLOrientationMarkerDisplayableManager",
    "vtkMRMLRulerDisplayableManager",
    "vtkMRMLScalarBarDisplayableManager",
    "vtkMRMLSegmentationsDisplayableManager2D",
    "vtkMRMLMarkupsDisplayableManager",
    "vtkMRMLTransformsDisplayableManager2D",
    "vtkMRMLColorLegendDisplayableManager",
)
THREE_D_MANAGERS = (
    "vtkMRMLCameraDisplayableManager",
    "vtkMRMLViewDisplayableManager",
    "vtkMRMLModelDisplayableManager",
    "vtkMRMLThreeDReformatDisplayableManager",
    "vtkMRMLCrosshairDisplayableManager3D",
    "vtkMRMLOrientationMarkerDisplayableManager",
    "vtkMRMLRulerDisplayableManager",
    "vtkMRMLSegmentationsDisplayableManager3D",
    "vtkMRMLMarkupsDisplayableManager",
    "vtkMRMLVolumeRenderingDisplayableManager",
    "vtkMRMLTransformsDisplayableManager3D",
    "vtkMRMLColorLegendDisplayableManager",
)


def register(applicationLogic) -> None:
    """Tell the factories which displayable managers a view has."""
    for factory, names in (
        (slicer.vtkMRMLSliceViewDisplayableManagerFactory.GetInstance(), SLICE_MANAGERS),
        (slicer.vtkMRMLThreeDViewDisplayableManagerFactory.GetInstance(), THREE_D_MANAGERS),
    ):
        factory.SetMRMLApplicationLogic(applicationLogic)
        for name in names:
            factory.RegisterDisplayableManager(name)


def picture(window) -> np.ndarray:
    """What a render window shows."""
    grabber = vtk.vtkWindowToImageFilter()
    grabber.SetInput(window)
    grabber.ReadFrontBufferOff()
    grabber.ShouldRerenderOff()
    grabber.Update()
    image = grabber.GetOutput()
    width, height, _depth = image.GetDimensions()
    pixels = vtk_to_numpy(image.GetPointData().GetScalars()).reshape(height, width, -1)
    return np.ascontiguousarray(pixels[::-1, :, :3])


class View:
    """A window without a screen, with the displayable managers of one view node; ``first`` lies below all."""

    def __init__(self, factory, node, width: int, height: int, first=None) -> None:
        self.renderer = vtk.vtkRenderer()
        if first is not None:
            self.renderer.AddViewProp(first)
        self.window = vtk.vtkRenderWindow()
        self.window.SetOffScreenRendering(1)
        self.window.SetMultiSamples(0)
        self.window.SetSize(width, height)
        self.window.AddRenderer(self.renderer)
        self._interactor = vtk.vtkRenderWindowInteractor()
        self.window.SetInteractor(self._interactor)
        self._group = factory.InstantiateDisplayableManagers(self.renderer)
        self._group.SetMRMLDisplayableNode(node)
        for legend in slicer.util.getNodesByClass("vtkMRMLColorLegendDisplayNode"):
            # their manager takes up only those that are added after it
            slicer.mrmlScene.InvokeEvent(slicer.vtkMRMLScene.NodeAddedEvent, legend)

    def render(self) -> np.ndarray:
        self.window.Render()
        return picture(self.window)

    def close(self) -> None:
        self._group.SetMRMLDisplayableNode(None)
        self.window.Finalize()


def renderSlice(logic, width: int, height: int) -> np.ndarray:
    """A slice view as Slicer shows it, without its controller."""
    node = logic.GetSliceNode()
    before = node.GetDimensions()
    logic.ResizeSliceNode(width, height)
    factory = slicer.vtkMRMLSliceViewDisplayableManagerFactory.GetInstance()
    view = View(factory, node, width, height, _imageActor(logic))
    pixels = view.render()
    view.close()
    logic.ResizeSliceNode(before[0], before[1])
    return pixels


def _imageActor(logic):
    """The layers of a slice, blended; None where it shows no volume."""
    if logic.GetImageDataConnection() is None:
        return None
    mapper = vtk.vtkImageMapper()
    mapper.SetColorWindow(255)
    mapper.SetColorLevel(127.5)
    mapper.SetInputConnection(logic.GetImageDataConnection())
    actor = vtk.vtkActor2D()
    actor.SetMapper(mapper)
    actor.GetProperty().SetDisplayLocationToBackground()
    return actor


def renderThreeD(node, width: int, height: int) -> np.ndarray:
    """A 3D view as Slicer shows it, without its controller."""
    view = _threeD(node, width, height)
    pixels = view.render()
    view.close()
    return pixels


def fitCamera(node) -> None:
    """Move the camera of a 3D view, keeping its direction, so that everything visible is seen."""
    view = _threeD(node, 64, 64)
    view.window.Render()
    view.renderer.ResetCamera()
    view.close()


def cameraOf(node):
    """The camera node of a 3D view node."""
    cameras = slicer.util.getNodesByClass("vtkMRMLCameraNode")
    return next((camera for camera in cameras if camera.GetLayoutName() == node.GetLayoutName()), None)


def _threeD(node, width: int, height: int) -> View:
    view = View(slicer.vtkMRMLThreeDViewDisplayableManagerFactory.GetInstance(), node, width, height)
    view.renderer.SetUseDepthPeeling(bool(node.GetUseDepthPeeling()))
    view.renderer.SetGradientBackground(True)
    return view
