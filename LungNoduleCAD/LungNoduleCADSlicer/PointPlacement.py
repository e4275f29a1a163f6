"""One point, placed by one click in a slice view."""

from collections.abc import Callable

import qt
import slicer
from slicer.i18n import tr as _

from LungNoduleCADSlicer.Signals import connect
from LungNoduleCADSlicer.Views import lpsToRas


class PointPlacement:
    """``onPoint`` is called with the place (LPS mm), ``onEnd`` whenever placing is over, with or without a point."""

    def __init__(self, onPoint: Callable[[tuple], None], onEnd: Callable[[], None]) -> None:
        self._onPoint, self._onEnd = onPoint, onEnd
        self._markup, self._point = None, None
        self._tags: list[tuple] = []
        self._escape = None

    @property
    def active(self) -> bool:
        return self._markup is not None

    def start(self) -> None:
        """The mouse places until a point is set, Escape is pressed, or another mouse mode is chosen."""
        if self.active:
            return
        self._point = None
        self._markup = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode", _("Missed nodule"))
        self._markup.SetSaveWithScene(False)
        logic = slicer.modules.markups.logic()
        logic.SetActiveList(self._markup)
        logic.StartPlaceMode(False)
        interaction = slicer.app.applicationLogic().GetInteractionNode()
        self._observe(self._markup, slicer.vtkMRMLMarkupsNode.PointPositionDefinedEvent, self._onPlaced)
        self._observe(interaction, slicer.vtkMRMLInteractionNode.InteractionModeChangedEvent, self._onMode)
        self._listenForEscape(True)

    def cancel(self) -> None:
        if self.active:
            self._point = None
            self._finish()

    def _observe(self, node, event, callback) -> None:
        self._tags.append((node, node.AddObserver(event, callback)))

    def _onPlaced(self, markup, _event) -> None:
        ras = [0.0, 0.0, 0.0]
        markup.GetNthControlPointPositionWorld(0, ras)
        self._point = lpsToRas(ras)  # the two differ by signs only
        qt.QTimer.singleShot(0, self._finish)  # not while the markup is still telling of it

    def _onMode(self, interaction, _event) -> None:
        if interaction.GetCurrentInteractionMode() != slicer.vtkMRMLInteractionNode.Place:
            qt.QTimer.singleShot(0, self._finish)

    def _finish(self) -> None:
        if not self.active:
            return
        markup, self._markup = self._markup, None
        for node, tag in self._tags:
            node.RemoveObserver(tag)
        self._tags.clear()
        self._listenForEscape(False)
        interaction = slicer.app.applicationLogic().GetInteractionNode()
        if interaction.GetCurrentInteractionMode() == slicer.vtkMRMLInteractionNode.Place:
            interaction.SwitchToViewTransformMode()
        slicer.mrmlScene.RemoveNode(markup)
        self._onEnd()
        if self._point is not None:
            self._onPoint(self._point)

    def _listenForEscape(self, listen: bool) -> None:
        if self._escape is None and slicer.util.mainWindow() is not None:
            self._escape = qt.QShortcut(qt.QKeySequence("Esc"), slicer.util.mainWindow())
            connect(self._escape, "activated()", self.cancel)
        if self._escape is not None:
            self._escape.enabled = listen
