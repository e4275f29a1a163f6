"""LIDC-IDRI as The Cancer Imaging Archive ships it: CT series as DICOM files, and the readers' XML.

Both may lie anywhere below the folder, together or apart (the XML is a download of its own too); they belong together
by the UID of the series. Series that nobody read and readings of series that are not there are left alone.

A nodule is what at least one reader outlined (see ``lidc_nodules``); volume and diameter (of the sphere of that volume)
are those of the consensus of half of its readers, its type is by the median of texture: at most 2 ground-glass, below 4
part-solid, else solid. Its block is cut from the scan itself, with real lung on all sides; HU are the scanner's.
Nodules are numbered from feet to head.

Folds go by patient: ``folds.csv`` in the folder (columns ``patient_id``, ``fold``; whoever is not in it is in no fold),
else 0 to 4 by a hash of the patient's id.
"""

from __future__ import annotations

import csv
import hashlib
import os
from collections import defaultdict
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from LungNoduleCADLib.dicom.discover import find_series
from LungNoduleCADLib.dicom.headers import is_dicom, quiet_pydicom, read_dataset, slice_headers, text
from LungNoduleCADLib.dicom.load import load_series
from LungNoduleCADLib.dicom.stack import in_order, stack_geometry
from LungNoduleCADLib.domain.ct import CtVolume
from LungNoduleCADLib.domain.geometry import Geometry
from LungNoduleCADLib.domain.nodule import NoduleType
from LungNoduleCADLib.domain.quality import Severity
from LungNoduleCADLib.domain.study import SeriesRef
from LungNoduleCADLib.errors import InputError
from LungNoduleCADLib.training.data import (
    NO_FOLD,
    RATINGS,
    MarkedScan,
    NoduleBlock,
    PackNodule,
    Report,
    TrainingData,
)
from LungNoduleCADLib.training.lidc_nodules import MarkedNodule, SliceGrid, joined, reader_mask, same_lesion
from LungNoduleCADLib.training.lidc_xml import Reading, read_lidc_xml
from LungNoduleCADLib.training.scan_grid import Box, LastScan, context_box, cut_box, mark_of, point
from LungNoduleCADLib.training.scans import marked

FOLDS = 5
REPORT_EVERY = 50
HASHED = (
    "No folds.csv: patients were dealt to folds 0 to 4 by a hash of their id. The bundled models know other folds; to "
    "judge one of these, give its folds."
)


@dataclass(frozen=True)
class _Scan:
    """One series that was read; its nodules from feet to head."""

    series: SeriesRef
    patient_id: str
    grid: Geometry
    nodules: tuple[MarkedNodule, ...]
    small_lps_mm: np.ndarray
    non_nodules_lps_mm: np.ndarray

    @property
    def uid(self) -> str:
        return self.series.description.series_uid


class LidcIdri(TrainingData):
    """LIDC-IDRI, or any part of it; one scan is held at a time.

    Raises
    ------
    InputError : no reading has its series here, or ``folds.csv`` makes no sense.
    """

    name = "LIDC-IDRI"
    has_outlines = has_ratings = True

    def __init__(self, folder: Path, report: Report = lambda _: None) -> None:
        notes: list[str] = []
        self._scans = _open_scans(folder, notes, report)
        folds = _folds(folder)
        patients = sorted({scan.patient_id for scan in self._scans})
        self._folds = {p: hashed_fold(p) if folds is None else folds.get(p, NO_FOLD) for p in patients}
        self.nodules: list[PackNodule] = []
        self._source: dict[str, tuple[_Scan, MarkedNodule, Box]] = {}
        for scan in self._scans:
            for marked_nodule in scan.nodules:
                self._add(scan, marked_nodule)
        self.notes = (*notes, HASHED) if folds is None else tuple(notes)
        self._last = LastScan()

    def patient_folds(self) -> dict[str, int]:
        return dict(self._folds)

    def load(self, nodule: PackNodule) -> NoduleBlock:
        scan, found, box = self._source[nodule.nodule_id]
        hu, geometry = cut_box(self._ct(scan), scan.grid, box)
        votes = np.zeros(hu.shape, np.float32)
        start = found.start_kji - [b.start for b in box]
        inside = tuple(slice(s, s + n) for s, n in zip(start, found.counts.shape, strict=True))
        votes[inside] = found.counts / np.float32(len(found.marks))
        return NoduleBlock(hu, votes, geometry)

    def marked_scans(self, folds: Collection[int]) -> Iterator[MarkedScan]:
        of_scan = defaultdict(list)
        for nodule in self.nodules:
            of_scan[nodule.shard].append(mark_of(nodule, self._source[nodule.nodule_id][0].grid))
        for scan in self._scans:
            fold = self._folds[scan.patient_id]
            if fold in folds:
                found = marked(self._scan_name(scan), self._ct(scan), tuple(of_scan[scan.uid]), fold)
                yield replace(found, small_lps_mm=scan.small_lps_mm, non_nodules_lps_mm=scan.non_nodules_lps_mm)

    def _add(self, scan: _Scan, found: MarkedNodule) -> None:
        number = sum(nodule.patient_id == scan.patient_id for nodule in self.nodules)
        box = context_box(scan.grid, found.start_kji, found.start_kji + found.counts.shape - 1)
        start = tuple(b.start for b in box)
        volume_mm3 = np.count_nonzero(found.consensus) * scan.grid.voxel_volume_mm3
        ratings = {name: _grades(found, name) for name in RATINGS}
        nodule = PackNodule(
            nodule_id=f"{scan.patient_id}_n{number:02d}",
            patient_id=scan.patient_id,
            fold=self._folds[scan.patient_id],
            shard=scan.uid,
            n_readers=len(found.marks),
            type=type_by_texture(ratings["texture"]),
            hu_source="exact",
            eq_diameter_mm=float(np.cbrt(6.0 * volume_mm3 / np.pi)),
            volume_mm3=float(volume_mm3),
            spacing_kji_mm=scan.grid.spacing_kji_mm,
            centre_kji=point(found.centroid_kji() - start),
            ring_hu=None,
            start_kji=start,  # type: ignore[arg-type]
            ratings=ratings,
        )
        self.nodules.append(nodule)
        self._source[nodule.nodule_id] = (scan, found, box)

    def _ct(self, scan: _Scan) -> CtVolume:
        return self._last.get(scan.uid, lambda: load_series(scan.series))

    def _scan_name(self, scan: _Scan) -> str:
        alone = sum(other.patient_id == scan.patient_id for other in self._scans) == 1
        return scan.patient_id if alone else f"{scan.patient_id} …{scan.uid[-8:]}"


def holds_readings(folder: Path) -> bool:
    """Whether there is a reading of a CT anywhere in a folder."""
    for path in _xml_files(folder):
        try:
            if read_lidc_xml(path):
                return True
        except InputError:
            continue
    return False


def hashed_fold(patient_id: str) -> int:
    """A fold from 0 to 4 that depends on the patient's id alone."""
    return int(hashlib.sha256(patient_id.encode()).hexdigest(), 16) % FOLDS


def type_by_texture(grades: tuple[int, ...]) -> NoduleType | None:
    """The type by the median of the readers' texture grades; ``None`` without any."""
    if not grades:
        return None
    texture = float(np.median(grades))
    if texture <= 2:
        return NoduleType.GROUND_GLASS
    return NoduleType.PART_SOLID if texture < 4 else NoduleType.SOLID


def _open_scans(folder: Path, notes: list[str], report: Report) -> list[_Scan]:
    """Every scan that can be used, by patient and series; ``notes`` are told of the others."""
    readings: dict[str, Reading] = {}
    for path in _xml_files(folder):
        try:
            reading = read_lidc_xml(path)
        except InputError as error:
            notes.append(f"A reading was left out: {error}")
            continue
        if reading:
            readings.setdefault(reading.series_uid, reading)
    if not readings:
        raise InputError(f"{folder} has no reading of a CT", expected="XML of LIDC's readers", got="none that is whole")
    scans = []
    for series in _series_of(folder, readings):
        reading = readings.pop(series.description.series_uid)
        try:
            scans.append(_open_scan(series, reading))
        except InputError as error:
            notes.append(f"The scan {series.description.series_uid} was left out: {error}")
        if len(scans) % REPORT_EVERY == 1:
            report(f"LIDC-IDRI: {len(scans)} scans opened, {len(readings)} readings to go")
    if not scans:
        raise InputError(
            f"{folder} has no CT series that was read and can be used",
            expected="the DICOM files of the series that the XML names",
            got=notes[0] if notes else f"{len(readings)} readings of other series",
        )
    if readings:
        notes.append(f"{len(readings)} readings are of series that are not in {folder}.")
    return sorted(scans, key=lambda scan: (scan.patient_id, scan.uid))


def _open_scan(series: SeriesRef, reading: Reading) -> _Scan:
    if not series.usable:
        serious = [flag.message for flag in series.flags if flag.severity is Severity.SERIOUS]
        raise InputError("it cannot be used", got=" ".join(serious).rstrip("."))
    with quiet_pydicom():
        slices = in_order([s for path in series.files for s in slice_headers(path, read_dataset(path, pixels=False))])
    grid = SliceGrid(stack_geometry(slices), [one.sop_uid for one in slices])
    try:
        masks = [(mark, reader_mask(mark, grid) if mark.is_outlined else None) for mark in reading.nodules]
        small = [grid.kji(region) for mark, mask in masks if mask is None for region in mark.regions]
        others = [grid.kji(region) for region in reading.non_nodules]
    except KeyError as error:
        raise InputError("its reading marks a slice that is not there", expected=f"image {error}") from error
    nodules = [joined(group) for group in same_lesion([mask for _, mask in masks if mask is not None])]
    return _Scan(
        series=series,
        patient_id=text(slices[0].dataset, "PatientID") or series.description.series_uid,
        grid=grid.loaded,
        nodules=tuple(sorted(nodules, key=lambda nodule: tuple(nodule.centroid_kji()))),
        small_lps_mm=_middles(grid.loaded, small),
        non_nodules_lps_mm=_middles(grid.loaded, others),
    )


def _series_of(folder: Path, readings: dict[str, Reading]) -> Iterator[SeriesRef]:
    """The best series for each reading, folder by folder so that few headers are held."""
    seen: set[Path] = set()
    for where, names in _folders(folder):
        if not seen.isdisjoint(where.parents) or not any(is_dicom(where / name) for name in names):
            continue
        seen.add(where)
        try:
            found = find_series(where)
        except InputError:  # segmentations and reports of the same collection
            continue
        best: dict[str, SeriesRef] = {}
        for ref in sorted(found, key=lambda ref: (ref.usable, ref.n_slices)):
            if ref.modality == "CT" and ref.description.series_uid in readings:
                best[ref.description.series_uid] = ref
        yield from best.values()


def _folders(folder: Path) -> Iterator[tuple[Path, list[str]]]:
    """(folder, names of its files) of a folder and all below it, through links, each once."""
    seen = set()
    for where, below, names in os.walk(folder, followlinks=True):
        below.sort()
        real = Path(where).resolve()
        if real in seen:
            below.clear()
            continue
        seen.add(real)
        yield Path(where), sorted(names)


def _xml_files(folder: Path) -> Iterator[Path]:
    return (where / name for where, names in _folders(folder) for name in names if name.lower().endswith(".xml"))


def _folds(folder: Path) -> dict[str, int] | None:
    """{patient: fold} of ``folds.csv``; ``None`` where there is none."""
    table = folder / "folds.csv"
    if not table.is_file():
        return None
    folds: dict[str, int] = {}
    with table.open(newline="", encoding="utf-8-sig") as stream:
        for line, row in enumerate(csv.DictReader(stream), 2):
            try:
                patient, fold = row["patient_id"], int(row["fold"])
            except (KeyError, TypeError, ValueError) as error:
                raise InputError(
                    f"{table} makes no sense in line {line}", expected="patient_id and a whole number as fold",
                    got=f"{dict(row)}",
                ) from error  # fmt: skip
            if folds.setdefault(patient, fold) != fold:
                raise InputError(f"{table} has {patient} in two folds", got=f"{folds[patient]} and {fold}")
    return folds


def _grades(found: MarkedNodule, name: str) -> tuple[int, ...]:
    return tuple(mark.ratings[name] for mark in found.marks if name in mark.ratings)


def _middles(grid: Geometry, regions: list[np.ndarray]) -> np.ndarray:
    """(N, 3) LPS mm of the middle of each region."""
    return grid.to_lps_mm(np.array([points.mean(axis=0) for points in regions]).reshape(-1, 3))
