"""Exceptions that Qt or VTK swallow: printed as Slicer prints them, and kept, because each of them fails the run."""

from __future__ import annotations

import sys
import traceback
from types import TracebackType

recorded: list[tuple[type[BaseException], BaseException, TracebackType | None]] = []


def record(error: BaseException) -> None:
    """Print an exception that nobody above would see, and remember it."""
    recorded.append((type(error), error, error.__traceback__))
    traceback.print_exception(error, file=sys.stderr)


def recordMessage(text: str) -> None:
    """Something that went wrong without an exception, such as a modal dialog that nobody closed."""
    record(RuntimeError(text))


def install() -> None:
    """VTK hands exceptions of observers to ``sys.excepthook``; so do threads to theirs."""
    sys.excepthook = lambda _kind, error, _where: record(error)
