"""The short form of the runs that something happens to, and of the search for who was scanned."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

if sys.platform != "linux":
    pytest.skip("limits of memory and of file size, and forked processes, as Linux has them", allow_module_level=True)

sys.path.insert(0, str(Path(__file__).parent))

from faults import (
    MIB,
    changed_weights,
    clock_set_back,
    full_disk,
    killed_at_stages,
    killed_while_writing,
    short_memory,
    two_at_once,
)
from faulty_run import Scene
from privacy import BIRTH_DATE, BURNT_IN, MARK, marks_in, nothing_identifies


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    return Scene(tmp_path_factory.mktemp("scene"))


def test_nothing_written_says_who_was_scanned(scene: Scene) -> None:
    tally = nothing_identifies(scene, (scene.analysed, scene.exported))
    assert tally.failures == []
    assert tally.passed > 15


def test_a_run_that_is_killed_costs_no_earlier_result_and_the_next_one_works(scene: Scene) -> None:
    at_stages = killed_at_stages(scene, ("detect", "write"), comparing=())
    assert at_stages.failures == []
    assert (at_stages.tried, at_stages.passed) == (3, 3)
    writing = killed_while_writing(scene, 2)
    assert writing.failures == []
    assert (writing.tried, writing.passed) == (6, 6)


def test_a_full_or_read_only_disk_is_said_and_costs_no_earlier_result(scene: Scene) -> None:
    tally = full_disk(scene, (100_000,), ("analyse", "report"))
    assert tally.failures == []
    assert tally.refused >= 4


def test_short_memory_is_said_and_costs_no_earlier_result(scene: Scene) -> None:
    tally = short_memory(scene, (8 * MIB,), ("detect", "write"))
    assert tally.failures == []
    assert tally.tried == 3


def test_changed_weights_are_refused(scene: Scene) -> None:
    tally = changed_weights(scene, ("a bit",))
    assert tally.failures == []
    assert tally.refused == tally.tried > 4


def test_a_second_run_on_one_folder_waits_or_is_refused(scene: Scene) -> None:
    tally = two_at_once(scene)
    assert tally.failures == []
    assert (tally.passed, tally.refused) == (1, 3)


def test_a_clock_that_was_changed_makes_nothing_stale(scene: Scene) -> None:
    tally = clock_set_back(scene)
    assert tally.failures == []
    assert tally.passed == 4


def test_what_identifies_would_be_found_wherever_it_is_hidden(tmp_path: Path) -> None:
    hidden = {
        "report.pdf": lambda path: _write_pdf(path, f"Seen: {MARK}"),
        "ct.nrrd": lambda path: _write_image(path, BURNT_IN.astype(np.int16)[None, None] - 1024),
        "N1.png": lambda path: Image.fromarray(np.resize(BURNT_IN, (8, 64))).save(path),
        f"{MARK}.txt": lambda path: path.write_text("nothing"),
        "wide.txt": lambda path: path.write_text(BIRTH_DATE, encoding="utf-16"),
    }
    for name, write in hidden.items():
        write(tmp_path / name)
        assert marks_in(tmp_path / name), name
    (tmp_path / "clean.txt").write_text("nothing")
    assert marks_in(tmp_path / "clean.txt") == []


def _write_pdf(path: Path, text: str) -> None:
    from reportlab.pdfgen.canvas import Canvas

    canvas = Canvas(str(path), pageCompression=1)
    canvas.drawString(72, 72, text)
    canvas.save()


def _write_image(path: Path, voxels: np.ndarray) -> None:
    import SimpleITK as sitk

    sitk.WriteImage(sitk.GetImageFromArray(voxels), str(path), useCompression=True)
