"""One writer to a place at a time. The operating system forgets the claim of a process that dies, however it dies."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from LungNoduleCADLib.errors import OutputError

_HELD = (errno.EACCES, errno.EAGAIN, errno.EWOULDBLOCK, errno.EDEADLK)


@contextmanager
def claimed(file: Path, place: Path, patience_s: float = 0.0) -> Iterator[None]:
    """Hold ``file`` locked while the block runs; it is gone afterwards.

    A file system that knows no locks is written to without one.

    Parameters
    ----------
    place : what the claim is on, for the message.
    patience_s : how long to wait for another run to end.

    Raises
    ------
    OutputError : another run has the place. OSError : the file cannot be made.
    """
    until = time.monotonic() + patience_s
    while (descriptor := _locked(file)) is None and time.monotonic() < until:
        time.sleep(0.1)
    if descriptor is None:
        raise OutputError(f"Another run is writing to {place}", todo="wait until it is done, or choose another folder")
    try:
        yield
    finally:
        _release(descriptor, file)


def _locked(file: Path) -> int | None:
    """A descriptor that holds the lock, or ``None`` where another one does."""
    while True:
        descriptor = os.open(file, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            _lock(descriptor)
        except OSError as error:
            if error.errno in _HELD:
                os.close(descriptor)
                return None
        with suppress(FileNotFoundError):
            if os.name == "nt" or os.path.samestat(file.stat(), os.fstat(descriptor)):
                return descriptor
        os.close(descriptor)  # whoever had it took the file away meanwhile


if os.name == "nt":
    import msvcrt

    def _lock(descriptor: int) -> None:
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)

    def _release(descriptor: int, file: Path) -> None:
        os.close(descriptor)
        with suppress(OSError):  # another run may have opened it
            file.unlink()

else:
    import fcntl

    def _lock(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def _release(descriptor: int, file: Path) -> None:
        with suppress(OSError):
            file.unlink()
        os.close(descriptor)
