"""``train``: new weights for a model bundle, from data you have."""

from __future__ import annotations

import argparse
from pathlib import Path

from LungNoduleCADLib.cli.console import add_device_option


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    parser = subparsers.add_parser("train", help="train a model bundle on a nodule pack")
    parser.add_argument("bundle", help="nodule_ct_attributes, nodule_ct_segmentation or nodule_fusion")
    parser.add_argument("--data", type=Path, required=True, help="folder in the nodule pack's format")
    parser.add_argument(
        "--scans", type=Path, help="folder of whole marked CT series (a nodules.csv beside their folders)"
    )
    parser.add_argument(
        "--work",
        type=Path,
        default=Path("training-work"),
        help="samples, checkpoints and logs; an interrupted run goes on from here (default: %(default)s)",
    )
    parser.add_argument("-o", "--out", type=Path, required=True, help="folder for the trained bundle")
    parser.add_argument("--epochs", type=int, help="instead of the recipe's number")
    add_device_option(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    from LungNoduleCADLib.networks.build import choose_device
    from LungNoduleCADLib.training.run import train_bundle

    bundle = train_bundle(
        arguments.bundle,
        arguments.data,
        arguments.scans,
        arguments.work,
        arguments.out,
        choose_device(arguments.device),
        lambda line: print(line, flush=True),
        arguments.epochs,
    )
    print(f"{bundle.path}: trained; evaluate it on a fold it has not seen before you use it")
    return 0
