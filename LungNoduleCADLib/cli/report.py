"""``report OUT``: Lung-RADS and the PDF again, after findings.json was edited."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    parser = subparsers.add_parser(
        "report",
        help="make the report again after findings.json was edited",
        description="Recompute Lung-RADS and clinical risk and rewrite the report (PDF, text) from OUT/findings.json. "
        "A reader may change a nodule's 'type', 'review' (accepted, rejected), 'lung_rads' or 'stated' (what no model "
        "decides: spiculation, lobe, calcification, fat, airway, cyst, ...; see Resources/findings.schema.json); those "
        "are kept.",
    )
    parser.add_argument("out", metavar="OUT", type=Path, help="results folder of analyse, compare or demo")
    parser.add_argument("--paper", choices=("A4", "letter"), default="A4", help="page size (default: %(default)s)")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    from LungNoduleCADLib.report.write import counted, rewrite_report

    findings = rewrite_report(args.out, args.paper)
    category = findings.lung_rads.category if findings.lung_rads else "not assessed"
    print(f"{args.out / 'report.pdf'}: Lung-RADS {category}, {counted(findings)} nodule(s) counted")
    return 0
