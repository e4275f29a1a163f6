"""Mutated files as in ``fuzz.py``, chosen by what they reach: coverage of this library and of pydicom leads the way.

Needs atheris (``pip install atheris``, Linux), which the product does not. It stops at the first case that does harm
and keeps it.

python Testing/Reliability/guided.py [--target "DICOM files"] [--runs 50000] [--kept FOLDER]
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import json
import multiprocessing
import os
import random
import resource
import shutil
import signal
import sys
import tempfile
import warnings
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parents[1]), str(HERE)]

from fuzz import (  # noqa: E402
    LONG,
    MOST_MEMORY,
    MOST_SECONDS,
    PRELOADED,
    exchanged,
    files,
    quick_folder,
    restored,
    save,
)
from fuzz_targets import TARGETS  # noqa: E402
from mutations import mutated_bytes, mutated_json  # noqa: E402
from tally import Tally, is_clear  # noqa: E402

from LungNoduleCADLib.errors import LungNoduleCADError  # noqa: E402

INSTRUMENTED = ["LungNoduleCADLib", "pydicom"]
LAST = "last"  # the case that is being read
OUR_SHARE = 0.7  # of mutations, by mutations.py; the others are libFuzzer's
LONGEST = 200_000  # bytes
PASSED, REFUSED = 0, 1


def available() -> bool:
    return importlib.util.find_spec("atheris") is not None


def guided(what: str, runs: int, kept: Path | None = None, state: Path | None = None) -> Tally:
    """``runs`` cases of a target, in a process of their own; none where ``state`` knows of as many."""
    tally, _ = restored(f"guided {what}", state)
    if tally.tried >= runs:
        return tally
    tally = Tally(f"guided {what}")
    context = multiprocessing.get_context("spawn")
    counted = context.RawArray("q", 2)
    with quick_folder() as work:
        process = context.Process(target=_run, args=(what, runs, work, counted))
        process.start()
        process.join()
        told = (work / "log").read_text(encoding="utf-8", errors="replace")
        if process.exitcode and kept:
            shutil.copy(work / LAST, kept / f"{what}, after {sum(counted)}")
    tally.passed, tally.refused = counted
    tally.tried = tally.passed + tally.refused
    if process.exitcode or tally.tried < runs:
        tally.tried += 1
        tally.fail(f"case {tally.tried}", f"exit status {process.exitcode}: {told[-2000:]}")
    save(tally, state)
    return tally


def _run(what: str, runs: int, work: Path, counted: Any) -> None:
    import atheris

    with (work / "log").open("w") as log:
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
    resource.setrlimit(resource.RLIMIT_AS, (MOST_MEMORY, MOST_MEMORY))
    warnings.simplefilter("ignore")
    target, seeds, corpus, last = TARGETS[what], work / "seeds", work / "corpus", work / LAST
    seeds.mkdir()
    corpus.mkdir()
    with atheris.instrument_imports(include=INSTRUMENTED):
        for module in PRELOADED:
            importlib.import_module(module)
        target.seeds(seeds)
        for file in files(seeds):
            target.read(file)  # what it needs is imported now
    victims = files(seeds)[:256]
    for number, victim in enumerate(victims):
        (corpus / str(number)).write_bytes(bytes([number]) + victim.read_bytes())

    def once(data: bytes) -> None:
        """The first byte says which file it is, the others are its content."""
        if counted[PASSED] + counted[REFUSED] >= runs:  # libFuzzer reads the corpus on top of its runs
            return
        victim = victims[data[0] % len(victims)] if data else victims[0]
        last.write_bytes(data)
        signal.alarm(MOST_SECONDS)  # ends the process, wherever it is
        try:
            with exchanged(victim, data[1:]) as file:
                target.read(file)
        except LungNoduleCADError as error:
            if not is_clear(str(error)):
                raise AssertionError("an unclear refusal") from error
            counted[REFUSED] += 1
        else:
            counted[PASSED] += 1
        finally:
            signal.alarm(0)

    def changed(data: bytes, most: int, seed: int) -> bytes:
        rng = random.Random(seed)
        if len(data) < 2 or rng.random() > OUR_SHARE:
            return atheris.Mutate(data, most)
        content = data[1:]
        if victims[data[0] % len(victims)].suffix == ".json":
            try:
                return (data[:1] + mutated_json(content, rng))[:most]
            except (ValueError, RecursionError):  # no JSON any more
                pass
        return (data[:1] + mutated_bytes(content, rng))[:most]

    options = [f"-runs={runs}", "-timeout=0", f"-max_len={LONGEST}", f"-artifact_prefix={work}/",
               f"-rss_limit_mb={MOST_MEMORY >> 20}", "-seed=1", "-mutate_depth=1"]  # fmt: skip
    atheris.Setup([sys.argv[0], *options, str(corpus)], once, custom_mutator=changed)
    atheris.Fuzz()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--target", choices=TARGETS, action="append")
    parser.add_argument("--runs", type=int, default=LONG)
    parser.add_argument("--kept", type=Path, help="folder for a case that does harm (default: a temporary one)")
    parser.add_argument("--state", type=Path, help="as of fuzz.py")
    arguments = parser.parse_args()
    if not available():
        print("atheris is not installed: pip install atheris")
        return 0
    failed = 0
    for what in arguments.target or TARGETS:
        kept = arguments.kept or Path(tempfile.mkdtemp())
        kept.mkdir(parents=True, exist_ok=True)
        tally = guided(what, arguments.runs, kept, arguments.state)
        print(json.dumps(tally.as_json(), indent=1), f"cases that did harm: {kept}" if tally.failed else "", flush=True)
        failed += tally.failed
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
