"""Results that more than one test of this folder looks at."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from goldens import analyse


@pytest.fixture(scope="session")
def analysed_scan(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:  # noqa: ARG001  skips
    """``analysed_scan("lidc-0003")``: results of ``analyse``, made once a run. Copy before you change them."""
    work = tmp_path_factory.mktemp("analysed")
    return lambda scan: analyse(scan, work)
