"""The short form of ``break_it.py``."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

from break_it import OUTCOMES, TABLE, table  # noqa: E402
from faults import (  # noqa: E402
    MIB,
    changed_weights,
    clock_set_back,
    full_disk,
    killed_at_stages,
    killed_while_writing,
    short_memory,
    two_at_once,
)
from faulty_run import Scene  # noqa: E402
from fuzz import TARGETS, fuzz  # noqa: E402
from privacy import BIRTH_DATE, BURNT_IN, MARK, marks_in, nothing_identifies  # noqa: E402
from tally import Tally  # noqa: E402
from torture import derived_series, objects_of_other_projects, pixels_of_other_projects  # noqa: E402

from LungNoduleCADLib.errors import InputError  # noqa: E402

CASES = 40


def test_every_way_to_break_a_series_is_read_rightly_or_refused() -> None:
    tally = derived_series()
    assert tally.failures == []
    assert tally.passed > 30
    assert tally.refused > 50


@pytest.mark.parametrize("what", TARGETS)
def test_mutated_files_do_no_harm(what: str) -> None:
    tally = fuzz(what, CASES, first=1_000_000)  # other cases than those of the table
    assert tally.failures == []
    assert tally.tried == CASES


@pytest.mark.real_data
def test_objects_of_other_projects_are_no_chest_ct_and_their_pixels_are_right(shared_data: Path) -> None:
    refused = objects_of_other_projects(shared_data / "dicom-torture")
    assert refused.failures == []
    pixels = pixels_of_other_projects(shared_data / "dicom-torture")
    assert pixels.failures == []
    assert pixels.passed > 40


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    return Scene(tmp_path_factory.mktemp("scene"))


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
    assert tally.refused > 0


def test_changed_weights_are_refused(scene: Scene) -> None:
    tally = changed_weights(scene, ("a bit", "gone"))
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


def test_nothing_written_says_who_was_scanned(scene: Scene) -> None:
    tally = nothing_identifies(scene, (scene.analysed, scene.exported))
    assert tally.failures == []
    assert tally.passed > 15


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


def test_a_traceback_a_wrong_result_and_an_unclear_refusal_are_failures() -> None:
    def refuse(sentence: str) -> None:
        raise InputError(sentence)

    tally = Tally("made up")
    tally.attempt("traceback", lambda: 1 / 0, lambda _: "", may_refuse=True)
    tally.attempt("wrong", lambda: 1, lambda _: "one is wrong")
    tally.attempt("taken", lambda: 1, None)
    tally.attempt("refused", lambda: refuse("no"), lambda _: "")
    tally.attempt("unclear", lambda: refuse("<Dataset object at 0x7f>"), None)
    assert (tally.tried, tally.failed) == (5, 5)
    tally.attempt("right", lambda: 1, lambda _: "")
    tally.attempt("rightly refused", lambda: refuse("no"), None)
    assert (tally.passed, tally.refused, tally.failed) == (1, 1, 5)


def test_the_table_says_what_was_counted_and_nothing_failed() -> None:
    rows = json.loads(OUTCOMES.read_text(encoding="utf-8"))["rows"]
    assert table(rows) in TABLE.read_text(encoding="utf-8")
    assert [row["what"] for row in rows if row["failed"]] == []
