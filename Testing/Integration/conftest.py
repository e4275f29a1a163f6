"""The synthetic patient's results, made once for all who need them."""

from __future__ import annotations

from pathlib import Path

import pytest

from LungNoduleCADLib.cli import main


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Results of ``demo``: a follow-up scan compared with its baseline. Copy them before changing anything."""
    out = tmp_path_factory.mktemp("demo") / "out"
    assert main(["demo", "-o", str(out), "--device", "cpu", "--progress", "none"]) == 0
    return out
