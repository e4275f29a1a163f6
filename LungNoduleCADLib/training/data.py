"""Data to train from: what every source gives, and which source a folder is.

Three kinds of folder are known (each described in its module):

========== =============================== ========================================== ======================
source     module                          found by                                   has
========== =============================== ========================================== ======================
nodule     ``nodule_pack`` (and ``scans``) ``nodules.csv`` with a column ``shard``    outlines, ratings
pack
LUNA16     ``luna16``                      ``subset*/*.mhd``                          places and diameters
LIDC-IDRI  ``lidc_idri``                   XML of LIDC's readers, at any depth        outlines, ratings, scans
========== =============================== ========================================== ======================

Positions are LPS mm; arrays are (K, J, I); HU are rounded down to multiples of 8 as everything that networks see.
"""

from __future__ import annotations

import csv
import hashlib
from abc import abstractmethod
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np

from LungNoduleCADLib.domain.ct import CtVolume
from LungNoduleCADLib.domain.geometry import Geometry
from LungNoduleCADLib.domain.masks import LungMask
from LungNoduleCADLib.domain.nodule import NoduleType
from LungNoduleCADLib.errors import InputError, UsageError

RATINGS = ("malignancy", "texture", "subtlety", "sphericity", "margin", "lobulation", "spiculation", "calcification")
TYPES = {"solid": NoduleType.SOLID, "partsolid": NoduleType.PART_SOLID, "nonsolid": NoduleType.GROUND_GLASS}
"""The words of the tables."""
NO_FOLD = -1
"""The fold of a patient whom the split does not know: neither trained on nor reported."""
KEEP_AWAY_MM, SMALL_RADIUS_MM = 8.0, 1.5
Report = Callable[[str], None]


@dataclass(frozen=True)
class PackNodule:
    """One nodule as its source describes it.

    ``shard``: what holds its pixels (a file of the pack, else the series); ``type``, ``ring_hu``: ``None`` where not
    known; ``ratings``: each reader's grade; ``spacing_kji_mm`` and ``centre_kji``: of its block; ``start_kji``: where
    the block's first voxel lies in the series.
    """

    nodule_id: str
    patient_id: str
    fold: int
    shard: str
    n_readers: int
    type: NoduleType | None
    hu_source: str
    eq_diameter_mm: float
    volume_mm3: float
    spacing_kji_mm: tuple[float, float, float]
    centre_kji: tuple[float, float, float]
    ring_hu: float | None
    start_kji: tuple[int, int, int]
    ratings: dict[str, tuple[int, ...]] = field(default_factory=dict)

    def mean(self, rating: str) -> float:
        return float(np.mean(self._grades(rating)))

    def median(self, rating: str) -> float:
        return float(np.median(self._grades(rating)))

    def _grades(self, rating: str) -> tuple[int, ...]:
        grades = self.ratings.get(rating, ())
        if not grades:
            raise InputError(f"{self.nodule_id} was not rated", expected=f"a grade of {rating}", got="none")
        return grades


@dataclass(frozen=True)
class NoduleBlock:
    """The pixels around one nodule: HU int16 (K, J, I), and the share of readers (0..1) who marked each voxel.

    ``votes`` is ``None`` where the source has no outlines.
    """

    hu: np.ndarray
    votes: np.ndarray | None
    geometry: Geometry

    @property
    def consensus(self) -> np.ndarray:
        """Voxels that at least half of the readers marked.

        Raises
        ------
        InputError : nobody outlined this nodule.
        """
        if self.votes is None:
            raise InputError("This nodule has no outline", expected="readers' outlines", got="a place and a diameter")
        return self.votes >= 0.5 - 1e-6


@dataclass(frozen=True)
class Mark:
    """A nodule that ``n_readers`` of the readers marked in a whole scan; ``type`` is ``None`` where not known."""

    nodule_id: str
    n_readers: int
    centre_lps_mm: tuple[float, float, float]
    eq_diameter_mm: float
    type: NoduleType | None


def _no_places() -> np.ndarray:
    return np.zeros((0, 3))


@dataclass(frozen=True)
class MarkedScan:
    """A scan, its lungs and its marks; HU quantised as everything that networks see.

    ``fold``: of its patient; ``small_lps_mm`` (N, 3): marks of nodules below 3 mm, neither to find nor background;
    ``non_nodules_lps_mm`` (N, 3): places that somebody looked at and that are no nodule.
    """

    name: str
    ct: CtVolume
    lungs: LungMask
    marks: tuple[Mark, ...]
    fold: int = NO_FOLD
    small_lps_mm: np.ndarray = field(default_factory=_no_places)
    non_nodules_lps_mm: np.ndarray = field(default_factory=_no_places)

    @property
    def keep_away_lps_mm(self) -> np.ndarray:
        """(N, 4): centre of each mark and the distance inside which nothing counts as background."""
        marked = [[*m.centre_lps_mm, m.eq_diameter_mm / 2 + KEEP_AWAY_MM] for m in self.marks]
        small = [[*place, SMALL_RADIUS_MM + KEEP_AWAY_MM] for place in self.small_lps_mm]
        return np.array(marked + small).reshape(-1, 4)


class TrainingData(Protocol):
    """Nodules with their patients' folds, their pixels, and the whole scans they lie in.

    Attributes
    ----------
    name : what to call the data in a message.
    has_outlines, has_ratings : what can be learned from it.
    notes : sentences on what was left out, for the user.
    """

    name: str
    nodules: list[PackNodule]
    has_outlines: bool
    has_ratings: bool
    notes: tuple[str, ...]

    @abstractmethod
    def load(self, nodule: PackNodule) -> NoduleBlock:
        """Pixels around a nodule.

        Raises
        ------
        InputError : they are missing or damaged.
        """

    @abstractmethod
    def marked_scans(self, folds: Collection[int]) -> Iterator[MarkedScan]:
        """The whole scans of the patients of some folds, one at a time; ``NO_FOLD``: of patients in no fold."""

    def patient_folds(self) -> dict[str, int]:
        """{patient: fold} of everybody in the data."""
        return {nodule.patient_id: nodule.fold for nodule in self.nodules}

    def of_folds(self, folds: Collection[int], keep: Callable[[PackNodule], bool] = lambda _: True) -> list[PackNodule]:
        return [nodule for nodule in self.nodules if nodule.fold in folds and keep(nodule)]

    def split_sha256(self) -> str:
        """Digest of which patient is in which fold."""
        lines = [f"{patient},{fold}" for patient, fold in sorted(self.patient_folds().items())]
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()

    def require(self, purpose: str, *, outlines: bool = False, ratings: bool = False) -> None:
        """Check that the data has what ``purpose`` learns from.

        Raises
        ------
        InputError : it has not.
        """
        needed = [("outlines", outlines, self.has_outlines), ("ratings", ratings, self.has_ratings)]
        missing = " and ".join(name for name, wanted, there in needed if wanted and not there)
        if missing:
            raise InputError(
                f"{purpose} cannot learn from {self.name}",
                expected=f"readers' {missing}",
                got="places and diameters of nodules only",
                todo="give LIDC-IDRI or a nodule pack",
            )


def open_training_data(folder: Path, scans: Path | None = None, report: Report = lambda _: None) -> TrainingData:
    """The data in a folder, whichever of the known kinds it is.

    Parameters
    ----------
    scans : whole marked scans for a nodule pack, which has none (see ``scans``); the other sources bring theirs.
    report : told how far the opening is; the headers of the whole of LIDC-IDRI take some minutes.

    Raises
    ------
    InputError : the folder is none of them, or a damaged one.
    UsageError : ``scans`` with data that has scans.
    """
    from LungNoduleCADLib.training.lidc_idri import LidcIdri, holds_readings
    from LungNoduleCADLib.training.luna16 import Luna16, scan_files
    from LungNoduleCADLib.training.nodule_pack import NodulePack

    if not folder.is_dir():
        raise InputError(f"{folder} is no folder", todo="give the folder that holds the training data")
    if _has_shards(folder / "nodules.csv"):
        return NodulePack(folder, scans)
    if scans is not None:
        raise UsageError("Whole scans go with a nodule pack only", got=f"--scans {scans}", todo="leave it out")
    if scan_files(folder):
        return Luna16(folder)
    if holds_readings(folder):
        return LidcIdri(folder, report)
    raise InputError(
        f"{folder} holds no training data",
        expected="a nodule pack (nodules.csv and its shards), LIDC-IDRI (DICOM series and the readers' XML) or "
        "LUNA16 (subset*/*.mhd and annotations.csv)",
        got=", ".join(sorted(path.name for path in folder.iterdir())[:5]) or "an empty folder",
    )


def _has_shards(table: Path) -> bool:
    if not table.is_file():
        return False
    with table.open(newline="", encoding="utf-8") as stream:
        return "shard" in next(csv.reader(stream), [])
