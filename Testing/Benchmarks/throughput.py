"""How many scans a core does in an hour: ``throughput.py SCAN_FOLDER… -o throughput.json``.

One ``batch`` of all scans by as many processes of one thread as there are cores, as it is recommended for cohorts. Run
it on a computer that does nothing else; five scans take about two minutes on two cores.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import sys
import tempfile
from pathlib import Path
from statistics import median
from typing import Any

import budgets
from machine import processor


def measured(scans: list[Path], workers: int, work: Path) -> dict[str, Any]:
    """What a batch of the scans costs."""
    table, out = work / "scans.csv", work / "out"
    with table.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([["scan", "id"], *([scan.resolve(), f"scan-{n}"] for n, scan in enumerate(scans))])
    command = [sys.executable, "-m", "LungNoduleCADLib", "batch", str(table), "-o", str(out)]
    cost = budgets.cost_of_command([*command, "--workers", str(workers), "--device", "cpu", "--progress", "none"])
    with (out / "scans.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    size = sum(path.stat().st_size for path in out.rglob("*") if path.is_file())
    return {
        "scans": len(scans),
        "slices": sorted(budgets.slices_in(scan) for scan in scans),
        "workers": workers,
        "seconds": cost.seconds,
        "cpu_seconds": cost.cpu_seconds,
        "peak_gigabytes": cost.gigabytes,
        "megabytes_of_a_result": round(size / len(scans) / 1e6, 1),
        "median_seconds_of_a_scan": median(float(row["seconds"]) for row in rows),
        "scans_a_core_and_hour": round(3600 * len(scans) / cost.seconds / min(workers, os.cpu_count() or 1), 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("scans", type=Path, nargs="+", help="DICOM folders, one scan each")
    parser.add_argument("-o", "--json", type=Path, required=True)
    parser.add_argument("--workers", type=int, default=os.cpu_count(), help="default: %(default)s")
    arguments = parser.parse_args()
    os.environ |= {"OMP_NUM_THREADS": "1", "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS": "1"}
    about = {"cpu": processor(), "cpu_count": os.cpu_count(), "load_average": os.getloadavg()[0]}
    with tempfile.TemporaryDirectory() as folder:
        result = {**about, **measured(arguments.scans, arguments.workers, Path(folder))}
    arguments.json.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
