"""Starting the stand-in for Slicer: a process each, so that Qt and VTK stay out of pytest."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
LIMIT_S = 900

Run = Callable[..., subprocess.CompletedProcess]


@pytest.fixture(scope="session")
def in_host() -> Run:
    """Call it with the arguments of Slicer's launcher, and ``script=NAME`` for a script of this folder."""

    def run(*arguments: str, script: str | None = None, options: tuple[str, ...] = ()) -> subprocess.CompletedProcess:
        command = [sys.executable, str(HERE / "run_in_host.py"), "--testing", "--no-splash", *options]
        command += ["--python-script", str(HERE / script), *arguments] if script else list(arguments)
        return subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=LIMIT_S, check=False)

    return run
