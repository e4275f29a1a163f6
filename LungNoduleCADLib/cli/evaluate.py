"""``evaluate``: figures of a model bundle on data it has not seen, as JSON; and of a registration."""

from __future__ import annotations

import argparse
from pathlib import Path

from LungNoduleCADLib.cli.console import add_device_option


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    parser = subparsers.add_parser("evaluate", help="figures of a model bundle on unseen data")
    parser.add_argument("bundle", help="nodule_ct_attributes, nodule_ct_segmentation, nodule_fusion")
    parser.add_argument("--data", type=Path, required=True, help="folder in the nodule pack's format")
    parser.add_argument(
        "--scans", type=Path, help="folder of whole marked CT series (a nodules.csv beside their folders)"
    )
    parser.add_argument("--fold", type=int, default=4, help="fold of the pack to report on (default: %(default)s)")
    parser.add_argument("-o", "--out", type=Path, required=True, help="JSON file for the figures")
    add_device_option(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    from LungNoduleCADLib.networks.build import choose_device
    from LungNoduleCADLib.training.evaluate import evaluate_bundle
    from LungNoduleCADLib.training.export import write_json

    figures = evaluate_bundle(
        arguments.bundle,
        arguments.data,
        arguments.scans,
        arguments.fold,
        choose_device(arguments.device),
        lambda line: print(line, flush=True),
    )
    write_json(arguments.out, figures)
    print(arguments.out)
    return 0
