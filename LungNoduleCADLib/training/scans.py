"""Whole CT scans with marked nodules: a folder of DICOM series folders and a ``nodules.csv`` beside them.

``nodules.csv`` has one row a nodule: ``series`` (the name of its folder), ``nodule_id``, ``n_readers``, ``l_mm``,
``p_mm``, ``s_mm`` (centre, LPS mm), ``eq_diameter_mm``, ``type`` (solid, partsolid, nonsolid).
"""

from __future__ import annotations

import csv
import hashlib
from collections import defaultdict
from collections.abc import Collection, Iterator
from dataclasses import replace
from pathlib import Path

from LungNoduleCADLib.dicom.discover import choose_series, find_series
from LungNoduleCADLib.dicom.load import load_ct
from LungNoduleCADLib.domain.ct import CtVolume
from LungNoduleCADLib.errors import InputError
from LungNoduleCADLib.imaging.patch import quantise
from LungNoduleCADLib.lungs.segment import segment_lungs
from LungNoduleCADLib.training.data import NO_FOLD, TYPES, Mark, MarkedScan, TrainingData


def scan_folders(folder: Path) -> dict[str, tuple[Path, tuple[Mark, ...]]]:
    """{series name: (its folder, its marks)}; a series without marks has none to find.

    Raises
    ------
    InputError : no ``nodules.csv`` in the folder, or it makes no sense.
    """
    table = folder / "nodules.csv"
    if not table.is_file():
        raise InputError("This is no folder of marked scans", expected=f"{table}", got="no such file")
    marks = defaultdict(list)
    with table.open(newline="", encoding="utf-8") as stream:
        for row in csv.DictReader(stream):
            try:
                marks[row["series"]].append(_mark(row))
            except (KeyError, TypeError, ValueError) as error:
                raise InputError(f"{table} makes no sense", got=f"{type(error).__name__} {error}") from error
    return {path.name: (path, tuple(marks[path.name])) for path in sorted(folder.iterdir()) if path.is_dir()}


def load_marked_scan(name: str, folder: Path, marks: tuple[Mark, ...], fold: int = NO_FOLD) -> MarkedScan:
    """Read one scan and find its lungs."""
    return marked(name, load_ct(folder), marks, fold)


def marked(name: str, ct: CtVolume, marks: tuple[Mark, ...], fold: int) -> MarkedScan:
    """A scan that was read, its lungs found, its HU quantised."""
    return MarkedScan(name, replace(ct, hu=quantise(ct.hu)), segment_lungs(ct), marks, fold)


def scan_folds(pack: TrainingData, folder: Path) -> dict[str, int | None]:
    """{series name: its patient's fold in the pack}; ``None``: a patient whom the pack does not know."""
    fold_of = {hashlib.sha256(p.encode()).hexdigest()[:16]: fold for p, fold in pack.patient_folds().items()}
    folds = {}
    for name, (path, _) in scan_folders(folder).items():
        series, _ = choose_series(find_series(path))
        folds[name] = fold_of.get(series.description.patient_key)
    return folds


def marked_scans(pack: TrainingData, folder: Path | None, folds: Collection[int | None]) -> Iterator[MarkedScan]:
    """The scans of patients in the given folds of the pack.

    ``NO_FOLD`` or ``None``: of patients in no fold, and of those whom the pack does not know.
    """
    if folder is None:
        return
    wanted = {NO_FOLD if fold is None else fold for fold in folds}
    fold_of = scan_folds(pack, folder)
    for name, (path, marks) in scan_folders(folder).items():
        fold = NO_FOLD if fold_of[name] is None else fold_of[name]
        if fold in wanted:
            yield load_marked_scan(name, path, marks, fold)


def _mark(row: dict[str, str]) -> Mark:
    centre = (float(row["l_mm"]), float(row["p_mm"]), float(row["s_mm"]))
    return Mark(row["nodule_id"], int(row["n_readers"]), centre, float(row["eq_diameter_mm"]), TYPES[row["type"]])
