"""The short form of ``break_it.py``."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

if not sys.platform.startswith("linux"):
    pytest.skip("limits of memory and forked processes, as Linux has them", allow_module_level=True)

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

from break_it import OUTCOMES, TABLE, table  # noqa: E402
from fuzz import TARGETS, fuzz  # noqa: E402
from guided import available, guided  # noqa: E402
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


@pytest.mark.skipif(not available(), reason="atheris is not installed")
def test_files_mutated_with_a_guide_do_no_harm() -> None:
    tally = guided("clinical.json", CASES)
    assert tally.failures == []
    assert tally.tried == CASES


@pytest.mark.real_data
def test_objects_of_other_projects_are_no_chest_ct_and_their_pixels_are_right(shared_data: Path) -> None:
    refused = objects_of_other_projects(shared_data / "dicom-torture")
    assert refused.failures == []
    pixels = pixels_of_other_projects(shared_data / "dicom-torture")
    assert pixels.failures == []
    assert pixels.passed > 40


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
