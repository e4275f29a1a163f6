"""``bundles``: the models that are here, and whether they are whole."""

from __future__ import annotations

import argparse


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    parser = subparsers.add_parser("bundles", help="list the model bundles, or verify them")
    parser.add_argument("action", choices=("list", "verify"))
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    from LungNoduleCADLib.bundles.registry import list_bundles, models_folder
    from LungNoduleCADLib.errors import ModelError

    bundles = list_bundles()
    if not bundles:
        raise ModelError(
            "There are no model bundles",
            expected=f"folders in {models_folder()}",
            got="none",
            todo="reinstall LungNoduleCAD",
        )
    if arguments.action == "list":
        for bundle in bundles:
            print(
                f"{bundle.name} {bundle.metadata['version']} ({bundle.metadata['status']}): {bundle.metadata['task']}"
            )
        return 0
    from LungNoduleCADLib.training.verify import verify_bundle

    for bundle in bundles:
        problems = verify_bundle(bundle)
        print(f"{bundle.name}: " + ("; ".join(problems) if problems else "whole"))
        if problems:
            raise ModelError(f"{bundle.name} is not whole", got="; ".join(problems), todo="reinstall LungNoduleCAD")
    return 0
