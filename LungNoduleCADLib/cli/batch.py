"""``batch TABLE_OR_FOLDER``: the scans of a screening programme, each in a process of its own."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from LungNoduleCADLib.cli.console import add_device_option, add_progress_option, emit, listening

if TYPE_CHECKING:
    from LungNoduleCADLib.cohort.batch import Batch

DESCRIPTION = """Analyse many scans: every chest CT study below a folder, or the rows of a CSV table with the columns
scan, and if wanted prior (several separated by ";"), clinical (a JSON file) and id; relative paths are from the table's
folder. Each scan runs in a process of its own and gets a folder OUT/<id>, as analyse writes it. One that fails is a row
with its reason; a process that is killed is tried again, twice at most. Given once more, the command does what is
missing: a scan whose files, models and options are as they were is not analysed again."""


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    parser = subparsers.add_parser(
        "batch", help="many scans: a table or a folder to one table and one overview", description=DESCRIPTION
    )
    parser.add_argument("source", type=Path, metavar="TABLE_OR_FOLDER", help="CSV table, or a folder of DICOM files")
    parser.add_argument("-o", "--out", type=Path, required=True, help="folder for the results")
    where = parser.add_mutually_exclusive_group()
    where.add_argument(
        "--workers", type=_count, metavar="N", help="scans at a time (default: by cores and memory, 4 GB a scan)"
    )
    where.add_argument("--scheduler", metavar="tcp://HOST:PORT", help="a running Dask scheduler (extra cohort)")
    parser.add_argument(
        "--minutes", type=_minutes, default=60.0, help="after which a scan is given up (default: %(default)g)"
    )
    parser.add_argument("--threshold", type=float, help="as for analyse")
    add_device_option(parser)
    add_progress_option(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Exit code 0; 3 where a scan failed (the others are there)."""
    from LungNoduleCADLib.cohort.batch import Batch, is_batch
    from LungNoduleCADLib.cohort.engine import dask_engine, local_engine, usual_threads, usual_workers
    from LungNoduleCADLib.cohort.process import Task
    from LungNoduleCADLib.cohort.scans import read_scans
    from LungNoduleCADLib.report.folder import check_writable

    out = arguments.out.resolve()
    check_writable(out, is_batch)
    with listening(arguments.progress) as listener:
        scans = read_scans(arguments.source)
        threshold = () if arguments.threshold is None else ("--threshold", str(arguments.threshold))
        workers = arguments.workers or usual_workers()
        threads = 0 if arguments.scheduler else usual_threads(workers)
        command = ("analyse", "--device", arguments.device, *threshold)
        batch = Batch(scans, out, Task(scans[0], out, command, arguments.minutes * 60, threads))
        engine = dask_engine(arguments.scheduler) if arguments.scheduler else local_engine(workers)
        with engine as executor:
            batch.run(executor, lambda done, words: listener and listener("batch", done, words))
    _tell(batch, arguments.progress)
    return 3 if batch.failures else 0


def _tell(batch: Batch, kind: str) -> None:
    from LungNoduleCADLib.cohort.overview import FILE_NAME
    from LungNoduleCADLib.cohort.tables import has_parquet

    if kind == "jsonl":
        emit({"result": str(batch.out), "failed": len(batch.failures)})
        return
    for name, why in list(batch.failures.items())[:20]:
        print(f"{name}: {why}")
    print(f"{batch.summary()}.")
    formats = "CSV and Parquet" if has_parquet() else "CSV (Parquet needs pyarrow, which is not installed)"
    print(f"{batch.out / FILE_NAME}    Tables: {formats}. Research use only.")


def _count(text: str) -> int:
    number = int(text) if text.isdecimal() else 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"expected a number from 1, got {text!r}")
    return number


def _minutes(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0 < number < float("inf"):
        raise argparse.ArgumentTypeError(f"expected minutes above 0, got {text!r}")
    return number
