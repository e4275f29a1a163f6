"""What would leave the program or wait for a person: recorded, answered or ended, so that no test hangs."""

from __future__ import annotations

import sys

from PySide6 import QtCore, QtGui, QtWidgets

from host import failures

PATIENCE_S = 20
openedUrls: list[str] = []


def _openUrl(url: QtCore.QUrl) -> bool:
    """Slicer would start a viewer or a browser."""
    openedUrls.append(url.toString())
    return True


def _firstOnly(function):
    """PySide answers (name, filter) where PythonQt answers the name."""

    def call(*args, **kwargs):
        name = function(*args, **kwargs)[0]
        return tuple(name) if isinstance(name, list) else name

    return staticmethod(call)


class ModalWatch(QtCore.QObject):
    """Closes a modal dialog that nobody answers, and says so."""

    def __init__(self) -> None:
        super().__init__()
        self._hWidget = None
        self._hSeconds = 0
        self.startTimer(1000)

    def timerEvent(self, event) -> None:
        widget = QtWidgets.QApplication.activeModalWidget()
        self._hSeconds = self._hSeconds + 1 if widget is not None and widget is self._hWidget else 0
        self._hWidget = widget
        if widget is not None and self._hSeconds >= PATIENCE_S:
            text = getattr(widget, "text", "") or widget.windowTitle
            failures.recordMessage(f"A modal {widget.className()} waited for a person: {text}")
            widget.close()


def _qtMessage(_kind, _context, text: str) -> None:
    """Qt's own messages to the console, but for what the platform without a screen lacks."""
    if not text.startswith("This plugin does not support"):
        print(text, file=sys.stderr)


def install() -> None:
    QtCore.qInstallMessageHandler(_qtMessage)
    QtGui.QDesktopServices.openUrl = staticmethod(_openUrl)
    for name in ("getOpenFileName", "getSaveFileName", "getOpenFileNames"):
        setattr(QtWidgets.QFileDialog, name, _firstOnly(getattr(QtWidgets.QFileDialog, name)))
