"""A run whose stdin is closed ends soon, wherever it is, and leaves nothing."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

RUN = """
import hashlib, sys
from pathlib import Path
from LungNoduleCADLib.cli.console import cancellable
from LungNoduleCADLib.report.folder import new_results
with cancellable(watch_stdin=True), new_results(Path(sys.argv[1])) as folder:
    (folder / "findings.json").write_text("{}")
    print("at work", flush=True)
    if sys.argv[2] == "listens":
        while True:
            sum(range(1000))
    hashlib.pbkdf2_hmac("sha256", b"", b"", 2**31 - 1)  # a library that knows of no signals
"""


@pytest.mark.skipif(os.name == "nt", reason="stdin is no pipe that can be asked there")
@pytest.mark.parametrize("how", ["listens", "does not listen"])
def test_a_run_that_is_cancelled_ends_soon_and_leaves_nothing_whatever_it_is_in(
    repository: Path, tmp_path: Path, how: str
) -> None:
    place = tmp_path / "new" / "results"
    command = [sys.executable, "-c", RUN, str(place), how]
    with subprocess.Popen(
        command, cwd=repository, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as run:
        assert run.stdout is not None
        assert run.stdin is not None
        assert run.stdout.readline() == b"at work\n"
        assert len(list(place.parent.iterdir())) == 2  # unfinished results, and the claim
        run.stdin.close()
        start = time.monotonic()
        try:
            run.wait(20)
        finally:
            run.kill()
    assert time.monotonic() - start < 20
    assert run.returncode != 0
    assert list(tmp_path.iterdir()) == []
