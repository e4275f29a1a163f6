"""Connecting as in PythonQt: any callable, as many arguments as it takes, errors recorded, the answer is a bool."""

from __future__ import annotations

import inspect
from collections.abc import Callable

import shiboken6
from PySide6 import QtCore

from host import failures

_nativeConnect = QtCore.QObject.connect
_nativeDisconnect = QtCore.QObject.disconnect
# (address of the sender, normalized signature) -> [(slot, what Qt calls for it)]; a strong reference, as PythonQt has
_connected: dict[tuple[int, str], list[tuple[Callable, Callable]]] = {}


def arity(slot: Callable) -> int | None:
    """How many positional arguments a Python function takes; None: as many as there are."""
    function = inspect.unwrap(slot.__func__) if inspect.ismethod(slot) else slot
    if not inspect.isfunction(function):
        return None
    code = function.__code__
    if code.co_flags & inspect.CO_VARARGS:
        return None
    return code.co_argcount - (1 if inspect.ismethod(slot) else 0)


def guarded(slot: Callable) -> Callable:
    """The slot as Qt may call it: no surplus arguments, no exception that gets lost."""
    wanted = arity(slot)

    def call(*args) -> None:
        arguments = [tuple(value) if isinstance(value, list) else value for value in args]
        try:
            slot(*(arguments if wanted is None else arguments[:wanted]))
        except Exception as error:
            failures.record(error)

    return call


def normalized(signature: str) -> str:
    text = QtCore.QMetaObject.normalizedSignature(signature.lstrip("12"))
    return bytes(text).decode() if not isinstance(text, str) else text


def _nativeSignature(sender: QtCore.QObject, signature: str) -> str | None:
    return signature if sender.metaObject().indexOfSignal(signature) >= 0 else None


def _signaturesNamed(sender: QtCore.QObject, name: str) -> list[str]:
    """All overloads of a signal of Qt's own, the one with most arguments first."""
    meta = sender.metaObject()
    methods = (meta.method(index) for index in range(meta.methodCount()))
    found = [
        bytes(method.methodSignature()).decode()
        for method in methods
        if method.methodType() == QtCore.QMetaMethod.Signal and bytes(method.name()).decode() == name
    ]
    return sorted(found, key=lambda signature: -len(signature.split(",")) if "()" not in signature else 0)


def connectNative(sender: QtCore.QObject, signature: str, slot: Callable) -> bool:
    call = guarded(slot)
    if not _nativeConnect(sender, QtCore.SIGNAL(signature), call):
        return False
    _connected.setdefault((shiboken6.getCppPointer(sender)[0], signature), []).append((slot, call))
    return True


def disconnectNative(sender: QtCore.QObject, signature: str, slot: Callable | None) -> bool:
    entries = _connected.get((shiboken6.getCppPointer(sender)[0], signature), [])
    leaving = [entry for entry in entries if slot is None or entry[0] == slot]
    for entry in leaving:
        entries.remove(entry)
        _nativeDisconnect(sender, QtCore.SIGNAL(signature), entry[1])
    return bool(leaving)


class NativeSignal:
    """A signal of Qt, as attribute of an object."""

    def __init__(self, name: str, original: QtCore.Signal) -> None:
        self.name, self.original = name, original

    def __get__(self, instance, owner):
        return self.original if instance is None else BoundNativeSignal(instance, self.name, self.original)


class BoundNativeSignal:
    def __init__(self, sender: QtCore.QObject, name: str, original: QtCore.Signal) -> None:
        self._sender, self._name, self._original = sender, name, original

    def connect(self, slot: Callable) -> bool:
        signatures = _signaturesNamed(self._sender, self._name)
        return bool(signatures) and connectNative(self._sender, signatures[0], slot)

    def disconnect(self, slot: Callable | None = None) -> bool:
        signatures = _signaturesNamed(self._sender, self._name)
        return sum(disconnectNative(self._sender, signature, slot) for signature in signatures) > 0

    def emit(self, *args) -> None:
        self._original.__get__(self._sender, type(self._sender)).emit(*args)

    __call__ = emit


class HostSignal:
    """A signal of a widget that the host itself makes; ``signatures`` are the C++ ones."""

    def __init__(self, name: str, signatures: list[str]) -> None:
        self.name, self.signatures = name, signatures

    def __get__(self, instance, owner):
        return self if instance is None else BoundHostSignal(instance, self)


class BoundHostSignal:
    def __init__(self, sender: QtCore.QObject, signal: HostSignal) -> None:
        self._sender, self._signal = sender, signal

    def _slots(self, signature: str) -> list[tuple[Callable, Callable]]:
        if "_hSlots" not in self._sender.__dict__:
            self._sender._hSlots = {}
        return self._sender._hSlots.setdefault(signature, [])

    def connect(self, slot: Callable, signature: str | None = None) -> bool:
        self._slots(signature or self._signal.signatures[0]).append((slot, guarded(slot)))
        return True

    def disconnect(self, slot: Callable | None = None, signature: str | None = None) -> bool:
        found = False
        for text in [signature] if signature else self._signal.signatures:
            slots = self._slots(text)
            for entry in [entry for entry in slots if slot is None or entry[0] == slot]:
                slots.remove(entry)
                found = True
        return found

    def emit(self, *args, signature: str | None = None) -> None:
        if self._sender.signalsBlocked():
            return
        for _slot, call in list(self._slots(signature or self._signal.signatures[0])):
            call(*args)

    __call__ = emit


def _hostSignal(sender: QtCore.QObject, signature: str) -> BoundHostSignal | None:
    signal = getattr(type(sender), signature.partition("(")[0], None)
    if isinstance(signal, HostSignal) and signature in signal.signatures:
        return BoundHostSignal(sender, signal)
    return None


def _target(receiver, member: str | None) -> Callable:
    """A Python callable, or the slot of a QObject that is named like in C++."""
    return receiver if member is None else getattr(receiver, member.partition("(")[0].lstrip("12"))


def connectBySignature(sender: QtCore.QObject, signal: str, receiver, member: str | None = None) -> bool:
    """``sender.connect("clicked(bool)", slot)``; False where the sender has no such signal."""
    signature, slot = normalized(signal), _target(receiver, member)
    own = _hostSignal(sender, signature)
    if own is not None:
        return own.connect(slot, signature)
    native = _nativeSignature(sender, signature)
    return native is not None and connectNative(sender, native, slot)


def disconnectBySignature(sender: QtCore.QObject, signal: str, receiver=None, member: str | None = None) -> bool:
    signature = normalized(signal)
    slot = None if receiver is None else _target(receiver, member)
    own = _hostSignal(sender, signature)
    if own is not None:
        return own.disconnect(slot, signature)
    native = _nativeSignature(sender, signature)
    return native is not None and disconnectNative(sender, native, slot)


class SingleShot:
    """``qt.QTimer.singleShot(ms, f)`` on the class; the property of that name on a timer."""

    def __init__(self) -> None:
        self._running: set[QtCore.QTimer] = set()
        self._property = next(
            QtCore.QTimer.staticMetaObject.property(index)
            for index in range(QtCore.QTimer.staticMetaObject.propertyCount())
            if QtCore.QTimer.staticMetaObject.property(index).name() == "singleShot"
        )

    def __get__(self, instance, owner):
        return self._call if instance is None else self._property.read(instance)

    def __set__(self, instance, value) -> None:
        self._property.write(instance, value)

    def _call(self, milliseconds: int, receiver, member: str | None = None) -> None:
        timer, slot = QtCore.QTimer(), _target(receiver, member)
        self._property.write(timer, True)

        def fire() -> None:
            self._running.discard(timer)
            slot()

        connectNative(timer, "timeout()", fire)
        self._running.add(timer)
        timer.start(int(milliseconds))
