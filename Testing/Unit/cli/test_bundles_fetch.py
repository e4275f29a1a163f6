"""``bundles fetch`` against a server on this machine."""

from __future__ import annotations

import hashlib
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from LungNoduleCADLib.backends import download, remote
from LungNoduleCADLib.backends.remote import BACKENDS_FOLDER_VARIABLE, REMOTES, Remote, RemoteFile
from LungNoduleCADLib.cli import main

CONTENT = bytes(range(256)) * 9000


class Handler(BaseHTTPRequestHandler):
    """/whole gives the content, /short breaks off, /slow never answers, everything else is missing."""

    asked: list[str]
    leave: threading.Event

    def do_GET(self) -> None:
        self.asked.append(self.path)
        if self.path == "/slow":
            self.leave.wait(10)
            return
        self.send_response(200 if self.path in ("/whole", "/short") else 404)
        self.send_header("Content-Length", str(len(CONTENT)))
        self.end_headers()
        self.wfile.write(CONTENT if self.path == "/whole" else CONTENT[:1000])

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[str]:
    Handler.asked, Handler.leave = [], threading.Event()
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        thread = threading.Thread(target=running.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{running.server_address[1]}"
        Handler.leave.set()
        running.shutdown()
        thread.join()


@pytest.fixture
def fetched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where fetched back-ends go."""
    monkeypatch.setenv(BACKENDS_FOLDER_VARIABLE, str(tmp_path / "backends"))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    return tmp_path / "backends"


def offer(monkeypatch: pytest.MonkeyPatch, address: str, content: bytes = CONTENT) -> None:
    """Make ``toy`` what can be fetched."""
    file = RemoteFile("models/model.pt", address, f"sha256:{hashlib.sha256(content).hexdigest()}")
    toy = Remote(
        name="toy",
        version="1",
        task="test",
        source="a server on this machine",
        licence="Apache-2.0",
        data="none",
        size="2 MB",
        files=(file,),
        configs={"configs/inference.json": {"network_def": {"_target_": "RetinaNet"}}},
    )
    monkeypatch.setattr(remote, "REMOTES", (toy,))


def files_in(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_a_file_is_fetched_checked_and_its_configuration_written_beside_it(
    server: str, fetched: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    offer(monkeypatch, f"{server}/whole")

    assert main(["bundles", "fetch", "toy", "--accept-licence"]) == 0

    assert files_in(fetched) == ["toy/configs/inference.json", "toy/models/model.pt"]
    assert (fetched / "toy/models/model.pt").read_bytes() == CONTENT
    said = capsys.readouterr().out
    assert f"{server}/whole" in said
    assert "analyse --detector toy" in said


def test_without_the_licence_accepted_everything_is_said_and_nothing_asked_for(
    server: str, fetched: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    offer(monkeypatch, f"{server}/whole")

    assert main(["bundles", "fetch", "toy"]) == 2

    out, err = capsys.readouterr()
    for fact in ("toy", "a server on this machine", f"{server}/whole", "Apache-2.0", "2 MB"):
        assert fact in out
    assert "add --accept-licence" in err
    assert Handler.asked == []
    assert not fetched.exists()


@pytest.mark.parametrize(
    ("path", "words"),
    [("/short", "broke off after 1000 of"), ("/gone", "could not be downloaded"), ("/slow", "timed out")],
)
def test_a_download_that_fails_says_why_and_leaves_no_file(
    server: str,
    fetched: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    path: str,
    words: str,
) -> None:
    offer(monkeypatch, server + path)
    monkeypatch.setattr(download, "TIMEOUT_S", 0.5)

    assert main(["bundles", "fetch", "toy", "--accept-licence"]) == 4

    assert words in capsys.readouterr().err
    assert files_in(fetched) == []


def test_a_server_that_is_not_there_is_said(
    fetched: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    offer(monkeypatch, f"http://127.0.0.1:{port}/whole")

    assert main(["bundles", "fetch", "toy", "--accept-licence"]) == 4

    assert "check the connection and try again" in capsys.readouterr().err
    assert files_in(fetched) == []


def test_another_file_than_expected_is_thrown_away_and_an_older_one_kept(
    server: str, fetched: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    offer(monkeypatch, f"{server}/whole", b"something else")
    old = fetched / "toy/models/model.pt"
    old.parent.mkdir(parents=True)
    old.write_bytes(b"older")

    assert main(["bundles", "fetch", "toy", "--accept-licence"]) == 4

    assert "not the one expected" in capsys.readouterr().err
    assert files_in(fetched) == ["toy/models/model.pt"]
    assert old.read_bytes() == b"older"


def test_an_unknown_name_is_refused_with_the_known_ones(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bundles", "fetch", "cat"]) == 2

    assert "lung_nodule_ct_detection or totalsegmentator_lung_nodules, got cat" in capsys.readouterr().err


def test_a_folder_that_cannot_be_written_is_said(
    server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    offer(monkeypatch, f"{server}/whole")
    (tmp_path / "file").touch()
    monkeypatch.setenv(BACKENDS_FOLDER_VARIABLE, str(tmp_path / "file"))

    assert main(["bundles", "fetch", "toy", "--accept-licence"]) == 3

    assert "cannot be written" in capsys.readouterr().err


def test_the_list_names_source_licence_data_and_size_of_each(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bundles", "list", "--remote"]) == 0

    said = capsys.readouterr().out
    assert {one.name for one in REMOTES} == {"lung_nodule_ct_detection", "totalsegmentator_lung_nodules"}
    for one in REMOTES:
        for fact in (one.name, one.source, one.licence, one.data, one.size, *(file.address for file in one.files)):
            assert fact in said


def test_addresses_are_encrypted_and_every_file_has_a_digest() -> None:
    for one in REMOTES:
        for file in one.files:
            algorithm, _, digest = file.digest.partition(":")
            assert file.address.startswith("https://")
            assert len(digest) == 2 * hashlib.new(algorithm).digest_size


def test_the_program_fetches_its_own_weights_where_it_is_installed(
    fetched: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    program = tmp_path / "totalseg_download_weights"
    program.write_text('#!/bin/sh\necho "$2" >> "$TOTALSEG_HOME_DIR/asked"\n', encoding="utf-8")
    command = ["bundles", "fetch", "totalsegmentator_lung_nodules", "--accept-licence"]
    monkeypatch.setenv("PATH", str(tmp_path))

    assert main(command) == 4
    assert "pip install TotalSegmentator" in capsys.readouterr().err
    program.chmod(0o755)
    assert main(command) == 0

    asked = fetched / "totalsegmentator_lung_nodules/asked"
    assert asked.read_text(encoding="utf-8").split() == ["lung_nodules", "total_fast"]
