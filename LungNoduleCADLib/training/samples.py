"""Cubes to train on, made once and kept on disk: nodules and non-nodules, in real lung, with their labels."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import groupby
from pathlib import Path

import numpy as np

from LungNoduleCADLib.domain.geometry import Geometry
from LungNoduleCADLib.imaging.patch import extract_patch, patch_geometry
from LungNoduleCADLib.imaging.sitk_bridge import resample
from LungNoduleCADLib.nodules.candidates import find_candidates
from LungNoduleCADLib.training.data import MarkedScan, NoduleBlock, PackNodule, TrainingData
from LungNoduleCADLib.training.lung_background import LungBackground

SYNTHETIC_FOLD = -1


@dataclass(frozen=True)
class Sample:
    """Where a cube came from: ``nodule_id`` is empty for a non-nodule; ``real_context`` if nothing was set into it.

    ``fold``: of the patient; ``background_fold``: of the scan around what was set into it (-1: synthetic, in no fold);
    ``synthetic_type``: the type of a phantom's nodule, of which nothing else is asked.
    """

    nodule_id: str
    patient: str
    fold: int
    background_fold: int
    real_context: bool
    synthetic_type: str = ""

    def hidden_from(self, held_out: int) -> bool:
        """Whether a network that is to be judged on a fold must not see this."""
        return held_out in (self.fold, self.background_fold)


Cube = tuple[np.ndarray, np.ndarray, Sample]
"""HU (D, D, D), occupancy 0..1 of the same shape, and where they came from."""


class SampleStore:
    """Cubes of one spacing (N, D, D, D): ``hu.npy`` int16, ``occupancy.npy`` uint8 (0..255), and ``samples.json``."""

    def __init__(self, folder: Path) -> None:
        self.name = folder.name
        self.samples = [Sample(**row) for row in json.loads((folder / "samples.json").read_text(encoding="utf-8"))]
        self.hu = np.load(folder / "hu.npy", mmap_mode="r")
        self.occupancy = np.load(folder / "occupancy.npy", mmap_mode="r")

    def __len__(self) -> int:
        return len(self.samples)

    def own_rows(self, fold: int) -> list[int]:
        """Rows of a fold that a network which leaves it out never saw, as they lie in their scans last.

        Nodules and what lies beside them are in real lung of the fold, or else in synthetic lung; so the last row of a
        nodule is the most real one.
        """
        rows = [
            (s.real_context, s.background_fold, row)
            for row, s in enumerate(self.samples)
            if s.fold == fold and s.background_fold in (fold, SYNTHETIC_FOLD)
        ]
        return [row for *_, row in sorted(rows)]

    @staticmethod
    def write(folder: Path, size: int, cubes: Iterator[Cube]) -> SampleStore:
        """Append cubes as they come; memory stays at one cube."""
        folder.mkdir(parents=True, exist_ok=True)
        samples = []
        shape = (size, size, size)
        raw = {name: folder / f"{name}.raw" for name in ("hu", "occupancy")}
        with raw["hu"].open("wb") as hu_file, raw["occupancy"].open("wb") as occupancy_file:
            for hu, occupancy, sample in cubes:
                hu_file.write(np.clip(np.rint(hu), -1024, 3071).astype(np.int16).tobytes())
                occupancy_file.write(np.rint(np.clip(occupancy, 0, 1) * 255).astype(np.uint8).tobytes())
                samples.append(sample)
        for name, dtype in (("hu", np.int16), ("occupancy", np.uint8)):
            target = np.lib.format.open_memmap(folder / f"{name}.npy", "w+", dtype, (len(samples), *shape))
            if samples:
                target[:] = np.memmap(raw[name], dtype, "r", shape=(len(samples), *shape))
            target.flush()
            raw[name].unlink()
        (folder / "samples.json").write_text(json.dumps([asdict(s) for s in samples]), encoding="utf-8")
        return SampleStore(folder)


def nodule_cubes(
    data: TrainingData, nodules: list[PackNodule], background: LungBackground, rng: np.random.Generator
) -> Iterator[Cube]:
    """Pack nodules set into real lung; two of three keep a disc around them only.

    The narrow discs keep the end of the block along z from being seen far beside the nodule.
    """
    for nodule in nodules:
        block = data.load(nodule)
        disc = None if rng.random() < 1 / 3 else reach_in_plane_mm(nodule, block) + float(rng.uniform(2, 10))
        hu, occupancy = background.set_into(block, nodule.centre_kji, disc)
        yield hu, occupancy, Sample(nodule.nodule_id, nodule.patient_id, nodule.fold, background.fold, False)


def beside_nodule_cubes(
    data: TrainingData,
    nodules: list[PackNodule],
    background: LungBackground,
    per_nodule: int,
    rng: np.random.Generator,
) -> Iterator[Cube]:
    """Non-nodules from the pack: vessels and walls beside the nodules, set into real lung like these.

    ``nodules`` must be all of each patient's.
    """
    for _, group in groupby(sorted(nodules, key=lambda n: n.patient_id), key=lambda n: n.patient_id):
        of_patient = [(nodule, data.load(nodule)) for nodule in group]
        for nodule, block in of_patient:
            for centre in places_beside(nodule, block, of_patient, per_nodule, rng):
                hu, _ = background.set_into(_without_outline(block), centre, float(rng.uniform(9, 15)))
                sample = Sample("", nodule.patient_id, nodule.fold, background.fold, real_context=False)
                yield hu, np.zeros_like(hu), sample


def scan_nodule_cubes(
    data: TrainingData, nodules: list[PackNodule], scan: MarkedScan, fold: int, size: int, spacing_mm: float
) -> Iterator[Cube]:
    """Pack nodules whose whole scan is at hand, as they lie there."""
    by_id = {nodule.nodule_id: nodule for nodule in nodules}
    for mark in scan.marks:
        if mark.nodule_id not in by_id:
            continue
        nodule = by_id[mark.nodule_id]
        grid = patch_geometry(mark.centre_lps_mm, size, spacing_mm)
        hu = extract_patch(scan.ct.hu, scan.ct.geometry, grid)
        block = data.load(nodule)
        if block.votes is None:
            yield hu, np.zeros_like(hu), Sample(nodule.nodule_id, nodule.patient_id, fold, fold, real_context=True)
            continue
        consensus = np.pad(block.consensus.astype(np.float32), 1)
        start = tuple(s - 1 for s in nodule.start_kji)
        occupancy = resample(consensus, scan.ct.geometry.crop(start, consensus.shape), grid)  # type: ignore[arg-type]
        yield hu, occupancy, Sample(nodule.nodule_id, nodule.patient_id, fold, fold, real_context=True)


def scan_background_cubes(
    scan: MarkedScan, fold: int, background: LungBackground, size: int, spacing_mm: float, rng: np.random.Generator
) -> Iterator[Cube]:
    """What the candidate finder proposes away from every mark: as it lies, and cut out and set into other lung."""
    near = scan.keep_away_lps_mm
    for candidate in find_candidates(scan.ct, scan.lungs):
        centre = np.asarray(candidate.centre_lps_mm)
        if len(near) and np.any(np.linalg.norm(near[:, :3] - centre, axis=1) < near[:, 3]):
            continue
        hu = extract_patch(scan.ct.hu, scan.ct.geometry, patch_geometry(candidate.centre_lps_mm, size, spacing_mm))
        yield hu, np.zeros_like(hu), Sample("", scan.name, fold, fold, real_context=True)
        block, centre_kji = _cut_out(scan, candidate.centre_lps_mm, int(rng.integers(1, 9)))
        disc = None if rng.random() < 0.5 else float(rng.uniform(9, 15))
        hu, _ = background.set_into(block, centre_kji, disc)
        yield hu, np.zeros_like(hu), Sample("", scan.name, fold, background.fold, real_context=False)


def places_beside(
    nodule: PackNodule,
    block: NoduleBlock,
    others: list[tuple[PackNodule, NoduleBlock]],
    count: int,
    rng: np.random.Generator,
) -> list[tuple[float, float, float]]:
    """Dense spots at least 7 mm from every outline and 8 mm from the block's border."""
    from scipy import ndimage

    outlined = outlined_by_anybody(nodule, block)
    for other, other_block in others:
        paint_other(outlined, nodule, other, other_block)
    spacing = block.geometry.spacing_kji_mm
    far = ndimage.distance_transform_edt(~outlined, spacing) > 7.0
    margin = [int(np.ceil(8.0 / s)) for s in spacing[1:]]
    far[:, : margin[0]] = far[:, -margin[0] :] = False
    far[:, :, : margin[1]] = far[:, :, -margin[1] :] = False
    smooth = ndimage.gaussian_filter(block.hu.astype(np.float32), [0.5 / s for s in spacing])
    peaks = (smooth == ndimage.maximum_filter(smooth, [3, 5, 5])) & far & (smooth > -650)
    spots = np.argwhere(peaks)
    if not len(spots):
        spots = np.argwhere(far)
    chosen = rng.permutation(len(spots))[:count]
    return [tuple(float(v) for v in spots[n]) for n in chosen]  # type: ignore[misc]


def reach_in_plane_mm(nodule: PackNodule, block: NoduleBlock) -> float:
    """Largest in-plane distance of the outline from the nodule's centre."""
    offset_mm = (np.argwhere(outlined_by_anybody(nodule, block)) - nodule.centre_kji) * block.geometry.spacing_kji_mm
    return float(np.hypot(offset_mm[:, 1], offset_mm[:, 2]).max())


def paint_other(outlined: np.ndarray, nodule: PackNodule, other: PackNodule, other_block: NoduleBlock) -> None:
    """Set what anybody outlined of another nodule of the patient, in voxels of the nodule's block."""
    offset, there_marked = np.subtract(other.start_kji, nodule.start_kji), outlined_by_anybody(other, other_block)
    if other is nodule or np.any(offset >= outlined.shape) or np.any(offset + there_marked.shape <= 0):
        return
    here = tuple(
        slice(max(o, 0), min(o + n, m)) for o, n, m in zip(offset, there_marked.shape, outlined.shape, strict=True)
    )
    there = tuple(slice(h.start - o, h.stop - o) for h, o in zip(here, offset, strict=True))
    outlined[here] |= there_marked[there]


def outlined_by_anybody(nodule: PackNodule, block: NoduleBlock) -> np.ndarray:
    """Voxels that anybody outlined; where nobody did, a ball of the nodule's diameter."""
    if block.votes is not None:
        return block.votes > 0
    offset_mm = (np.moveaxis(np.indices(block.hu.shape), 0, -1) - nodule.centre_kji) * block.geometry.spacing_kji_mm
    return np.linalg.norm(offset_mm, axis=-1) <= nodule.eq_diameter_mm / 2


def _without_outline(block: NoduleBlock) -> NoduleBlock:
    return NoduleBlock(block.hu, np.zeros(block.hu.shape, np.float32), block.geometry)


def _cut_out(
    scan: MarkedScan, centre_lps_mm: tuple[float, float, float], n_slices: int
) -> tuple[NoduleBlock, tuple[float, float, float]]:
    """A block like the pack's from a scan: ``n_slices`` slices of about 62 mm around a point."""
    kji = scan.ct.geometry.to_kji(centre_lps_mm)
    half = [n_slices / 2, *(31.0 / s for s in scan.ct.geometry.spacing_kji_mm[1:])]
    shape = np.asarray(scan.ct.geometry.shape_kji)
    start = np.clip(np.rint(kji - half).astype(int), 0, shape - 1)
    stop = np.clip(np.rint(kji + half).astype(int), start + 1, shape)
    hu = scan.ct.hu[tuple(slice(a, b) for a, b in zip(start, stop, strict=True))]
    geometry = Geometry(hu.shape, (0.0, 0.0, 0.0), scan.ct.geometry.spacing_kji_mm)
    return NoduleBlock(hu, np.zeros(hu.shape, np.float32), geometry), tuple(float(v) for v in kji - start)  # type: ignore[return-value]
