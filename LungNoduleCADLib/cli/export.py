"""``export OUT``: results as files for a PACS."""

from __future__ import annotations

import argparse
from pathlib import Path

from LungNoduleCADLib.cli.console import add_progress_option, emit, listening


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    parser = subparsers.add_parser(
        "export",
        help="report, findings and DICOM objects for a PACS",
        description="Write report.pdf, report.txt and findings.json to FOLDER and, where the DICOM files of the "
        "analysed scan are given, segmentation.dcm (SEG), measurements.dcm (SR, TID 1500), report.dcm (encapsulated "
        "PDF) and a key_image-N.dcm of each nodule (secondary capture), which file with the scan's study. Rejected "
        "nodules are left out of the DICOM objects.",
    )
    parser.add_argument("out", metavar="OUT", type=Path, help="results folder of analyse, compare or demo")
    parser.add_argument("-o", "--folder", type=Path, required=True, help="where to; other files there are kept")
    parser.add_argument("--dicom-source", type=Path, help="folder with the DICOM files of the analysed scan")
    parser.add_argument("--paper", choices=("A4", "letter"), default="A4", help="page size (default: %(default)s)")
    parser.add_argument(
        "--patient-header",
        action="store_true",
        help="the PDF carries the patient's name and numbers (default: it does not)",
    )
    add_progress_option(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    from LungNoduleCADLib.progress import Progress
    from LungNoduleCADLib.report.export import export_results, no_dicom_because

    with listening(args.progress) as listener:
        because = no_dicom_because(args.out, args.dicom_source)
        with Progress([("export", 1.0)], listener).stage("export", "writing the export"):
            files = export_results(args.out, args.folder, args.dicom_source, args.paper, args.patient_header)
    if args.progress == "jsonl":
        note = {"note": because} if because else {}
        emit({"result": str(args.folder), "files": [str(path) for path in files], **note})
        return 0
    for path in files:
        print(path)
    if because:
        print(because)
    return 0
