"""Which widget shows which type of parameter, and by which property and signal. One row a pairing."""

from __future__ import annotations

import enum
import pathlib
import typing
from dataclasses import dataclass

import ctk
import qt
import slicer

from host.parameter_node.types import Choice, FloatRange, Maximum, Minimum, RangeBounds, WithinRange


@dataclass
class Decimals:
    value: int


@dataclass
class SingleStep:
    value: float


class GuiConnector:
    """Between one widget and one parameter."""

    def __init__(self) -> None:
        self._callback = None

    def onChanged(self, callback) -> None:
        self._callback = callback
        if callback is None:
            self._disconnect()
        else:
            self._connect()

    def changed(self) -> None:
        if self._callback is not None:
            self._callback()


_registered: list[type[GuiConnector]] = []


def parameterNodeGuiConnector(kind=None):
    """Class decorator: a connector with ``canRepresent(widget, datatype)`` and ``create(widget, datatype)``."""

    def register(connector):
        _registered.append(connector)
        return connector

    return register if kind is None else register(kind)


def _plain(datatype):
    return typing.get_args(datatype)[0] if typing.get_origin(datatype) is typing.Annotated else datatype


def _annotation(datatype, kind):
    notes = typing.get_args(datatype)[1:] if typing.get_origin(datatype) is typing.Annotated else ()
    return next((note for note in notes if isinstance(note, kind)), None)


class PropertyConnector(GuiConnector):
    """The usual case: a property, and a signal that tells of its change."""

    def __init__(self, widget, signal: str, read, write) -> None:
        super().__init__()
        self._widget, self._signal, self.read, self.write = widget, signal, read, write

    def widget(self):
        return self._widget

    def _connect(self) -> None:
        getattr(self._widget, self._signal).connect(self.changed)

    def _disconnect(self) -> None:
        getattr(self._widget, self._signal).disconnect(self.changed)


def _byProperty(widget, signal: str, name: str, convert=lambda value: value, show=lambda value: value):
    return PropertyConnector(
        widget, signal, lambda: convert(getattr(widget, name)), lambda value: setattr(widget, name, show(value))
    )


def _check(widget, _datatype):
    if type(widget) is qt.QPushButton:
        widget.checkable = True
    return _byProperty(widget, "stateChanged" if type(widget) is qt.QCheckBox else "toggled", "checked")


def _number(widget, datatype):
    within = _annotation(datatype, WithinRange)
    low, high = _annotation(datatype, Minimum), _annotation(datatype, Maximum)
    if within is None and (low is None or high is None) and isinstance(widget, qt.QSlider | ctk.ctkSliderWidget):
        raise RuntimeError(f"Cannot have a connection to {type(widget).__name__} where the number is unbounded.")
    unbounded = 2**31 - 1 if _plain(datatype) is int else float("inf")
    for note, name in ((Decimals, "decimals"), (SingleStep, "singleStep")):
        found = _annotation(datatype, note)
        if found is not None:
            setattr(widget, name, found.value)
    widget.minimum = within.minimum if within else low.minimum if low else -unbounded
    widget.maximum = within.maximum if within else high.maximum if high else unbounded
    return _byProperty(widget, "valueChanged", "value", _plain(datatype))


def _combo(widget, datatype):
    kind = _plain(datatype)
    if issubclass(kind, enum.Enum):
        values = list(kind)
        labels = [value.label() if hasattr(kind, "label") else value.name for value in values]
    else:
        choice = _annotation(datatype, Choice)
        if choice is None:
            raise RuntimeError("ComboBoxToStringableConnector requires the Choice annotation to be used.")
        values = list(choice.choices)
        labels = [str(value) for value in values]
    widget.clear()
    for label in labels:
        widget.addItem(label)
    return _byProperty(widget, "currentIndexChanged", "currentIndex", values.__getitem__, values.index)


def _node(widget, datatype):
    kinds = typing.get_args(_plain(datatype)) or (_plain(datatype),)
    widget.nodeTypes = [kind.__name__ for kind in kinds if kind is not type(None)]
    return PropertyConnector(widget, "currentNodeChanged", widget.currentNode, widget.setCurrentNode)


def _range(widget, datatype):
    bounds = _annotation(datatype, RangeBounds)
    if bounds is None:
        raise RuntimeError("Cannot have a connection to ctkRangeWidget where the float is unbounded.")
    widget.setRange(bounds.minimum, bounds.maximum)
    return PropertyConnector(
        widget,
        "valuesChanged",
        lambda: FloatRange(widget.minimumValue, widget.maximumValue),
        lambda value: widget.setValues(value.minimum, value.maximum),
    )


def _path(widget, datatype):
    return _byProperty(widget, "currentPathChanged", "currentPath", _plain(datatype), str)


def _plainText(widget, _datatype):
    return PropertyConnector(widget, "textChanged", widget.toPlainText, widget.setPlainText)


def _isNode(kind) -> bool:
    kinds = typing.get_args(kind) or (kind,)
    return all(isinstance(one, type) and issubclass(one, slicer.vtkMRMLNode | type(None)) for one in kinds)


def _pairs():
    return (
        ((qt.QCheckBox, qt.QPushButton, ctk.ctkCheckablePushButton), lambda kind: kind is bool, _check),
        ((qt.QSlider, qt.QSpinBox), lambda kind: kind is int, _number),
        ((qt.QDoubleSpinBox, ctk.ctkSliderWidget), lambda kind: kind in (int, float), _number),
        ((slicer.qMRMLSliderWidget,), lambda kind: kind is float, _number),
        (
            (qt.QComboBox,),
            lambda kind: isinstance(kind, type) and issubclass(kind, int | float | str | bool | enum.Enum),
            _combo,
        ),
        ((qt.QLineEdit,), lambda kind: kind is str, lambda widget, _: _byProperty(widget, "textChanged", "text")),
        ((qt.QTextEdit,), lambda kind: kind is str, _plainText),
        ((ctk.ctkRangeWidget,), lambda kind: kind is FloatRange, _range),
        (
            (ctk.ctkPathLineEdit,),
            lambda kind: isinstance(kind, type) and issubclass(kind, pathlib.PurePath),
            _path,
        ),
        ((slicer.qMRMLNodeComboBox,), _isNode, _node),
    )


def createGuiConnector(widget, datatype) -> GuiConnector:
    """Raises RuntimeError where Slicer has no connector for this pair either."""
    for kind in _registered:
        if kind.canRepresent(widget, datatype):
            return kind.create(widget, datatype)
    for widgets, fits, create in _pairs():
        if type(widget) in widgets and fits(_plain(datatype)):
            return create(widget, datatype)
    raise RuntimeError(f"Unable to create GUI connector from datatype '{datatype}' to widget type '{type(widget)}'")
