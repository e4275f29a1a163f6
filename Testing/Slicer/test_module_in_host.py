"""The module's own tests, and what they rely on, in the stand-in for Slicer."""

from __future__ import annotations

import re
from pathlib import Path

import pytest


def counts(output: str) -> tuple[int, int]:
    """Tests run and tests skipped, of a run that passed."""
    counted = re.search(r"^tests run: (\d+), skipped: (\d+), passed: True$", output, re.MULTILINE)
    assert counted, output
    return int(counted.group(1)), int(counted.group(2))


@pytest.mark.slow
def test_every_self_test_of_the_module_passes_and_none_is_skipped(in_host) -> None:
    run = in_host(script="run_module_tests.py")

    assert run.returncode == 0, run.stdout + run.stderr
    ran, skipped = counts(run.stdout)
    assert ran > 0
    assert skipped == 0


@pytest.mark.slow
def test_the_host_has_the_manners_that_were_measured_in_slicer(in_host) -> None:
    run = in_host(script="check_manners.py")

    assert run.returncode == 0, run.stdout + run.stderr
    assert counts(run.stdout)[0] > 20


def test_an_exception_that_qt_swallows_fails_the_run(in_host) -> None:
    code = "import qt; b = qt.QPushButton(); b.connect('clicked()', lambda: 1 / 0); b.click(); print('after')"

    run = in_host("--no-main-window", "--python-code", code)

    assert "after" in run.stdout
    assert "ZeroDivisionError" in run.stderr
    assert run.returncode == 1


def test_an_exception_that_vtk_swallows_fails_the_run(in_host) -> None:
    code = "import slicer; n = slicer.vtkMRMLTextNode(); n.AddObserver('ModifiedEvent', lambda *_: 1 / 0); n.Modified()"

    run = in_host("--no-main-window", "--python-code", code)

    assert "ZeroDivisionError" in run.stderr
    assert run.returncode == 1


def test_a_run_without_any_test_fails(in_host) -> None:
    run = in_host("test_that_does_not_exist", script="run_module_tests.py")

    assert "tests run: 0" in run.stdout
    assert run.returncode == 1


@pytest.mark.slow
def test_the_panel_survives_being_reloaded(in_host) -> None:
    code = (
        "import slicer; slicer.util.selectModule('LungNoduleCAD'); before = slicer.modules.LungNoduleCADWidget\n"
        "before.onReload(); after = slicer.modules.LungNoduleCADWidget\n"
        "assert after is not before and type(after) is not type(before)\n"
        "slicer.mrmlScene.Clear(); print('reloaded')"
    )

    run = in_host("--python-code", code)

    assert run.returncode == 0, run.stdout + run.stderr
    assert "reloaded" in run.stdout


@pytest.mark.slow
def test_pictures_show_panel_and_views(in_host, tmp_path: Path) -> None:
    code = (
        "import slicer; slicer.util.selectModule('LungNoduleCAD')\n"
        "from host import screenshot\n"
        f"screenshot.grabPanel({str(tmp_path / 'panel.png')!r}, width=400, dark=True, ratio=2)\n"
        f"screenshot.grabWindow({str(tmp_path / 'window.png')!r}, width=900, height=600)\n"
    )

    run = in_host("--python-code", code)

    assert run.returncode == 0, run.stdout + run.stderr
    from PIL import Image

    panel, window = (Image.open(tmp_path / name) for name in ("panel.png", "window.png"))
    assert panel.width == 800
    assert window.size == (900, 600)
    assert len(window.convert("P").getcolors()) > 10
