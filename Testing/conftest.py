"""Fixtures that more than one suite uses."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from LungNoduleCADLib.cli import main

ROOT = Path(__file__).resolve().parent.parent
SHARED_DATA = ROOT.parent / "shared" / "data"

sys.path.insert(0, str(ROOT / "Testing" / "Offline"))
import no_network  # noqa: E402

no_network.guard(Path(tempfile.gettempdir()) / f"tests-network-{os.getpid()}.log")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    """A test in which anything tried to leave this computer fails, also where that was swallowed or in a child."""
    result = yield
    if refused := no_network.attempts():
        pytest.fail(f"{item.name} reached for the network:\n" + "\n".join(refused), pytrace=False)
    return result


@pytest.fixture(scope="session")
def repository() -> Path:
    """The checkout."""
    return ROOT


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Real CT, LIDC nodules and DICOM odds and ends, where a developer has them beside the checkout."""
    if not SHARED_DATA.is_dir():
        pytest.skip("needs the development data in ../shared/data, which is not part of the project")
    return SHARED_DATA


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Results of ``demo``: a follow-up scan compared with its baseline. Copy them before changing anything."""
    out = tmp_path_factory.mktemp("demo") / "out"
    assert main(["demo", "-o", str(out), "--device", "cpu", "--progress", "none"]) == 0
    return out
