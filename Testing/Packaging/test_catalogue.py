"""What Slicer's extension catalogue checks before it lists the extension: its entry, and the top-level CMake list."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from PIL import Image

REQUIRED = {"$schema": str, "category": str, "scm_url": str}
OPTIONAL = {
    "build_dependencies": list,
    "build_subdirectory": str,
    "dicom_support_rule": str,
    "enabled": bool,
    "scm_revision": str,
    "scm_type": str,
    "tier": int,
}
RAW = "https://raw.githubusercontent.com/LungNoduleCAD/SlicerLungNoduleCAD/main/"


@pytest.fixture
def file(repository: Path) -> Path:
    return repository / "Resources" / "ExtensionsIndex" / "LungNoduleCAD.json"


@pytest.fixture
def entry(file: Path) -> dict[str, Any]:
    return json.loads(file.read_text(encoding="utf-8"))


@pytest.fixture
def facts(repository: Path) -> dict[str, str]:
    """{EXTENSION_…: its value as it stands in the top-level CMakeLists.txt, without quotes}."""
    text = (repository / "CMakeLists.txt").read_text(encoding="utf-8")
    return {
        name: value.strip('"') for name, value in re.findall(r"^set\((EXTENSION_\w+) (.+)\)$", text, flags=re.MULTILINE)
    }


def test_the_entrys_keys_are_those_of_the_catalogues_schema(entry: dict[str, Any]) -> None:
    assert set(REQUIRED) <= set(entry) <= set(REQUIRED) | set(OPTIONAL)
    for key, value in entry.items():
        assert isinstance(value, {**REQUIRED, **OPTIONAL}[key]), key
    assert re.search(r"/slicer-extension-catalog-entry-schema-v\d+\.\d+\.\d+\.json#$", entry["$schema"])
    assert entry["tier"] in (1, 3, 5)


def test_the_entry_is_written_as_the_catalogue_formats_its_files(file: Path, entry: dict[str, Any]) -> None:
    assert file.read_text(encoding="utf-8") == json.dumps(entry, indent=2, sort_keys=True) + "\n"


def test_the_entry_bears_the_projects_name(repository: Path, file: Path) -> None:
    text = (repository / "CMakeLists.txt").read_text(encoding="utf-8")

    assert re.findall(r"^project\((\w+)\)$", text, flags=re.MULTILINE) == [file.stem]


def test_the_entry_says_what_the_cmake_list_says(entry: dict[str, Any], facts: dict[str, str]) -> None:
    assert entry["category"] == facts["EXTENSION_CATEGORY"]
    assert entry["build_dependencies"] == facts["EXTENSION_DEPENDS"].split()
    assert entry["scm_url"] == facts["EXTENSION_HOMEPAGE"] + ".git"


def test_the_repository_is_named_after_the_extension(entry: dict[str, Any], file: Path) -> None:
    address = urlsplit(entry["scm_url"])

    assert address.scheme == "https"
    assert Path(address.path).stem == f"Slicer{file.stem}"


def test_pictures_are_raw_addresses_of_files_that_are_here(repository: Path, facts: dict[str, str]) -> None:
    """The catalogue reads them from the text of the CMake list: a variable in them would not be resolved."""
    for key in ("EXTENSION_ICONURL", "EXTENSION_SCREENSHOTURLS"):
        for address in facts[key].split():
            assert address.startswith(RAW), address
            assert (repository / address.removeprefix(RAW)).is_file(), address


def test_the_icon_is_large_enough_and_transparent_around(repository: Path, facts: dict[str, str]) -> None:
    with Image.open(repository / facts["EXTENSION_ICONURL"].removeprefix(RAW)) as icon:
        assert icon.width == icon.height >= 128
        assert icon.mode == "RGBA"
        corners = [icon.getpixel((x, y))[3] for x in (0, icon.width - 1) for y in (0, icon.height - 1)]
    assert corners == [0, 0, 0, 0]


def test_the_description_is_one_or_two_sentences_before_research_use_only(facts: dict[str, str]) -> None:
    sentences = re.split(r"(?<=\.)\s", facts["EXTENSION_DESCRIPTION"])

    assert len(sentences) in (2, 3)
    assert sentences[-1] == "Research use only."


def test_cmake_policies_are_no_newer_than_slicers_own_macros_stand(repository: Path) -> None:
    """They look for Python by modules that the policies of CMake 3.27 and newer take away."""
    text = (repository / "CMakeLists.txt").read_text(encoding="utf-8")
    minor = re.search(r"cmake_minimum_required\(VERSION 3\.\d+\.\d+\.\.\.3\.(\d+)", text)[1]

    assert int(minor) < 27


def test_the_licence_is_here_and_named_on_the_homepage(repository: Path) -> None:
    assert "Apache License" in (repository / "LICENSE.txt").read_text(encoding="utf-8")
    assert "Apache-2.0" in (repository / "README.md").read_text(encoding="utf-8")
