"""``evaluate``: figures of a model bundle on data it has not seen, as JSON; and of a registration."""

from __future__ import annotations

import argparse
from pathlib import Path

from LungNoduleCADLib.cli.console import add_data_options, add_device_option
from LungNoduleCADLib.cli.evaluate_registration import add_registration_options, run_registration
from LungNoduleCADLib.errors import UsageError


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    parser = subparsers.add_parser("evaluate", help="figures of a model bundle on unseen data")
    parser.add_argument("bundle", help="name of a bundle, histology, or registration")
    add_data_options(parser, required=False)
    add_registration_options(parser)
    parser.add_argument(
        "--fold",
        type=int,
        help="fold of the pack to report on (default: the recipe's test fold, or all of another pack)",
    )
    parser.add_argument(
        "--operating-points",
        action="store_true",
        help="only what each threshold gives on whole scans (nodule_ct_attributes), kept in the bundle too",
    )
    parser.add_argument(
        "--pictures", type=Path, help="folder for curves (ROC, FROC, reliability) and the worst examples, with pictures"
    )
    parser.add_argument("--manual-lungs", type=Path, help="folder of series with manual lungs (lung_ct_segmentation)")
    parser.add_argument("-o", "--out", type=Path, required=True, help="JSON file for the figures")
    add_device_option(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    if arguments.bundle == "registration":
        return run_registration(arguments)
    if arguments.data is None:
        raise UsageError("A model is evaluated on data", expected="--data DIR", got="nothing")
    if arguments.bundle == "histology":
        return _histology(arguments)
    from LungNoduleCADLib.networks.build import choose_device
    from LungNoduleCADLib.training.evaluate import evaluate_bundle
    from LungNoduleCADLib.training.export import write_json

    if arguments.operating_points:
        return _operating_points(arguments)
    if arguments.bundle == "lung_ct_segmentation":
        return _lungs(arguments)
    figures = evaluate_bundle(
        arguments.bundle,
        arguments.data,
        arguments.scans,
        arguments.fold,
        choose_device(arguments.device),
        lambda line: print(line, flush=True),
        arguments.pictures,
    )
    write_json(arguments.out, figures)
    print(arguments.out)
    return 0


def _lungs(arguments: argparse.Namespace) -> int:
    from LungNoduleCADLib.bundles.registry import find_bundle
    from LungNoduleCADLib.networks.build import choose_device
    from LungNoduleCADLib.training.data import open_training_data
    from LungNoduleCADLib.training.evaluate_lungs import evaluate_lungs
    from LungNoduleCADLib.training.export import write_json

    if arguments.scans is None:
        raise UsageError("The lung model is evaluated on whole scans", todo="name their folder with --scans")
    data = open_training_data(arguments.data, arguments.scans, lambda line: print(line, flush=True))
    device = choose_device(arguments.device)
    bundle = find_bundle(arguments.bundle)
    report = lambda line: print(line, flush=True)  # noqa: E731
    write_json(arguments.out, evaluate_lungs(bundle, data, arguments.scans, arguments.manual_lungs, device, report))
    print(arguments.out)
    return 0


def _operating_points(arguments: argparse.Namespace) -> int:
    from LungNoduleCADLib.bundles.registry import find_bundle
    from LungNoduleCADLib.networks.build import choose_device
    from LungNoduleCADLib.training.data import open_training_data
    from LungNoduleCADLib.training.export import write_json
    from LungNoduleCADLib.training.operating_points import keep_operating_points, measure_operating_points

    if arguments.bundle != "nodule_ct_attributes":
        raise UsageError("Operating points are those of nodule_ct_attributes", got=arguments.bundle)
    bundle, device = find_bundle(arguments.bundle), choose_device(arguments.device)
    data = open_training_data(arguments.data, arguments.scans, lambda line: print(line, flush=True))
    measured = measure_operating_points(bundle, data, device, lambda line: print(line, flush=True))
    keep_operating_points(bundle, measured)
    write_json(arguments.out, measured)
    print(arguments.out)
    return 0


def _histology(arguments: argparse.Namespace) -> int:
    from LungNoduleCADLib.bundles.registry import find_bundle
    from LungNoduleCADLib.networks.build import choose_device
    from LungNoduleCADLib.training.export import write_json
    from LungNoduleCADLib.training.train_histology import BUNDLE, measured, observed

    device = choose_device(arguments.device)
    data, seen, _ = observed([arguments.data], device, lambda line: print(line, flush=True))
    write_json(arguments.out, measured(data, seen, find_bundle(BUNDLE)))
    print(arguments.out)
    return 0
