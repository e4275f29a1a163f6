"""One scan in a process of its own: what kills the process does not touch the others, and is said."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import IO, Any

from LungNoduleCADLib.cohort.record import fingerprint, read_record, write_record
from LungNoduleCADLib.cohort.scans import Scan
from LungNoduleCADLib.cohort.tables import rows_of_result
from LungNoduleCADLib.report.folder import put_right

CANCELLED = "Cancelled"
_LIBRARY_PARENT = Path(__file__).resolve().parents[2]
_running: set[subprocess.Popen[str]] = set()


class Status(StrEnum):
    DONE = "done"
    SKIPPED = "skipped"
    FAILED = "failed"
    BROKEN = "broken"
    WAITING = "waiting"


@dataclass(frozen=True)
class Task:
    """What a worker needs to know; plain values, so that it can be sent to another computer.

    Attributes
    ----------
    command : the verb and its options, before the scan's own.
    limit_seconds : after which the process is stopped.
    threads : for numerical libraries, where the environment does not say; 0: as they like.
    module : what Python runs.
    """

    scan: Scan
    out: Path
    command: tuple[str, ...] = ("analyse",)
    limit_seconds: float = 3600.0
    threads: int = 0
    module: str = "LungNoduleCADLib"

    def arguments(self) -> list[str]:
        scan = self.scan
        priors = [word for prior in scan.priors for word in ("--prior", str(prior))]
        clinical = ["--clinical", str(scan.clinical)] if scan.clinical else []
        own = [str(scan.source), "-o", str(self.out), *priors, *clinical]
        return [sys.executable, "-m", self.module, *self.command, *own, "--progress", "jsonl"]


@dataclass(frozen=True)
class Outcome:
    """What became of a task. BROKEN: its process died or failed unexpectedly, so that another try makes sense."""

    status: Status
    error: str = ""
    seconds: float = 0.0
    scan_row: dict[str, Any] = field(default_factory=dict)
    nodule_rows: tuple[dict[str, Any], ...] = ()


def run_task(task: Task) -> Outcome:
    """Analyse a scan, or find that it is done already. Raises nothing that is about the scan."""
    if task.scan.refused:
        return Outcome(Status.FAILED, nameless(task.scan.refused, task.scan))
    made_from = fingerprint(task.scan, task.command)
    record = read_record(task.out)
    if record is not None and record.get("fingerprint") == made_from:
        scan_row, nodule_rows = rows_of_result(task.out)
        return Outcome(Status.SKIPPED, "", record.get("seconds", 0.0), scan_row, nodule_rows)
    start = time.perf_counter()
    code, told, last_words, stopped = _run(task)
    seconds = round(time.perf_counter() - start, 1)
    if code == 0:
        write_record(task.out, {"fingerprint": made_from, "seconds": seconds})
        return Outcome(Status.DONE, "", seconds, *rows_of_result(task.out))
    put_right(task.out)
    if told and told.get("kind") != CANCELLED:
        return Outcome(Status.FAILED, nameless(told["error"], task.scan), seconds)
    if stopped:
        return Outcome(Status.FAILED, f"Stopped after {task.limit_seconds / 60:g} minutes.", seconds)
    return Outcome(Status.BROKEN, nameless(_why(code, last_words), task.scan), seconds)


def stop_running() -> None:
    """End the processes that this one has started; their tasks come back as BROKEN."""
    for process in tuple(_running):
        with contextlib.suppress(OSError):
            process.terminate()


def _run(task: Task) -> tuple[int, dict[str, Any] | None, str, bool]:
    """Exit code, the error that was told, the last words, and whether the time was up.

    The process watches its standard input: it ends when this one does, however that happens.
    """
    put_right(task.out)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(_LIBRARY_PARENT), *_python_path()])}
    if task.threads:
        names = ("OMP_NUM_THREADS", "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS")
        environment = {name: str(task.threads) for name in names} | environment
    with (
        tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as complaints,
        subprocess.Popen(
            task.arguments(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=complaints,
            encoding="utf-8",
            errors="replace",
            env=environment,
        ) as process,
    ):
        time_is_up = threading.Event()
        timer = threading.Timer(task.limit_seconds, lambda: (time_is_up.set(), process.kill()))
        _running.add(process)
        timer.start()
        try:
            told = _last_error(process.stdout)
            code = process.wait()
        finally:
            timer.cancel()
            _running.discard(process)
        complaints.seek(0)
        words = [line.strip() for line in complaints if line.strip()]
    return code, told, words[-1] if words else "", time_is_up.is_set()


def _python_path() -> list[str]:
    return [part for part in os.environ.get("PYTHONPATH", "").split(os.pathsep) if part]


def _last_error(lines: IO[str] | None) -> dict[str, Any] | None:
    error = None
    for line in lines or ():
        with contextlib.suppress(ValueError):
            told = json.loads(line)
            if isinstance(told, dict) and "error" in told:
                error = told
    return error


def _why(code: int, last_words: str) -> str:
    if code >= 0:
        return f"The process ended with code {code}: {last_words or 'it said nothing'}"
    with contextlib.suppress(ValueError):
        name = signal.Signals(-code).name
        memory = " (out of memory?)" if name == "SIGKILL" else ""
        return f"The process was ended by {name}{memory}."
    return f"The process was ended by signal {-code}."


def nameless(sentence: str, scan: Scan) -> str:
    """A sentence without the paths and file names of the scan, which may name the patient."""
    given = [path for path in (scan.source, *scan.priors, scan.clinical) if path is not None]
    places = {str(part) for path in (*given, *scan.files) for part in (path, path.parent, path.resolve())}
    for place in sorted(places - {"/", "."}, key=len, reverse=True):
        sentence = re.sub(re.escape(place) + r"[\\/]?\S*", "…", sentence)
    names = {path.name for path in (*given, *scan.files)}
    names |= {name for path in given for _, folders, files in os.walk(path) for name in (*folders, *files)}
    for name in sorted((name for name in names if name in sentence), key=len, reverse=True):
        sentence = re.sub(rf"(?<!\w){re.escape(name)}(?!\w)", "…", sentence)
    return " ".join(sentence.split())
