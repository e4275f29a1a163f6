"""The one place that reaches the network, called by ``bundles fetch`` after a person accepted the licence."""

from __future__ import annotations

import hashlib
import http.client
import urllib.request
from collections.abc import Callable
from pathlib import Path

from LungNoduleCADLib.errors import ModelError

CHUNK_BYTES = 2**20
TIMEOUT_S = 60.0


def download(address: str, file: Path, digest: str, report: Callable[[int], None] = lambda _: None) -> None:
    """Fetch a file; it stands under its name only when it is whole and its digest is right.

    After a minute without a byte it is given up.

    Parameters
    ----------
    digest : ``algorithm:hex``, as ``sha256:…``.
    report : called with the bytes so far.

    Raises
    ------
    ModelError : no answer, a broken connection, or another file than expected; nothing is left behind.
    OSError : the folder cannot be made.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    partial = file.with_name(file.name + ".partial")
    algorithm, _, expected = digest.partition(":")
    try:
        got = _stream(address, partial, algorithm, report)
        if got != expected:
            raise ModelError(
                "The file that came is not the one expected",
                expected=digest,
                got=f"{algorithm}:{got}",
                todo=f"nothing was kept; ask at {address} whether it was changed",
            )
        partial.replace(file)
    except (OSError, http.client.HTTPException) as error:
        raise ModelError(
            f"{address} could not be downloaded",
            got=str(getattr(error, "reason", None) or error) or type(error).__name__,
            todo="check the connection and try again",
        ) from error
    finally:
        partial.unlink(missing_ok=True)


def _stream(address: str, partial: Path, algorithm: str, report: Callable[[int], None]) -> str:
    """Write the answer to ``partial``; its digest."""
    hasher = hashlib.new(algorithm, usedforsecurity=False)
    count = 0
    with urllib.request.urlopen(address, timeout=TIMEOUT_S) as answer, partial.open("wb") as out:
        wanted = answer.headers.get("Content-Length")
        while chunk := answer.read(CHUNK_BYTES):
            out.write(chunk)
            hasher.update(chunk)
            count += len(chunk)
            report(count)
    if wanted is not None and count != int(wanted):
        raise OSError(f"the connection broke off after {count} of {wanted} bytes")
    return hasher.hexdigest()
