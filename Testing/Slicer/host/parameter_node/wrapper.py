"""The class decorator, and the methods that it adds."""

from __future__ import annotations

import typing
import weakref

import qt
import slicer
import vtk

from host import failures
from host.parameter_node.connectors import GuiConnector, createGuiConnector
from host.parameter_node.serializers import serializerOf
from host.parameter_node.types import Default, Validator

SlicerParameterNamePropertyName = "SlicerParameterName"


class Parameter:
    """What is declared of one parameter."""

    def __init__(self, owner: type, name: str, datatype) -> None:
        notes = typing.get_args(datatype)[1:] if typing.get_origin(datatype) is typing.Annotated else ()
        self.basename, self.datatype, self.serializer = name, datatype, serializerOf(datatype)
        self.validators = [note for note in notes if isinstance(note, Validator)]
        defaults = [note.value for note in notes if isinstance(note, Default)]
        self.default = getattr(owner, name) if hasattr(owner, name) else (*defaults, self.serializer.default())[0]

    def validate(self, value) -> None:
        if not self.serializer.accepts(value):
            raise TypeError(f"Parameter '{self.basename}' takes {self.datatype}, not {value!r}")
        for validator in self.validators:
            validator.validate(value)

    def write(self, node, prefix: str, value) -> None:
        self.validate(value)
        self.serializer.write(node, prefix + self.basename, value)

    def read(self, node, prefix: str):
        if not self.serializer.isIn(node, prefix + self.basename):
            self.write(node, prefix, self.default)
        return self.serializer.read(node, prefix + self.basename)


def _property(name: str) -> property:
    return property(lambda self: self.getValue(name), lambda self, value: self.setValue(name, value))


def _letGo(nodeId: str, observer: int) -> None:
    """A connected wrapper was collected. Slicer never takes its observer off the node, and VTK crashes calling it."""
    node = slicer.mrmlScene.GetNodeByID(nodeId)
    if node is not None and node.HasObserver(vtk.vtkCommand.ModifiedEvent):
        node.RemoveObserver(observer)
        failures.recordMessage(
            f"A parameter node wrapper with a connected GUI was let go while its node {nodeId} lives on: "
            "Slicer crashes when that node is modified next. Keep the wrapper as long as the node."
        )


class Methods:
    """Mixed into every decorated class."""

    allParameters: typing.ClassVar[dict[str, Parameter]]
    _is_parameter_node_wrapper = True

    def __init__(self, parameterNode, prefix: str | None = None) -> None:
        self.parameterNode, self._prefix = parameterNode, prefix or ""
        self._guis: dict[int, dict[str, GuiConnector]] = {}
        self._nextTag, self._updating = 0, False
        for parameter in self.allParameters.values():
            parameter.read(parameterNode, self._prefix)

    def _parameter(self, name: str) -> Parameter:
        if name not in self.allParameters:
            raise ValueError(f"Cannot find a param with the given name: {name} among {list(self.allParameters)}")
        return self.allParameters[name]

    def getValue(self, name: str):
        return self._parameter(name).read(self.parameterNode, self._prefix)

    def setValue(self, name: str, value) -> None:
        with slicer.util.NodeModify(self.parameterNode):
            self._parameter(name).write(self.parameterNode, self._prefix, value)

    def default(self, name: str) -> Default:
        return Default(self._parameter(name).default)

    @classmethod
    def dataType(cls, name: str):
        return cls.allParameters[name].datatype

    def isCached(self, name: str) -> bool:
        self._parameter(name)
        return False

    def connectGui(self, gui) -> None:
        """Binds the widgets that have the dynamic property SlicerParameterName.

        Answers nothing, as in Slicer (issue 7547): only ``connectParametersToGui`` tells the tag for ``disconnectGui``.
        """
        isWidget = getattr(gui, "isWidgetType", lambda: False)()
        widgets = gui.findChildren(qt.QWidget) if isWidget else vars(gui).values()
        names = {widget.property(SlicerParameterNamePropertyName): widget for widget in widgets}
        self.connectParametersToGui({name: widget for name, widget in names.items() if name})

    def connectParametersToGui(self, mapping: dict) -> int:
        connectors = {
            name: value
            if isinstance(value, GuiConnector)
            else createGuiConnector(value, self._parameter(name).datatype)
            for name, value in mapping.items()
        }
        tag, self._nextTag = self._nextTag, self._nextTag + 1
        self._guis[tag] = connectors
        for name, connector in connectors.items():
            connector.write(self.getValue(name))
            connector.onChanged(self._fromGui(name, connector))
        observer = self.AddObserver(vtk.vtkCommand.ModifiedEvent, lambda _caller, _event: self._toGui())
        weakref.finalize(self, _letGo, self.parameterNode.GetID(), observer)
        return tag

    def disconnectGui(self, guiTag) -> None:
        for connector in self._guis.pop(guiTag, {}).values():
            connector.onChanged(None)

    def _fromGui(self, name: str, connector: GuiConnector):
        def changed() -> None:
            with slicer.util.NodeModify(self):
                if not self._updating:
                    self.setValue(name, connector.read())

        return changed

    def _toGui(self) -> None:
        if self._updating:
            return
        self._updating = True
        try:
            with slicer.util.NodeModify(self):
                for connectors in self._guis.values():
                    for name, connector in connectors.items():
                        connector.write(self.getValue(name))
        finally:
            self._updating = False

    def StartModify(self):
        return self.parameterNode.StartModify()

    def EndModify(self, wasModified) -> None:
        self.parameterNode.EndModify(wasModified)

    def AddObserver(self, event, callback, priority: float = 0.0) -> int:
        return self.parameterNode.AddObserver(event, callback, priority)

    def RemoveObserver(self, tag: int) -> None:
        self.parameterNode.RemoveObserver(tag)

    def Modified(self) -> None:
        self.parameterNode.Modified()


def parameterNodeWrapper(kind=None):
    def wrap(described: type) -> type:
        hints = typing.get_type_hints(described, include_extras=True)
        parameters = {name: Parameter(described, name, datatype) for name, datatype in hints.items()}
        for name, member in vars(Methods).items():
            if name in ("__module__", "__dict__", "__weakref__", "__doc__", "__annotations__"):
                continue
            if name in vars(described) or name in parameters:
                raise ValueError(f"Cannot use reserved name '{name}' in a parameterNodeWrapper")
            setattr(described, name, member)
        described.allParameters = parameters
        for name in parameters:
            setattr(described, name, _property(name))
        return described

    return wrap if kind is None else wrap(kind)


def isParameterNodeWrapper(classOrObject) -> bool:
    return getattr(classOrObject, "_is_parameter_node_wrapper", False)


def findChildWidgetForParameter(widget, parameter: str):
    children = widget.findChildren(qt.QWidget)
    return next((child for child in children if child.property(SlicerParameterNamePropertyName) == parameter), None)
