"""Where an export is put: all of it or nothing, also when it is killed on the way."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from LungNoduleCADLib.errors import OutputError
from LungNoduleCADLib.report import export

NAMES = ("report.pdf", "findings.json", "key_image-N1.dcm")


class Killed(BaseException):
    """As ``kill -9`` is: nothing that would clean up gets to run."""


def fill(folder: Path, what: str) -> None:
    folder.mkdir(exist_ok=True)
    for name in NAMES:
        (folder / name).write_text(json.dumps({"schema_version": what, "research_use_only": what}))


def texts(folder: Path) -> dict[str, str]:
    return {path.name: json.loads(path.read_text())["schema_version"] for path in folder.iterdir() if path.is_file()}


def put(folder: Path) -> None:
    with export._placed(folder, folder.parent / "out") as work:
        fill(work, "new")


@pytest.mark.parametrize("moves", range(8))
def test_an_export_that_was_killed_while_files_changed_places_is_undone_by_the_next(
    tmp_path: Path, moves: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "export"
    fill(folder, "old")
    (folder / "notes.txt").write_text(json.dumps({"schema_version": "mine"}))
    work = folder / ".0123abcd.partial"
    fill(work, "new")
    rename, done = Path.rename, []

    def until_killed(path: Path, target: Path) -> Path:
        if len(done) == moves:
            raise Killed
        done.append(path)
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", until_killed)
    monkeypatch.setattr(export, "_move_back", lambda *_: None)
    if moves < 7:  # three out, one for all are out, three in
        with pytest.raises(Killed):
            export._move(work, folder)
    else:
        export._move(work, folder)
    monkeypatch.undo()

    export._put_right(folder)
    assert texts(folder) == dict.fromkeys(NAMES, "old") | {"notes.txt": "mine"}
    assert not work.exists()
    put(folder)
    assert texts(folder) == dict.fromkeys(NAMES, "new") | {"notes.txt": "mine"}


def test_two_exports_into_one_folder_at_once_are_refused(tmp_path: Path) -> None:
    folder = tmp_path / "export"
    with export._placed(folder, tmp_path / "out") as work:
        fill(work, "first")
        with pytest.raises(OutputError, match="Another run is writing"):
            put(folder)
    assert texts(folder) == dict.fromkeys(NAMES, "first")


def test_files_of_others_by_the_same_names_are_never_taken(tmp_path: Path) -> None:
    folder = tmp_path / "export"
    folder.mkdir()
    (folder / "report.pdf").write_text("mine")
    with pytest.raises(OutputError, match=r"holds another report\.pdf"):
        put(folder)
    assert [(path.name, path.read_text()) for path in folder.iterdir()] == [("report.pdf", "mine")]
