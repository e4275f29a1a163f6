"""How long a reader waits for the answer to each correction: ``python Testing/Benchmarks/review.py OUT -o FILE.json``.

OUT is a finished result (``demo``); a copy of it is corrected. Seconds from request to answer, and the processor
seconds of all threads meanwhile, which other work on the computer changes less.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import psutil
import SimpleITK as sitk

ROOT = Path(__file__).resolve().parents[2]
TIMES = 5


class Clock:
    """A review process; ``seconds`` holds what each kind of request took."""

    def __init__(self, out: Path) -> None:
        command = [sys.executable, "-m", "LungNoduleCADLib", "review", str(out), "--progress", "jsonl"]
        start = time.perf_counter()
        self.process = subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, encoding="utf-8"
        )
        self.findings = json.loads(self.process.stdout.readline())["findings"]
        self.usage = psutil.Process(self.process.pid)
        self.seconds: dict[str, list[tuple[float, float]]] = {}
        self._note("ready", start, 0.0)

    def ask(self, label: str, do: str, **request: Any) -> dict[str, Any]:
        start, used = time.perf_counter(), sum(self.usage.cpu_times()[:2])
        self.process.stdin.write(json.dumps({"id": label, "do": do, **request}) + "\n")
        self.process.stdin.flush()
        answer = json.loads(self.process.stdout.readline())
        if "error" in answer:
            raise RuntimeError(f"{label}: {answer['error']}")
        self._note(label, start, used)
        self.findings = answer["findings"]
        return answer

    def _note(self, label: str, start: float, used: float) -> None:
        spent = time.perf_counter() - start, sum(self.usage.cpu_times()[:2]) - used
        self.seconds.setdefault(label, []).append((round(spent[0], 3), round(spent[1], 2)))

    def end(self) -> None:
        self.process.stdin.close()
        self.process.wait()


def box_around(out: Path, nodule: dict[str, Any], path: Path) -> str:
    """An outline of 10 x 10 mm over 5 slices."""
    ct = sitk.ReadImage(str(out / "ct.nrrd"))
    middle = ct.TransformPhysicalPointToIndex(nodule["centroid_lps_mm"])
    half = [round(5 / s) for s in ct.GetSpacing()[:2]] + [2]
    labels = sitk.GetImageFromArray(np.ones([2 * n + 1 for n in half[::-1]], np.uint8))
    labels.SetOrigin(ct.TransformIndexToPhysicalPoint([m - n for m, n in zip(middle, half, strict=True)]))
    labels.SetSpacing(ct.GetSpacing())
    labels.SetDirection(ct.GetDirection())
    sitk.WriteImage(labels, str(path))
    return str(path)


def measure(out: Path, idle_seconds: float) -> dict[str, list[tuple[float, float]]]:
    clock = Clock(out)
    first = clock.findings["nodules"][0]["id"]
    clock.ask("review, models still loading", "review", nodule=first, review="accepted")
    places = [c["centre_lps_mm"] for c in clock.findings["candidates"] if not c.get("nodule_id")]
    usual = clock.findings["operating_threshold"]
    clock.ask("threshold, models still loading", "threshold", threshold=0.999)
    clock.ask("threshold, models still loading", "threshold", threshold=usual)
    clock.ask("threshold lowered to 0.5 at once", "threshold", threshold=0.5)
    clock.ask("threshold, back", "threshold", threshold=usual)
    time.sleep(idle_seconds)
    nodules = clock.findings["nodules"][:TIMES]
    for _ in range(TIMES):
        for low in (0.5, 0.3, 0.2):
            clock.ask(f"threshold lowered to {low} later", "threshold", threshold=low)
            clock.ask("threshold, back", "threshold", threshold=usual)
    for number in range(TIMES):
        clock.ask("type", "type", nodule=first, type=("part-solid", "ground-glass")[number % 2])
        clock.ask("clinical", "clinical", clinical={"age_years": 64 + number})
        clock.ask("exam_category", "exam_category", category=("4X", None)[number % 2])
    time.sleep(3)
    for place in places[-8:]:
        try:
            added = clock.ask("add", "add", point_lps_mm=place)["added"][0]
        except RuntimeError:
            continue
        clock.ask("delete", "delete", nodule=added)
    with tempfile.TemporaryDirectory() as folder:
        for nodule in nodules:
            drawn = box_around(out, nodule, Path(folder) / "drawn.nrrd")
            clock.ask("outline", "outline", nodule=nodule["id"], file=drawn)
        clock.ask("report at once after an outline", "report", paper="A4")
        clock.ask("outline", "outline", nodule=nodules[-1]["id"], file=drawn)
        time.sleep(3)
        clock.ask("report, 3 s after an outline", "report", paper="A4")
        source = out / "dicom" / "follow-up"
        source_folder = str(source) if source.is_dir() else None
        clock.ask("export", "export", folder=str(Path(folder) / "export"), dicom_source=source_folder)
    clock.end()
    return clock.seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("-o", "--json", type=Path, required=True)
    parser.add_argument("--idle-seconds", type=float, default=150.0, help="before the later thresholds")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        copy = shutil.copytree(arguments.out, Path(folder) / "out")
        seconds = measure(copy, arguments.idle_seconds)
    result = {"cpu_count": os.cpu_count(), "load_average": os.getloadavg()[0], "seconds_and_cpu_seconds": seconds}
    arguments.json.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    print(f"{'':36} slowest  median  median of processor seconds  (count)")
    for label, values in seconds.items():
        wall, used = zip(*values, strict=True)
        print(f"{label:36} {max(wall):7.2f} {median(wall):7.2f} {median(used):7.2f}  ({len(values)})")


if __name__ == "__main__":
    main()
