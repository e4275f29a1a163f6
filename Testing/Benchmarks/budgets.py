"""Whether the budgets of time and memory hold: ``budgets.py --usual FOLDER --thin FOLDER -o budgets.json``.

``--usual``: a chest CT of 512 x 512 x about 140; ``--thin``: of about 300 slices, which is also cut to its middle parts
for the cost by size. Compared are the two scans of the synthetic patient. Medians of several runs, each a command of
its own as a person gives it; memory is the peak of the whole process tree. Run it on a computer that does nothing else
(what else it did stands in ``load_average``); it takes about 18 minutes on two cores.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

import psutil
import pydicom
import review
from machine import processor

ROOT = Path(__file__).resolve().parents[2]
EDITS = ("review", "threshold", "type", "clinical", "exam_category", "add", "delete", "outline")
NOT_READY = ("still loading", "at once")  # asked while the models are loaded and the places are looked at
EDIT_SECONDS = 0.5
PARTS = (0.25, 0.5, 1.0)  # of the thin scan
LINEAR_WITHIN = 1.5
HEAVY = ("torch", "monai", "matplotlib", "xgboost", "sklearn")


@dataclass(frozen=True)
class Budget:
    """What a command may cost; ``gigabytes`` 0: no limit."""

    seconds: float
    gigabytes: float = 0.0


@dataclass(frozen=True)
class Cost:
    """What a command cost: seconds, processor seconds of all its threads and processes, peak of resident memory."""

    seconds: float
    cpu_seconds: float
    gigabytes: float


def cost_of(words: list[str]) -> Cost:
    """Run ``python -m LungNoduleCADLib WORDS`` to its end. Raises where it fails."""
    return cost_of_command([sys.executable, "-m", "LungNoduleCADLib", *words])


def cost_of_command(command: list[str]) -> Cost:
    start, used = time.perf_counter(), os.times()
    with tempfile.TemporaryFile("w+") as complaints:
        process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=complaints)
        peak = [0]
        watch = threading.Thread(target=_sample, args=(process, peak))
        watch.start()
        code = process.wait()
        seconds = time.perf_counter() - start
        watch.join()
        complaints.seek(0)
        if code:
            raise RuntimeError(f"{' '.join(command)} ended with code {code}: {complaints.read()[-400:]}")
    after = os.times()
    cpu = after.children_user + after.children_system - used.children_user - used.children_system
    return Cost(round(seconds, 3), round(cpu, 2), round(peak[0] / 2**30, 3))


def _sample(process: subprocess.Popen, peak: list[int]) -> None:
    while process.poll() is None:
        total = 0
        try:
            tree = psutil.Process(process.pid)
            for one in (tree, *tree.children(recursive=True)):
                total += one.memory_info().rss
        except psutil.Error:
            pass
        peak[0] = max(peak[0], total)
        time.sleep(0.05)


def summary(costs: list[Cost], budget: Budget) -> dict[str, Any]:
    """Medians and worst of several runs, beside the budget."""
    seconds, gigabytes = median(c.seconds for c in costs), max(c.gigabytes for c in costs)
    holds = seconds <= budget.seconds and (not budget.gigabytes or gigabytes <= budget.gigabytes)
    return {
        "runs": len(costs),
        "median_seconds": seconds,
        "slowest_seconds": max(c.seconds for c in costs),
        "median_cpu_seconds": median(c.cpu_seconds for c in costs),
        "peak_gigabytes": gigabytes,
        "budget_seconds": budget.seconds,
        "budget_gigabytes": budget.gigabytes or None,
        "holds": holds,
    }


@dataclass(frozen=True)
class Run:
    """What a command cost, and where its results are; ``None``: it leaves none."""

    cost: Cost
    out: Path | None = None


def repeated(once: Callable[[], Run], times: int, budget: Budget) -> dict[str, Any]:
    """A command several times; with what is said of its results where it leaves some."""
    runs, told = [], []
    for _ in range(times):
        runs.append(once())
        told += [_results(run.out) for run in runs[-1:] if run.out is not None]
    result = summary([run.cost for run in runs], budget)
    if told:
        stages = [
            {
                "stage": rows[0]["stage"],
                "median_seconds": round(median(row["seconds"] for row in rows), 2),
                "peak_memory_mb": max(row["peak_memory_mb"] for row in rows),
            }
            for rows in zip(*(one["stages"] for one in told), strict=True)
        ]
        result |= {name: told[-1][name] for name in ("result_megabytes", "lungs_ml")} | {"stages": stages}
    return result


def _results(out: Path) -> dict[str, Any]:
    run, findings = (json.loads((out / name).read_text(encoding="utf-8")) for name in ("run.json", "findings.json"))
    size = sum(path.stat().st_size for path in out.rglob("*") if path.is_file())
    lungs = findings["lungs"]
    return {
        "stages": run["stages"],
        "result_megabytes": round(size / 1e6, 1),
        "lungs_ml": round(lungs["right_volume_ml"] + lungs["left_volume_ml"]),
    }


class Scans:
    """The commands that read a scan; results and cut scans lie in ``work``."""

    def __init__(self, arguments: argparse.Namespace, work: Path) -> None:
        self.given, self.work = arguments, work
        self.options = ["--device", arguments.device, "--progress", "none"]

    def analysed(self, scan: Path) -> Run:
        out = self.work / "out"
        shutil.rmtree(out, ignore_errors=True)
        return Run(cost_of(["analyse", str(scan), "-o", str(out), *self.options]), out)

    def compared(self) -> Run:
        phantom, out = self.work / "phantom", self.work / "pair"
        if not phantom.is_dir():
            cost_of(["phantom", "-o", str(phantom)])
        shutil.rmtree(out, ignore_errors=True)
        scans = [str(phantom / name) for name in ("baseline", "follow-up")]
        return Run(cost_of(["compare", *scans, "-o", str(out), *self.options]), out)

    def edited(self) -> dict[str, Any]:
        """Corrections of the pair's results; those that come before everything is ready stand apart."""
        if not (self.work / "pair").is_dir():
            self.compared()
        copy = Path(shutil.copytree(self.work / "pair", self.work / "edited"))
        return edits(review.measure(copy, self.given.idle_seconds))

    def by_size(self) -> dict[str, Any]:
        """The cost of the middle parts of the thin scan, and whether it grows no faster than they do."""
        times = min(3, self.given.repeats)
        rows = []
        for part in PARTS:
            scan = middle(self.given.thin, part, self.work / f"part-{part:g}")
            row = repeated(lambda scan=scan: self.analysed(scan), times, Budget(90, 4))
            rows.append({"slices": slices_in(scan), **{key: row[key] for key in SIZE_KEYS}})
        return {"rows": rows, **growth(rows), "holds": growth(rows)["growth"] <= LINEAR_WITHIN}


SIZE_KEYS = ("lungs_ml", "median_seconds", "median_cpu_seconds", "peak_gigabytes")


def growth(rows: list[dict[str, Any]]) -> dict[str, float]:
    """How the cost grows: processor seconds per slice added last, over those added before (linear: 1).

    By the slices, for the outer ones hold less lung than the middle ones and cost as much to read.
    """
    steps = [
        (after["median_cpu_seconds"] - before["median_cpu_seconds"]) / (after["slices"] - before["slices"])
        for before, after in pairwise(rows)
    ]
    return {"cpu_seconds_per_100_slices": round(100 * steps[-1], 2), "growth": round(steps[-1] / steps[0], 2)}


def edits(seconds: dict[str, list[tuple[float, float]]]) -> dict[str, Any]:
    """The seconds of each kind of edit beside the budget; a file of another name is no edit."""
    rows = {
        label: {"median_seconds": median(wall for wall, _ in values), "slowest_seconds": max(values)[0]}
        for label, values in seconds.items()
        if label.split(",")[0].split()[0] in EDITS
    }
    early = {label: row for label, row in rows.items() if label.endswith(NOT_READY)}
    ready = {label: row for label, row in rows.items() if label not in early}
    return {
        "budget_seconds": EDIT_SECONDS,
        "edits": ready,
        "edits_in_the_first_seconds": early,
        "holds": all(row["median_seconds"] <= EDIT_SECONDS for row in ready.values()),
    }


def middle(folder: Path, part: float, into: Path) -> Path:
    """A folder with links to the middle part (0..1) of a scan's slices."""
    files = sorted(_slices(folder), key=_height_mm)
    count = round(part * len(files))
    start = (len(files) - count) // 2
    into.mkdir()
    for file in files[start : start + count]:
        (into / file.name).symlink_to(file.resolve())
    return into


def _slices(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file() and pydicom.misc.is_dicom(path)]


def _height_mm(file: Path) -> float:
    return float(pydicom.dcmread(file, specific_tags=["ImagePositionPatient"]).ImagePositionPatient[2])


def slices_in(folder: Path) -> int:
    return len(_slices(folder))


def helped(times: int) -> dict[str, Any]:
    """``--help``: what it costs, and the heavy packages that it loads (there should be none)."""
    code = (
        "import sys\nfrom LungNoduleCADLib.cli import main\n"
        "try: main(['--help'])\nexcept SystemExit: pass\n"
        f"print([name for name in {HEAVY} if name in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    loaded = done.stderr.strip().splitlines()[-1]
    cost = repeated(lambda: Run(cost_of(["--help"])), times, Budget(0.3))
    return {**cost, "loads": loaded, "holds": cost["holds"] and loaded == "[]"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--usual", type=Path, help="DICOM folder of about 140 slices")
    parser.add_argument("--thin", type=Path, help="DICOM folder of about 300 slices")
    parser.add_argument("-o", "--json", type=Path, required=True)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--only", nargs="*", help="names of measurements, by their beginning")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--idle-seconds", type=float, default=150.0, help="before the later thresholds of the edits")
    arguments = parser.parse_args()
    n, usual, thin = arguments.repeats, arguments.usual, arguments.thin
    with tempfile.TemporaryDirectory() as folder:
        scans = Scans(arguments, Path(folder))
        measurements = {
            "info": lambda: repeated(lambda: Run(cost_of(["info"])), n, Budget(0.3)),
            "help": lambda: helped(n),
            **({"analyse, usual slices": lambda: repeated(lambda: scans.analysed(usual), n, Budget(45, 3))}
               if usual else {}),
            **({"analyse, thin slices": lambda: repeated(lambda: scans.analysed(thin), n, Budget(90, 4)),
                "cost by size": scans.by_size} if thin else {}),
            "compare, synthetic pair": lambda: repeated(scans.compared, n, Budget(120, 4)),
            "panel edits": scans.edited,
        }  # fmt: skip
        chosen = [n for n in measurements if not arguments.only or n.startswith(tuple(arguments.only))]
        result = {
            "cpu": processor(),
            "cpu_count": os.cpu_count(),
            "device": arguments.device,
            "load_average": os.getloadavg()[0],
            "slices": {name: slices_in(path) for name, path in (("usual", usual), ("thin", thin)) if path},
            "budgets": {},
        }
        for name in chosen:
            result["budgets"][name] = measured = measurements[name]()
            print(f"{name}: {'holds' if measured['holds'] else 'DOES NOT HOLD'} {json.dumps(measured)[:300]}")
            arguments.json.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
