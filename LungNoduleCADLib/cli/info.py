"""``info``: versions, devices and models, for people and (``--json``) for the panel."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    parser = subparsers.add_parser("info", help="versions, devices, models")
    parser.add_argument("--json", action="store_true", help="as a line of JSON")
    parser.add_argument(
        "--torch", action="store_true", help="name the devices that torch can use, and the one auto takes (slower)"
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    from LungNoduleCADLib import RESEARCH_USE_ONLY, __version__
    from LungNoduleCADLib.bundles.registry import list_bundles, models_folder
    from LungNoduleCADLib.cli.packages import package_versions

    info = {
        "version": __version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "packages": package_versions(),
        "devices": torch_devices() if arguments.torch else devices(),
        "auto": auto_device() if arguments.torch else None,
        "models_folder": str(models_folder()),
        "models": [
            {
                "name": b.name,
                "version": b.metadata["version"],
                "status": b.metadata["status"],
                "task": b.metadata["task"],
            }
            for b in list_bundles()
        ],
        "research_use_only": RESEARCH_USE_ONLY,
    }
    if arguments.json:
        print(json.dumps(info))
        return 0
    print(f"LungNoduleCAD {info['version']} on Python {info['python']}, {info['platform']}")
    print("packages: " + ", ".join(f"{name} {number}" for name, number in info["packages"].items()))
    print("devices:  " + ", ".join(f"{d['id']} ({d['name']})" for d in info["devices"]))
    for model in info["models"]:
        print(f"model:    {model['name']} {model['version']} ({model['status']}): {model['task']}")
    print(RESEARCH_USE_ONLY)
    return 0


def devices() -> list[dict[str, str]]:
    """The CPU, and CUDA devices as the driver lists them (without loading torch, which takes seconds)."""
    import shutil
    import subprocess

    found = [_cpu()]
    query = shutil.which("nvidia-smi")
    if query:
        command = [query, "--query-gpu=name", "--format=csv,noheader"]
        # without its driver nvidia-smi fails, with its complaint on standard output, or never answers
        with contextlib.suppress(subprocess.SubprocessError):
            listed = subprocess.run(command, capture_output=True, text=True, timeout=5, check=True)
            found += [{"id": f"cuda:{n}", "name": name.strip()} for n, name in enumerate(listed.stdout.splitlines())]
    return found


def torch_devices() -> list[dict[str, str]]:
    """The CPU, and the CUDA devices that the installed torch can use."""
    import torch

    names = [torch.cuda.get_device_name(n) for n in range(torch.cuda.device_count())]
    return [_cpu(), *({"id": f"cuda:{n}", "name": name} for n, name in enumerate(names))]


def auto_device() -> str:
    """The id of the device that ``--device auto`` takes."""
    from LungNoduleCADLib.networks.build import choose_device

    return choose_device("auto")


def _cpu() -> dict[str, str]:
    return {"id": "cpu", "name": f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores"}
