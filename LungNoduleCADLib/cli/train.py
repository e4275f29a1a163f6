"""``train``: new weights for a model bundle, from data you have."""

from __future__ import annotations

import argparse
from pathlib import Path

from LungNoduleCADLib.cli.console import add_data_options, add_device_option


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    parser = subparsers.add_parser("train", help="train a model bundle on a nodule pack")
    parser.add_argument(
        "bundle",
        help="lung_ct_segmentation, nodule_ct_attributes, nodule_ct_detection, nodule_ct_segmentation, nodule_fusion, "
        "or histology (on tumours with known tissue)",
    )
    add_data_options(parser)
    parser.add_argument(
        "--work",
        type=Path,
        default=Path("training-work"),
        help="samples, checkpoints and logs; an interrupted run goes on from here (default: %(default)s)",
    )
    parser.add_argument("-o", "--out", type=Path, required=True, help="folder for the trained bundle")
    parser.add_argument(
        "--held-out", type=int, help="train only the member that does not see this fold (several processes at once)"
    )
    parser.add_argument(
        "--encoder-weights", type=Path, help="start the encoder from this file (MedicalNet, RadImageNet; see its card)"
    )
    parser.add_argument("--epochs", type=int, help="instead of the recipe's number")
    add_device_option(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    if arguments.bundle == "histology":
        return _histology(arguments)
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
        arguments.held_out,
        arguments.encoder_weights,
    )
    if bundle is None:
        print("member trained; without --held-out the bundle is put together")
        return 0
    print(f"{bundle.path}: trained; evaluate it on a fold it has not seen before you use it")
    return 0


def _histology(arguments: argparse.Namespace) -> int:
    from LungNoduleCADLib.networks.build import choose_device
    from LungNoduleCADLib.training.train_histology import train_histology

    device = choose_device(arguments.device)
    train_histology([arguments.data], arguments.out, device, lambda line: print(line, flush=True))
    return 0
