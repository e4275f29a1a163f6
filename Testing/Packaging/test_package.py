"""CMake configures, builds, installs and packages the extension; what is packaged works from where Slicer puts it.

Slicer's part of the build is played by SlicerStandIn/ (its header says how far).
"""

from __future__ import annotations

import json
import os
import re
import runpy
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

MODULES = Path("lib/Slicer-5.12/qt-scripted-modules")
PLACE = {"LungNoduleCAD": ".", "LungNoduleCADLib": "LungNoduleCADLib", "Resources": "Resources", "models": "models"}

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def cmake() -> Callable[..., str]:
    """Runs CMake as the test extra brings it; no compiler and no make are needed."""
    program = pytest.importorskip("cmake", reason="needs CMake: pip install cmake ninja")
    ninja = pytest.importorskip("ninja", reason="needs Ninja: pip install cmake ninja")
    path = os.pathsep.join([program.CMAKE_BIN_DIR, ninja.BIN_DIR, os.environ["PATH"]])

    def run(*arguments: object) -> str:
        command = [str(Path(program.CMAKE_BIN_DIR) / "cmake"), *map(str, arguments)]
        done = subprocess.run(
            command, capture_output=True, text=True, env={**os.environ, "PATH": path}, check=False, timeout=1200
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    return run


@pytest.fixture(scope="module")
def build(cmake: Callable[..., str], repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The extension configured and built."""
    folder = tmp_path_factory.mktemp("build")
    packaging = repository / "Testing" / "Packaging"
    said = cmake(
        *("-G", "Ninja", "-S", repository, "-B", folder),
        f"-DSlicer_DIR={packaging / 'SlicerStandIn'}",
        f"-DCMAKE_TOOLCHAIN_FILE={packaging / 'NoCompiler.cmake'}",
        f"-DPython3_EXECUTABLE={sys.executable}",
    )
    assert "Warning" not in said, said
    cmake("--build", folder)
    return folder


@pytest.fixture(scope="module")
def packaged(cmake: Callable[..., str], build: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The packaged extension, unpacked."""
    cmake("--build", build, "--target", "package")
    folder = tmp_path_factory.mktemp("packaged")
    (archive,) = build.glob("*.tar.gz")
    with tarfile.open(archive) as tar:
        tar.extractall(folder, filter="data")
    return folder / archive.name.removesuffix(".tar.gz")


@pytest.fixture(scope="module")
def modules(packaged: Path) -> Path:
    """The folder that Slicer finds the module in."""
    return packaged / MODULES


@pytest.fixture(scope="module")
def expected(repository: Path) -> dict[Path, Path]:
    """{where a file of the CMake lists must lie below qt-scripted-modules: where it comes from}."""
    lists = runpy.run_path(str(repository / "Testing" / "update_cmake_lists.py"))
    return {
        Path(PLACE[folder]) / file: repository / folder / file
        for folder, name, _ in lists["LISTS"]
        for file in lists["files_listed"](folder, name)
    }


def files_below(folder: Path) -> set[Path]:
    return {path.relative_to(folder) for path in folder.rglob("*") if path.is_file()}


def run_in(modules: Path, *arguments: str) -> str:
    """A Python process that starts where the panel starts its own."""
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    environment["PYTHONDONTWRITEBYTECODE"] = "1"
    command = [sys.executable, *arguments]
    done = subprocess.run(
        command, cwd=modules, capture_output=True, text=True, env=environment, check=False, timeout=1200
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_package_holds_every_listed_file_unchanged(modules: Path, expected: dict[Path, Path]) -> None:
    wrong = [
        str(place)
        for place, source in expected.items()
        if not (modules / place).is_file() or (modules / place).read_bytes() != source.read_bytes()
    ]

    assert len(expected) > 100
    assert not wrong


def test_the_package_holds_nothing_else(packaged: Path, expected: dict[Path, Path]) -> None:
    assert files_below(packaged) == {MODULES / place for place in expected}


def test_slicer_finds_exactly_one_module_in_it(modules: Path) -> None:
    """Slicer registers every script that lies directly in the folder."""
    assert [path.name for path in modules.glob("*.py")] == ["LungNoduleCAD.py"]


def test_installing_gives_what_packaging_gives(
    cmake: Callable[..., str], build: Path, packaged: Path, tmp_path: Path
) -> None:
    cmake("--install", build, "--prefix", tmp_path)

    assert files_below(tmp_path) == files_below(packaged)


def test_the_build_tree_can_be_used_like_the_packaged_one(build: Path, modules: Path) -> None:
    assert files_below(build / MODULES) == files_below(modules)


def test_the_modules_tests_are_known_to_ctest(build: Path) -> None:
    listed = (build / "LungNoduleCAD" / "CTestTestfile.cmake").read_text(encoding="utf-8")

    assert "py_LungNoduleCAD" in listed
    assert "runUnitTest" in listed


def test_the_packaged_library_runs_with_the_packaged_models(modules: Path) -> None:
    place = run_in(modules, "-c", "import LungNoduleCADLib; print(LungNoduleCADLib.__file__)").strip()
    said = json.loads(run_in(modules, "-m", "LungNoduleCADLib", "info", "--json"))

    assert Path(place).is_relative_to(modules)
    assert Path(said["models_folder"]) == modules / "models"
    assert {model["name"] for model in said["models"]} == {path.name for path in (modules / "models").iterdir()}


def test_the_packaged_models_are_whole(modules: Path) -> None:
    lines = run_in(modules, "-m", "LungNoduleCADLib", "bundles", "verify").splitlines()

    assert len(lines) == len(list((modules / "models").iterdir()))
    assert all(line.endswith(": whole") for line in lines)


def test_the_modules_own_tests_pass_in_the_packaged_tree(repository: Path, modules: Path) -> None:
    """In the stand-in for the application (Testing/Slicer), from the packaged files alone."""
    host = repository / "Testing" / "Slicer"
    where = (
        "import LungNoduleCAD, LungNoduleCADLib; print(LungNoduleCAD.__file__, LungNoduleCADLib.__file__, sep='\\n')"
    )
    said = run_in(
        modules,
        *(str(host / "run_in_host.py"), "--testing", "--no-splash"),
        *("--additional-module-paths", str(modules)),
        *("--python-code", where),
        *("--python-script", str(host / "run_module_tests.py")),
    )

    loaded = [Path(line) for line in said.splitlines() if line.endswith((f"{os.sep}LungNoduleCAD.py", "__init__.py"))]
    assert loaded == [modules / "LungNoduleCAD.py", modules / "LungNoduleCADLib" / "__init__.py"]
    assert re.search(r"^tests run: [1-9]\d*, skipped: 0, passed: True$", said, re.MULTILINE), said
