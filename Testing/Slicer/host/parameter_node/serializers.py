"""How values of each type lie in a vtkMRMLScriptedModuleNode: the same keys and texts as in Slicer."""

from __future__ import annotations

import collections.abc
import enum
import pathlib
import types
import typing

import slicer

from host.parameter_node.types import FloatRange


class Text:
    """str, int, float, bool, enums and paths: one parameter each."""

    def __init__(self, kind: type) -> None:
        self.kind = kind

    def default(self):
        if issubclass(self.kind, enum.Enum):
            return next(iter(self.kind))
        return self.kind()

    def accepts(self, value) -> bool:
        if self.kind is float:
            return isinstance(value, int | float)
        return isinstance(value, self.kind)

    def isIn(self, node, name: str) -> bool:
        return bool(node.HasParameter(name))

    def write(self, node, name: str, value) -> None:
        node.SetParameter(name, value.name if isinstance(value, enum.Enum) else str(value))

    def read(self, node, name: str):
        text = node.GetParameter(name)
        if self.kind is bool:
            return text == "True"
        return self.kind[text] if issubclass(self.kind, enum.Enum) else self.kind(text)

    def remove(self, node, name: str) -> None:
        node.UnsetParameter(name)


class Node:
    """A MRML node: a node reference, and an empty parameter that says it was set."""

    def __init__(self, kind: type) -> None:
        self.kind = kind

    def default(self):
        return None

    def accepts(self, value) -> bool:
        return value is None or isinstance(value, self.kind)

    def isIn(self, node, name: str) -> bool:
        return Text(str).isIn(node, name)

    def write(self, node, name: str, value) -> None:
        node.SetParameter(name, "")
        node.SetNodeReferenceID(name, value.GetID() if value is not None else None)

    def read(self, node, name: str):
        return node.GetNodeReference(name)

    def remove(self, node, name: str) -> None:
        node.UnsetParameter(name)
        node.RemoveNodeReferenceIDs(name)


class Sequence:
    """list[T]: ``<name>_len`` and ``<name>_0`` ...; tuple[A, B]: without the length."""

    def __init__(self, elements: list, fixed: bool) -> None:
        self._elements, self._fixed = elements, fixed

    def default(self):
        return tuple(element.default() for element in self._elements) if self._fixed else []

    def accepts(self, value) -> bool:
        if not isinstance(value, list | tuple | ObservedList) or (self._fixed and len(value) != len(self._elements)):
            return False
        return all(self._at(index).accepts(item) for index, item in enumerate(value))

    def _at(self, index: int):
        return self._elements[index if self._fixed else 0]

    def _length(self, node, name: str) -> int:
        if self._fixed:
            return len(self._elements)
        return int(node.GetParameter(f"{name}_len") or 0)

    def isIn(self, node, name: str) -> bool:
        return self._at(0).isIn(node, f"{name}_0") if self._fixed else Text(int).isIn(node, f"{name}_len")

    def write(self, node, name: str, value) -> None:
        with slicer.util.NodeModify(node):
            before = self._length(node, name)
            for index, item in enumerate(value):
                self._at(index).write(node, f"{name}_{index}", item)
            for index in range(len(value), before):
                self._at(index).remove(node, f"{name}_{index}")
            if not self._fixed:
                node.SetParameter(f"{name}_len", str(len(value)))

    def read(self, node, name: str):
        items = [self._at(index).read(node, f"{name}_{index}") for index in range(self._length(node, name))]
        return tuple(items) if self._fixed else ObservedList(items, lambda values: self.write(node, name, values))

    def remove(self, node, name: str) -> None:
        for index in range(self._length(node, name)):
            self._at(index).remove(node, f"{name}_{index}")
        if not self._fixed:
            node.UnsetParameter(f"{name}_len")


class ObservedList(collections.abc.MutableSequence):
    """A list that writes itself back when it is changed."""

    def __init__(self, items: list, write) -> None:
        self._items, self._write = items, write

    def __eq__(self, other) -> bool:
        return self._items == (other._items if isinstance(other, ObservedList) else other)

    __hash__ = None

    def __len__(self) -> int:
        return len(self._items)

    def __getitem__(self, index):
        return self._items[index]

    def __setitem__(self, index, item) -> None:
        self._items[index] = item
        self._write(self._items)

    def __delitem__(self, index) -> None:
        del self._items[index]
        self._write(self._items)

    def insert(self, index: int, item) -> None:
        self._items.insert(index, item)
        self._write(self._items)

    def __repr__(self) -> str:
        return f"ObservedList({self._items})"


class Mapping(Sequence):
    """dict[K, V]: a list of pairs."""

    def __init__(self, key, value) -> None:
        super().__init__([Sequence([key, value], fixed=True)], fixed=False)

    def default(self):
        return {}

    def accepts(self, value) -> bool:
        return isinstance(value, dict) and super().accepts(list(value.items()))

    def write(self, node, name: str, value) -> None:
        super().write(node, name, list(value.items()))

    def read(self, node, name: str):
        return dict(list(super().read(node, name)))


class Range:
    """FloatRange, as two numbers."""

    _ends = Sequence([Text(float), Text(float)], fixed=True)

    def default(self):
        return FloatRange(0.0, 1.0)

    def accepts(self, value) -> bool:
        return isinstance(value, FloatRange)

    def isIn(self, node, name: str) -> bool:
        return self._ends.isIn(node, name)

    def write(self, node, name: str, value) -> None:
        self._ends.write(node, name, (value.minimum, value.maximum))

    def read(self, node, name: str):
        return FloatRange(*self._ends.read(node, name))


class Optional:
    """T | None: the index of the type that is set is part of the name."""

    def __init__(self, element) -> None:
        self._element = element

    def default(self):
        return None

    def accepts(self, value) -> bool:
        return value is None or self._element.accepts(value)

    def isIn(self, node, name: str) -> bool:
        return self._element.isIn(node, f"{name}_0") or Text(str).isIn(node, f"{name}_1")

    def write(self, node, name: str, value) -> None:
        with slicer.util.NodeModify(node):
            self.remove(node, name)
            if value is None:
                node.SetParameter(f"{name}_1", "True")
            else:
                self._element.write(node, f"{name}_0", value)

    def read(self, node, name: str):
        return self._element.read(node, f"{name}_0") if self._element.isIn(node, f"{name}_0") else None

    def remove(self, node, name: str) -> None:
        node.UnsetParameter(f"{name}_1")
        if self._element.isIn(node, f"{name}_0"):
            self._element.remove(node, f"{name}_0")


def serializerOf(kind):
    """Raises TypeError for a type that the wrapper does not know."""
    kind = typing.get_args(kind)[0] if typing.get_origin(kind) is typing.Annotated else kind
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in (list, tuple):
        return Sequence([serializerOf(argument) for argument in arguments], fixed=origin is tuple)
    if origin is dict:
        return Mapping(*(serializerOf(argument) for argument in arguments))
    if origin in (typing.Union, types.UnionType) and len(arguments) == 2 and arguments[1] is type(None):
        return Optional(serializerOf(arguments[0]))
    if kind is FloatRange:
        return Range()
    if isinstance(kind, type) and issubclass(kind, slicer.vtkMRMLNode):
        return Node(kind)
    if isinstance(kind, type) and issubclass(kind, str | int | float | bool | enum.Enum | pathlib.PurePath):
        return Text(kind)
    raise TypeError(f"Unable to create serializer for type: {kind}")
