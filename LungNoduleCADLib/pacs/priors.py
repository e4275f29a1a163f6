"""Which of a patient's series are prior chest CTs, and their files."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date
from pathlib import Path

import pydicom
from pydicom.dataset import Dataset

from LungNoduleCADLib.dicom.doubts import other_body_part
from LungNoduleCADLib.dicom.export_source import save
from LungNoduleCADLib.dicom.headers import text
from LungNoduleCADLib.errors import InputError, PacsError
from LungNoduleCADLib.pacs import dimse, web
from LungNoduleCADLib.pacs.address import Address, Node, RemoteSeries

FEWEST_SLICES = 20


def send(files: Sequence[Path], address: Address, report: Callable[[int], None] = lambda _: None) -> None:
    """Send DICOM files; ``report`` is called with how many are there.

    Raises
    ------
    InputError : a file is damaged or lacks what a PACS files it by; nothing was sent.
    PacsError : no connection, or a file was refused; those before it are there.
    """
    for file in files:
        _check(file)
    if isinstance(address, Node):
        dimse.send(files, address, report)
    else:
        web.send(files, address, report)


def _check(file: Path) -> None:
    try:
        header = pydicom.dcmread(file, stop_before_pixels=True)
        lacking = [name for name in ("SOPClassUID", "SOPInstanceUID") if not text(header, name)]
        lacking += [] if "TransferSyntaxUID" in header.file_meta else ["TransferSyntaxUID"]
    except Exception as error:  # a damaged file can fail anywhere in the parser
        raise InputError(f"{file} cannot be read", got=str(error), todo="leave it out or copy it again") from error
    if lacking:
        raise InputError(f"{file} cannot be sent", got=f"no {', '.join(lacking)}", todo="leave it out")


def find_priors(
    address: Address, patient_id: str, before: date | None = None, not_study: str = ""
) -> list[RemoteSeries]:
    """The chest CT series of a patient, latest study first, most slices first in each.

    Left out: series that say they show another part of the body, or have fewer than 20 slices; studies of ``before`` or
    later; the study ``not_study``.

    Raises
    ------
    PacsError : no connection, or no answer.
    """
    listed = dimse.find_ct(address, patient_id) if isinstance(address, Node) else web.find_ct(address, patient_id)
    priors = [
        series
        for series in listed
        if series.study_uid != not_study
        and not other_body_part(series.body_part)
        and not 0 < series.instances < FEWEST_SLICES
        and (before is None or (series.study_date is not None and series.study_date < before))
    ]
    return sorted(priors, key=lambda one: (one.study_date or date.min, one.study_uid, one.instances), reverse=True)


def fetch(address: Address, series: RemoteSeries, folder: Path, listen: int | None = None) -> int:
    """Write a series' files to ``folder`` (which exists); how many.

    Parameters
    ----------
    listen : the port at which a PACS without C-GET sends it to us (C-MOVE).

    Raises
    ------
    PacsError : no connection, refused, or fewer objects came than the PACS lists.
    OSError : they cannot be written.
    """
    came: list[Path] = []

    def keep(dataset: Dataset) -> None:
        if dataset.SeriesInstanceUID == series.series_uid:
            path = folder / f"{len(came) + 1:04d}.dcm"
            save(dataset, path)
            came.append(path)

    if not isinstance(address, Node):
        web.get(address, series, keep)
    elif listen is None:
        dimse.get(address, series, keep)
    else:
        dimse.move(address, series, listen, keep)
    if len(came) < max(series.instances, 1):
        raise PacsError(
            f"{address} did not hand over the whole series", expected=f"{series.instances} objects", got=f"{len(came)}"
        )
    return len(came)
