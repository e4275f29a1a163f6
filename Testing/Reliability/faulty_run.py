"""A run in a process of its own, in which something is about to go wrong.

The earlier results have to be whole afterwards, byte for byte, the next run has to work, and nothing may be left over.
Runs are processes of their own, in which the fault is armed before the command starts.
"""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import resource
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from small_case import NODULE_LPS_MM, write_case, write_models

from LungNoduleCADLib.bundles.registry import MODELS_FOLDER_VARIABLE

QUIET = ["--device", "cpu", "--progress", "jsonl"]
AT = "--at=" + ",".join(f"{value:g}" for value in NODULE_LPS_MM)
SURE = ["--threshold", "1.0"]  # nothing but the nodule at the point
STAGES = ("load", "lungs", "detect", "segment", "classify", "write")
PRELOADED = ["faulty_run", "LungNoduleCADLib.backends.choose", "LungNoduleCADLib.nodules.detector",
             "LungNoduleCADLib.pipeline", "LungNoduleCADLib.report.export", "LungNoduleCADLib.report.write",
             "LungNoduleCADLib.cli.desk", "LungNoduleCADLib.report.pdf", "LungNoduleCADLib.report.figures",
             "LungNoduleCADLib.classification.gradcam", "torch", "monai", "highdicom", "xgboost"]  # fmt: skip
LONGEST_S = 600.0
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT


class Fault:
    """Armed in the process of a run, before its command."""

    def arm(self) -> None:
        """Nothing goes wrong."""


@dataclass(frozen=True)
class KilledAtStage(Fault):
    stage: str

    def arm(self) -> None:
        _at_stage(self.stage, _die)


@dataclass(frozen=True)
class KilledAtChange(Fault):
    """Killed at the ``number``-th file or folder that is made, moved or removed; 0: they are counted on stderr."""

    number: int

    def arm(self) -> None:
        seen = 0

        def watch(event: str, arguments: tuple[Any, ...]) -> None:
            nonlocal seen
            changes = event in ("os.rename", "os.remove", "os.mkdir", "os.rmdir", "shutil.rmtree")
            if changes or (event == "open" and (arguments[2] or 0) & WRITING and arguments[0] != os.devnull):
                seen += 1
                if self.number == 0:
                    os.write(2, b"change\n")
                elif seen == self.number:
                    _die()

        sys.addaudithook(watch)


@dataclass(frozen=True)
class NoRoomForFiles(Fault):
    """No file can be made larger than this, as on a disk that is full."""

    most_bytes: int

    def arm(self) -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (self.most_bytes, self.most_bytes))


@dataclass(frozen=True)
class NoMoreMemory(Fault):
    """From a stage on, the process gets only so much more memory."""

    stage: str
    more_bytes: int

    def arm(self) -> None:
        def limit() -> None:
            pages = int(Path("/proc/self/statm").read_text().split()[0])
            most = pages * resource.getpagesize() + self.more_bytes
            resource.setrlimit(resource.RLIMIT_AS, (most, most))

        _at_stage(self.stage, limit)


@dataclass(frozen=True)
class WaitsAtStage(Fault):
    """Says that it is there, and waits until it may go on."""

    stage: str
    there: Path
    go: Path

    def arm(self) -> None:
        def wait() -> None:
            self.there.touch()
            while not self.go.exists():
                time.sleep(0.05)

        _at_stage(self.stage, wait)


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _at_stage(stage: str, action: Callable[[], None]) -> None:
    from LungNoduleCADLib.progress import Progress

    report, done = Progress.report, []

    def watched(self: Progress, fraction: float, message: str = "") -> None:
        if self._stage == stage and not done:
            done.append(True)
            action()
        report(self, fraction, message)

    Progress.report = watched  # type: ignore[method-assign]


@dataclass(frozen=True)
class Ended:
    """How a run ended: exit status (negative: by that signal), what it said on stderr and told on stdout."""

    status: int
    said: str
    told: str = ""

    @property
    def killed(self) -> bool:
        return self.status == -signal.SIGKILL

    def unless(self, *statuses: int) -> str:
        """What is wrong with it, if it should have ended otherwise."""
        if "Traceback" in self.said:
            return f"a traceback: {self.said[-600:]}"
        return "" if self.status in statuses else f"exit status {self.status}: {self.said[-600:]}"


@dataclass
class Scene:
    """Scans, models, and results that each fault is tried on; made once."""

    work: Path
    said: list[str] = field(default_factory=list)
    whole: dict[Path, dict[str, str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.prior, self.current = write_case(self.work / "scans")
        self.models = write_models(self.work / "models")
        self.results, self.temporary = self.work / "results", self.work / "temporary"
        for folder in (self.results, self.temporary):
            folder.mkdir()

    @cached_property
    def analysed(self) -> Path:
        return self._made("analysed", self.analyse)

    @cached_property
    def before(self) -> Path:
        return self._made("before", lambda out: ["analyse", str(self.prior), "-o", str(out), AT, *SURE, *QUIET])

    @cached_property
    def compared(self) -> Path:
        return self._made("compared", self.compare)

    @cached_property
    def exported(self) -> Path:
        return self._made("exported", self.export)

    def analyse(self, out: Path) -> list[str]:
        return ["analyse", str(self.current), "-o", str(out), AT, *SURE, *QUIET]

    def compare(self, out: Path) -> list[str]:
        return ["compare", str(self.before), str(self.analysed), "-o", str(out), *QUIET]

    def export(self, folder: Path) -> list[str]:
        source = ["--dicom-source", str(self.current)]
        return ["export", str(self.analysed), "-o", str(folder), *source, "--progress", "none"]

    def _made(self, name: str, command: Callable[[Path], list[str]]) -> Path:
        out = self.results / name
        ended = self.run(command(out))
        assert ended.status == 0, ended.said
        self.said.append(ended.said + ended.told)
        self.whole[out] = files_of(out)
        return out

    def start(self, command: list[str], fault: Fault | None = None, told: str = "") -> Callable[[], Ended]:
        """A run in a process of its own; the call waits for its end."""
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(PRELOADED)
        said = self.work / f"said-{time.monotonic_ns()}"
        process = context.Process(target=_run, args=(command, fault or Fault(), self, said, told))
        process.start()

        def end() -> Ended:
            process.join(LONGEST_S)
            if process.is_alive():
                process.kill()
                process.join()
                return Ended(process.exitcode or 0, f"did not end within {LONGEST_S:g} s")
            texts = (file.read_text(encoding="utf-8", errors="replace") for file in (said, _stdout(said)))
            return Ended(process.exitcode or 0, *texts)

        return end

    def run(self, command: list[str], fault: Fault | None = None, told: str = "") -> Ended:
        return self.start(command, fault, told)()

    def left_over(self) -> str:
        """What lies among the results and should not."""
        found = [path.name for path in self.results.iterdir() if path not in self.whole]
        found += [str(p.relative_to(self.results)) for p in self.results.rglob("*") if ".partial" in p.name]
        return f"left over: {', '.join(found)}" if found else ""

    def changed(self, out: Path) -> str:
        """How results differ from what they were."""
        return "" if files_of(out) == self.whole[out] else f"{out.name} is not as it was"


def _run(command: list[str], fault: Fault, scene: Scene, said: Path, told: str) -> None:
    source = said.with_suffix(".stdin")
    source.write_text(told, encoding="utf-8")
    os.dup2(os.open(source, os.O_RDONLY), 0)
    for descriptor, target in ((1, _stdout(said)), (2, said)):
        os.dup2(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_APPEND), descriptor)
    sys.stdin, sys.stdout, sys.stderr = open(0), open(1, "w"), open(2, "w")  # noqa: SIM115
    os.environ |= {MODELS_FOLDER_VARIABLE: str(scene.models), "TMPDIR": str(scene.temporary)}
    tempfile.tempdir = None
    from LungNoduleCADLib.cli import main

    fault.arm()
    sys.exit(main(command))


def _stdout(said: Path) -> Path:
    return said.with_suffix(".stdout")


def files_of(folder: Path) -> dict[str, str]:
    """{name: SHA-256} of every file below a folder."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
