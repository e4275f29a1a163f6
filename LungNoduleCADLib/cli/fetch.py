"""``fetch ADDRESS -o FOLDER``: a patient's prior chest CTs from a PACS."""

from __future__ import annotations

import argparse
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from LungNoduleCADLib.cli.console import add_progress_option, emit
from LungNoduleCADLib.cli.send import ADDRESS, add_calling_option, check_packages
from LungNoduleCADLib.errors import InputError

if TYPE_CHECKING:
    from LungNoduleCADLib.pacs.address import RemoteSeries


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    parser = subparsers.add_parser(
        "fetch",
        help="a patient's prior chest CTs from a PACS",
        description="Ask a PACS for the chest CT series of a patient and fetch those of the latest study before a "
        "date: one folder a series, to be given to compare. Nothing is asked but on this command.",
    )
    parser.add_argument("address", metavar="ADDRESS", help=ADDRESS)
    parser.add_argument("-o", "--folder", type=Path, help="where to; new or empty (not with --list)")
    who = parser.add_mutually_exclusive_group(required=True)
    who.add_argument("--scan", type=Path, help="DICOM folder of the current scan: its patient, before its date")
    who.add_argument("--patient", help="the patient's ID")
    parser.add_argument("--before", type=date.fromisoformat, help="only studies before this day (YYYY-MM-DD)")
    parser.add_argument("--studies", type=int, default=1, help="how many, latest first (default: %(default)s)")
    parser.add_argument("--list", action="store_true", help="say what there is, fetch nothing")
    parser.add_argument("--listen", type=int, help="port at which the PACS sends to us (C-MOVE), where it has no C-GET")
    add_calling_option(parser)
    add_progress_option(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    from LungNoduleCADLib.pacs.address import parse_address

    address = parse_address(args.address, args.calling)
    if args.folder is None and not args.list:
        raise InputError("There is no place to fetch to", expected="-o FOLDER, or --list")
    check_packages()
    from LungNoduleCADLib.pacs.priors import fetch, find_priors
    from LungNoduleCADLib.report.folder import check_writable, new_results

    if not args.list:
        check_writable(args.folder, lambda _: False)
    patient, before, study = _of_scan(args.scan) if args.scan else (args.patient, None, "")
    priors = find_priors(address, patient, args.before or before, study)
    if args.list:
        for series in priors:
            _say(args, {"study_uid": series.study_uid, "series_uid": series.series_uid}, _words(series))
        return 0
    latest = list(dict.fromkeys(series.study_uid for series in priors))[: args.studies]
    wanted = [series for series in priors if series.study_uid in latest]
    if not wanted:
        raise InputError(f"{address} lists no such chest CT", todo="see what there is with --list")
    with new_results(args.folder, lambda _: False) as folder:
        names = []
        for number, series in enumerate(wanted, start=1):
            day = series.study_date.isoformat() if series.study_date else "no-date"
            names.append(f"{day}-{number}")
            (folder / names[-1]).mkdir()
            fetch(address, series, folder / names[-1], args.listen)
    for name, series in zip(names, wanted, strict=True):
        _say(args, {"result": str(args.folder / name)}, f"{args.folder / name}: {_words(series)}")
    return 0


def _of_scan(folder: Path) -> tuple[str, date | None, str]:
    """Patient ID, study date and study of the scan that would be analysed."""
    import pydicom

    from LungNoduleCADLib.dicom.discover import choose_series, find_series
    from LungNoduleCADLib.dicom.headers import text

    scan, _ = choose_series(find_series(folder))
    patient = text(pydicom.dcmread(scan.files[0], stop_before_pixels=True), "PatientID")
    if not patient:
        raise InputError(f"{folder} names no patient", expected="a PatientID in its headers", todo="give --patient")
    return patient, scan.description.study_date, scan.description.study_uid


def _words(series: RemoteSeries) -> str:
    day = series.study_date.isoformat() if series.study_date else "date unknown"
    parts = (day, series.study_description, series.series_description, f"{series.instances or '?'} images")
    return ", ".join(part for part in parts if part)


def _say(args: argparse.Namespace, line: dict[str, str], words: str) -> None:
    if args.progress == "jsonl":
        emit({**line, "words": words})
    else:
        print(words)
