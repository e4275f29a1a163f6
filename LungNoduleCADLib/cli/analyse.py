"""``analyse``: a chest CT to findings, masks, heat maps and a Lung-RADS report."""

from __future__ import annotations

import argparse
from datetime import date
from pathlib import Path

from LungNoduleCADLib.cli.console import add_device_option, add_progress_option, emit, listening


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    parser = subparsers.add_parser("analyse", help="a chest CT to findings, masks and a Lung-RADS report")
    parser.add_argument("input", type=Path, help="DICOM folder, or a NIfTI/NRRD/MHA file")
    parser.add_argument("-o", "--out", type=Path, required=True, help="folder for the results")
    parser.add_argument(
        "--prior",
        type=Path,
        action="append",
        default=[],
        help="DICOM folder (or earlier results) of a prior CT to compare with; again for each exam before that one",
    )
    parser.add_argument(
        "--at",
        type=_point,
        action="append",
        default=[],
        metavar="L,P,S",
        help="a place to analyse, LPS mm; may be given more than once (--at=-12.5,30,-200)",
    )
    parser.add_argument(
        "--clinical", type=Path, help="JSON file with clinical facts (see Resources/clinical.schema.json)"
    )
    parser.add_argument("--date", type=_date, help="study date of an image file, YYYY-MM-DD")
    parser.add_argument("--prior-date", type=_date, help="study date of a prior that is an image file")
    parser.add_argument(
        "--threshold",
        type=_probability,
        help="nodule probability from which a candidate is reported (default: the model's operating point)",
    )
    parser.add_argument(
        "--detector",
        metavar="NAME",
        help="nodule_ct_detection, a fetched detector (bundles list --remote) or a MONAI bundle's folder",
    )
    parser.add_argument("--segmenter", metavar="FOLDER", help="a MONAI segmentation bundle that outlines nodules")
    parser.add_argument(
        "--allow-bundle-code",
        action="store_true",
        help="let such a bundle's configuration run Python code of its own: only if you trust whoever made it",
    )
    add_device_option(parser)
    add_progress_option(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    from LungNoduleCADLib.backends.choose import Backends
    from LungNoduleCADLib.cli.work import Session

    backends = Backends(arguments.detector, arguments.segmenter, arguments.allow_bundle_code)
    with listening(arguments.progress) as listener:
        session = Session(arguments.device, arguments.threshold, listener, command="analyse", backends=backends)
        session.analyse(
            arguments.input,
            arguments.out,
            priors=arguments.prior,
            points_lps_mm=arguments.at,
            clinical_file=arguments.clinical,
            study_date=arguments.date,
            prior_date=arguments.prior_date,
        )
    if arguments.progress == "jsonl":
        emit({"result": str(arguments.out)})
    else:
        session.print_findings(arguments.out)
    return 0


def _point(text: str) -> tuple[float, float, float]:
    try:
        left, posterior, superior = (float(part) for part in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected three numbers L,P,S in mm, got {text!r}") from None
    return left, posterior, superior


def _probability(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0.0 <= value <= 1.0:
        raise argparse.ArgumentTypeError(f"expected a probability from 0 to 1, got {text!r}")
    return value


def _date(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected a date YYYY-MM-DD, got {text!r}") from None
