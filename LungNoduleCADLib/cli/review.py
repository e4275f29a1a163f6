"""``review OUT``: a reader's corrections, one JSON line in, one JSON line out, for as long as stdin stays open."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import queue
import sys
import threading
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, TextIO

from LungNoduleCADLib.cli.console import add_device_option, add_progress_option
from LungNoduleCADLib.errors import LungNoduleCADError, UsageError
from LungNoduleCADLib.json_file import parse_json

if TYPE_CHECKING:
    from LungNoduleCADLib.cli.desk import Desk

QUIET_SECONDS = 1.0
_END, _WAKE = object(), object()


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    parser = subparsers.add_parser(
        "review",
        help="a reader's corrections of results, over stdin and stdout",
        description="Take up the results in OUT and correct them: each line on stdin is a JSON request, each line on "
        "stdout the JSON answer to one. Every correction is on disk before it is answered. Ends with stdin.",
        epilog='Requests: {"id": 1, "do": "review", "nodule": "N1", "review": "accepted"}; also type, delete, add, '
        "facts, outline, clinical, threshold, exam_category, report, export.",
    )
    parser.add_argument("out", metavar="OUT", type=Path, help="results folder of analyse, compare or demo")
    add_device_option(parser)
    add_progress_option(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    from LungNoduleCADLib.cli.desk import Desk
    from LungNoduleCADLib.report.folder import kept_from_others

    inbox: queue.SimpleQueue[Any] = queue.SimpleQueue()
    with _only_answers_on_stdout() as answers:
        with kept_from_others(arguments.out):
            desk = Desk(arguments.out, arguments.device, lambda: inbox.put(_WAKE))
            if _say(answers, {"ready": True, "findings": desk.document}):
                desk.start()
                threading.Thread(target=_listen, args=(sys.stdin.buffer, inbox), daemon=True).start()
                _serve(desk, inbox, answers)
            desk.close()
        if desk.loading:  # libraries that are still being loaded may crash while Python ends
            answers.flush()
            os._exit(0)
    return 0


def _serve(desk: Desk, inbox: queue.SimpleQueue[Any], answers: TextIO) -> None:
    """Answer in order until stdin ends; what is left of time goes into what will be asked next."""
    while True:
        try:
            line = inbox.get(timeout=QUIET_SECONDS)
        except queue.Empty:
            while inbox.empty() and _used_idle_time(desk):
                pass
            line = inbox.get()
        if line is _END:
            return
        if line is not _WAKE and not _say(answers, _answer(desk, line)):
            return


def _used_idle_time(desk: Desk) -> bool:
    try:
        return desk.use_idle_time()
    except Exception:  # nobody asked for it; whoever does is told
        traceback.print_exc()
        return False


def _answer(desk: Desk, line: bytes) -> dict[str, Any]:
    """The answer to one line; an error leaves everything as it was."""
    number = None
    try:
        try:
            request = parse_json(line)
        except ValueError as error:
            raise UsageError("The request is not JSON", got=str(error)) from error
        if not isinstance(request, dict):
            raise UsageError("The request is no JSON object", got=type(request).__name__)
        number = request.get("id")
        return {"answer": number, **desk.answer(request)}
    except LungNoduleCADError as error:
        return {"answer": number, "error": str(error)}
    except Exception as error:  # one request that fails must not take the reader's work with it
        traceback.print_exc()
        return {"answer": number, "error": f"This did not work ({type(error).__name__}: {error}); nothing was changed."}


def _listen(stdin: BinaryIO, inbox: queue.SimpleQueue[Any]) -> None:
    with contextlib.suppress(OSError, ValueError):
        for line in stdin:
            if line.strip():
                inbox.put(line)
    inbox.put(_END)


def _say(answers: TextIO, line: dict[str, Any]) -> bool:
    """Whether anybody still listens."""
    try:
        answers.write(json.dumps(line) + "\n")
        answers.flush()
    except OSError:
        return False
    return True


@contextlib.contextmanager
def _only_answers_on_stdout() -> Iterator[TextIO]:
    """A stream on stdout; whatever else is printed meanwhile, by any library, goes to stderr."""
    sys.stdout.flush()
    kept = os.dup(1)
    os.dup2(2, 1)
    try:
        with contextlib.redirect_stdout(sys.stderr), os.fdopen(os.dup(kept), "w", encoding="utf-8") as answers:
            yield answers
    finally:
        sys.stdout.flush()
        os.dup2(kept, 1)
        os.close(kept)
