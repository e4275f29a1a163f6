"""The one exception tree. Every message says what is wrong, what was expected, what was found and what to do."""

from __future__ import annotations

import errno

LONGEST_PART = 240  # characters of what was expected or found; the rest is cut


class LungNoduleCADError(Exception):
    """Base of every error that a user can act on; ``exit_code`` is what the command line ends with.

    As text it is one line, however long or broken what was found is.
    """

    exit_code = 1

    def __init__(self, what: str, *, expected: str = "", got: str = "", todo: str = "") -> None:
        self.what, self.expected, self.got, self.todo = what, expected, got, todo
        super().__init__(what, expected, got, todo)

    def __str__(self) -> str:
        parts = (("expected", _cut(self.expected)), ("got", _cut(self.got)))
        found = ", ".join(f"{name} {part}" for name, part in parts if part)
        sentence = self.what.rstrip(".") + (f": {found}" if found else "")
        return " ".join((sentence + (f"; {self.todo.rstrip('.')}." if self.todo else ".")).splitlines())


def _cut(part: object) -> str:
    text = str(part)
    return text if len(text) <= LONGEST_PART else text[:LONGEST_PART].rstrip() + "…"


class UsageError(LungNoduleCADError):
    """The command or a parameter makes no sense."""

    exit_code = 2


class InputError(LungNoduleCADError):
    """The data given cannot be analysed: no CT, a corrupt file, a missing slice, another patient."""

    exit_code = 3


class OutputError(LungNoduleCADError):
    """Results cannot be written where they were asked for."""

    exit_code = 3


class ModelError(LungNoduleCADError):
    """A model bundle is missing, damaged or not what it says it is."""

    exit_code = 4


class PacsError(LungNoduleCADError):
    """A PACS cannot be reached, or refuses."""

    exit_code = 5


class MemoryShortage(LungNoduleCADError):
    """The computer's or the graphics card's memory does not suffice."""


_LACK_OF_MEMORY = (
    *("out of memory", "allocate memory", "not enough memory", "bad_alloc", "failed to allocate", "alloc_failed"),
    *("failed to map segment", "can't start new thread"),
)

# All that oneDNN says; of what it has no code for it speaks of a descriptor.
_ONEDNN_FAILED = ("could not create a primitive", "could not execute a primitive", "could not create a memory object")


def is_lack_of_memory(error: BaseException) -> bool:
    """Whether memory ran out, by the type or by the words of whichever library noticed."""
    if isinstance(error, MemoryError) or getattr(error, "errno", None) == errno.ENOMEM:
        return True
    said = str(error).lower().rstrip()
    named = any(words in said for words in _LACK_OF_MEMORY) or said.endswith(_ONEDNN_FAILED)
    return isinstance(error, (RuntimeError, ImportError)) and named


_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG)


def is_lack_of_room(error: BaseException) -> bool:
    """Whether a disk is full, or takes nothing."""
    return isinstance(error, OSError) and error.errno in _NO_ROOM


class Cancelled(LungNoduleCADError):
    """The user stopped the run; nothing was written."""

    exit_code = 130

    def __init__(self, what: str = "Cancelled; nothing was written") -> None:
        super().__init__(what)
