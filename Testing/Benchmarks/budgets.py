"""Whether the budgets of time and memory hold: ``budgets.py --usual FOLDER --thin FOLDER -o budgets.json``.

``--usual``: a chest CT of 512 x 512 x about 140; ``--thin``: of about 300 slices. Compared are the two scans of the
synthetic patient. Medians of several runs, each a command of its own as a person gives it; memory is the peak of the
whole process tree. Run it on a computer that does nothing else: what else it did stands in ``load_average``.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import psutil
import review

ROOT = Path(__file__).resolve().parents[2]
EDITS = ("review", "threshold", "type", "clinical", "exam_category", "add", "delete", "outline")
EDIT_SECONDS = 0.5
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


def repeated(once: Callable[[], tuple[Cost, Path | None]], times: int, budget: Budget) -> dict[str, Any]:
    """A command several times; with the seconds and megabytes of its stages where it leaves results."""
    costs, stages, size = [], [], 0
    for _ in range(times):
        cost, out = once()
        costs.append(cost)
        if out is not None:
            size = sum(path.stat().st_size for path in out.rglob("*") if path.is_file())
            stages.append(json.loads((out / "run.json").read_text(encoding="utf-8"))["stages"])
    result = summary(costs, budget)
    if stages:
        result["result_megabytes"] = round(size / 1e6, 1)
        result["stages"] = [
            {
                "stage": rows[0]["stage"],
                "median_seconds": round(median(row["seconds"] for row in rows), 2),
                "peak_memory_mb": max(row["peak_memory_mb"] for row in rows),
            }
            for rows in zip(*stages, strict=True)
        ]
    return result


def analyses(arguments: argparse.Namespace, work: Path) -> dict[str, Callable[[], dict[str, Any]]]:
    """{name: measurement} of the commands that read a scan."""
    device = ["--device", arguments.device, "--progress", "none"]

    def analysed(scan: Path) -> tuple[Cost, Path]:
        shutil.rmtree(work / "out", ignore_errors=True)
        return cost_of(["analyse", str(scan), "-o", str(work / "out"), *device]), work / "out"

    def compared() -> tuple[Cost, Path]:
        shutil.rmtree(work / "pair", ignore_errors=True)
        scans = [str(work / "phantom" / name) for name in ("baseline", "follow-up")]
        return cost_of(["compare", *scans, "-o", str(work / "pair"), *device]), work / "pair"

    def edited() -> dict[str, Any]:
        if not (work / "pair").is_dir():
            compared()
        copy = Path(shutil.copytree(work / "pair", work / "edited"))
        seconds = review.measure(copy, arguments.idle_seconds)
        rows = {
            label: {"median_seconds": median(wall for wall, _ in values), "slowest_seconds": max(values)[0]}
            for label, values in seconds.items()
            if label.split(",")[0].split()[0] in EDITS
        }
        return {"budget_seconds": EDIT_SECONDS, "edits": rows,
                "holds": all(row["median_seconds"] <= EDIT_SECONDS for row in rows.values())}  # fmt: skip

    n = arguments.repeats
    wanted = {
        "analyse, usual slices": lambda: repeated(lambda: analysed(arguments.usual), n, Budget(45, 3)),
        "analyse, thin slices": lambda: repeated(lambda: analysed(arguments.thin), n, Budget(90, 4)),
        "compare, synthetic pair": lambda: repeated(compared, n, Budget(120, 4)),
        "panel edits": edited,
    }
    given = {"analyse, usual slices": arguments.usual, "analyse, thin slices": arguments.thin}
    return {name: measure for name, measure in wanted.items() if given.get(name, True)}


def started_lightly() -> dict[str, Any]:
    """``--help``: what it costs, and the heavy packages that it loads (there should be none)."""
    code = (
        "import sys\nfrom LungNoduleCADLib.cli import main\n"
        "try: main(['--help'])\nexcept SystemExit: pass\n"
        f"print([name for name in {HEAVY} if name in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    loaded = done.stderr.strip().splitlines()[-1]
    return {"loads": loaded, "holds": loaded == "[]"}


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
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        quick = {
            "info": lambda: repeated(lambda: (cost_of(["info"]), None), arguments.repeats, Budget(0.3)),
            "help": started_lightly,
        }
        measured = {**quick, **analyses(arguments, work)}
        chosen = [n for n in measured if not arguments.only or any(n.startswith(word) for word in arguments.only)]
        if any(name in chosen for name in ("compare, synthetic pair", "panel edits")):
            cost_of(["phantom", "-o", str(work / "phantom")])
        load = os.getloadavg()[0]
        results = {}
        for name in chosen:
            results[name] = measured[name]()
            print(f"{name}: {'holds' if results[name]['holds'] else 'DOES NOT HOLD'} {json.dumps(results[name])[:300]}")
    about = {
        "cpu": platform.processor() or platform.machine(),
        "cpu_count": os.cpu_count(),
        "device": arguments.device,
        "load_average": load,
        "slices": {
            name: _slices(path) for name, path in (("usual", arguments.usual), ("thin", arguments.thin)) if path
        },
    }
    arguments.json.write_text(json.dumps({**about, "budgets": results}, indent=2) + "\n", encoding="utf-8")


def _slices(folder: Path) -> int:
    return sum(path.is_file() for path in folder.rglob("*"))


if __name__ == "__main__":
    main()
