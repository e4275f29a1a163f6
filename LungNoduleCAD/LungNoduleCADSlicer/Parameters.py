"""What the reader chose; kept in the scene."""

from typing import Annotated

from slicer import vtkMRMLScalarVolumeNode
from slicer.i18n import tr as _
from slicer.parameterNodeWrapper import Choice, parameterNodeWrapper

DEVICES = ["auto", "cpu", "cuda:0"]


@parameterNodeWrapper
class Parameters:
    """A scan is either a volume of the scene or a DICOM folder. The folders are paths, empty where none is chosen."""

    scan: vtkMRMLScalarVolumeNode
    scanFolder: str
    priorFolder: str
    resultsFolder: str
    device: Annotated[str, Choice(DEVICES)] = "auto"


def whyNotReady(parameters) -> str:
    """What is missing before an analysis can start; empty where nothing is."""
    if parameters is None:
        return _("There is no scene")
    if not parameters.scanFolder and parameters.scan is None:
        return _("Choose a chest CT or a DICOM folder")
    return ""
