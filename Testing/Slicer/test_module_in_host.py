"""The module's own tests, in the stand-in for Slicer. A process each: Qt and VTK stay out of pytest."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
LIMIT_S = 600


def in_host(*arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(HERE / "run_in_host.py"), "--testing", "--no-splash", *arguments]
    return subprocess.run(
        command, cwd=cwd, capture_output=True, text=True, errors="replace", timeout=LIMIT_S, check=False
    )


@pytest.mark.slow
def test_every_self_test_of_the_module_passes_and_none_is_skipped() -> None:
    run = in_host("--python-script", str(HERE / "run_module_tests.py"))

    assert run.returncode == 0, run.stdout + run.stderr
    counted = re.search(r"^tests run: (\d+), skipped: (\d+), passed: True$", run.stdout, re.MULTILINE)
    assert counted, run.stdout
    assert int(counted.group(1)) > 0
    assert int(counted.group(2)) == 0


def test_an_exception_that_qt_swallows_fails_the_run() -> None:
    code = "import qt; b = qt.QPushButton(); b.connect('clicked()', lambda: 1 / 0); b.click(); print('after')"

    run = in_host("--no-main-window", "--python-code", code)

    assert "after" in run.stdout
    assert "ZeroDivisionError" in run.stderr
    assert run.returncode == 1


def test_a_run_without_any_test_fails() -> None:
    run = in_host("--python-script", str(HERE / "run_module_tests.py"), "test_that_does_not_exist")

    assert "tests run: 0" in run.stdout
    assert run.returncode == 1
