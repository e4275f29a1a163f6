"""Whole CT scans with marked nodules: a folder of DICOM series folders and a ``nodules.csv`` beside them."""

from __future__ import annotations

import csv
import hashlib
from collections import defaultdict
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from LungNoduleCADLib.dicom.discover import choose_series, find_series
from LungNoduleCADLib.dicom.load import load_ct
from LungNoduleCADLib.domain.ct import CtVolume
from LungNoduleCADLib.domain.masks import LungMask
from LungNoduleCADLib.errors import InputError
from LungNoduleCADLib.imaging.patch import quantise
from LungNoduleCADLib.lungs.segment import segment_lungs
from LungNoduleCADLib.training.nodule_pack import NodulePack


@dataclass(frozen=True)
class Mark:
    """A nodule that ``n_readers`` of the readers outlined in a whole scan."""

    nodule_id: str
    n_readers: int
    centre_lps_mm: tuple[float, float, float]
    eq_diameter_mm: float
    type: str


@dataclass(frozen=True)
class MarkedScan:
    """A scan, its lungs and its marks; HU quantised as everything that networks see."""

    name: str
    ct: CtVolume
    lungs: LungMask
    marks: tuple[Mark, ...]

    @property
    def keep_away_lps_mm(self) -> np.ndarray:
        """(N, 4): centre of each mark and the distance inside which nothing counts as background."""
        return np.array([[*m.centre_lps_mm, m.eq_diameter_mm / 2 + 8.0] for m in self.marks]).reshape(-1, 4)


def scan_folders(folder: Path) -> dict[str, tuple[Path, tuple[Mark, ...]]]:
    """{series name: (its folder, its marks)}; a series without marks has none to find.

    Raises
    ------
    InputError : no ``nodules.csv`` in the folder.
    """
    table = folder / "nodules.csv"
    if not table.is_file():
        raise InputError("This is no folder of marked scans", expected=f"{table}", got="no such file")
    marks = defaultdict(list)
    with table.open(newline="", encoding="utf-8") as stream:
        for row in csv.DictReader(stream):
            centre = (float(row["l_mm"]), float(row["p_mm"]), float(row["s_mm"]))
            marks[row["series"]].append(
                Mark(row["nodule_id"], int(row["n_readers"]), centre, float(row["eq_diameter_mm"]), row["type"])
            )
    return {path.name: (path, tuple(marks[path.name])) for path in sorted(folder.iterdir()) if path.is_dir()}


def load_marked_scan(name: str, folder: Path, marks: tuple[Mark, ...]) -> MarkedScan:
    """Read one scan and find its lungs."""
    ct = load_ct(folder)
    lungs = segment_lungs(ct)
    return MarkedScan(name, replace(ct, hu=quantise(ct.hu)), lungs, marks)


def scan_folds(pack: NodulePack, folder: Path) -> dict[str, int | None]:
    """{series name: its patient's fold in the pack}; ``None``: a patient whom the pack does not know."""
    fold_of = {hashlib.sha256(n.patient_id.encode()).hexdigest()[:16]: n.fold for n in pack.nodules}
    folds = {}
    for name, (path, _) in scan_folders(folder).items():
        series, _ = choose_series(find_series(path))
        folds[name] = fold_of.get(series.description.patient_key)
    return folds


def marked_scans(pack: NodulePack, folder: Path | None, folds: Collection[int | None]) -> Iterator[MarkedScan]:
    """The scans of patients in the given folds of the pack (``None``: patients whom the pack does not know)."""
    if folder is None:
        return
    fold_of = scan_folds(pack, folder)
    for name, (path, marks) in scan_folders(folder).items():
        if fold_of[name] in folds:
            yield load_marked_scan(name, path, marks)
