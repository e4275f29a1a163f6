import os
import shutil

import pytest

from LungNoduleCADLib.errors import InputError, OutputError
from LungNoduleCADLib.report.folder import (
    check_writable,
    exchange,
    kept_from_others,
    new_results,
    put_right,
    stamp_after,
)


def _fill(folder, text="new"):
    for name in ("findings.json", "run.json"):
        (folder / name).write_text(text)


def test_results_appear_all_at_once(tmp_path):
    out = tmp_path / "deep" / "out"
    with new_results(out) as folder:
        _fill(folder)
        assert not out.exists()
    assert sorted(path.name for path in out.iterdir()) == ["findings.json", "run.json"]
    assert [path.name for path in out.parent.iterdir()] == ["out"]


def test_earlier_results_are_replaced(tmp_path):
    out = tmp_path / "out"
    with new_results(out) as folder:
        _fill(folder, "old")
        (folder / "report.pdf").write_text("old")
    with new_results(out) as folder:
        _fill(folder)
    assert (out / "findings.json").read_text() == "new"
    assert not (out / "report.pdf").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


@pytest.mark.parametrize("error", [ValueError("boom"), KeyboardInterrupt(), InputError("no CT")])
def test_a_failed_run_leaves_the_earlier_results_and_nothing_else(tmp_path, error):
    out = tmp_path / "out"
    with new_results(out) as folder:
        _fill(folder, "old")

    def fail():
        with new_results(out) as folder:
            _fill(folder)
            raise error

    with pytest.raises(type(error)):
        fail()
    assert (out / "findings.json").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_failed_first_run_leaves_no_folder_it_made(tmp_path):
    def fail():
        with new_results(tmp_path / "a" / "b" / "out"):
            raise ValueError("boom")

    with pytest.raises(ValueError, match="boom"):
        fail()
    assert not any(tmp_path.iterdir())


def test_a_folder_with_other_files_is_refused_and_kept(tmp_path):
    (tmp_path / "thesis.docx").write_text("mine")
    with pytest.raises(OutputError, match="choose another folder") as caught:
        check_writable(tmp_path)
    assert caught.value.exit_code == 3
    assert (tmp_path / "thesis.docx").read_text() == "mine"


def test_an_empty_folder_is_taken(tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    with new_results(out) as folder:
        _fill(folder)
    assert (out / "run.json").exists()


@pytest.mark.skipif(os.name == "nt", reason="Windows folders have no write bit")
@pytest.mark.parametrize("name", ["out", "out/new"])
def test_a_read_only_folder_is_refused_even_for_root(tmp_path, name):
    (tmp_path / "out").mkdir(mode=0o555)
    with pytest.raises(OutputError, match="read-only"), new_results(tmp_path / name):
        pass
    assert not any((tmp_path / "out").iterdir())


def test_a_file_in_the_way_is_refused(tmp_path):
    (tmp_path / "out").write_text("x")
    for path in (tmp_path / "out", tmp_path / "out" / "below"):
        with pytest.raises(OutputError, match="a folder"):
            check_writable(path)


def test_a_full_disk_is_said_in_one_sentence(tmp_path):
    def fail():
        with new_results(tmp_path / "out"):
            raise OSError(28, "No space left on device")

    with pytest.raises(OutputError, match="No space left on device"):
        fail()
    assert not any(tmp_path.iterdir())


def test_a_disk_that_is_full_while_files_are_copied_is_said_in_one_sentence(tmp_path):
    why = "[Errno 28] No space left on device: 'a' -> 'b'"

    def fail():
        with new_results(tmp_path / "out") as folder:
            raise shutil.Error([("a", str(folder / "a"), why), ("b", str(folder / "b"), why)])

    with pytest.raises(OutputError, match="got No space left on device;"):
        fail()
    assert not any(tmp_path.iterdir())


def test_an_error_about_an_input_file_is_not_blamed_on_the_output(tmp_path):
    def fail():
        with new_results(tmp_path / "out"):
            raise FileNotFoundError(2, "No such file", str(tmp_path / "ct" / "1.dcm"))

    with pytest.raises(FileNotFoundError):
        fail()


def _killed_run(out, kind):
    """What a run leaves that was killed: its own folder, and the earlier results beside their place."""
    folder = out.with_name(f".{out.name}.0123abcd.{kind}")
    folder.mkdir(parents=True)
    _fill(folder, kind)
    return folder


def test_the_next_run_removes_what_a_killed_one_left_and_nothing_else(tmp_path):
    out = tmp_path / "out"
    _killed_run(out, "partial")
    others = [_killed_run(tmp_path / "out.b", "partial"), tmp_path / ".out.notes.partial"]
    others[1].mkdir()
    with new_results(out) as folder:
        _fill(folder)
    assert sorted(tmp_path.iterdir()) == sorted([out, *others])


def test_results_that_a_killed_run_had_put_aside_come_back(tmp_path):
    out = tmp_path / "out"
    _killed_run(out, "partial")
    _killed_run(out, "replaced")
    put_right(out)
    assert (out / "findings.json").read_text() == "replaced"
    assert list(tmp_path.iterdir()) == [out]


def test_a_second_run_is_refused_while_the_first_is_at_work(tmp_path):
    out = tmp_path / "out"
    with new_results(out) as first:
        _fill(first)
        with pytest.raises(OutputError, match="Another run is writing"), new_results(out):
            pass
        put_right(out)
        assert first.is_dir()
    assert (out / "findings.json").read_text() == "new"
    assert list(tmp_path.iterdir()) == [out]


def test_nobody_replaces_results_under_review(tmp_path):
    out = tmp_path / "out"
    with new_results(out) as folder:
        _fill(folder)
    with kept_from_others(out), pytest.raises(OutputError, match="Another run"), new_results(out):
        pass
    with new_results(out) as folder:
        _fill(folder, "newer")
    assert (out / "findings.json").read_text() == "newer"


@pytest.mark.skipif(os.name == "nt", reason="Windows lets nobody remove a file that is open")
def test_a_claim_whose_file_somebody_removed_is_taken_anew(tmp_path):
    out = tmp_path / "out"
    (tmp_path / ".out.lock").write_text("of a run that was killed")
    with new_results(out) as folder:
        _fill(folder)
    assert list(tmp_path.iterdir()) == [out]


def test_a_clock_that_was_set_back_does_not_turn_the_order_of_files_round(tmp_path):
    earlier, later = tmp_path / "earlier", tmp_path / "later"
    for path in (earlier, later):
        path.touch()
    os.utime(earlier, (2_524_608_000, 2_524_608_000))
    stamp_after(later, earlier)
    assert later.stat().st_mtime_ns > earlier.stat().st_mtime_ns


def test_a_file_that_could_not_be_written_is_as_before_and_leaves_nothing(tmp_path):
    (tmp_path / "a.txt").write_text("old")

    def fail(path):
        path.write_text("new")
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        exchange(tmp_path / "a.txt", fail)
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("a.txt", "old")]
