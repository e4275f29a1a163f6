"""Slicer installs only what the CMake lists name."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest


def test_the_cmake_lists_name_exactly_the_files_on_disk(repository: Path) -> None:
    lists = runpy.run_path(str(repository / "Testing" / "update_cmake_lists.py"))

    differences = list(lists["differences"]())

    assert not differences, "run: python Testing/update_cmake_lists.py\n" + "\n".join(differences)


def test_the_cmake_lists_hold_what_the_extension_cannot_do_without(repository: Path) -> None:
    lists = runpy.run_path(str(repository / "Testing" / "update_cmake_lists.py"))
    listed: dict[str, set[str]] = {folder: set() for folder, _, _ in lists["LISTS"]}
    for folder, name, _ in lists["LISTS"]:
        listed[folder] |= set(lists["files_listed"](folder, name))

    module = {"LungNoduleCAD.py", "Resources/UI/LungNoduleCAD.ui", "Resources/Icons/LungNoduleCAD.png"}
    assert module <= listed["LungNoduleCAD"]
    assert {"__init__.py", "__main__.py", "pipeline.py"} <= listed["LungNoduleCADLib"]
    assert "requirements.txt" in listed["Resources"]


def test_pictures_and_the_catalogues_entry_are_not_installed(repository: Path) -> None:
    lists = runpy.run_path(str(repository / "Testing" / "update_cmake_lists.py"))

    assert (repository / "Resources" / "ExtensionsIndex").is_dir()
    assert all("/" not in file for file in lists["files_listed"]("Resources", "RESOURCE_FILES"))


@pytest.mark.parametrize("folder", ["LungNoduleCAD", "LungNoduleCADLib"])
def test_scripts_are_handed_to_slicers_macro(repository: Path, folder: str) -> None:
    text = (repository / folder / "CMakeLists.txt").read_text(encoding="utf-8")

    assert text.count("slicerMacroBuildScriptedModule(") == 1
    assert text.count("(") == text.count(")")
