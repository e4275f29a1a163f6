"""``series FOLDER``: the image series in a folder, what speaks against each, and which one would be analysed."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from LungNoduleCADLib.domain.study import SeriesRef
from LungNoduleCADLib.errors import InputError


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = subparsers.add_parser("series", help="list the image series in a folder and the one that would be used")
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="searched with its subfolders")
    parser.add_argument("--json", action="store_true", help="write a line of JSON to standard output")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Exit code 0, or 3 where none of the series can be analysed (they are listed all the same)."""
    from LungNoduleCADLib.dicom.discover import choose_series, find_series

    series = find_series(args.folder)
    chosen, code = None, 0
    try:
        chosen, reason = choose_series(series)
        # the chosen one comes back with what only the whole folder tells
        series = [chosen if ref.files == chosen.files else ref for ref in series]
    except InputError as error:
        reason, code = str(error), error.exit_code
    if args.json:
        print(json.dumps(_as_json(args.folder, series, chosen, reason)))
    else:
        _print_table(series, chosen, reason)
    return code


def _as_json(folder: Path, series: list[SeriesRef], chosen: SeriesRef | None, reason: str) -> dict[str, object]:
    return {
        "folder": str(folder),
        "chosen": series.index(chosen) if chosen else None,
        "reason": reason,
        "series": [_series_as_json(ref) for ref in series],
    }


def _series_as_json(ref: SeriesRef) -> dict[str, object]:
    facts = ref.description
    return {
        "series_uid": facts.series_uid,
        "study_uid": facts.study_uid,
        "study_date": facts.study_date.isoformat() if facts.study_date else None,
        "patient_key": facts.patient_key,
        "age_years": facts.age_years,
        "sex": facts.sex,
        "description": facts.description,
        "modality": ref.modality,
        "slices": ref.n_slices,
        "spacing_kji_mm": list(ref.spacing_kji_mm) if ref.spacing_kji_mm else None,
        "slice_thickness_mm": facts.slice_thickness_mm,
        "kernel": facts.kernel,
        "folder": str(ref.files[0].parent),
        "files": [str(path) for path in ref.files],
        "usable": ref.usable,
        "flags": [{"code": f.code, "severity": str(f.severity), "message": f.message} for f in ref.flags],
    }


def _print_table(series: list[SeriesRef], chosen: SeriesRef | None, reason: str) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=None, header_style="bold", pad_edge=False)
    for name in ("", "Modality", "Date", "Slices", "Spacing mm", "Kernel", "Description", "Flags"):
        table.add_column(name, justify="right" if name in ("Slices", "Spacing mm") else "left")
    for ref in series:
        facts = ref.description
        table.add_row(
            "→" if ref is chosen else "" if ref.usable else "✗",
            ref.modality,
            facts.study_date.isoformat() if facts.study_date else "",
            str(ref.n_slices),
            f"{ref.spacing_kji_mm[0]:.2f}" if ref.spacing_kji_mm else "",
            escape(facts.kernel),
            escape(facts.description),
            ", ".join(flag.code for flag in ref.flags),
        )
    console = Console(highlight=False)
    console.print(table)
    console.print(escape(reason))
