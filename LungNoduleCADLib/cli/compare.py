"""``compare``: prior chest CTs and a current one to growth, doubling times and a Lung-RADS report."""

from __future__ import annotations

import argparse
from pathlib import Path

from LungNoduleCADLib.cli.console import add_device_option, add_progress_option, emit, listening


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    parser = subparsers.add_parser("compare", help="prior CTs and a current one to growth and doubling times")
    parser.add_argument(
        "priors",
        type=Path,
        nargs="+",
        metavar="prior",
        help="DICOM folder, or the results of an earlier analysis; with up to five of them, in any order, the nodules "
        "are paired with the latest and followed over all",
    )
    parser.add_argument("current", type=Path, help="DICOM folder, or the results of an earlier analysis")
    parser.add_argument("-o", "--out", type=Path, required=True, help="folder for the results")
    parser.add_argument(
        "--clinical", type=Path, help="JSON file with clinical facts (see Resources/clinical.schema.json)"
    )
    add_device_option(parser)
    add_progress_option(parser)
    parser.set_defaults(run=run, threshold=None)


def run(arguments: argparse.Namespace) -> int:
    from LungNoduleCADLib.cli.work import Session

    with listening(arguments.progress) as listener:
        session = Session(arguments.device, arguments.threshold, listener, command="compare")
        session.analyse(arguments.current, arguments.out, priors=arguments.priors, clinical_file=arguments.clinical)
    if arguments.progress == "jsonl":
        emit({"result": str(arguments.out)})
    else:
        session.print_findings(arguments.out)
    return 0
