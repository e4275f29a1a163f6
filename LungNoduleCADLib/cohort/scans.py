"""Which scans a cohort is made of: the rows of a table, or the CT studies below a folder."""

from __future__ import annotations

import csv
import hashlib
import os
import re
from dataclasses import dataclass
from pathlib import Path

from LungNoduleCADLib.dicom.discover import choose_series, find_series
from LungNoduleCADLib.domain.study import SeriesRef
from LungNoduleCADLib.errors import InputError

COLUMNS = ("scan", "prior", "clinical", "id")
BETWEEN_PRIORS = ";"
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_HASH_DIGITS = 12


@dataclass(frozen=True)
class Scan:
    """One scan of a cohort.

    Attributes
    ----------
    id : names its results folder and its rows; made of a digest, so that it names nobody, unless the table gives one.
    source, priors : what ``analyse`` takes: DICOM folder, one file of a series, image file or earlier results.
    files : the series' own files, where they are known.
    refused : why it cannot be analysed, where that is known before.
    """

    id: str
    source: Path
    priors: tuple[Path, ...] = ()
    clinical: Path | None = None
    files: tuple[Path, ...] = ()
    refused: str = ""


def read_scans(source: Path) -> list[Scan]:
    """The scans of a cohort, by a CSV table or by the folder that holds them.

    Raises
    ------
    InputError : neither, an empty one, or a table that cannot be used; it names the line.
    """
    if source.is_dir():
        return scans_of_folder(source)
    if not source.is_file():
        raise InputError("There is no such table or folder", expected="a CSV table or a folder", got=str(source))
    return scans_of_table(source)


def scans_of_folder(folder: Path) -> list[Scan]:
    """One scan a study with CT below a folder: the series that ``analyse`` would choose among those of the study.

    A study without a usable series is a scan that is refused, so that it is not overlooked. Which scans are of one
    person only a table says: identifiers of exported data are too often all the same.

    Raises
    ------
    InputError : no DICOM image, or no CT, below the folder.
    """
    studies: dict[str, list[SeriesRef]] = {}
    for ref in find_series(folder):
        series = ref.description
        studies.setdefault(series.study_uid or series.series_uid, []).append(ref)
    folders = _studies_by_folder(studies)
    scans = [
        _scan_of_study(uid, series, folders)
        for uid, series in studies.items()
        if any(ref.modality == "CT" for ref in series)
    ]
    if not scans:
        raise InputError(f"no CT series below {folder}", expected="folders with chest CT")
    return sorted(scans, key=lambda scan: scan.source)


def _scan_of_study(uid: str, series: list[SeriesRef], folders: dict[Path, set[str]]) -> Scan:
    try:
        chosen, _ = choose_series(series)
    except InputError as error:
        first = next(ref for ref in series if ref.modality == "CT").files
        return Scan(digest_id(uid), first[0], files=first, refused=str(error))
    parents = {file.parent for file in chosen.files}
    if len(parents) == 1:  # one file names the series whatever else lies beside it
        return Scan(digest_id(uid), chosen.files[0], files=chosen.files)
    together = Path(os.path.commonpath(parents))
    others = {study for place, here in folders.items() if place.is_relative_to(together) for study in here} - {uid}
    refused = "The slices of the series lie in several folders, among those of other studies." if others else ""
    return Scan(digest_id(uid), together, files=chosen.files, refused=refused)


def _studies_by_folder(studies: dict[str, list[SeriesRef]]) -> dict[Path, set[str]]:
    found: dict[Path, set[str]] = {}
    for uid, series in studies.items():
        for ref in series:
            for parent in {file.parent for file in ref.files}:
                found.setdefault(parent, set()).add(uid)
    return found


def scans_of_table(table: Path) -> list[Scan]:
    """The rows of a CSV table with a header; see ``COLUMNS``. Relative paths are from the table's folder.

    ``scan`` is needed; several ``prior`` are separated by ";"; ``clinical`` is a JSON file
    (``Resources/clinical.schema.json``); other columns are left alone.

    Raises
    ------
    InputError : no such column, no row, an empty ``scan``, or an ``id`` that is no name or stands twice.
    """
    try:
        with table.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            names = reader.fieldnames or []
            rows = [(reader.line_num, row) for row in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{table} cannot be read", expected="a CSV table in UTF-8", got=str(error)) from error
    if "scan" not in names or not rows:
        raise InputError(
            f"{table} lists no scans",
            expected="a header with the column scan (and, if wanted, prior, clinical, id), and a row for each scan",
            got=", ".join(map(str, names)) or "an empty file",
        )
    scans: dict[str, Scan] = {}
    for line, row in rows:
        scan = _scan_of_row(table, line, {key: (row.get(key) or "").strip() for key in COLUMNS})
        if scan.id.lower() in scans:
            raise InputError(
                f"Line {line} of {table} has the same id as another", got=scan.id, todo="give each row its own id"
            )
        scans[scan.id.lower()] = scan
    return list(scans.values())


def _scan_of_row(table: Path, line: int, row: dict[str, str]) -> Scan:
    if not row["scan"]:
        raise InputError(f"Line {line} of {table} names no scan", expected="a folder or file in the column scan")
    if row["id"] and not _ID.fullmatch(row["id"]):
        raise InputError(
            f"Line {line} of {table} has an id that cannot name a folder",
            expected="up to 64 letters, digits, - and _, a letter or digit first",
            got=row["id"],
        )
    base = table.resolve().parent
    priors = tuple(base / name.strip() for name in row["prior"].split(BETWEEN_PRIORS) if name.strip())
    clinical = base / row["clinical"] if row["clinical"] else None
    return Scan(row["id"] or digest_id(row["scan"]), base / row["scan"], priors, clinical)


def digest_id(name: str) -> str:
    """The same for the same name, and without it."""
    return f"ct-{hashlib.sha256(name.encode()).hexdigest()[:_HASH_DIGITS]}"
