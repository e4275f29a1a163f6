"""What the reader chose; kept in the scene."""

from typing import Annotated

from slicer import vtkMRMLScalarVolumeNode, vtkMRMLTextNode
from slicer.parameterNodeWrapper import WithinRange, parameterNodeWrapper


@parameterNodeWrapper
class Parameters:
    """``scan`` is the CT to analyze, ``prior`` an earlier one to compare with; ``study`` the results being read."""

    scan: vtkMRMLScalarVolumeNode
    prior: vtkMRMLScalarVolumeNode
    study: vtkMRMLTextNode
    resultsFolder: str
    device: str = "auto"
    showSaliency: bool = False
    saliencyOpacity: Annotated[float, WithinRange(0.0, 1.0)] = 0.4
    showSaliency3D: bool = False
    showSurfaces: bool = True
    showLungs: bool = False
