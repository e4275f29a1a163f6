"""What each step costs beside the tools that others use for it: ``bench_peers.py --scan FOLDER -o bench_peers.json``.

One run, one computer, one scan, cut to several heights; about 8 minutes on two cores. ``WHAT`` says, and the JSON with
it, what each figure is: of this project whole steps as ``analyse`` runs them, of the peers their networks' passes only,
with random weights, on which time does not depend. What is not installed is named with its reason, never guessed.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import sys
import time
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

import peers  # noqa: E402
from machine import processor  # noqa: E402

from LungNoduleCADLib.dicom.load import load_ct  # noqa: E402
from LungNoduleCADLib.domain.ct import CtVolume  # noqa: E402
from LungNoduleCADLib.domain.masks import LungMask  # noqa: E402
from LungNoduleCADLib.domain.nodule import NoduleCandidate  # noqa: E402
from LungNoduleCADLib.lungs.segment import segment_lungs  # noqa: E402
from LungNoduleCADLib.nodule_list import Looks, Models, with_candidates  # noqa: E402

OURS = "LungNoduleCAD"
WHAT = {
    OURS: "The whole step as analyse runs it, with the bundled weights; outlines include detection, without which "
    "there are none. Its networks compute in bfloat16 where the processor does, as analyse has them do.",
    "MONAI": "Model zoo, lung_nodule_ct_detection: its network in float32, without anchors, suppression, resampling; "
    "on the box of the lungs, though it looks at the whole scan, in patches that a CPU's memory holds.",
    "nnU-Net": "nnU-Net v2 3d_fullres at 1.5 mm as TotalSegmentator runs lung_nodules (one network, float32, tile step "
    "0.5, no mirroring): passes over the tiles of the lungs and 10 mm around. Not timed: its other network that finds "
    "the lungs, resampling, averaging of tiles. Mirrored: the same with nnU-Net's own eight views, reckoned.",
    "lungmask": "R231: passes over batches of 20 slices of 256 x 256, float32. Not timed: cropping, clean-up.",
    "itk-elastix": "A scan onto itself shifted by 12 mm: default parameters, rigid then B-spline, whole scan at 2 mm.",
    "ANTs": "The same: defaults of ants.registration (affine, SyN), whole scan at 2 mm.",
    "pyradiomics": "Its own C extension with the settings of this project, one nodule five times.",
}
LUNGS, DETECTION, SEGMENTATION, REGISTRATION, RADIOMICS = TASKS = (
    "lungs",
    "detection",
    "nodule segmentation",
    "registration",
    "radiomics of a nodule",
)


@dataclass(frozen=True)
class Row:
    """What a method took for a scan; of ``tiles`` equal ones ``tiles_timed``, from which the rest is reckoned."""

    task: str
    method: str
    slices: int
    seconds: float
    cpu_seconds: float
    tiles: int = 1
    tiles_timed: int = 1


@dataclass(frozen=True)
class Case:
    """A scan of some height with its lungs, and what was found in it."""

    ct: CtVolume
    lungs: LungMask
    looks: Looks
    candidates: list[NoduleCandidate]

    @property
    def slices(self) -> int:
        return self.ct.geometry.shape_kji[0]


class Bench:
    """Collects rows, and what could not be measured."""

    def __init__(self, tiles_timed: int) -> None:
        self.tiles_timed = tiles_timed
        self.rows: list[Row] = []
        self.not_measured: dict[str, str] = {}
        self._tiles: dict[tuple[str, tuple[int, ...]], tuple[float, float]] = {}

    @contextmanager
    def timed(self, task: str, method: str, slices: int):
        start, used = time.perf_counter(), time.process_time()
        yield
        self.add(Row(task, method, slices, time.perf_counter() - start, time.process_time() - used))

    def network(self, task: str, method: str, slices: int, network: peers.Network, views: int = 1) -> None:
        """All tiles of a scan, from the time of a few."""
        kind = network.made_of, network.shape
        if kind not in self._tiles:
            self._tiles[kind] = self._of_a_tile(network.once())
        seconds, cpu = (network.tiles * views * of_a_tile for of_a_tile in self._tiles[kind])
        self.add(Row(task, method, slices, seconds, cpu, network.tiles * views, self.tiles_timed))

    def _of_a_tile(self, once: Callable[[], Any]) -> tuple[float, float]:
        """Seconds and processor seconds of a pass, after one to warm up."""
        with torch.inference_mode():
            once()
            start, used = time.perf_counter(), time.process_time()
            for _ in range(self.tiles_timed):
                once()
        return (time.perf_counter() - start) / self.tiles_timed, (time.process_time() - used) / self.tiles_timed

    def add(self, row: Row) -> None:
        self.rows.append(replace(row, seconds=round(row.seconds, 3), cpu_seconds=round(row.cpu_seconds, 3)))
        print(f"{row.slices:4d} slices  {row.task:22} {row.method:46} {row.seconds:9.2f} s", flush=True)

    def peer(self, name: str, measure: Callable[[], None]) -> None:
        """Measure a peer, or note why not."""
        if name in self.not_measured:
            return
        try:
            measure()
        except peers.Missing as error:
            self.not_measured[name] = str(error)
            print(f"not measured: {name}: {error}", flush=True)


def cut(ct: CtVolume, slices: int) -> CtVolume:
    """The middle slices of a scan."""
    n = ct.hu.shape[0]
    start = max(0, (n - slices) // 2)
    shape = (min(slices, n), *ct.hu.shape[1:])
    hu = np.ascontiguousarray(ct.hu[start : start + shape[0]])
    return replace(ct, hu=hu, geometry=ct.geometry.crop((start, 0, 0), shape))


def ours(bench: Bench, ct: CtVolume, models: Models) -> Case:
    """The steps of ``analyse``, each timed."""
    n = ct.geometry.shape_kji[0]
    with bench.timed(LUNGS, OURS, n):
        lungs = segment_lungs(ct)
    looks = Looks(ct, lungs, lambda: models)
    with bench.timed(DETECTION, OURS, n):
        rated = looks.rated(models.find(ct, lungs))
    chosen = [c for c in rated if (c.probability or 0.0) >= models.threshold]
    with bench.timed(SEGMENTATION, f"{OURS}, detection and outlines", n):
        with_candidates((), chosen, looks)
    found, outlines = (row for row in bench.rows[-2:])
    bench.rows[-1] = replace(
        outlines,
        seconds=round(found.seconds + outlines.seconds, 3),
        cpu_seconds=round(found.cpu_seconds + outlines.cpu_seconds, 3),
    )
    return Case(ct, lungs, looks, rated)


def networks_of_others(bench: Bench, case: Case) -> None:
    """Networks of others on the same scan, in sizes and tiles as their own tools choose them."""
    n, boxed = case.slices, peers.lung_extent_mm(case.lungs)

    def retinanet() -> None:
        bench.network(DETECTION, "MONAI RetinaNet (lung_nodule_ct_detection)", n, peers.retinanet(boxed))

    def nnunet() -> None:
        network = peers.nnunet(boxed)
        for views, name in ((1, ""), (8, ", mirrored")):
            bench.network(SEGMENTATION, f"nnU-Net 3d_fullres, 1.5 mm ({network.made_of}){name}", n, network, views)

    def lungmask() -> None:
        network = peers.lungmask(n)
        bench.network(LUNGS, f"lungmask R231 ({network.made_of})", n, network)

    for name, measure in (("RetinaNet", retinanet), ("nnU-Net", nnunet), ("lungmask", lungmask)):
        bench.peer(name, measure)


def registrations(bench: Bench, case: Case) -> None:
    """A scan onto itself, shifted by 12 mm."""
    from LungNoduleCADLib.followup.register import register_studies

    geometry = case.ct.geometry
    origin = tuple(v + 12.0 for v in geometry.origin_lps_mm)
    moved = replace(case.ct, geometry=replace(geometry, origin_lps_mm=origin))
    lungs = replace(case.lungs, geometry=moved.geometry)
    with bench.timed(REGISTRATION, f"{OURS} (SimpleITK)", case.slices):
        register_studies(case.ct, case.lungs, moved, lungs)

    def other(method: str, prepare: Callable[[CtVolume, CtVolume], peers.Pass]) -> Callable[[], None]:
        def measure() -> None:
            run = prepare(case.ct, moved)
            with bench.timed(REGISTRATION, method, case.slices):
                run()

        return measure

    bench.peer("itk-elastix", other("itk-elastix, rigid and B-spline, 2 mm", peers.elastix))
    bench.peer("ANTs", other("ANTs SyN (antspyx), 2 mm", peers.ants))


def radiomics(bench: Bench, case: Case, plain: Path | None) -> None:
    """Features of one nodule, by each build of pyradiomics."""
    from LungNoduleCADLib.classification.radiomics import available, radiomic_features

    masks = (nodule.mask for c in case.candidates[:20] if (nodule := case.looks.outlined(c.centre_lps_mm)))
    mask = next((mask for mask in masks if mask is not None), None)
    if mask is None or not available():
        bench.not_measured["radiomics"] = "no outline in this scan, or pyradiomics is not installed"
        return
    radiomic_features(case.ct, mask)
    with bench.timed(RADIOMICS, f"{OURS} (pyradiomics-cuda on the CPU)", case.slices):
        for _ in range(5):
            radiomic_features(case.ct, mask)

    def other() -> None:
        with peers.plain_radiomics(plain):
            radiomic_features(case.ct, mask)
            with bench.timed(RADIOMICS, "pyradiomics", case.slices):
                for _ in range(5):
                    radiomic_features(case.ct, mask)

    bench.peer("pyradiomics", other)


def ratios(rows: list[Row]) -> list[dict[str, Any]]:
    """How many times as long a peer takes as this project, by task and size."""
    mine = {(row.task, row.slices): row for row in rows if row.method.startswith(OURS)}
    return [
        {
            "task": row.task,
            "peer": row.method,
            "slices": row.slices,
            "times_as_long": round(row.seconds / own.seconds, 2),
            "times_the_processor": round(row.cpu_seconds / own.cpu_seconds, 2),
        }
        for row in rows
        if not row.method.startswith(OURS) and (own := mine.get((row.task, row.slices)))
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scan", type=Path, required=True, help="DICOM folder of the tallest scan")
    parser.add_argument("-o", "--json", type=Path, required=True)
    parser.add_argument("--slices", type=int, nargs="+", default=[70, 140, 270])
    parser.add_argument("--tiles", type=int, default=3, help="tiles of a peer that are timed (default: %(default)s)")
    parser.add_argument("--quick", action="store_true", help="one size, one tile")
    parser.add_argument("--threads", type=int, default=0, help="of torch (default: as it likes)")
    parser.add_argument("--plain-radiomics", type=Path, help="folder with plain pyradiomics (pip install --target)")
    arguments = parser.parse_args()
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    start = time.perf_counter()
    bench = Bench(1 if arguments.quick else arguments.tiles)
    whole, models = load_ct(arguments.scan), Models.load("cpu")
    load = os.getloadavg()[0]
    for slices in arguments.slices[:1] if arguments.quick else arguments.slices:
        case = ours(bench, cut(whole, slices), models)
        networks_of_others(bench, case)
        registrations(bench, case)
        radiomics(bench, case, arguments.plain_radiomics)
    result = {
        "cpu": processor(),
        "cpu_count": os.cpu_count(),
        "torch_threads": torch.get_num_threads(),
        "load_average": load,
        "spacing_kji_mm": [round(s, 3) for s in whole.geometry.spacing_kji_mm],
        "quick": arguments.quick,
        "torchvision": importlib.util.find_spec("torchvision") is not None,
        "seconds": round(time.perf_counter() - start),
        "what": WHAT,
        "rows": [asdict(row) for row in bench.rows],
        "ratios": ratios(bench.rows),
        "not_measured": bench.not_measured,
    }
    arguments.json.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
