"""The module ``qt``: PySide6 with the manners of PythonQt. No per-widget code: the meta objects say what is a property.

* A Qt property is an attribute and hides the method of its name: ``button.text``, ``table.rowCount``.
* ``name`` is ``objectName``. Setting an attribute that does not exist raises AttributeError.
* ``x.connect("sig(args)", f)`` and ``x.sig.connect(f)`` answer True, or False where there is no such signal.
* Lists come back as tuples; an int is taken for an enum property.
"""

from __future__ import annotations

import ctypes
import functools
import importlib
import importlib.util
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import shiboken6
from PySide6 import QtCore, QtGui, QtUiTools, QtWidgets

from host import dialogs, signals
from host.qt_versions import SINCE_QT_6

KITS = (QtCore, QtGui, QtWidgets, QtUiTools)
LAZY_KITS = ("QtNetwork", "QtPrintSupport", "QtSvg", "QtXml", "QtTest")
PRIVATE = "_h"  # prefix of what the host itself keeps on a Qt object
loadingUi: list[str] = []  # not empty while a QUiLoader is at work


class QtProperty:
    """A Qt property as attribute. On the class it is the method it hides, for static calls."""

    def __init__(self, name: str, meta: QtCore.QMetaProperty, getter: Callable | None, setter: Callable | None) -> None:
        self.name, self._getter, self._setter = name, getter, setter
        self._writable, self._isEnum = meta.isWritable(), meta.isEnumType()
        self.qtName = meta.name()

    def __get__(self, instance, owner):
        if instance is None:
            return self._getter if self._getter is not None else self
        ask = self._getter.__get__(instance, owner) if self._getter is not None else None
        value = ask() if ask is not None else instance.property(self.qtName)
        return tuple(value) if isinstance(value, list) else value

    def __set__(self, instance, value) -> None:
        if not self._writable:
            raise AttributeError(f"Property '{self.name}' of {type(instance).__name__} is not writable")
        if isinstance(value, tuple):
            value = list(value)
        if self._setter is None or (self._isEnum and type(value) is int):
            instance.setProperty(self.qtName, value)
        else:
            self._setter.__get__(instance, type(instance))(value)

    def over(self, getter: Callable) -> QtProperty:
        """The same property in a class that has its own getter (a virtual one)."""
        copy = object.__new__(QtProperty)
        copy.__dict__.update(self.__dict__, _getter=getter)
        return copy


class TupleMethod:
    """A method of Qt that answers with a list, which PythonQt hands over as a tuple."""

    def __init__(self, method) -> None:
        self._method = method

    def __get__(self, instance, owner):
        bound = self._method.__get__(instance, owner)

        @functools.wraps(bound, assigned=("__name__", "__doc__"), updated=())
        def call(*args, **kwargs):
            value = bound(*args, **kwargs)
            return tuple(value) if isinstance(value, list) else value

        return call


def classesOf(kits) -> list[type]:
    """Every wrapped class of the kits, base classes first."""
    found = {
        member
        for kit in kits
        for member in (getattr(kit, name) for name in dir(kit))
        if isinstance(member, type) and issubclass(member, shiboken6.Object)
    }
    return sorted(found, key=lambda kind: len(kind.__mro__))


def listMethods(kit: ModuleType) -> Iterator[tuple[str, str]]:
    """(class, method) pairs that answer with a list, from the stub file beside the kit."""
    stub = Path(importlib.util.find_spec(kit.__name__).origin).parent / f"{kit.__name__.rpartition('.')[2]}.pyi"
    owner = ""
    pattern = re.compile(r"^class (\w+)|^    def (\w+)\(.*\) -> (?:typing\.)?[Ll]ist\[", re.MULTILINE)
    for match in pattern.finditer(stub.read_text(encoding="utf-8")):
        if match.group(1):
            owner = match.group(1)
        else:
            yield owner, match.group(2)


def _isNative(member) -> bool:
    return type(member).__name__ in ("method_descriptor", "builtin_function_or_method", "staticmethod")


def _setter(kind: type, name: str) -> Callable | None:
    return getattr(kind, f"set{name[0].upper()}{name[1:]}", None)


def _ownProperties(kind: type) -> Iterator[tuple[str, QtProperty]]:
    meta = kind.staticMetaObject
    for index in range(meta.propertyOffset(), meta.propertyCount()):
        found = meta.property(index)
        name = found.name()
        if (kind.__name__, name) in SINCE_QT_6:
            continue
        capital = f"{name[0].upper()}{name[1:]}"
        getter = next(
            (
                vars(kind)[reader]
                for reader in (name, f"is{capital}", f"has{capital}")
                if _isNative(vars(kind).get(reader))
            ),
            None,
        )
        if isinstance(getter, staticmethod):
            getter = None
        yield name, QtProperty(name, found, getter, _setter(kind, name))


def _setAttribute(instance, name: str, value) -> None:
    kind = type(instance)
    ours = kind.__module__.partition(".")[0] in ("PySide6", "host")
    if ours and not name.startswith(PRIVATE) and not hasattr(kind, name):
        if loadingUi:
            return  # PySide puts the children of a loaded .ui on its root
        raise AttributeError(f"{kind.__name__} has no attribute {name}: none can be created on a C++ object")
    member = next((vars(base)[name] for base in kind.__mro__ if name in vars(base)), None)
    if hasattr(member, "__set__"):
        member.__set__(instance, value)
    else:
        instance.__dict__[name] = value


def _attributeGetter(native: Callable) -> Callable:
    """PySide answers ``connect`` of an object before it looks into the class."""

    def get(instance, name: str):
        if name == "connect":
            return functools.partial(signals.connectBySignature, instance)
        if name == "disconnect":
            return functools.partial(signals.disconnectBySignature, instance)
        return native(instance, name)

    return get


def _makeAttributes(classes: list[type]) -> None:
    known: dict[type, dict[str, QtProperty]] = {}
    getters = {kind: kind.__getattribute__ for kind in classes}
    for kind in classes:
        kind.__setattr__ = _setAttribute
        if not issubclass(kind, QtCore.QObject):
            continue
        kind.__getattribute__ = _attributeGetter(getters[kind])
        inherited: dict[str, QtProperty] = {}
        for base in reversed(kind.__mro__[1:]):
            inherited.update(known.get(base, {}))
        own = dict(_ownProperties(kind))
        for name, prop in inherited.items():
            if name not in own and _isNative(vars(kind).get(name)):
                own[name] = prop.over(vars(kind)[name])
        known[kind] = own
        for name, prop in own.items():
            setattr(kind, name, prop)
        for name, member in list(vars(kind).items()):
            if type(member) is QtCore.Signal:
                setattr(kind, name, signals.NativeSignal(name, member))
    QtCore.QObject.name = vars(QtCore.QObject)["objectName"]


def _makeTuples() -> None:
    for kit in KITS:
        for owner, name in listMethods(kit):
            kind = getattr(kit, owner, None)
            if kind is not None and _isNative(vars(kind).get(name)):
                setattr(kind, name, TupleMethod(vars(kind)[name]))


def _findChildren(self, kind=QtCore.QObject, name=""):
    if isinstance(kind, str):
        return tuple(
            child
            for child in _nativeFindChildren(self, QtCore.QObject)
            if child.inherits(kind) and name in ("", child.objectName)
        )
    return tuple(_nativeFindChildren(self, kind, name) if name else _nativeFindChildren(self, kind))


def _findChild(self, kind=QtCore.QObject, name=""):
    return next(iter(_findChildren(self, kind, name)), None)


def _className(self) -> str:
    return self.metaObject().className()


_nativeFindChildren = QtCore.QObject.findChildren


def _addMethods() -> None:
    QtCore.QObject.findChildren = _findChildren
    QtCore.QObject.findChild = _findChild
    QtCore.QObject.className = _className
    for kind in (QtWidgets.QDialog, QtWidgets.QMenu, QtCore.QEventLoop, QtCore.QCoreApplication, QtCore.QThread):
        if not hasattr(kind, "exec_"):
            kind.exec_ = kind.exec
    QtCore.QTimer.singleShot = signals.SingleShot()


class QtModule(ModuleType):
    """``qt``: everything of the common kits at once, the rare ones when asked for."""

    def __getattr__(self, name: str):
        for kit in LAZY_KITS:
            module = importlib.import_module(f"PySide6.{kit}")
            if hasattr(module, name):
                self._take(module)
                return getattr(module, name)
        raise AttributeError(f"module 'qt' has no attribute {name!r}")

    def _take(self, kit: ModuleType) -> None:
        fresh = [kind for kind in classesOf((kit,)) if kind.__module__ == kit.__name__]
        _makeAttributes(fresh)
        for member in dir(kit):
            if not member.startswith("_"):
                self.__dict__.setdefault(member, getattr(kit, member))


def _keepNone() -> None:
    """PySide6 6.12 gives one reference too many away with each empty QVariant; before Python 3.12 that ends None."""
    if sys.version_info < (3, 12):
        ctypes.c_ssize_t.from_address(id(None)).value += 1 << 40


def install() -> ModuleType:
    """Change PySide6's classes in place and put ``qt`` into ``sys.modules``."""
    _keepNone()
    _makeTuples()
    _makeAttributes(classesOf(KITS))
    _addMethods()
    module = QtModule("qt", __doc__)
    for kit in KITS:
        for name in dir(kit):
            if not name.startswith("_"):
                setattr(module, name, getattr(kit, name))
    dialogs.install()
    sys.modules["qt"] = module
    return module
