"""The results folder: all of it or nothing. Results are written beside their place and moved there at the end.

What a run that was killed left beside a folder, the next one that looks at it puts right.
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from LungNoduleCADLib.errors import OutputError, is_lack_of_room
from LungNoduleCADLib.report.claim import claimed

RESULT_FILES = ("findings.json", "run.json")
UNFINISHED = ".partial-"  # before a file's name, which keeps its ending: writers go by it
_WRITE_BITS = 0o222
_TICK_NS = 1_000_000
_UNFINISHED: list[tuple[Path, ...]] = []
"""Of each run of this process: its unfinished results, its claim, and the folders made for them."""


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


def exchange(path: Path, write: Callable[[Path], None]) -> None:
    """Write beside a file's place, then put it there in one step; ``write`` gets the path to write to."""
    beside = path.with_name(f"{UNFINISHED}{path.name}")
    try:
        write(beside)
        beside.replace(path)
    except BaseException:
        with suppress(OSError):
            beside.unlink()
        raise


def stamp_after(path: Path, earlier: Path) -> None:
    """See to it that ``path`` is the newer file of the two, whatever was done to the clock meanwhile."""
    with suppress(OSError):
        least_ns = earlier.stat().st_mtime_ns + _TICK_NS
        if path.stat().st_mtime_ns < least_ns:
            os.utime(path, ns=(least_ns, least_ns))


@contextmanager
def new_results(out: Path, replaceable: Callable[[Path], bool] = is_result) -> Iterator[Path]:
    """A temporary folder beside ``out`` that becomes ``out`` on success.

    On failure it is removed, with the parents made for it, and an earlier ``out`` stays as it was.

    Raises
    ------
    OutputError : as ``check_writable``, another run writes there, or the folder cannot be made, filled or moved.
    """
    out = out.resolve()
    check_writable(out, replaceable)
    made = [folder for folder in out.parents if not folder.exists()]
    partial = _beside(out, "partial")
    unfinished = (partial, _claim_on(out), *made)
    _UNFINISHED.append(unfinished)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with claimed(_claim_on(out), out):
            _put_right(out)
            try:
                partial.mkdir()
                yield partial
                _put_in_place(partial, out)
            finally:
                shutil.rmtree(partial, ignore_errors=True)
    except BaseException as error:
        _without_empty(made)
        if (said := _not_written(error, partial, out, *made)) is not None:
            raise OutputError(
                f"Results could not be written to {out}",
                got=said,
                todo="check its disk and rights, or choose another folder",
            ) from error
        raise
    finally:
        _UNFINISHED.remove(unfinished)


def _without_empty(folders: Iterable[Path]) -> None:
    for folder in folders:
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()


def drop_unfinished() -> None:
    """What ``new_results`` of this process has not finished goes, as if it had failed: for a process that ends at once.

    The thread that makes them may be at work meanwhile.
    """
    for partial, claim, *made in list(_UNFINISHED):
        shutil.rmtree(partial, ignore_errors=True)
        with suppress(OSError):
            claim.unlink(missing_ok=True)
            _without_empty(made)


@contextmanager
def kept_from_others(out: Path) -> Iterator[None]:
    """Nobody else writes to the results in ``out`` while the block runs.

    An earlier block of another process gets 10 s to end. Where nothing may be written beside ``out``, nobody can put
    other results in its place either.

    Raises
    ------
    OutputError : another run writes there.
    """
    out = out.resolve()
    claims = ExitStack()
    with suppress(PermissionError, FileNotFoundError):
        claims.enter_context(claimed(_claim_on(out), out, patience_s=10.0))
        _put_right(out)
    with claims:
        yield


def put_right(out: Path) -> None:
    """What a killed run left beside ``out``: its unfinished results go, and the earlier ones come back.

    Nothing is done where another run is at work, or where nothing may be written.
    """
    out = out.resolve()
    if not _left_over(out):
        return
    with suppress(OSError, OutputError), claimed(_claim_on(out), out):
        _put_right(out)


def _put_right(out: Path) -> None:
    for path, kind in _left_over(out):
        if kind == "replaced" and not out.exists():
            path.rename(out)
        else:
            shutil.rmtree(path, ignore_errors=True)


def _left_over(out: Path) -> list[tuple[Path, str]]:
    """(folder, ``partial`` or ``replaced``) of each run that was killed, the newest first."""
    named = re.compile(rf"\.{re.escape(out.name)}\.[0-9a-f]{{8}}\.(partial|replaced)")
    try:
        found = [(path, match[1]) for path in out.parent.iterdir() if (match := named.fullmatch(path.name))]
    except OSError:
        return []
    return sorted(found, key=lambda one: -one[0].stat().st_mtime_ns)


def _beside(out: Path, kind: str) -> Path:
    return out.with_name(f".{out.name}.{secrets.token_hex(4)}.{kind}")


def _claim_on(out: Path) -> Path:
    return out.with_name(f".{out.name}.lock")


def _not_written(error: BaseException, *folders: Path) -> str | None:
    """What a full or read-only disk, or a path in one of the folders, has to do with an error; ``None``: nothing."""
    if not isinstance(error, OSError):
        return None
    names = (
        [copied[1] for copied in error.args[0]]
        if isinstance(error, shutil.Error)
        else [error.filename, error.filename2]
    )
    named = [Path(os.fsdecode(name)) for name in names if isinstance(name, (str, bytes))]
    concerned = is_lack_of_room(error) or any(path.is_relative_to(folder) for path in named for folder in folders)
    return reason(error) if concerned else None


def reason(error: OSError) -> str:
    """What the operating system says of it; of files copied together, what it says of the first."""
    if isinstance(error, shutil.Error):
        return str(error.args[0][0][2]).rpartition("] ")[2].partition(": ")[0]
    return error.strerror or str(error)


def _put_in_place(partial: Path, out: Path) -> None:
    if not out.exists():
        partial.rename(out)
        return
    replaced = _beside(out, "replaced")
    out.rename(replaced)
    try:
        partial.rename(out)
    except BaseException:
        replaced.rename(out)
        raise
    shutil.rmtree(replaced, ignore_errors=True)
