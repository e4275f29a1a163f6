"""Write the file lists of the CMakeLists.txt from the disk: ``python Testing/update_cmake_lists.py [--check]``.

Each list is the block between ``set(NAME`` and the ``)`` that stands alone on a line.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
NOT_INSTALLED = {"__pycache__", "Screenshots", "ExtensionsIndex", "CMakeLists.txt"}

# CMakeLists.txt, list in it, and which files below its folder belong there
LISTS = [
    ("LungNoduleCAD", "MODULE_PYTHON_SCRIPTS", "**/*.py"),
    ("LungNoduleCAD", "MODULE_PYTHON_RESOURCES", "Resources/**/*"),
    ("LungNoduleCADLib", "LIBRARY_PYTHON_SCRIPTS", "**/*.py"),
    ("Resources", "RESOURCE_FILES", "**/*"),
    ("models", "MODEL_FILES", "**/*"),
]


def files_on_disk(folder: str, pattern: str) -> list[str]:
    """Paths relative to the folder, as CMake writes them."""
    top = ROOT / folder
    relative = (path.relative_to(top) for path in top.glob(pattern) if path.is_file())
    return sorted(
        path.as_posix()
        for path in relative
        if not NOT_INSTALLED & set(path.parts) and not any(part.startswith(".") for part in path.parts)
    )


def block(name: str) -> re.Pattern[str]:
    return re.compile(rf"(?<=set\({name}\n).*?(?=^[ \t]*\)$)", re.DOTALL | re.MULTILINE)


def files_listed(folder: str, name: str) -> list[str]:
    return block(name).search((ROOT / folder / "CMakeLists.txt").read_text(encoding="utf-8")).group().split()


def differences() -> Iterator[str]:
    """One line per file that is on the disk and not in its list, or the other way round."""
    for folder, name, pattern in LISTS:
        disk, listed = files_on_disk(folder, pattern), files_listed(folder, name)
        yield from (f"{folder}/CMakeLists.txt {name} lacks {file}" for file in sorted(set(disk) - set(listed)))
        yield from (
            f"{folder}/CMakeLists.txt {name} names {file}, which is not there"
            for file in sorted(set(listed) - set(disk))
        )


def update() -> None:
    for folder, name, pattern in LISTS:
        file = ROOT / folder / "CMakeLists.txt"
        lines = "".join(f"  {path}\n" for path in files_on_disk(folder, pattern))
        text = file.read_text(encoding="utf-8")
        file.write_text(block(name).sub(lambda _, lines=lines: lines, text, count=1), encoding="utf-8")


if __name__ == "__main__":
    if "--check" not in sys.argv[1:]:
        update()
    left = list(differences())
    print("\n".join(left) or "The CMake lists equal the disk.")
    sys.exit(bool(left))
