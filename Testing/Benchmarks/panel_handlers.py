"""How long the panel's handlers keep Slicer from answering, on the synthetic patient.

``python Testing/Benchmarks/panel_handlers.py DEMO [-o FILE]``: DEMO is the folder of ``demo``. Runs the panel with
the genuine processes in the stand-in for Slicer (Testing/Slicer), several times, and writes milliseconds by handler.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections import defaultdict
from datetime import date
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SLICER = ROOT / "Testing" / "Slicer"
LIMIT_MS = 100
# Reading and writing whole results, under a wait cursor: once for a study
LOADING = ("load", "write a lost results folder again")


def measure(script: str, demo: Path) -> dict[str, list[float]]:
    """Milliseconds by handler of one run of a ``real_*.py`` of Testing/Slicer."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as scratch:
        work = Path(scratch)
        results = work / "results"
        shutil.copytree(demo, results, ignore=shutil.ignore_patterns("dicom"))
        shutil.copytree(demo / "dicom" / "follow-up", work / "dicom")
        empty = work / "empty"
        empty.mkdir()
        given = {"real_correct.py": results, "real_report.py": work, "real_open.py": empty}[script]
        command = [sys.executable, str(SLICER / "run_in_host.py"), "--testing", "--no-splash"]
        run = subprocess.run(
            [*command, "--python-script", str(SLICER / script), str(given)], capture_output=True, text=True, check=False
        )
    if run.returncode:
        raise SystemExit(run.stdout + run.stderr)
    result = json.loads(re.search(r"^(?:RESULT|measured:) (.*)$", run.stdout, re.MULTILINE).group(1))
    if script == "real_open.py":
        clicks = re.compile(r"(click .*), ms")
        return {match[1]: [value] for name, value in result.items() if (match := clicks.fullmatch(name))}
    if "milliseconds" in result:
        return result["milliseconds"]
    return {name: [1000 * second for second in seconds] for name, seconds in result["handlers_s"].items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("demo", type=Path)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("-o", "--out", type=Path, default=Path(__file__).with_suffix(".json"))
    arguments = parser.parse_args()
    measured: dict[str, list[float]] = defaultdict(list)
    scripts = ["real_open.py", *["real_correct.py", "real_report.py"] * arguments.runs]  # the first takes minutes: once
    for script in scripts:
        for name, values in measure(script, arguments.demo).items():
            measured[name] += values
    rows = {
        name: {"median_ms": round(statistics.median(values), 1), "most_ms": round(max(values), 1), "count": len(values)}
        for name, values in sorted(measured.items())
    }
    handlers = {name: row for name, row in rows.items() if name not in LOADING}
    document = {
        "data": "demo, seed 0",
        "date": date.today().isoformat(),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}",
        "runs": arguments.runs,
        "limit_ms": LIMIT_MS,
        "over_the_limit_by_median": sorted(name for name, row in handlers.items() if row["median_ms"] > LIMIT_MS),
        "handlers": handlers,
        "loading": {name: row for name, row in rows.items() if name in LOADING},
    }
    arguments.out.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(document, indent=2))


if __name__ == "__main__":
    main()
