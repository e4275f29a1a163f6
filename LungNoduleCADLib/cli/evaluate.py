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
    parser.add_argument(
        "--operating-points",
        action="store_true",
        help="only what each threshold gives on whole scans (nodule_ct_attributes), kept in the bundle too",
    )
    parser.add_argument("-o", "--out", type=Path, required=True, help="JSON file for the figures")
    add_device_option(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    from LungNoduleCADLib.networks.build import choose_device
    from LungNoduleCADLib.training.evaluate import evaluate_bundle
    from LungNoduleCADLib.training.export import write_json

    if arguments.operating_points:
        return _operating_points(arguments)
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


def _operating_points(arguments: argparse.Namespace) -> int:
    from LungNoduleCADLib.bundles.registry import find_bundle
    from LungNoduleCADLib.errors import UsageError
    from LungNoduleCADLib.networks.build import choose_device
    from LungNoduleCADLib.training.export import write_json
    from LungNoduleCADLib.training.nodule_pack import NodulePack
    from LungNoduleCADLib.training.operating_points import keep_operating_points, measure_operating_points

    if arguments.bundle != "nodule_ct_attributes" or arguments.scans is None:
        raise UsageError("Operating points are those of nodule_ct_attributes on whole scans", todo="give --scans")
    bundle, device = find_bundle(arguments.bundle), choose_device(arguments.device)
    pack = NodulePack(arguments.data)
    measured = measure_operating_points(bundle, pack, arguments.scans, device, lambda line: print(line, flush=True))
    keep_operating_points(bundle, measured)
    write_json(arguments.out, measured)
    print(arguments.out)
    return 0
