"""Memory of large arrays is used again."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

FAULTS = """
import resource, sys
from LungNoduleCADLib.cli.memory import keep_freed_memory
if sys.argv[1] == "kept":
    keep_freed_memory()
import numpy as np
for _ in range(4):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    np.ones(2**25, np.uint8)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only the GNU C library can be told")
def test_an_array_in_the_place_of_a_freed_one_costs_no_page_faults(repository: Path) -> None:
    def faults(how: str) -> int:
        command = [sys.executable, "-c", FAULTS, how]
        small_pages = {**os.environ, "NUMPY_MADVISE_HUGEPAGE": "0"}
        run = subprocess.run(command, cwd=repository, env=small_pages, capture_output=True, text=True, check=True)
        return int(run.stdout)

    assert faults("kept") < 100 < faults("as usual")
