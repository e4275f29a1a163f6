"""The nodule pack: HU blocks of nodules with every reader's outline and ratings (``nodules.csv`` + ``.npz`` shards)."""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from LungNoduleCADLib.domain.geometry import Geometry
from LungNoduleCADLib.domain.nodule import NoduleType
from LungNoduleCADLib.errors import InputError
from LungNoduleCADLib.imaging.patch import quantise

RATINGS = ("malignancy", "texture", "subtlety", "sphericity", "margin", "lobulation", "spiculation", "calcification")
TYPES = {"solid": NoduleType.SOLID, "partsolid": NoduleType.PART_SOLID, "nonsolid": NoduleType.GROUND_GLASS}


@dataclass(frozen=True)
class PackNodule:
    """One row of the pack.

    ``ratings``: each reader's grade; ``spacing_kji_mm``: of its block;
    ``start_kji``: where the block's first voxel lies in the original series.
    """

    nodule_id: str
    patient_id: str
    fold: int
    shard: str
    n_readers: int
    type: NoduleType
    hu_source: str
    eq_diameter_mm: float
    volume_mm3: float
    spacing_kji_mm: tuple[float, float, float]
    centre_kji: tuple[float, float, float]
    ring_hu: float
    start_kji: tuple[int, int, int]
    ratings: dict[str, tuple[int, ...]] = field(default_factory=dict)

    def mean(self, rating: str) -> float:
        return float(np.mean(self.ratings[rating]))

    def median(self, rating: str) -> float:
        return float(np.median(self.ratings[rating]))


@dataclass(frozen=True)
class NoduleBlock:
    """The pixels of one pack nodule: HU int16 (K, J, I), and the share of readers (0..1) who marked each voxel."""

    hu: np.ndarray
    votes: np.ndarray
    geometry: Geometry

    @property
    def consensus(self) -> np.ndarray:
        """Voxels that at least half of the readers marked."""
        return self.votes >= 0.5 - 1e-6


class NodulePack:
    """A folder in the nodule pack's format.

    Raises
    ------
    InputError : no ``nodules.csv``, or columns are missing.
    """

    def __init__(self, folder: Path) -> None:
        table = folder / "nodules.csv"
        if not table.is_file():
            raise InputError(
                "This is no nodule pack", expected=f"{table}", got="no such file", todo="give the pack's folder"
            )
        with table.open(newline="", encoding="utf-8") as stream:
            rows = list(csv.DictReader(stream))
        self.folder = folder
        try:
            self.nodules = [_nodule(row) for row in rows]
        except KeyError as error:
            raise InputError(
                "nodules.csv lacks a column", expected=f"column {error}", got=", ".join(rows[0])
            ) from error
        self._shards: dict[str, np.lib.npyio.NpzFile] = {}

    def load(self, nodule: PackNodule) -> NoduleBlock:
        """Pixels of a nodule, HU rounded down to multiples of 8 (see ``quantise``)."""
        if nodule.shard not in self._shards:
            self._shards[nodule.shard] = np.load(self.folder / nodule.shard, allow_pickle=False)
        shard = self._shards[nodule.shard]
        hu = quantise(shard[f"{nodule.nodule_id}_hu"])
        readers = shard[f"{nodule.nodule_id}_readers"]
        votes = sum(((readers >> bit) & 1).astype(np.float32) for bit in range(nodule.n_readers)) / nodule.n_readers
        geometry = Geometry(hu.shape, (0.0, 0.0, 0.0), nodule.spacing_kji_mm)
        return NoduleBlock(hu, votes, geometry)

    def of_folds(self, folds: tuple[int, ...], keep: Callable[[PackNodule], bool] = lambda _: True) -> list[PackNodule]:
        return [nodule for nodule in self.nodules if nodule.fold in folds and keep(nodule)]

    def split_sha256(self) -> str:
        """Digest of which patient is in which fold."""
        patients = sorted({(nodule.patient_id, nodule.fold) for nodule in self.nodules})
        return hashlib.sha256("\n".join(f"{p},{f}" for p, f in patients).encode()).hexdigest()


def _nodule(row: dict[str, str]) -> PackNodule:
    return PackNodule(
        nodule_id=row["nodule_id"],
        patient_id=row["patient_id"],
        fold=int(row["fold"]),
        shard=row["shard"],
        n_readers=int(row["n_readers"]),
        type=TYPES[row["type"]],
        hu_source=row["hu_source"],
        eq_diameter_mm=float(row["eq_diameter_mm"]),
        volume_mm3=float(row["volume_mm3"]),
        spacing_kji_mm=tuple(float(row[f"spacing_{axis}"]) for axis in "zyx"),  # type: ignore[arg-type]
        centre_kji=tuple(float(row[f"c{axis}"]) for axis in "zyx"),  # type: ignore[arg-type]
        ring_hu=float(row["ring_hu"]),
        start_kji=tuple(int(row[name]) for name in ("z_index0", "row0", "col0")),  # type: ignore[arg-type]
        ratings={name: tuple(int(float(g)) for g in row[f"{name}_readers"].split(";") if g) for name in RATINGS},
    )
