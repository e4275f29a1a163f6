"""Load: many analyses in one process, many candidates, many slices; all stay within stated bounds."""

from __future__ import annotations

import ctypes
import gc
import json
import multiprocessing
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from chest_series import chest
from tally import Tally

from LungNoduleCADLib.domain.ct import CtVolume

ROOT = Path(__file__).resolve().parents[2]
COARSE: dict[str, Any] = {"shape_kji": (250, 256, 256), "spacing_kji_mm": (2.0, 1.36, 1.36)}
FINER = (4, 2, 2)  # times, to 1,000 slices of 512 x 512
NODULE_LPS_MM = (-42.0, 20.0, 54.0)  # of the tiny scan
WARM_UP = 2  # analyses, in which networks and fonts are loaded
MOST_GROWTH_MB = 0.3  # an analysis, on the long run: pictures that are remembered, up to a number
MOST_NOISE_MB = 20.0  # between any two analyses
MANY_CANDIDATES = 200
MOST_GB_OF_MANY = 3.0
MOST_GB_OF_THIN = 6.0
EXACT_MM = 0.1
AT_THE_OUTLINE_MM = 4.5  # half a voxel of the tiny scan, and 1


def analyses_in_a_row(count: int) -> Tally:
    """A tiny scan, analysed again and again by one process: no file, handle or memory may stay behind."""
    tally = Tally(f"{count + WARM_UP} analyses in a row")
    with tempfile.TemporaryDirectory() as work:
        scan = _tiny_scan(Path(work))
        told = _in_own_process(_analyse_repeatedly, scan, count + WARM_UP)
    for number, after in enumerate(told):
        left = sorted(set(after["left"]) - set(told[0]["left"])) if number else []
        handles = after["handles"] - told[min(number, WARM_UP)]["handles"]
        problem = f"left behind: {left}" if left else f"{handles} more open files" if handles > 0 else ""
        tally.attempt(f"analysis {number}", lambda: None, lambda _, problem=problem: problem)
    memory = [after["resident_mb"] for after in told[WARM_UP:]]
    growth = memory[-1] - memory[0]
    bound = MOST_NOISE_MB + MOST_GROWTH_MB * count
    wrong = f"grew by {growth:.0f} MB in {count} analyses" if growth > bound else ""
    tally.attempt("memory", lambda: None, lambda _: wrong)
    tally.measured = {"resident_mb_after_warm_up": memory[0], "resident_mb_at_the_end": memory[-1]}
    return tally


def many_candidates() -> Tally:
    """A scan in which a reader points at 200 places: each is outlined, measured, characterised and on the report."""
    tally = Tally(f"{MANY_CANDIDATES} candidates within {MOST_GB_OF_MANY:g} GB")
    with tempfile.TemporaryDirectory() as work:
        scan = _tiny_scan(Path(work))
        places = [f"--at={','.join(f'{v:.1f}' for v in place)}" for place in _places_in_lungs(scan)]
        tally.attempt("analyse", lambda: _analysed(scan, places), lambda result: _wrong(tally, result, MOST_GB_OF_MANY))
    return tally


def thousand_slices() -> Tally:
    """A whole scan of 0.5 mm slices, as DICOM, through the command line."""
    tally = Tally(f"1,000 slices of 0.5 mm within {MOST_GB_OF_THIN:g} GB")
    with tempfile.TemporaryDirectory() as work:
        scan = _in_own_process(_thin_scan, Path(work))
        tally.attempt("analyse", lambda: _analysed(scan, ()), lambda result: _wrong(tally, result, MOST_GB_OF_THIN))
    return tally


def _tiny_scan(folder: Path) -> Path:
    """24 slices of 40 x 48 with a ball in the right lung, at NODULE_LPS_MM."""
    from LungNoduleCADLib.phantom.dicom import write_dicom_series

    ct = chest()
    k, j, i = np.rint(ct.geometry.to_kji(NODULE_LPS_MM)).astype(int)
    ct.hu[k - 3 : k + 4, j - 1 : j + 1, i - 1 : i + 1] = 30
    write_dicom_series(ct, folder / "scan")
    return folder / "scan"


def _thin_scan(folder: Path) -> Path:
    """A phantom, interpolated: memory would not do to make it as fine as this."""
    import SimpleITK as sitk

    from LungNoduleCADLib.imaging.sitk_bridge import geometry_of, to_sitk
    from LungNoduleCADLib.phantom.dicom import write_dicom_series
    from LungNoduleCADLib.phantom.thorax import make_phantom

    coarse = make_phantom(**COARSE).ct
    image = to_sitk(coarse.hu, coarse.geometry)
    fine = sitk.Expand(image, FINER[::-1], sitk.sitkLinear)
    hu, series = sitk.GetArrayFromImage(fine), replace(coarse.series, slice_thickness_mm=fine.GetSpacing()[2])
    write_dicom_series(CtVolume(hu, geometry_of(fine), series), folder / "scan")
    return folder / "scan"


def _places_in_lungs(scan: Path) -> np.ndarray:
    """(200, 3) LPS mm, spread evenly over the lungs."""
    from LungNoduleCADLib.dicom.load import load_ct
    from LungNoduleCADLib.lungs.segment import segment_lungs

    ct = load_ct(scan)
    inside = np.argwhere(segment_lungs(ct).labels > 0)
    chosen = inside[np.linspace(0, len(inside) - 1, MANY_CANDIDATES).astype(int)]
    return ct.geometry.to_lps_mm(chosen)


def _in_own_process(action: Any, *arguments: Any) -> Any:
    """What an action returns, done in a fresh process, so that what it keeps in memory is its own."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(action, arguments)


def _analyse_repeatedly(scan: Path, times: int) -> list[dict[str, Any]]:
    """After each analysis: resident memory, open files, and what lies in the temporary folder and beside the result."""
    import psutil

    from LungNoduleCADLib.cli.work import Session

    process, told = psutil.Process(), []
    with tempfile.TemporaryDirectory() as parent, tempfile.TemporaryDirectory() as temporary:
        tempfile.tempdir = temporary
        for _ in range(times):
            Session("cpu", None, None, command="analyse").analyse(
                scan, Path(parent, "out"), points_lps_mm=[NODULE_LPS_MM]
            )
            gc.collect()
            _give_back()
            told.append(
                {
                    "resident_mb": round(process.memory_info().rss / 2**20, 1),
                    "handles": process.num_fds(),
                    "left": [path.name for folder in (parent, temporary) for path in Path(folder).iterdir()],
                }
            )
        tempfile.tempdir = None
    return told


def _give_back() -> None:
    """Free memory that the C library keeps for the next request goes back to the system: what is left is held."""
    with suppress(OSError, AttributeError):  # not glibc
        ctypes.CDLL("libc.so.6").malloc_trim(0)


def _analysed(scan: Path, options: Sequence[str]) -> dict[str, Any]:
    """The result of a command of its own, with the peak of its resident memory in GB."""
    out = scan.parent / "out"
    words = [sys.executable, "-m", "LungNoduleCADLib", "analyse", str(scan), "-o", str(out), "--device", "cpu"]
    with tempfile.TemporaryFile("w+") as complaints:
        process = subprocess.Popen([*words, "--progress", "none", *options], cwd=ROOT, stdout=subprocess.DEVNULL,
                                   stderr=complaints)  # fmt: skip
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        complaints.seek(0)
        if process.returncode:
            raise RuntimeError(f"ended with code {process.returncode}: {complaints.read()[-400:]}")
    findings = json.loads((out / "findings.json").read_text(encoding="utf-8"))
    return {"findings": findings, "options": options, "gigabytes": round(usage.ru_maxrss / 2**20, 2)}


def _wrong(tally: Tally, result: dict[str, Any], most_gigabytes: float) -> str:
    findings, gigabytes = result["findings"], result["gigabytes"]
    tally.measured = {"peak_gb": gigabytes, "nodules": len(findings["nodules"])}
    places = [np.array(option.removeprefix("--at=").split(","), float) for option in result["options"]]
    lost = [place.tolist() for place in places if not any(_stands_for(n, place) for n in findings["nodules"])]
    if lost:
        return f"{len(lost)} of {len(places)} places are in no nodule of the reader's, the first at {lost[0]}"
    if not findings["nodules"]:
        return "no nodule was found"
    return f"{gigabytes:.2f} GB" if gigabytes > most_gigabytes else ""


def _stands_for(nodule: dict[str, Any], place_lps_mm: np.ndarray) -> bool:
    """Whether a nodule was made of a place, or has the place in or at its outline and is the reader's for that."""
    candidate = nodule["candidate"]
    if candidate["origin"] != "reader":
        return False
    reach_mm = (nodule["long_axis_mm"] or 0.0) / 2 + AT_THE_OUTLINE_MM
    of_it = np.linalg.norm(place_lps_mm - candidate["centre_lps_mm"]) < EXACT_MM
    return bool(of_it or np.linalg.norm(place_lps_mm - nodule["centroid_lps_mm"]) <= reach_mm)
