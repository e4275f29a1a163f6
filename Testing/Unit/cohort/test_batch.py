"""What a cohort survives: killed processes, poisoned scans, a killed run."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import psutil
import pytest

from LungNoduleCADLib.cohort.batch import Batch
from LungNoduleCADLib.cohort.process import Status, nameless
from LungNoduleCADLib.cohort.scans import Scan

ROOT = Path(__file__).resolve().parents[3]
Killer = Callable[[str, Callable[[psutil.Process], object]], AbstractContextManager[list[int]]]
unix = pytest.mark.skipif(os.name == "nt", reason="Windows has no signals")


def table(out: Path, name: str = "scans") -> dict[str, dict[str, str]]:
    with (out / f"{name}.csv").open(encoding="utf-8", newline="") as file:
        return {row["id"]: row for row in csv.DictReader(file)}


def tries(scan: Scan) -> int:
    return int((scan.source / "tries").read_text())


def left_behind(out: Path) -> list[str]:
    return sorted(path.name for path in out.iterdir() if path.name.startswith("."))


@unix
def test_a_scan_whose_process_is_killed_in_the_middle_is_tried_again_and_done(
    batch_of: Callable[..., Batch], scan: Callable[..., Scan], killer: Killer, tmp_path: Path
) -> None:
    scans = [scan("a"), scan("victim", "hangs once"), scan("c")]

    with killer("victim", lambda process: process.kill()) as killed:
        batch = batch_of(scans)

    assert killed
    assert tries(scans[1]) == 2
    assert {row["status"] for row in table(tmp_path / "out").values()} == {"done"}
    assert (tmp_path / "out" / "victim" / "findings.json").is_file()
    assert not batch.failures
    assert left_behind(tmp_path / "out") == []


@unix
def test_poisoned_scans_are_rows_with_their_reason_and_the_others_are_done(
    batch_of: Callable[..., Batch], scan: Callable[..., Scan], tmp_path: Path
) -> None:
    scans = [scan("p1", "dies"), scan("ok1"), scan("p2", "is refused"), scan("p3", "raises"), scan("ok2")]

    batch = batch_of(scans)

    rows = table(tmp_path / "out")
    assert {name for name, row in rows.items() if row["status"] == "done"} == {"ok1", "ok2"}
    assert "SIGKILL" in rows["p1"]["error"]
    assert rows["p1"]["tries"] == "3"
    assert rows["p2"]["error"] == "…/… is damaged."
    assert tries(scans[2]) == 1
    assert "ValueError: no sense in …" in rows["p3"]["error"]
    assert rows["p3"]["tries"] == "3"
    assert sorted(batch.failures) == ["p1", "p2", "p3"]
    assert sorted(path.name for path in (tmp_path / "out").iterdir() if path.is_dir()) == ["ok1", "ok2"]


def test_a_scan_that_hangs_is_stopped_and_not_tried_again(
    batch_of: Callable[..., Batch], scan: Callable[..., Scan], tmp_path: Path
) -> None:
    scans = [scan("slow", "hangs")]

    batch = batch_of(scans, limit_seconds=1.5)

    assert batch.failures == {"slow": "Stopped after 0.025 minutes."}
    assert tries(scans[0]) == 1
    assert left_behind(tmp_path / "out") == []


def test_a_second_run_does_only_what_is_missing_or_changed(
    batch_of: Callable[..., Batch], scan: Callable[..., Scan], tmp_path: Path
) -> None:
    scans = [scan("same"), scan("changed"), scan("mended", "is refused"), scan("torn")]
    batch_of(scans)
    (scans[1].source / "slice").write_text("one more")
    (scans[2].source / "does").write_text("succeeds")
    (tmp_path / "out" / "torn" / "findings.json").unlink()

    batch = batch_of(scans)

    assert [tries(scan) for scan in scans] == [1, 2, 2, 2]
    assert batch.outcomes["same"].status is Status.SKIPPED
    rows = table(tmp_path / "out")
    assert {row["status"] for row in rows.values()} == {"done"}
    assert rows["same"]["lung_rads"] == rows["changed"]["lung_rads"] == "4A"
    assert len(table(tmp_path / "out", "nodules")) == 4


def test_other_options_or_models_are_another_result(
    batch_of: Callable[..., Batch],
    scan: Callable[..., Scan],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    scans = [scan("a")]
    batch_of(scans)
    batch_of(scans, command=("analyse",))
    assert tries(scans[0]) == 1

    (tmp_path / "models" / "another" / "configs").mkdir(parents=True)
    metadata = {"version": "9", "weights_sha256": {"w": "00"}}
    (tmp_path / "models" / "another" / "configs" / "metadata.json").write_text(json.dumps(metadata))
    monkeypatch.setenv("LUNGNODULECAD_MODELS", str(tmp_path / "models"))
    batch_of(scans)

    assert tries(scans[0]) == 2


@unix
def test_a_killed_run_leaves_a_usable_table_no_process_and_goes_on_where_it_was(
    batch_of: Callable[..., Batch], scan: Callable[..., Scan], tmp_path: Path
) -> None:
    scans = [scan("first"), scan("second", "hangs once")]
    script = (
        "import sys; from pathlib import Path\n"
        "from LungNoduleCADLib.cohort.batch import Batch; from LungNoduleCADLib.cohort.engine import local_engine\n"
        "from LungNoduleCADLib.cohort.process import Task; from LungNoduleCADLib.cohort.scans import Scan\n"
        "base = Path(sys.argv[1]); scans = [Scan(n, base / 'SMITH^JOHN' / n) for n in ('first', 'second')]\n"
        "batch = Batch(scans, base / 'out', Task(scans[0], base, module='stand_in'))\n"
        "with local_engine(1) as executor: batch.run(executor)\n"
    )
    run = subprocess.Popen([sys.executable, "-c", script, str(tmp_path)], cwd=ROOT)
    out, end = tmp_path / "out", time.monotonic() + 30
    while time.monotonic() < end and not [*out.glob(".second.*.partial")]:
        time.sleep(0.05)
    children = psutil.Process(run.pid).children()
    run.kill()
    run.wait()

    assert len(children) == 1
    assert {name: row["status"] for name, row in table(out).items()} == {"first": "done", "second": "waiting"}
    children[0].kill()  # the stand-in, unlike analyse, does not watch its standard input
    batch_of(scans)
    assert [tries(scan) for scan in scans] == [1, 2]
    assert {row["status"] for row in table(out).values()} == {"done"}


def test_nothing_but_the_key_tells_where_a_scan_came_from(
    batch_of: Callable[..., Batch], scan: Callable[..., Scan], tmp_path: Path
) -> None:
    batch_of([scan("a"), scan("b", "is refused"), scan("c", "raises")])

    out = tmp_path / "out"
    told = {path.name for path in out.rglob("*") if path.is_file() and b"SMITH" in path.read_bytes()}
    assert told == {"key.csv"}


def test_a_sentence_loses_paths_and_file_names_and_keeps_the_rest(tmp_path: Path) -> None:
    folder = tmp_path / "JONES MARY"
    folder.mkdir()
    (folder / "JONES_001.dcm").touch()
    scan = Scan("x", folder, files=(folder / "JONES_001.dcm",))

    told = nameless(f"JONES_001.dcm is damaged in {folder}: expected a CT, got a folder JONES MARY.", scan)

    assert "JONES" not in told
    assert "is damaged" in told
    assert "expected a CT" in told
