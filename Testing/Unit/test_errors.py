from __future__ import annotations

from pathlib import Path

import pytest

from LungNoduleCADLib.cli import main
from LungNoduleCADLib.errors import (
    Cancelled,
    InputError,
    LungNoduleCADError,
    ModelError,
    OutputError,
    UsageError,
    is_lack_of_memory,
)


@pytest.mark.parametrize(
    ("parts", "sentence"),
    [
        ({}, "The folder is empty."),
        ({"expected": "a CT"}, "The folder is empty: expected a CT."),
        ({"got": "a PDF"}, "The folder is empty: got a PDF."),
        (
            {"expected": "a CT", "got": "a PDF", "todo": "give a CT folder."},
            "The folder is empty: expected a CT, got a PDF; give a CT folder.",
        ),
    ],
)
def test_a_message_is_one_sentence_with_one_full_stop(parts: dict[str, str], sentence: str) -> None:
    assert str(InputError("The folder is empty.", **parts)) == sentence


@pytest.mark.parametrize(
    ("error", "code"), [(UsageError, 2), (InputError, 3), (OutputError, 3), (ModelError, 4), (LungNoduleCADError, 1)]
)
def test_every_kind_of_error_has_its_exit_code(error: type[LungNoduleCADError], code: int) -> None:
    assert error("x").exit_code == code


def test_a_cancelled_run_says_that_nothing_was_written_and_ends_as_ctrl_c_does() -> None:
    assert str(Cancelled()) == "Cancelled; nothing was written."
    assert Cancelled().exit_code == 130


def test_what_was_found_is_cut_and_stays_on_one_line() -> None:
    sentence = str(InputError("broken", got="x\n" * 1000))
    assert "\n" not in sentence
    assert len(sentence) < 400
    assert sentence.endswith("….")


def test_what_was_expected_is_cut_too() -> None:
    assert len(str(InputError("unknown id", expected=f"one of {['N1'] * 1000}", got="N2"))) < 400


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 1 bytes"),
        RuntimeError("std::bad_alloc"),
        OSError(12, "Cannot allocate memory"),
        ImportError("failed to map segment from shared object"),
        RuntimeError("could not create a primitive"),
    ],
)
def test_whoever_ran_out_of_memory_it_is_said_in_a_sentence(
    error: Exception, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(_: object) -> None:
        raise error

    monkeypatch.setattr("LungNoduleCADLib.cli.info.run", fail)
    assert main(["info"]) == 1
    said = capsys.readouterr().err
    assert "memory of this computer does not suffice" in said
    assert len(said.splitlines()) == 1


def test_other_errors_are_no_lack_of_memory() -> None:
    assert not is_lack_of_memory(RuntimeError("size mismatch"))
    assert not is_lack_of_memory(RuntimeError("could not create a primitive descriptor for a convolution"))
    assert not is_lack_of_memory(OSError(28, "No space left on device"))


@pytest.mark.parametrize(
    ("command", "said_first"),
    [
        (["info"], "There is no room to write: got No space left on device; "),
        (["analyse", "nowhere", "-o", "out", "--progress", "jsonl"], "There is nothing to read: "),
    ],
)
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_what_is_wrong_is_said_in_one_sentence_also_where_stdout_is_full(
    command: list[str],
    said_first: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    with Path("/dev/full").open("w") as full:
        monkeypatch.setattr("sys.stdout", full)
        assert main(command) == OutputError.exit_code
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert said.startswith(said_first)
