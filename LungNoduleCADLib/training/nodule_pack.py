"""The nodule pack: HU blocks of nodules with every reader's outline and ratings (``nodules.csv`` + ``.npz`` shards).

``nodules.csv`` has one row a nodule; the columns read are ``nodule_id``, ``patient_id``, ``fold`` (a whole number, by
patient; anything else: in no fold), ``shard``, ``n_readers``, ``type`` (solid, partsolid, nonsolid), ``hu_source``,
``eq_diameter_mm``, ``volume_mm3``, ``spacing_z|y|x`` (mm), ``cz|cy|cx`` (centre in the block), ``ring_hu``,
``z_index0``, ``row0``, ``col0`` (the block's first voxel in its series), and ``<rating>_readers`` for each of
``data.RATINGS``: each reader's grade, joined by ``;``. A shard holds for each nodule ``<nodule_id>_hu`` (int16 (K, J,
I), k from feet to head) and ``<nodule_id>_readers`` (uint8 of the same shape: bit r is set where reader r outlined).
"""

from __future__ import annotations

import csv
import zipfile
import zlib
from collections.abc import Collection, Iterator
from pathlib import Path

import numpy as np

from LungNoduleCADLib.domain.geometry import Geometry
from LungNoduleCADLib.domain.nodule import NoduleType
from LungNoduleCADLib.errors import InputError
from LungNoduleCADLib.imaging.patch import quantise
from LungNoduleCADLib.training.data import NO_FOLD, RATINGS, TYPES, MarkedScan, NoduleBlock, PackNodule, TrainingData
from LungNoduleCADLib.training.scans import marked_scans


class NodulePack(TrainingData):
    """A folder in the nodule pack's format.

    Parameters
    ----------
    scans : folder of whole marked scans (see ``scans``) of the pack's patients and others.

    Raises
    ------
    InputError : no ``nodules.csv``, or it lacks a column, or a row makes no sense.
    """

    name = "this nodule pack"
    has_outlines = has_ratings = True
    notes = ()

    def __init__(self, folder: Path, scans: Path | None = None) -> None:
        table = folder / "nodules.csv"
        if not table.is_file():
            raise InputError(
                "This is no nodule pack", expected=f"{table}", got="no such file", todo="give the pack's folder"
            )
        with table.open(newline="", encoding="utf-8") as stream:
            rows = list(csv.DictReader(stream))
        self.folder, self.scans_folder = folder, scans
        self.nodules = [_nodule(row, number) for number, row in enumerate(rows, 2)]
        self._shards: dict[str, np.lib.npyio.NpzFile] = {}

    def load(self, nodule: PackNodule) -> NoduleBlock:
        """Pixels of a nodule, HU rounded down to multiples of 8 (see ``quantise``).

        Raises
        ------
        InputError : the shard is missing or damaged, or the nodule is not in it.
        """
        hu, readers = (self._array(nodule, name) for name in ("hu", "readers"))
        if hu.ndim != 3 or hu.shape != readers.shape:
            raise InputError(
                f"{nodule.nodule_id} is damaged in {nodule.shard}",
                expected="HU and outlines of one 3D shape",
                got=f"{hu.shape} and {readers.shape}",
            )
        votes = np.asarray(np.mean([(readers >> r) & 1 for r in range(nodule.n_readers)], axis=0, dtype=np.float32))
        return NoduleBlock(quantise(hu), votes, Geometry(hu.shape, (0.0, 0.0, 0.0), nodule.spacing_kji_mm))

    def marked_scans(self, folds: Collection[int]) -> Iterator[MarkedScan]:
        yield from marked_scans(self, self.scans_folder, folds)

    def _array(self, nodule: PackNodule, name: str) -> np.ndarray:
        path = self.folder / nodule.shard
        try:
            if nodule.shard not in self._shards:
                self._shards[nodule.shard] = np.load(path, allow_pickle=False)
            return self._shards[nodule.shard][f"{nodule.nodule_id}_{name}"]
        except FileNotFoundError as error:
            raise InputError("A shard of the nodule pack is missing", expected=f"{path}", got="no such file") from error
        except KeyError as error:
            raise InputError(
                f"{path} lacks a nodule of the table", expected=f"{nodule.nodule_id}_{name}", got="no such array"
            ) from error
        except (OSError, EOFError, ValueError, zipfile.BadZipFile, zlib.error) as error:
            raise InputError(
                f"{path} is damaged", expected="an .npz file", got=f"{error}", todo="copy it again"
            ) from error


def _nodule(row: dict[str, str], line: int) -> PackNodule:
    try:
        return PackNodule(
            nodule_id=row["nodule_id"],
            patient_id=row["patient_id"],
            fold=_fold(row.get("fold") or ""),
            shard=row["shard"],
            n_readers=int(row["n_readers"]),
            type=_type(row["type"]),
            hu_source=row["hu_source"],
            eq_diameter_mm=float(row["eq_diameter_mm"]),
            volume_mm3=float(row["volume_mm3"]),
            spacing_kji_mm=tuple(float(row[f"spacing_{axis}"]) for axis in "zyx"),  # type: ignore[arg-type]
            centre_kji=tuple(float(row[f"c{axis}"]) for axis in "zyx"),  # type: ignore[arg-type]
            ring_hu=float(row["ring_hu"]) if row["ring_hu"] else None,
            start_kji=tuple(int(row[name]) for name in ("z_index0", "row0", "col0")),  # type: ignore[arg-type]
            ratings={name: tuple(int(float(g)) for g in row[f"{name}_readers"].split(";") if g) for name in RATINGS},
        )
    except KeyError as error:
        raise InputError("nodules.csv lacks a column", expected=f"column {error}", got=", ".join(row)) from error
    except (ValueError, TypeError, AttributeError) as error:  # a short row has None where text is expected
        raise InputError(f"nodules.csv makes no sense in line {line}", got=f"{error}", todo="correct it") from error


def _fold(text: str) -> int:
    return int(text) if text.isdecimal() else NO_FOLD


def _type(text: str) -> NoduleType:
    if text not in TYPES:
        raise ValueError(f"type {text!r} is none of {', '.join(TYPES)}")
    return TYPES[text]
