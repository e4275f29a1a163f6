"""``send ADDRESS PATH...``: DICOM files to a PACS."""

from __future__ import annotations

import argparse
from pathlib import Path

from LungNoduleCADLib.cli.console import add_progress_option, emit
from LungNoduleCADLib.errors import InputError

ADDRESS = "TITLE@HOST:PORT (DICOM) or https://HOST/PATH (DICOMweb; user and password in .netrc)"


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    parser = subparsers.add_parser(
        "send",
        help="DICOM files to a PACS",
        description="Send DICOM files, or those in folders, to a PACS: the folder that export wrote, for example. "
        "Nothing is sent but on this command.",
    )
    parser.add_argument("address", metavar="ADDRESS", help=ADDRESS)
    parser.add_argument("paths", metavar="PATH", type=Path, nargs="+", help="DICOM files, or folders with some")
    add_calling_option(parser)
    add_progress_option(parser)
    parser.set_defaults(run=run)


def add_calling_option(parser: argparse.ArgumentParser) -> None:
    from LungNoduleCADLib.pacs.address import CALLING

    parser.add_argument("--calling", default=CALLING, help="what we call ourselves (DICOM; default: %(default)s)")


def run(args: argparse.Namespace) -> int:
    from LungNoduleCADLib.pacs.address import parse_address

    address = parse_address(args.address, args.calling)
    check_packages()
    files = _dicom_files(args.paths)
    from LungNoduleCADLib.pacs.priors import send

    def report(count: int) -> None:
        if args.progress == "jsonl":
            emit({"sent": count, "of": len(files)})

    send(files, address, report)
    if args.progress != "jsonl":
        print(f"{len(files)} DICOM file(s) sent to {address}")
    return 0


def check_packages() -> None:
    """InputError names what to install."""
    from importlib.util import find_spec

    missing = [name for name in ("pynetdicom", "dicomweb_client") if find_spec(name) is None]
    if missing:
        raise InputError(
            "A PACS needs packages that are not installed",
            got=f"no {', '.join(missing)}",
            todo='pip install "lungnodulecad[pacs]"',
        )


def _dicom_files(paths: list[Path]) -> list[Path]:
    from LungNoduleCADLib.dicom.headers import is_dicom

    files: list[Path] = []
    for path in paths:
        if not path.exists():
            raise InputError("There is nothing to send", expected="a DICOM file or a folder", got=str(path))
        inside = sorted(path.rglob("*")) if path.is_dir() else [path]
        shown = [file for file in inside if not any(part.startswith(".") for part in file.relative_to(path).parts)]
        files += [file for file in shown if file.is_file() and file.name != "DICOMDIR" and is_dicom(file)]
    if not files:
        raise InputError("There is nothing to send", expected="DICOM files", got=", ".join(map(str, paths)))
    return files
