"""Mutated files: whatever bytes they hold, they are read or refused; no traceback, crash, hang or boundless memory.

Every case is made from its number alone, so that one that was found can be made again. Cases run in processes of their
own with bounded memory; a process that dies or stalls is a failed case. What was found is made again in unit tests:
``Testing/Unit/dicom/test_damaged.py``, ``Testing/Unit/report/test_findings_json.py``.

python Testing/Reliability/fuzz.py --state FILE [--target "DICOM files"] [--count 50000]

goes on where FILE says that it stopped, after the cases that had failed; ``break_it.py --state FILE`` counts them.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import random
import resource
import shutil
import signal
import sys
import tempfile
import traceback
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parents[1]), str(HERE)]

from fuzz_targets import TARGETS  # noqa: E402
from mutations import mutated  # noqa: E402
from tally import Tally  # noqa: E402

MOST_MEMORY = 6 * 2**30  # bytes of address space; what the libraries map included
MOST_SECONDS = 20  # a case
CHUNK = 1000  # cases a process
LONG = 50_000
SHARED_MEMORY = Path("/dev/shm")
PRELOADED = ["fuzz", "LungNoduleCADLib.dicom.load", "LungNoduleCADLib.training.verify",
             "LungNoduleCADLib.classification.fusion", "imagecodecs", "jsonschema", "torch", "xgboost"]  # fmt: skip
NEXT, PASSED = 0, 1  # what a process says of itself while it lives


def fuzz(what: str, count: int, first: int = 0, state: Path | None = None) -> Tally:
    """``count`` cases of a target.

    Parameters
    ----------
    state : a file that knows how far this went; ``first`` is then 0, and what had failed is tried again.
    """
    with quick_folder() as seeds:
        TARGETS[what].seeds(seeds)
        for file in files(seeds):
            TARGETS[what].read(file)  # has to be taken
        tally, again = restored(f"mutated {what}", state)
        for numbers in (again, range(first + tally.tried, first + count)):
            for start in range(0, len(numbers), CHUNK):
                _chunk(what, seeds, numbers[start : start + CHUNK], tally)
                save(tally, state)
    return tally


def made(seeds: Path, number: int) -> tuple[Path, bytes]:
    """The case of a number: which file among the seeds, and what is in it instead."""
    rng = random.Random(number)
    folder = rng.choice(sorted(seeds.iterdir()))
    victim = rng.choice(files(folder))
    return victim, mutated(victim, rng)


def _chunk(what: str, seeds: Path, numbers: Sequence[int], tally: Tally) -> None:
    """Cases in processes that are replaced when they die."""
    context = multiprocessing.get_context("forkserver")  # a fork of this process would wait for threads it has not
    context.set_forkserver_preload(PRELOADED)
    while numbers:
        at = context.RawArray("q", 2)
        receiver, sender = context.Pipe(duplex=False)
        process = context.Process(target=_run, args=(what, seeds, numbers, at, sender))
        process.start()
        sender.close()
        with receiver:
            while (said := _received(receiver)) is not None:
                number, refused, sentence = said
                if refused:
                    tally.refuse(f"case {number}", sentence)
                else:
                    tally.fail(f"case {number}", sentence)
        process.join()
        tally.passed += at[PASSED]
        tally.tried += at[NEXT]
        if at[NEXT] < len(numbers):
            stalled = process.exitcode == -signal.SIGALRM
            how = f"no answer within {MOST_SECONDS} s" if stalled else f"exit status {process.exitcode}"
            tally.tried += 1
            tally.fail(f"case {numbers[at[NEXT]]}", how)
        numbers = numbers[at[NEXT] + 1 :]


def _received(receiver: Any) -> tuple[int, bool, str] | None:
    try:
        return receiver.recv()
    except EOFError:
        return None


def _run(what: str, seeds: Path, numbers: Sequence[int], at: Any, sender: Any) -> None:
    from LungNoduleCADLib.dicom.headers import quiet_pydicom
    from LungNoduleCADLib.errors import LungNoduleCADError

    resource.setrlimit(resource.RLIMIT_AS, (MOST_MEMORY, MOST_MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    warnings.simplefilter("ignore")
    silent = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silent, 1)
    os.dup2(silent, 2)
    with quick_folder() as work, quiet_pydicom():
        own = Path(shutil.copytree(seeds, work / "seeds"))
        for number in numbers:
            signal.alarm(MOST_SECONDS)  # ends the process, wherever it is
            try:
                victim, content = made(own, number)
                with exchanged(victim, content) as file:
                    TARGETS[what].read(file)
            except LungNoduleCADError as error:
                sender.send((number, True, str(error)))
            except BaseException as error:
                sender.send((number, False, _where(error)))
            else:
                at[PASSED] += 1
            at[NEXT] += 1
        signal.alarm(0)


@contextmanager
def quick_folder() -> Iterator[Path]:
    """A temporary folder, in memory where the system has a place for that: files are written all the time."""
    with tempfile.TemporaryDirectory(dir=SHARED_MEMORY if os.access(SHARED_MEMORY, os.W_OK) else None) as folder:
        yield Path(folder)


@contextmanager
def exchanged(file: Path, content: bytes) -> Iterator[Path]:
    good = file.read_bytes()
    file.write_bytes(content)
    try:
        yield file
    finally:
        file.write_bytes(good)


@cache
def files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def _where(error: BaseException) -> str:
    """What came out, and the last line of ours that it came through."""
    ours = [f for f in traceback.extract_tb(error.__traceback__) if "LungNoduleCADLib" in f.filename]
    place = f"{Path(ours[-1].filename).name}:{ours[-1].lineno}" if ours else "elsewhere"
    return f"{type(error).__name__} at {place}: {str(error)[:200]}"


def restored(what: str, state: Path | None) -> tuple[Tally, list[int]]:
    """What was counted before of a row, without the cases that failed, and these."""
    known = json.loads(state.read_text(encoding="utf-8")) if state and state.is_file() else {}
    tally = Tally(**known.get(what, {"what": what}))
    again = [int(failure.split(":")[0].removeprefix("case ")) for failure in tally.failures]
    tally.tried -= len(again)
    tally.failed -= len(again)
    tally.failures = []
    return tally, again


def save(tally: Tally, state: Path | None) -> None:
    if state is None:
        return
    known = json.loads(state.read_text(encoding="utf-8")) if state.is_file() else {}
    fresh = state.with_suffix(".new")
    fresh.write_text(json.dumps({**known, tally.what: tally.as_json()}, indent=1) + "\n", encoding="utf-8")
    fresh.replace(state)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--state", type=Path, required=True)
    parser.add_argument("--target", choices=TARGETS, action="append")
    parser.add_argument("--count", type=int, default=LONG)
    arguments = parser.parse_args()
    failed = 0
    for what in arguments.target or TARGETS:
        tally = fuzz(what, arguments.count, state=arguments.state)
        print(tally.what, tally.tried, tally.passed, tally.refused, tally.failed, *tally.failures, sep="\n  ")
        failed += tally.failed
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
