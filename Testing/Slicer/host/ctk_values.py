"""CTK's widgets for numbers: slider, range and spin box, over Qt's own."""

from __future__ import annotations

from PySide6 import QtCore, QtWidgets

from host.members import CTK
from host.offering import offered

STEPS = 1000  # of Qt's integer slider


def _row(widget: QtWidgets.QWidget, *parts: QtWidgets.QWidget) -> None:
    row = QtWidgets.QHBoxLayout(widget)
    row.setContentsMargins(0, 0, 0, 0)
    for part in parts:
        row.addWidget(part)


class _Bounded:
    """Value between minimum and maximum, shown by a Qt slider; what the value widgets share."""

    _hShowing = False

    def _hSlider(self, parent) -> QtWidgets.QSlider:
        slider = QtWidgets.QSlider(QtCore.Qt.Horizontal, parent)
        slider.setRange(0, STEPS)
        slider.valueChanged.connect(self._hSlid)
        return slider

    def _hSlid(self, position: int) -> None:
        if not self._hShowing:
            self.value = self.minimum + (self.maximum - self.minimum) * position / STEPS

    def _hShow(self) -> None:
        self._hShowing = True
        span = self.maximum - self.minimum
        self._hHandle.setValue(round(STEPS * (self.value - self.minimum) / span) if span else 0)
        self._hShowing = False

    def _hValueChanged(self, value: float) -> None:
        self.value = min(max(value, self.minimum), self.maximum)
        self._hShow()
        self.valueChanged.emit(self.value)

    def _hMinimumChanged(self, minimum: float) -> None:
        self.maximum = max(self.maximum, minimum)
        self.value = max(self.value, minimum)
        self._hShow()

    def _hMaximumChanged(self, maximum: float) -> None:
        self.minimum = min(self.minimum, maximum)
        self.value = min(self.value, maximum)
        self._hShow()


@offered(CTK)
class ctkDoubleSlider(_Bounded, QtWidgets.QWidget):
    def __init__(self, *args) -> None:
        super().__init__(next((value for value in args if isinstance(value, QtWidgets.QWidget)), None))
        self._hHandle = self._hSlider(self)
        _row(self, self._hHandle)

    def _hOrientationChanged(self, orientation) -> None:
        self._hHandle.setOrientation(QtCore.Qt.Orientation(orientation))


@offered(CTK)
class ctkSliderWidget(_Bounded, QtWidgets.QWidget):
    def __init__(self, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        self._hHandle = self._hSlider(self)
        self._hSpin = QtWidgets.QDoubleSpinBox(self)
        self._hSpin.setRange(0.0, 99.0)
        self._hSpin.valueChanged.connect(lambda value: setattr(self, "value", value))
        _row(self, self._hHandle, self._hSpin)

    def _hShow(self) -> None:
        super()._hShow()
        self._hSpin.blockSignals(True)
        self._hSpin.setRange(self.minimum, self.maximum)
        self._hSpin.setValue(self.value)
        self._hSpin.blockSignals(False)

    def reset(self) -> None:
        self.value = self.minimum

    def _hDecimalsChanged(self, decimals: int) -> None:
        self._hSpin.setDecimals(decimals)

    def _hSingleStepChanged(self, step: float) -> None:
        self._hSpin.setSingleStep(step)

    def _hPrefixChanged(self, prefix: str) -> None:
        self._hSpin.setPrefix(prefix)

    def _hSuffixChanged(self, suffix: str) -> None:
        self._hSpin.setSuffix(suffix)

    def _hSpinBoxVisibleChanged(self, shown: bool) -> None:
        self._hSpin.setVisible(shown)


@offered(CTK)
class ctkRangeWidget(QtWidgets.QWidget):
    def __init__(self, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        self._hSpins = QtWidgets.QDoubleSpinBox(self), QtWidgets.QDoubleSpinBox(self)
        for spin, name in zip(self._hSpins, ("minimumValue", "maximumValue"), strict=True):
            spin.setRange(self.minimum, self.maximum)
            spin.valueChanged.connect(lambda value, name=name: setattr(self, name, value))
        self._hSpins[1].setValue(self.maximumValue)
        _row(self, *self._hSpins)

    def _hMinimumValueChanged(self, value: float) -> None:
        self.minimumValue = min(max(value, self.minimum), self.maximum)
        self._hSpins[0].setValue(self.minimumValue)
        self.minimumValueChanged.emit(self.minimumValue)
        self.valuesChanged.emit(self.minimumValue, self.maximumValue)

    def _hMaximumValueChanged(self, value: float) -> None:
        self.maximumValue = min(max(value, self.minimum), self.maximum)
        self._hSpins[1].setValue(self.maximumValue)
        self.maximumValueChanged.emit(self.maximumValue)
        self.valuesChanged.emit(self.minimumValue, self.maximumValue)

    def _hMinimumChanged(self, _minimum: float) -> None:
        for spin in self._hSpins:
            spin.setRange(self.minimum, self.maximum)
        self.setValues(max(self.minimumValue, self.minimum), min(self.maximumValue, self.maximum))
        self.rangeChanged.emit(self.minimum, self.maximum)

    _hMaximumChanged = _hMinimumChanged

    def reset(self) -> None:
        self.setValues(0.0, 0.0)

    def setValues(self, low: float, high: float) -> None:
        self.minimumValue, self.maximumValue = low, high

    def setRange(self, minimum: float, maximum: float) -> None:
        self.maximum = maximum
        self.minimum = minimum
