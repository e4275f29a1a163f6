"""Tests reach nothing but this computer, and one that tries fails with a sentence that says so."""

from __future__ import annotations

import socket
import subprocess
import sys
import urllib.request
from collections.abc import Callable
from pathlib import Path

import no_network
import pytest

OUTSIDE = "192.0.2.1"  # RFC 5737: an address that nobody has


def by_udp() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        one.sendto(b"x", (OUTSIDE, 9))


WAYS: dict[str, Callable[[], object]] = {
    "TCP": lambda: socket.create_connection((OUTSIDE, 80), timeout=1),
    "TCP by IPv6": lambda: socket.socket(socket.AF_INET6).connect(("2001:db8::1", 80)),
    "UDP": by_udp,
    "a name": lambda: socket.getaddrinfo("example.org", 443),
    "a name of bytes": lambda: socket.gethostbyname(b"example.org"),
    "urllib": lambda: urllib.request.urlopen("https://example.org/", timeout=1),
}


@pytest.mark.parametrize("way", WAYS)
def test_an_outside_address_is_refused_at_once(way: str) -> None:
    with no_network.expected() as refused, pytest.raises(no_network.NetworkBlocked, match="this computer only"):
        WAYS[way]()

    assert len(refused) == 1
    assert Path(__file__).name in refused[0]


def test_this_computer_is_reached() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        socket.create_connection(server.getsockname(), timeout=5).close()
        socket.create_connection(("localhost", server.getsockname()[1]), timeout=5).close()

    assert no_network.attempts() == []


def test_a_child_process_is_refused_too_and_it_is_known_here() -> None:
    code = f"import socket\ntry: socket.create_connection(('{OUTSIDE}', 80), timeout=1)\nexcept BaseException: pass"

    with no_network.expected() as refused:
        subprocess.run([sys.executable, "-c", code], check=True)

    assert [line for line in refused if OUTSIDE in line]


def test_the_command_line_in_a_process_of_its_own_is_refused_too(repository: Path) -> None:
    command = [sys.executable, "-m", "LungNoduleCADLib", "fetch", "https://example.org/dicom-web"]

    with no_network.expected() as refused:
        done = subprocess.run(
            [*command, "--patient", "1", "--list"], cwd=repository, capture_output=True, text=True, check=False
        )

    assert done.returncode != 0
    assert "example.org was asked for" in done.stderr
    assert refused


SWALLOWING = f"""
import socket, threading

def reach():
    try: socket.create_connection(("{OUTSIDE}", 80), timeout=1)
    except BaseException: pass

def test_here(): reach()

def test_in_a_thread():
    thread = threading.Thread(target=reach)
    thread.start()
    thread.join()

def test_of_nothing(): pass
"""


def test_a_test_that_swallows_the_refusal_fails_with_a_sentence(repository: Path, tmp_path: Path) -> None:
    (tmp_path / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
    (tmp_path / "test_swallowing.py").write_text(SWALLOWING, encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-p", "Testing.conftest", "-c", str(tmp_path / "pytest.ini"), "-q"]

    done = subprocess.run(
        [*command, "-p", "no:cacheprovider", str(tmp_path)], cwd=repository, capture_output=True, text=True, check=False
    )

    assert "2 failed, 1 passed" in done.stdout, done.stdout + done.stderr
    assert "test_in_a_thread reached for the network" in done.stdout
    assert f"{OUTSIDE} was asked for (socket.getaddrinfo), but tests reach this computer only" in done.stdout
