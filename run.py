#!/usr/bin/env python3.11
"""Set up once, then run: ``python3.11 run.py test`` for the tests, ``python3.11 run.py VERB ...`` for the command line.

Makes ``.venv`` beside this file with everything that LungNoduleCAD needs (versions: Resources/constraints.txt) and does
nothing where that is already done. Needs only Python with pip, and a C compiler for pyradiomics.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import subprocess
import sys
import time
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent
ENVIRONMENT = ROOT / ".venv"
STAMP = ENVIRONMENT / "installed.sha256"
TEST_STAMP = ENVIRONMENT / "installed-slicer-host.sha256"  # about 1 GB that only the tests of the panel need
PYTHON = ENVIRONMENT / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
SUPPORTED = ((3, 11), (3, 14))


def wanted() -> str:
    """What the environment is made of, as one digest."""
    digest = hashlib.sha256(sys.version.encode())
    for file in ("pyproject.toml", "Resources/requirements.txt", "Resources/constraints.txt", "run.py"):
        digest.update((ROOT / file).read_bytes())
    digest.update(str(ROOT).encode())
    return digest.hexdigest()


def done(stamp: Path) -> bool:
    return PYTHON.exists() and stamp.exists() and stamp.read_text(encoding="utf-8") == wanted()


def install(extras: str, stamp: Path) -> None:
    """Install the project with these extras into the environment."""
    start = time.monotonic()
    pip = [str(PYTHON), "-m", "pip"] if own_pip() else [sys.executable, "-m", "pip", "--python", str(PYTHON)]
    options = ["-qq", "--disable-pip-version-check", "--constraint", "Resources/constraints.txt"]
    command = [*pip, "install", *options, "--editable", f".[{extras}]"]
    subprocess.run(command, cwd=ROOT, check=True, stdout=sys.stderr)
    stamp.write_text(wanted(), encoding="utf-8")
    print(f"Set up in {time.monotonic() - start:.0f} s.", file=sys.stderr, flush=True)


def own_pip() -> bool:
    """Debian keeps pip's installer in a package of its own."""
    return importlib.util.find_spec("ensurepip") is not None


def set_up(for_tests: bool) -> None:
    """Make or renew the environment, unless it is as wanted."""
    if not done(STAMP):
        print("Setting up .venv (once, a few minutes) ...", file=sys.stderr, flush=True)
        STAMP.unlink(missing_ok=True)
        venv.create(ENVIRONMENT, clear=True, with_pip=own_pip())
        install("radiomics,test", STAMP)
    if for_tests and not done(TEST_STAMP):
        print("Adding what the tests of the Slicer panel need (once, about 1 GB) ...", file=sys.stderr, flush=True)
        install("slicer-host", TEST_STAMP)


def main(arguments: list[str]) -> int:
    if not SUPPORTED[0] <= sys.version_info[:2] < SUPPORTED[1]:
        print(
            f"LungNoduleCAD needs Python 3.11 to 3.13, this is {sys.version.split()[0]}; run it with python3.11.",
            file=sys.stderr,
        )
        return 2
    try:
        set_up(for_tests=arguments[:1] == ["test"])
    except subprocess.CalledProcessError as error:
        print(
            f"The set-up failed (exit {error.returncode}); its reason stands above. Run the command again once it is "
            "mended.",
            file=sys.stderr,
        )
        return 1
    if arguments[:1] == ["test"]:
        return subprocess.call([str(PYTHON), "-m", "pytest", *arguments[1:]], cwd=ROOT)
    return subprocess.call([str(PYTHON), "-m", "LungNoduleCADLib", *arguments])


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)
