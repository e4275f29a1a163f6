"""Runs that something happens to: what was there stays whole, the next run works, nothing is left over."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from faulty_run import (
    LONGEST_S,
    STAGES,
    Ended,
    Fault,
    KilledAtChange,
    KilledAtStage,
    NoMoreMemory,
    NoRoomForFiles,
    Scene,
    WaitsAtStage,
    files_of,
)
from privacy import nothing_identifies
from tally import Tally

from LungNoduleCADLib.errors import LungNoduleCADError
from LungNoduleCADLib.report.findings_json import read_findings
from LungNoduleCADLib.report.folder import put_right

MIB = 2**20
WRITERS = ("analyse", "compare", "export", "report")
CHANGED = ("a bit", "cut", "empty", "gone")
ACCEPT = json.dumps({"id": 1, "do": "review", "nodule": "N1", "review": "accepted"}) + "\n"


COMPARING = ("register", "match", "write")


def killed_at_stages(scene: Scene, stages: Iterable[str] = STAGES, comparing: Iterable[str] = COMPARING) -> Tally:
    """``analyse`` and ``compare`` onto earlier results, killed as a stage begins."""
    tally = Tally("runs killed at a stage")
    for stage in stages:
        _try(tally, scene, f"analyse, {stage}", scene.analyse, scene.analysed, KilledAtStage(stage))
    for stage in comparing:
        _try(tally, scene, f"compare, {stage}", scene.compare, scene.compared, KilledAtStage(stage))
    tally.attempt("the next run", lambda: scene.run(scene.analyse(scene.analysed)), lambda e: _next(scene, e))
    return tally


def killed_while_writing(scene: Scene, most: int) -> Tally:
    """``report``, ``export`` and ``review`` killed at ``most`` changes of the folder each, the last ones among them."""
    tally = Tally("runs killed while files change")
    out, folder = scene.analysed, scene.exported
    cases: tuple[tuple[str, list[str], Path, str], ...] = (
        ("report", ["report", str(out)], out, ""),
        ("export", scene.export(folder), folder, ""),
        ("review", ["review", str(out), *QUIET_REVIEW], out, ACCEPT),
    )
    for name, command, place, told in cases:
        kept = _copy(place)
        counted = scene.run(command, KilledAtChange(0), told).said.count("change\n")
        for number in _spread(counted, most):
            _restore(kept, place)
            tally.attempt(
                f"{name}, change {number} of {counted}",
                lambda c=command, n=number, t=told: scene.run(c, KilledAtChange(n), t),
                lambda ended, c=command, p=place, t=told: _recovered(scene, ended, c, p, t),
            )
        _restore(kept, place)
        shutil.rmtree(kept)
    return tally


def full_disk(scene: Scene, sizes: Iterable[int], commands: Collection[str] = WRITERS) -> Tally:
    """No file may grow beyond a size; where this process may mount one, a file system that is full or read-only."""
    tally = Tally("runs on a full or read-only disk")
    for size in sizes:
        for name, command, place in _writers(scene, commands):
            _try(tally, scene, f"{name}, {size} bytes a file", command, place, NoRoomForFiles(size))
    with _small_disk(scene.work / "disk") as disk:
        if disk is not None:
            _on_small_disk(tally, scene, disk, commands)
    _read_only(tally, scene, commands)
    tally.attempt("the next run", lambda: scene.run(scene.analyse(scene.analysed)), lambda e: _next(scene, e))
    return tally


def short_memory(scene: Scene, more: Iterable[int], stages: Collection[str] = STAGES) -> Tally:
    """A run that gets only so much more memory from a stage on."""
    tally = Tally("runs short of memory")
    for size in more:
        for stage in stages:
            fault = NoMoreMemory(stage, size)
            _try(tally, scene, f"{stage}, {size // MIB} MiB more", scene.analyse, scene.analysed, fault, may_pass=True)
    tally.attempt("the next run", lambda: scene.run(scene.analyse(scene.analysed)), lambda e: _next(scene, e))
    return tally


def changed_weights(scene: Scene, ways: Collection[str] = CHANGED) -> Tally:
    """One bit of a weights file is another one, or the file is cut, empty or gone."""
    tally = Tally("weights changed or gone")
    for file in sorted(path for path in scene.models.glob("*/models/*") if path.is_file()):
        content = file.read_bytes()
        middle = len(content) // 2
        changes: dict[str, bytes | None] = {
            "a bit": content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :],
            "cut": content[:middle],
            "empty": b"",
            "gone": None,
        }
        for how in ways:
            changed = changes[how]
            file.unlink() if changed is None else file.write_bytes(changed)
            _try(tally, scene, f"{file.name}, {how}", scene.analyse, scene.analysed, status=4)
            file.write_bytes(content)
    return tally


def two_at_once(scene: Scene) -> Tally:
    """A second run onto results that a first one is about to replace, and while they are reviewed."""
    tally = Tally("two runs on one folder at once")
    there, go = scene.work / "there", scene.work / "go"
    end = scene.start(scene.analyse(scene.analysed), WaitsAtStage("write", there, go))
    until = time.monotonic() + LONGEST_S
    while not there.exists() and time.monotonic() < until:
        time.sleep(0.1)
    for name, command in (("analyse", scene.analyse), ("report", lambda out: ["report", str(out)])):
        _try(tally, scene, name, command, scene.analysed)
    ended = scene.run(["review", str(scene.analysed), *QUIET_REVIEW])
    _count(tally, "review", ended, ended.unless(3) or scene.changed(scene.analysed))
    go.touch()
    first = end()
    tally.attempt("the first run", lambda: first, lambda ended: _next(scene, ended))
    return tally


def clock_set_back(scene: Scene) -> Tally:
    """Results from the future, as a clock that was set back leaves them: they are read, and what follows is renewed."""
    tally = Tally("the clock was set back or forward")
    kept = _copy(scene.analysed)
    for year, seconds in (("2050", 2_524_608_000), ("1970", 1)):
        _restore(kept, scene.analysed)
        for path in scene.analysed.rglob("*"):
            os.utime(path, (seconds, seconds))
        command = ["review", str(scene.analysed), *QUIET_REVIEW]
        tally.attempt(f"review, files of {year}", lambda c=command: scene.run(c, told=ACCEPT), _reviewed(scene))
        tally.attempt(
            f"report, files of {year}", lambda: scene.run(["report", str(scene.analysed)]), lambda e: e.unless(0)
        )
    _restore(kept, scene.analysed)
    shutil.rmtree(kept)
    return tally


QUIET_REVIEW = ["--device", "cpu", "--progress", "jsonl"]


def _writers(scene: Scene, commands: Collection[str]) -> Iterator[tuple[str, Callable[[Path], list[str]], Path]]:
    def report(out: Path) -> list[str]:
        return ["report", str(out)]

    if "analyse" in commands:
        yield "analyse", scene.analyse, scene.analysed
    if "compare" in commands:
        yield "compare", scene.compare, scene.compared
    if "export" in commands:
        yield "export", scene.export, scene.exported
    if "report" in commands:
        yield "report", report, scene.analysed


def _try(
    tally: Tally,
    scene: Scene,
    name: str,
    command: Callable[[Path], list[str]],
    place: Path,
    fault: Fault | None = None,
    *,
    status: int = 3,
    may_pass: bool = False,
) -> None:
    """A run that is killed, or ends with a status and a sentence; what it would have replaced stays."""
    kept = _copy(place)
    ended = scene.run(command(place), fault)
    if ended.killed or (may_pass and ended.status < 0):  # a native library may die where it gets no memory
        put_right(place)
        _count(tally, name, ended, scene.changed(place))
    elif may_pass:
        wrong = ended.unless(0, 1, 3)
        _count(tally, name, ended, wrong or (scene.changed(place) if ended.status else ""))
    else:
        _count(tally, name, ended, ended.unless(status) or scene.changed(place))
    _restore(kept, place)
    shutil.rmtree(kept)


def _count(tally: Tally, name: str, ended: Ended, wrong: str) -> None:
    """A run that said something and stopped was refused; one that was killed, or worked after all, passed."""
    tally.tried += 1
    if wrong:
        tally.fail(name, wrong)
    elif ended.status > 0:
        tally.refuse(name, ended.said.strip())
    else:
        tally.passes()


def _next(scene: Scene, ended: Ended) -> str:
    wrong = ended.unless(0) or scene.left_over()
    for out in scene.whole:
        scene.whole[out] = files_of(out)
    return wrong


def _recovered(scene: Scene, ended: Ended, command: list[str], place: Path, told: str) -> str:
    """After a kill: what is there can be read, and the same command works and leaves nothing over."""
    if not ended.killed and ended.status != 0:
        return ended.unless(0)
    put_right(place)
    try:
        read_findings(place)
    except LungNoduleCADError as error:
        if command[0] != "export":  # whose earlier files come back with the next export
            return f"cannot be read: {error}"
    return scene.run(command, None, told).unless(0) or scene.left_over()


def _reviewed(scene: Scene) -> Callable[[Ended], str]:
    def wrong(ended: Ended) -> str:
        out = scene.analysed
        if ended.status:
            return ended.unless(0)
        if read_findings(out).nodules[0].review != "accepted":
            return "the correction was not written"
        told, follows = (out / name for name in ("findings.json", "segmentation.seg.nrrd"))
        return "" if follows.stat().st_mtime_ns > told.stat().st_mtime_ns else "the segmentation seems the older one"

    return wrong


def _read_only(tally: Tally, scene: Scene, commands: Collection[str]) -> None:
    for name, command, place in _writers(scene, commands):
        closed = place if name == "export" else place.parent
        mode = closed.stat().st_mode
        closed.chmod(0o555)
        try:
            _try_in_place(tally, scene, f"{name}, read-only", command, place)
        finally:
            closed.chmod(mode)


def _try_in_place(tally: Tally, scene: Scene, name: str, command: Callable[[Path], list[str]], place: Path) -> None:
    ended = scene.run(command(place))
    _count(tally, name, ended, ended.unless(3) or scene.changed(place))


def _on_small_disk(tally: Tally, scene: Scene, disk: Path, commands: Collection[str]) -> None:
    """Earlier results on a disk that has no room for new ones, then on one that is read-only."""
    for name, command, place in _writers(scene, commands):
        there = disk / place.name
        if name != "report":
            shutil.copytree(place, there)
        filler = disk / "filler"
        with suppress(OSError), filler.open("wb") as file:
            while True:
                file.write(bytes(4096))
        for how in ("full", "read-only"):
            if how == "read-only":
                filler.unlink()
                subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
            ended = scene.run(command(there))
            wrong = ended.unless(3) or ("" if files_of(there) == scene.whole[place] else "it is not as it was")
            _count(tally, f"{name}, {how} disk", ended, wrong)
        subprocess.run(["mount", "-o", "remount,rw", str(disk)], check=True)
        if name != "analyse":
            shutil.rmtree(there)


def everything(scene: Scene) -> Iterator[Callable[[], Tally]]:
    """The long form, a row of the table each."""
    yield lambda: nothing_identifies(scene, (scene.analysed, scene.before, scene.compared, scene.exported))
    yield lambda: killed_at_stages(scene)
    yield lambda: killed_while_writing(scene, 8)
    yield lambda: full_disk(scene, (1024, 100_000))
    yield lambda: short_memory(scene, (8 * MIB, 64 * MIB))
    yield lambda: changed_weights(scene)
    yield lambda: two_at_once(scene)
    yield lambda: clock_set_back(scene)


@contextmanager
def _small_disk(place: Path) -> Iterator[Path | None]:
    """A file system of a few MiB, or ``None`` where this process may not mount one."""
    place.mkdir()
    mounted = False
    if shutil.which("mount") and hasattr(os, "geteuid") and os.geteuid() == 0:
        command = ["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", str(place)]
        mounted = subprocess.run(command, check=False, capture_output=True).returncode == 0
    try:
        yield place if mounted else None
    finally:
        if mounted:
            subprocess.run(["umount", str(place)], check=True)


def _spread(count: int, most: int) -> list[int]:
    """At most so many of the numbers 1 to ``count``, the last ones among them: there files change places."""
    if count <= most:
        return list(range(1, count + 1))
    last = list(range(count - most // 2 + 1, count + 1))
    step = max(1, (count - len(last)) // max(1, most - len(last)))
    return [*range(1, count - len(last) + 1, step)][: most - len(last)] + last


def _copy(place: Path) -> Path:
    return shutil.copytree(place, place.parent.parent / f"kept-{place.name}")


def _restore(kept: Path, place: Path) -> None:
    shutil.rmtree(place, ignore_errors=True)
    shutil.copytree(kept, place)
