import os

import pytest

from LungNoduleCADLib.errors import InputError, OutputError
from LungNoduleCADLib.report.folder import check_writable, new_results


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


def test_an_error_about_an_input_file_is_not_blamed_on_the_output(tmp_path):
    def fail():
        with new_results(tmp_path / "out"):
            raise FileNotFoundError(2, "No such file", str(tmp_path / "ct" / "1.dcm"))

    with pytest.raises(FileNotFoundError):
        fail()
