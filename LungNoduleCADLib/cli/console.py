"""How verbs talk: a progress bar for people, JSON lines for the panel, one clear sentence for an error."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import stat
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from LungNoduleCADLib.errors import Cancelled, LungNoduleCADError
from LungNoduleCADLib.progress import Listener

if TYPE_CHECKING:
    from rich.console import Console

PATIENCE_S = 0.3  # with a library that does not listen, less than the panel's with the process


def add_progress_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--progress",
        choices=("bar", "jsonl", "none"),
        default="bar",
        help="bar for people, JSON lines on stdout for programs (default: %(default)s)",
    )


def add_data_options(parser: argparse.ArgumentParser, *, required: bool = True) -> None:
    """``--data`` and ``--scans``: what to train or evaluate on."""
    parser.add_argument(
        "--data",
        type=Path,
        required=required,
        help="folder of a nodule pack, of LIDC-IDRI as TCIA ships it, or of LUNA16",
    )
    parser.add_argument(
        "--scans",
        type=Path,
        help="with a nodule pack: folder of whole marked CT series (a nodules.csv beside their folders)",
    )


def add_device_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda:N (default: %(default)s)")


def say_error(error: LungNoduleCADError, arguments: argparse.Namespace) -> int:
    """One sentence on stderr (and a JSON line for the panel); returns the exit code."""
    try:
        sys.stdout.flush()
        if getattr(arguments, "progress", None) == "jsonl":
            emit({"error": str(error), "kind": type(error).__name__})
    except OSError:  # full or closed: it gets nothing more, or Python would fail on it once again at its end
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    print(str(error), file=sys.stderr)
    return error.exit_code


def emit(line: dict[str, Any]) -> None:
    """One JSON line on stdout."""
    print(json.dumps(line), flush=True)


def wide_console() -> Console:
    """For tables on stdout; a file or pipe, which has no width of its own, gets 120 columns."""
    from rich.console import Console

    return Console(width=None if sys.stdout.isatty() else 120)


@contextlib.contextmanager
def listening(kind: str) -> Iterator[Listener | None]:
    """A listener for ``Progress`` in the wanted form; meanwhile the run can be cancelled (see ``cancellable``)."""
    with cancellable(watch_stdin=kind == "jsonl"):
        if kind == "jsonl":
            yield lambda stage, fraction, message: emit(
                {"stage": stage, "fraction": round(fraction, 4), **({"message": message} if message else {})}
            )
        elif kind == "bar" and sys.stderr.isatty():
            with _rich_bar() as listener:
                yield listener
        else:
            yield None


@contextlib.contextmanager
def _rich_bar() -> Iterator[Listener]:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (
        TextColumn("{task.description:<34}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f}%"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task("", total=1.0)
        yield lambda _, fraction, message: bar.update(
            task, completed=fraction, **({"description": message} if message else {})
        )


@contextlib.contextmanager
def cancellable(*, watch_stdin: bool) -> Iterator[None]:
    """SIGTERM, and with ``watch_stdin`` the end of a piped stdin, stop the run as Ctrl-C does.

    Who closes stdin waits for the end: where a library is at work that does not listen, the process ends all the same.
    """
    before = signal.signal(signal.SIGTERM, signal.default_int_handler) if _in_main_thread() else None
    ended = threading.Event()
    if watch_stdin and _is_pipe():
        threading.Thread(target=_stop_at_end_of_stdin, args=(ended,), daemon=True).start()
    try:
        yield
    finally:
        ended.set()
        if before is not None:
            signal.signal(signal.SIGTERM, before)


def _stop_at_end_of_stdin(ended: threading.Event) -> None:
    with contextlib.suppress(OSError, ValueError):
        while os.read(0, 4096):
            pass
        signal.raise_signal(signal.SIGINT)
        if not ended.wait(PATIENCE_S):
            from LungNoduleCADLib.report.folder import drop_unfinished

            drop_unfinished()
            os._exit(Cancelled.exit_code)


def _is_pipe() -> bool:
    try:
        return stat.S_ISFIFO(os.fstat(0).st_mode)
    except OSError:
        return False


def _in_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()
