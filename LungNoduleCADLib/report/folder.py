"""The results folder: all of it or nothing. Results are written beside their place and moved there at the end."""

from __future__ import annotations

import errno
import os
import secrets
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from LungNoduleCADLib.errors import OutputError

RESULT_FILES = ("findings.json", "run.json")
_WRITE_BITS = 0o222


def is_result(folder: Path) -> bool:
    """Whether a folder holds earlier results of this software."""
    return all((folder / name).is_file() for name in RESULT_FILES)


def check_writable(out: Path, replaceable: Callable[[Path], bool] = is_result) -> None:
    """Refuse, before any work is done, a place where results cannot be put.

    Parameters
    ----------
    replaceable : whether what a folder holds is an earlier result, which a new one may take the place of.

    Raises
    ------
    OutputError : a file, a read-only folder, or a folder that holds something other than an earlier result.
    """
    out = out.resolve()
    try:
        parent = next(folder for folder in (out, *out.parents) if folder.exists())
    except PermissionError as error:
        raise OutputError(
            f"Results cannot be written to {out}", got=f"no access to {error.filename}", todo="choose another folder"
        ) from error
    if not parent.is_dir():
        raise OutputError(
            f"Results cannot be written to {out}",
            expected="a folder",
            got=f"the file {parent}",
            todo="choose another folder",
        )
    places = (out, out.parent) if parent == out else (parent,)
    for place in places:
        # Root may write anywhere, so the mode is asked too: a folder set read-only was meant to stay as it is.
        if not place.stat().st_mode & _WRITE_BITS or not os.access(place, os.W_OK | os.X_OK):
            raise OutputError(
                f"Results cannot be written to {out}", got=f"{place} is read-only", todo="choose another folder"
            )
    if parent == out and any(out.iterdir()) and not replaceable(out):
        raise OutputError(
            f"{out} holds other files, which would be lost",
            expected="a new or empty folder, or earlier results",
            todo="choose another folder",
        )


@contextmanager
def new_results(out: Path, replaceable: Callable[[Path], bool] = is_result) -> Iterator[Path]:
    """A temporary folder beside ``out`` that becomes ``out`` on success.

    On failure it is removed, with the parents made for it, and an earlier ``out`` stays as it was.

    Raises
    ------
    OutputError : as ``check_writable``, or when the folder cannot be made, filled or moved.
    """
    out = out.resolve()
    check_writable(out, replaceable)
    made = [folder for folder in out.parents if not folder.exists()]
    partial = out.with_name(f".{out.name}.{secrets.token_hex(4)}.partial")
    try:
        partial.mkdir(parents=True)
        yield partial
        _put_in_place(partial, out)
    except BaseException as error:
        shutil.rmtree(partial, ignore_errors=True)
        for folder in made:
            if folder.is_dir() and not any(folder.iterdir()):
                folder.rmdir()
        if isinstance(error, OSError) and _concerns(error, partial, out, *made):
            raise OutputError(
                f"Results could not be written to {out}",
                got=error.strerror or str(error),
                todo="check its disk and rights, or choose another folder",
            ) from error
        raise


def _concerns(error: OSError, *folders: Path) -> bool:
    """Whether an error is about the results: a full or read-only disk, or a path in one of the folders."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EROFS):
        return True
    named = [Path(os.fsdecode(name)) for name in (error.filename, error.filename2) if isinstance(name, (str, bytes))]
    return any(path.is_relative_to(folder) for path in named for folder in folders)


def _put_in_place(partial: Path, out: Path) -> None:
    if not out.exists():
        partial.rename(out)
        return
    replaced = out.with_name(f".{out.name}.{secrets.token_hex(4)}.replaced")
    out.rename(replaced)
    try:
        partial.rename(out)
    except BaseException:
        replaced.rename(out)
        raise
    shutil.rmtree(replaced, ignore_errors=True)
