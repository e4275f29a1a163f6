"""``qt.QUiLoader`` that knows CTK's and Slicer's widgets, and sets their properties and connections itself."""

from __future__ import annotations

import functools
import operator
import xml.etree.ElementTree as ElementTree
from typing import ClassVar

from PySide6 import QtCore, QtUiTools, QtWidgets

from host import pythonqt
from host.offering import ValueProperty

_SIMPLE = {"string": str, "number": int, "double": float, "cstring": str}


class QUiLoader(QtUiTools.QUiLoader):
    """Widget classes by name; everything else is Qt's own loader."""

    classes: ClassVar[dict[str, type]] = {}

    def __init__(self, parent=None) -> None:
        super().__init__(parent)
        self._hKept: list = []

    def createWidget(self, className: str, parent=None, name: str = ""):
        if className not in self.classes:
            return super().createWidget(className, parent, name)
        widget = self.classes[className](parent)
        widget.setObjectName(name)
        self._hKept.append(widget)
        return widget

    def load(self, device, parent=None):
        tree = ElementTree.fromstring(bytes(device.readAll()))
        unknown = {
            element.get("class")
            for element in tree.iter("widget")
            if element.get("class").startswith(("ctk", "qMRML", "qSlicer")) and element.get("class") not in self.classes
        }
        if unknown:
            raise RuntimeError(f"The host has no {', '.join(sorted(unknown))}: add it to members.py and write it")
        ours = [self._hTake(element) for element in tree.iter("widget") if element.get("class") in self.classes]
        connections = tree.find("connections")
        if connections is not None:
            tree.remove(connections)
        buffer = QtCore.QBuffer()
        buffer.setData(ElementTree.tostring(tree))
        buffer.open(QtCore.QIODevice.ReadOnly)
        pythonqt.loadingUi.append("")
        try:
            root = super().load(buffer, parent)
        finally:
            pythonqt.loadingUi.pop()
        named = {child.objectName: child for child in (root, *root.findChildren(QtCore.QObject))}
        for name, properties in ours:
            for key, value in properties.items():
                setattr(named[name], key, value)
        for entry in connections if connections is not None else ():
            self._hConnect(named, entry)
        return root

    def _hTake(self, element) -> tuple[str, dict[str, object]]:
        """Take the properties that the host's class has out of the XML, which Qt would not know."""
        kind, taken = self.classes[element.get("class")], {}
        for entry in element.findall("property"):
            declared = vars_of(kind).get(entry.get("name"))
            if isinstance(declared, ValueProperty | property) and entry.get("stdset") != "0":
                taken[entry.get("name")] = self._hValue(kind, entry[0])
                element.remove(entry)
            elif entry.get("stdset") != "0" and kind.staticMetaObject.indexOfProperty(entry.get("name")) < 0:
                raise RuntimeError(
                    f"{element.get('class')} has no property {entry.get('name')} ({element.get('name')})"
                )
        return element.get("name"), taken

    def _hValue(self, kind: type, value):
        if value.tag in _SIMPLE:
            return _SIMPLE[value.tag](value.text or "")
        if value.tag == "bool":
            return value.text == "true"
        if value.tag == "stringlist":
            return tuple(item.text or "" for item in value)
        if value.tag in ("set", "enum"):
            flags = [self._hFlag(kind, text) for text in (value.text or "").split("|") if text]
            return functools.reduce(operator.or_, flags, 0)
        raise RuntimeError(f"The host reads no <{value.tag}> for {kind.__name__}")

    def _hFlag(self, kind: type, text: str) -> int:
        owner, _, flag = text.rpartition("::")
        holder = self.classes.get(owner.partition("::")[0]) or getattr(QtWidgets, owner.partition("::")[0], None)
        holder = holder or getattr(QtCore, owner.partition("::")[0], kind)
        return int(getattr(holder, flag))

    def _hConnect(self, named: dict, entry) -> None:
        sender, signal, receiver, slot = (entry.findtext(key) for key in ("sender", "signal", "receiver", "slot"))
        if not named[sender].connect(signal, named[receiver], slot):
            raise RuntimeError(f"The .ui file connects {sender}.{signal}, a signal that does not exist")


def vars_of(kind: type) -> dict:
    return {name: member for base in reversed(kind.__mro__) for name, member in vars(base).items()}
