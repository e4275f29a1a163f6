"""LUNA16: scans as ``subset<n>/<series>.mhd`` (with ``.raw``), ``annotations.csv`` and, where there, candidates.

``annotations.csv`` (``seriesuid``, ``coordX``, ``coordY``, ``coordZ``: LPS mm, ``diameter_mm``) lists the nodules of at
least 3 mm that at least 3 of LIDC's 4 readers marked; ``candidates_V2.csv``, else ``candidates.csv`` (``class`` 0)
places that are no nodule. There are neither outlines nor ratings, and marks of fewer readers are not told. The fold is
the number of the subset; a series stands for a patient. Volumes are those of spheres of the diameter.

Source: Setio AAA et al., Med Image Anal 2017; luna16.grand-challenge.org.
"""

from __future__ import annotations

import csv
import re
from collections import defaultdict
from collections.abc import Collection, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from LungNoduleCADLib.dicom.load import load_ct
from LungNoduleCADLib.domain.ct import CtVolume
from LungNoduleCADLib.domain.geometry import Geometry
from LungNoduleCADLib.errors import InputError
from LungNoduleCADLib.imaging.sitk_bridge import geometry_of
from LungNoduleCADLib.training.data import MarkedScan, NoduleBlock, PackNodule, TrainingData
from LungNoduleCADLib.training.scan_grid import Box, LastScan, context_box, cut_box, loaded_grid, mark_of, point
from LungNoduleCADLib.training.scans import marked

FEWEST_READERS = 3
SAME_PATIENTS = "LUNA16's scans are of LIDC-IDRI: a model that was trained on that has seen most of these patients."
TABLES_OF_CANDIDATES = ("candidates_V2.csv", "candidates.csv")
_SUBSET = re.compile(r"subset(\d+)")


class Luna16(TrainingData):
    """LUNA16, or some of its subsets; one scan is held at a time.

    Raises
    ------
    InputError : no scans, no ``annotations.csv``, a column is missing, a nodule lies outside of its scan, or a scan's
        header is damaged.
    """

    name = "LUNA16"
    has_outlines = has_ratings = False

    def __init__(self, folder: Path) -> None:
        self._files = scan_files(folder)
        table = _find(folder, "annotations.csv")
        if not self._files or table is None:
            raise InputError(
                f"{folder} is not LUNA16",
                expected="annotations.csv and subset*/*.mhd",
                got="no annotations.csv" if self._files else "no scans",
            )
        self.nodules: list[PackNodule] = []
        self._source: dict[str, tuple[Geometry, Box]] = {}
        places, n_absent = _places(table, "diameter_mm", self._files)
        for uid in sorted(places):
            self._add(uid, places[uid])
        absent = (f"{n_absent} nodules are of scans that are not in {folder}.",) if n_absent else ()
        self.notes = (*absent, SAME_PATIENTS)
        self._candidates = next(filter(None, (_find(folder, name) for name in TABLES_OF_CANDIDATES)), None)
        self._last = LastScan()

    def patient_folds(self) -> dict[str, int]:
        return {uid: fold for uid, (_, fold) in self._files.items()}

    def load(self, nodule: PackNodule) -> NoduleBlock:
        """Pixels around a nodule; there is no outline (``votes`` is ``None``)."""
        grid, box = self._source[nodule.nodule_id]
        hu, geometry = cut_box(self._ct(nodule.shard), grid, box)
        return NoduleBlock(hu, None, geometry)

    def marked_scans(self, folds: Collection[int]) -> Iterator[MarkedScan]:
        of_scan = defaultdict(list)
        for nodule in self.nodules:
            of_scan[nodule.shard].append(mark_of(nodule, self._source[nodule.nodule_id][0]))
        candidates = _places(self._candidates, "class", self._files)[0] if self._candidates else {}
        for uid, (_, fold) in self._files.items():
            if fold in folds:
                rows = np.array(candidates.get(uid, ())).reshape(-1, 4)
                scan = marked(uid, self._ct(uid), tuple(of_scan[uid]), fold)
                yield replace(scan, non_nodules_lps_mm=rows[rows[:, 3] == 0, :3])

    def _add(self, uid: str, places: list[list[float]]) -> None:
        path, fold = self._files[uid]
        grid = loaded_grid(_stored_grid(path))
        for number, (*centre, diameter_mm) in enumerate(sorted(places, key=lambda place: place[2])):
            if not grid.contains(centre) or diameter_mm <= 0:  # type: ignore[arg-type]
                raise InputError(
                    f"A nodule in annotations.csv does not fit its scan {uid}",
                    expected="a place in LPS mm inside the scan and a diameter",
                    got=f"{centre}, {diameter_mm} mm",
                )
            centre_kji = grid.to_kji(centre)  # type: ignore[arg-type]
            reach = diameter_mm / 2 / np.asarray(grid.spacing_kji_mm)
            box = context_box(grid, centre_kji - reach, centre_kji + reach)
            start = tuple(b.start for b in box)
            nodule = PackNodule(
                nodule_id=f"{uid}_n{number:02d}",
                patient_id=uid,
                fold=fold,
                shard=uid,
                n_readers=FEWEST_READERS,
                type=None,
                hu_source="exact",
                eq_diameter_mm=diameter_mm,
                volume_mm3=np.pi / 6.0 * diameter_mm**3,
                spacing_kji_mm=grid.spacing_kji_mm,
                centre_kji=point(centre_kji - start),
                ring_hu=None,
                start_kji=start,  # type: ignore[arg-type]
            )
            self.nodules.append(nodule)
            self._source[nodule.nodule_id] = (grid, box)

    def _ct(self, uid: str) -> CtVolume:
        return self._last.get(uid, lambda: load_ct(self._files[uid][0]))


def scan_files(folder: Path) -> dict[str, tuple[Path, int]]:
    """{series: (its header file, the number of its subset)} of all subsets below a folder."""
    files: dict[str, tuple[Path, int]] = {}
    for path in sorted(folder.glob("**/subset*/*.mhd")):
        subset = _SUBSET.fullmatch(path.parent.name)
        if subset:
            files.setdefault(path.stem, (path, int(subset[1])))
    return files


def _find(folder: Path, name: str) -> Path | None:
    """The table of that name nearest to the folder."""
    return min(folder.glob(f"**/{name}"), key=lambda path: (len(path.parts), path), default=None)


def _places(table: Path, value: str, known: Collection[str]) -> tuple[dict[str, list[list[float]]], int]:
    """{series: [[l, p, s, value], …]} of the known series in a table, and the number of rows of others."""
    wanted = [_plain(name) for name in ("seriesuid", "coordX", "coordY", "coordZ", value)]
    places, n_others = defaultdict(list), 0
    with table.open(newline="", encoding="utf-8-sig") as stream:
        rows = csv.reader(stream)
        header = [_plain(name) for name in next(rows, [])]
        if not set(wanted) <= set(header):
            raise InputError(
                f"{table} lacks a column",
                expected=f"seriesuid, coordX, coordY, coordZ, {value}",
                got=", ".join(header) or "nothing",
            )
        at = [header.index(name) for name in wanted]
        for line, row in enumerate(rows, 2):
            try:
                uid, *numbers = (row[n] for n in at)
                if uid in known:
                    places[uid].append([float(number) for number in numbers])
                else:
                    n_others += 1
            except (IndexError, ValueError) as error:
                raise InputError(f"{table} makes no sense in line {line}", got=", ".join(row)) from error
    return dict(places), n_others


def _plain(name: str) -> str:
    return name.strip().lower().replace("_", "")


def _stored_grid(path: Path) -> Geometry:
    reader = sitk.ImageFileReader()
    reader.SetFileName(str(path))
    try:
        reader.ReadImageInformation()
        return geometry_of(reader)  # type: ignore[arg-type]  # it has an image's getters
    except (RuntimeError, ValueError) as error:
        raise InputError(f"{path} is damaged", expected="the header of a scan", todo="copy it again") from error
