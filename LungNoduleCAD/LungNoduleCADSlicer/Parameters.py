"""What the reader chose; kept in the scene."""

from typing import Annotated

from slicer import vtkMRMLScalarVolumeNode, vtkMRMLTextNode
from slicer.parameterNodeWrapper import WithinRange, parameterNodeWrapper

from LungNoduleCADSlicer.Signals import connect


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


class Binding:
    """Widgets that show parameters and keep what the reader chooses in them.

    By hand: ``connectGui`` adds an observer at each call and never takes it away.
    """

    def __init__(self, widgets: dict) -> None:
        self._parameters = None
        self._show = {name: self._bound(name, widget) for name, widget in widgets.items()}

    def setParameters(self, parameters) -> None:
        """Show these; with None the widgets stay as they are and nothing is kept."""
        self._parameters = None  # what is shown now is no choice
        if parameters is not None:
            for name, show in self._show.items():
                show(getattr(parameters, name))
        self._parameters = parameters

    def _bound(self, name: str, widget):
        def keep(value) -> None:
            if self._parameters is not None:
                setattr(self._parameters, name, value)

        if hasattr(widget, "setCurrentNode"):
            connect(widget, "currentNodeChanged(vtkMRMLNode*)", keep)
            return widget.setCurrentNode
        if hasattr(widget, "checked"):
            connect(widget, "toggled(bool)", keep)
            return widget.setChecked
        connect(widget, "valueChanged(double)", keep)
        return widget.setValue
