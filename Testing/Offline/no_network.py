"""No test reaches anything but this computer, nor does a Python process that a test starts.

CPython tells an audit hook before it connects, sends or looks up a name (PEP 578). The hook refuses what is not on this
computer, and writes it down: a test whose code swallowed the refusal, or whose child process met it, fails all the same
(``Testing/conftest.py``). Child processes load this through ``sitecustomize.py``, because ``guard`` puts this folder on
their ``PYTHONPATH``. Libraries that reach the network without Python's sockets are not seen. Imports nothing heavy.
"""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

LOG_VARIABLE = "TESTS_NETWORK_LOG"
BY_NAME = {"socket.getaddrinfo", "socket.gethostbyname"}
BY_ADDRESS = {"socket.connect", "socket.sendto", "socket.sendmsg"}
HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]


class NetworkBlocked(BaseException):
    """A test tried to leave this computer; no ``except Exception`` of the product takes it for a dead connection."""


def guard(log: Path) -> None:
    """From now on and for good: refuse it in this process and its children, and write it to ``log``."""
    os.environ[LOG_VARIABLE] = str(log)
    os.environ["NO_PROXY"] = os.environ["no_proxy"] = "*"  # a proxy on this computer would lead out of it
    paths = [str(HERE), *os.environ.get("PYTHONPATH", "").split(os.pathsep)]
    os.environ["PYTHONPATH"] = os.pathsep.join(path for path in dict.fromkeys(paths) if path)
    install()


def install() -> None:
    """The hook alone; it cannot be taken away again."""
    sys.addaudithook(_hook)


def attempts() -> list[str]:
    """What was refused since the last call, a line each."""
    log = Path(os.environ[LOG_VARIABLE])
    if not log.is_file():
        return []
    lines = log.read_text(encoding="utf-8").splitlines()
    log.unlink()
    return lines


@contextmanager
def expected() -> Iterator[list[str]]:
    """What is refused inside goes onto the list that is yielded, and fails no test."""
    refused: list[str] = []
    yield refused
    refused += attempts()


def _hook(event: str, arguments: tuple[Any, ...]) -> None:
    if event in BY_NAME:
        host = arguments[0]
    elif event in BY_ADDRESS:
        host = _host(event, *arguments[:2])
    else:
        return
    if not _is_here(host):
        _refuse(event, host)


def _host(event: str, socket: Any, address: Any) -> Any:
    """The host that a socket is asked to reach; ``None`` where that is this computer or nothing is sent."""
    import socket as sockets

    if socket.family not in (sockets.AF_INET, sockets.AF_INET6) or not isinstance(address, tuple):
        return None
    if event == "socket.connect" and socket.type == sockets.SOCK_DGRAM:
        return None  # sends nothing; so Dask asks the system for its own address
    return address[0]


def _is_here(host: Any) -> bool:
    import ipaddress
    import socket

    name = _text(host)
    if name in ("", "localhost", socket.gethostname()):
        return True
    try:
        address = ipaddress.ip_address(name.partition("%")[0])
    except ValueError:
        return False
    return address.is_loopback or address.is_unspecified


def _refuse(event: str, host: Any) -> None:
    said = f"{_text(host)} was asked for ({event}), but tests reach this computer only"
    own = [frame for frame in traceback.extract_stack()[:-2] if Path(frame.filename).is_relative_to(ROOT)]
    place = f", from {own[-1].filename}:{own[-1].lineno}" if own else ""
    if LOG_VARIABLE in os.environ:
        with Path(os.environ[LOG_VARIABLE]).open("a", encoding="utf-8") as log:
            log.write(f"{said}{place}\n")
    raise NetworkBlocked(said + place)


def _text(host: Any) -> str:
    return host.decode("ascii", "replace") if isinstance(host, (bytes, bytearray)) else str(host or "")
