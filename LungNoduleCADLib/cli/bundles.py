"""``bundles``: the models that are here and whether they are whole, and what can be fetched from elsewhere."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from LungNoduleCADLib.errors import ModelError, OutputError, UsageError

if TYPE_CHECKING:
    from LungNoduleCADLib.backends.remote import Remote
    from LungNoduleCADLib.bundles.spec import Bundle


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    parser = subparsers.add_parser("bundles", help="list, verify or fetch models")
    actions = parser.add_subparsers(dest="action", required=True, metavar="list|verify|fetch")
    listed = actions.add_parser("list", help="the bundled models")
    listed.add_argument("--remote", action="store_true", help="what can be fetched: source, licence, size (no network)")
    listed.set_defaults(run=_list)
    actions.add_parser("verify", help="whether the bundled models are whole").set_defaults(run=_verify)
    fetch = actions.add_parser("fetch", help="download a back-end; nothing is downloaded by any other command")
    fetch.add_argument("name", help="as bundles list --remote says")
    fetch.add_argument("--accept-licence", action="store_true", help="you have read its licence and accept it")
    fetch.set_defaults(run=_fetch)


def _list(arguments: argparse.Namespace) -> int:
    if arguments.remote:
        from LungNoduleCADLib.backends.remote import REMOTES

        print("\n\n".join(_described(remote) for remote in REMOTES))
        return 0
    for bundle in _bundles():
        print(f"{bundle.name} {bundle.metadata['version']} ({bundle.metadata['status']}): {bundle.metadata['task']}")
    return 0


def _verify(_: argparse.Namespace) -> int:
    from LungNoduleCADLib.training.verify import verify_bundle

    for bundle in _bundles():
        problems = verify_bundle(bundle)
        print(f"{bundle.name}: " + ("; ".join(problems) if problems else "whole"))
        if problems:
            raise ModelError(f"{bundle.name} is not whole", got="; ".join(problems), todo="reinstall LungNoduleCAD")
    return 0


def _bundles() -> list[Bundle]:
    from LungNoduleCADLib.bundles.registry import list_bundles, models_folder

    bundles = list_bundles()
    if not bundles:
        raise ModelError(
            "There are no model bundles",
            expected=f"folders in {models_folder()}",
            got="none",
            todo="reinstall LungNoduleCAD",
        )
    return bundles


def _fetch(arguments: argparse.Namespace) -> int:
    from LungNoduleCADLib.backends.remote import backends_folder, find_remote

    remote = find_remote(arguments.name)
    folder = backends_folder() / remote.name
    print(_described(remote), flush=True)
    if not arguments.accept_licence:
        raise UsageError(
            f"{remote.name} is only fetched when its licence ({remote.licence}) is accepted",
            got="nothing downloaded",
            todo="read it at the source, then add --accept-licence",
        )
    try:
        _fetch_into(folder, remote)
    except OSError as error:
        raise OutputError(
            f"{folder} cannot be written", got=error.strerror or "", todo="set LUNGNODULECAD_BACKENDS to another folder"
        ) from error
    print(f"{folder}: use it with analyse --detector {remote.name}")
    return 0


def _fetch_into(folder: Path, remote: Remote) -> None:
    if not remote.files:
        from LungNoduleCADLib.backends.totalsegmentator import fetch_weights

        fetch_weights(folder)
        return
    from LungNoduleCADLib.backends.download import download
    from LungNoduleCADLib.training.export import write_json

    for file in remote.files:
        download(file.address, folder / file.path, file.digest, _say_how_far)
    for path, content in remote.configs.items():
        write_json(folder / path, content)


def _say_how_far(count: int) -> None:
    if sys.stderr.isatty():
        print(f"\r{count / 1e6:.0f} MB", end="", file=sys.stderr, flush=True)


def _described(remote: Remote) -> str:
    rows = (
        ("what", remote.task),
        ("version", remote.version),
        ("source", remote.source),
        *(("address", file.address) for file in remote.files),
        ("licence", remote.licence),
        ("data", remote.data),
        ("size", remote.size),
    )
    return "\n".join([remote.name, *(f"  {name:<8} {value}" for name, value in rows)])
