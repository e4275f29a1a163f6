"""The detector's operating point: what a threshold was measured to find, and the wish for another one."""

import qt
import slicer
from slicer.i18n import tr as _

from LungNoduleCADSlicer.NoduleWords import NONE
from LungNoduleCADSlicer.Signals import connect

# by keyboard or wheel there is no release: the threshold is sent when the slider rests for this long
REST_MILLISECONDS = 600


class OperatingPoint:
    """A slider over the thresholds of the findings, most sensitive at the left; sent when it is let go."""

    def __init__(self, ui, reading, corrections) -> None:
        self.ui, self.reading, self.corrections = ui, reading, corrections
        self._rest = qt.QTimer()
        self._rest.setSingleShot(True)
        self._rest.setInterval(REST_MILLISECONDS)
        connect(self._rest, "timeout()", self.send)
        connect(ui.thresholdSlider, "valueChanged(int)", self.onMoved)
        connect(ui.thresholdSlider, "sliderReleased()", self.send)

    def close(self) -> None:
        self._rest.stop()

    def update(self) -> None:
        """Follow the findings; disabled, with the reason, where there is nothing to choose."""
        self._rest.stop()
        points, reason = self._points(), self.corrections.whyNotPossible()
        if not points:
            reason = reason or _("It was not measured what other thresholds give")
        slider = self.ui.thresholdSlider
        wasBlocked = slider.blockSignals(True)
        slider.setRange(0, max(len(points) - 1, 0))
        slider.setValue(self._current(points))
        slider.blockSignals(wasBlocked)
        slider.enabled = not reason
        slider.toolTip = reason or _("Left: more nodules and more false positives. Reviewed nodules stay in any case.")
        self.ui.thresholdLabel.text = self.describe() if points else reason

    def describe(self) -> str:
        """What the slider's position stands for."""
        point = self._points()[self.ui.thresholdSlider.value]
        sensitivity, false = point["sensitivity"], point["false_positives_per_scan"]
        return _(
            "Threshold {threshold:.2f}: sensitivity {sensitivity}, {false} false positives per scan ({source})"
        ).format(
            threshold=point["threshold"],
            sensitivity=NONE if sensitivity is None else f"{sensitivity:.0%}",
            false=NONE if false is None else f"{false:.1f}",
            source=self.reading.study.findings["operating_points_source"].rstrip("."),
        )

    def onMoved(self, _position: int) -> None:
        self.ui.thresholdLabel.text = self.describe()
        if not self.ui.thresholdSlider.sliderDown:
            self._rest.start()

    def send(self) -> None:
        self._rest.stop()
        points = self._points()
        position = self.ui.thresholdSlider.value
        if points and position != self._current(points):
            with slicer.util.tryWithErrorDisplay(_("The operating point could not be changed.")):
                self.corrections.send("threshold", threshold=points[position]["threshold"])

    def _points(self) -> list[dict]:
        return self.reading.study.findings["operating_points"] if self.reading.study is not None else []

    def _current(self, points: list[dict]) -> int:
        """The point nearest to the threshold in force."""
        threshold = self.reading.study.findings["operating_threshold"] if points else None
        if threshold is None:
            return 0
        return min(range(len(points)), key=lambda index: abs(points[index]["threshold"] - threshold))
