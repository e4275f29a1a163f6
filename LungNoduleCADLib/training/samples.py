"""Cubes to train on, made once and kept on disk: nodules and non-nodules, in real lung, with their labels."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from LungNoduleCADLib.domain.geometry import Geometry
from LungNoduleCADLib.imaging.patch import extract_patch, patch_geometry
from LungNoduleCADLib.imaging.sitk_bridge import resample
from LungNoduleCADLib.nodules.candidates import find_candidates
from LungNoduleCADLib.training.lung_background import LungBackground
from LungNoduleCADLib.training.nodule_pack import NoduleBlock, NodulePack, PackNodule
from LungNoduleCADLib.training.scans import MarkedScan

SIZE = 56


@dataclass(frozen=True)
class Sample:
    """Where a cube came from: ``nodule_id`` is empty for a non-nodule; ``real_context`` if nothing was set into it.

    ``synthetic_type``: the type of a phantom's nodule, of which nothing else is asked.
    """

    nodule_id: str
    patient: str
    spacing_mm: float
    real_context: bool
    synthetic_type: str = ""


class SampleStore:
    """``hu.npy`` int16 and ``occupancy.npy`` uint8 (0..255), both (N, 56, 56, 56), and ``samples.json``."""

    def __init__(self, folder: Path) -> None:
        self.samples = [Sample(**row) for row in json.loads((folder / "samples.json").read_text(encoding="utf-8"))]
        self.hu = np.load(folder / "hu.npy", mmap_mode="r")
        self.occupancy = np.load(folder / "occupancy.npy", mmap_mode="r")

    def __len__(self) -> int:
        return len(self.samples)

    @staticmethod
    def write(folder: Path, cubes: Iterator[tuple[np.ndarray, np.ndarray, Sample]]) -> SampleStore:
        """Append cubes as they come; memory stays at one cube."""
        folder.mkdir(parents=True, exist_ok=True)
        samples = []
        shape = (SIZE, SIZE, SIZE)
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
    pack: NodulePack,
    nodules: list[PackNodule],
    background: LungBackground,
    variants: int,
    spacing_mm: float,
    rng: np.random.Generator,
) -> Iterator[tuple[np.ndarray, np.ndarray, Sample]]:
    """Pack nodules set into real lung, ``variants`` places each; two of three keep a disc around them only.

    The narrow discs keep the end of the block along z from being seen far beside the nodule.
    """
    for nodule in nodules:
        block = pack.load(nodule)
        for variant in range(variants):
            disc = None if variant % 3 == 0 else _reach_in_plane_mm(nodule, block) + float(rng.uniform(2, 10))
            hu, occupancy = background.set_into(block, nodule.centre_kji, disc)
            yield hu, occupancy, Sample(nodule.nodule_id, nodule.patient_id, spacing_mm, real_context=False)


def beside_nodule_cubes(
    pack: NodulePack,
    nodules: list[PackNodule],
    background: LungBackground,
    per_nodule: int,
    spacing_mm: float,
    rng: np.random.Generator,
) -> Iterator[tuple[np.ndarray, np.ndarray, Sample]]:
    """Non-nodules from the pack: vessels and walls beside the nodules, set into real lung like these."""
    marked = {}
    for nodule in nodules:
        block = pack.load(nodule)
        marked.setdefault(nodule.patient_id, []).append((nodule, block))
    for nodule in nodules:
        block = next(b for n, b in marked[nodule.patient_id] if n is nodule)
        for centre in _places_beside(nodule, block, marked[nodule.patient_id], per_nodule, rng):
            hu, _ = background.set_into(_without_outline(block), centre, float(rng.uniform(9, 15)))
            yield hu, np.zeros_like(hu), Sample("", nodule.patient_id, spacing_mm, real_context=False)


def scan_nodule_cubes(
    pack: NodulePack, scan: MarkedScan, copies: int, spacing_mm: float
) -> Iterator[tuple[np.ndarray, np.ndarray, Sample]]:
    """Pack nodules whose whole scan is at hand, as they lie there."""
    by_id = {nodule.nodule_id: nodule for nodule in pack.nodules}
    for mark in scan.marks:
        if mark.nodule_id not in by_id:
            continue
        nodule = by_id[mark.nodule_id]
        grid = patch_geometry(mark.centre_lps_mm, SIZE, spacing_mm)
        hu = extract_patch(scan.ct.hu, scan.ct.geometry, grid)
        block = pack.load(nodule)
        consensus = np.pad(block.consensus.astype(np.float32), 1)
        start = tuple(s - 1 for s in nodule.start_kji)
        occupancy = resample(consensus, scan.ct.geometry.crop(start, consensus.shape), grid)  # type: ignore[arg-type]
        for _ in range(copies):
            yield hu, occupancy, Sample(nodule.nodule_id, nodule.patient_id, spacing_mm, real_context=True)


def scan_background_cubes(
    scan: MarkedScan, background: LungBackground, spacing_mm: float, rng: np.random.Generator
) -> Iterator[tuple[np.ndarray, np.ndarray, Sample]]:
    """What the candidate finder proposes away from every mark: as it lies, and cut out and set into other lung."""
    near = scan.keep_away_lps_mm
    for candidate in find_candidates(scan.ct, scan.lungs):
        centre = np.asarray(candidate.centre_lps_mm)
        if len(near) and np.any(np.linalg.norm(near[:, :3] - centre, axis=1) < near[:, 3]):
            continue
        hu = extract_patch(scan.ct.hu, scan.ct.geometry, patch_geometry(candidate.centre_lps_mm, SIZE, spacing_mm))
        yield hu, np.zeros_like(hu), Sample("", scan.name, spacing_mm, real_context=True)
        block, centre_kji = _cut_out(scan, candidate.centre_lps_mm, int(rng.integers(1, 9)))
        disc = None if rng.random() < 0.5 else float(rng.uniform(9, 15))
        hu, _ = background.set_into(block, centre_kji, disc)
        yield hu, np.zeros_like(hu), Sample("", scan.name, spacing_mm, real_context=False)


def _places_beside(
    nodule: PackNodule,
    block: NoduleBlock,
    others: list[tuple[PackNodule, NoduleBlock]],
    count: int,
    rng: np.random.Generator,
) -> list[tuple[float, float, float]]:
    """Dense spots at least 7 mm from every outline and 8 mm from the block's border."""
    from scipy import ndimage

    outlined = block.votes > 0
    for other, other_block in others:
        _paint(outlined, nodule, other, other_block)
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


def _reach_in_plane_mm(nodule: PackNodule, block: NoduleBlock) -> float:
    """Largest in-plane distance of the outline from the nodule's centre."""
    offset_mm = (np.argwhere(block.votes > 0) - nodule.centre_kji) * block.geometry.spacing_kji_mm
    return float(np.hypot(offset_mm[:, 1], offset_mm[:, 2]).max())


def _paint(outlined: np.ndarray, nodule: PackNodule, other: PackNodule, other_block: NoduleBlock) -> None:
    offset = np.subtract(other.start_kji, nodule.start_kji)
    if other is nodule or np.any(offset >= outlined.shape) or np.any(offset + other_block.votes.shape <= 0):
        return
    here = tuple(
        slice(max(o, 0), min(o + n, m)) for o, n, m in zip(offset, other_block.votes.shape, outlined.shape, strict=True)
    )
    there = tuple(slice(h.start - o, h.stop - o) for h, o in zip(here, offset, strict=True))
    outlined[here] |= other_block.votes[there] > 0


def _without_outline(block: NoduleBlock) -> NoduleBlock:
    return NoduleBlock(block.hu, np.zeros_like(block.votes), block.geometry)


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
