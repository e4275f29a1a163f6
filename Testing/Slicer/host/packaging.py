"""``slicer.packaging``: requirements are read and looked up; nothing is ever installed."""

from __future__ import annotations

import functools
import importlib.metadata
from pathlib import Path

import slicer
from packaging.requirements import InvalidRequirement, Requirement

installed: list[list[str]] = []


def load_requirements(path: str | Path) -> list[Requirement]:
    lines = (line.strip() for line in Path(path).read_text(encoding="utf-8").splitlines())
    return [Requirement(line) for line in lines if line and not line.startswith(("#", "-"))]


def _requirements(given) -> list[Requirement]:
    if isinstance(given, str):
        try:
            return [Requirement(given)]
        except InvalidRequirement:
            return [Requirement(text) for text in given.split()]
    items = given if isinstance(given, list) else [given]
    return [Requirement(item) if isinstance(item, str) else item for item in items]


def pip_check(req) -> bool:
    return all(_met(requirement) for requirement in _requirements(req))


def _met(requirement: Requirement) -> bool:
    if requirement.marker is not None and not requirement.marker.evaluate():
        return True
    version = _version(requirement.name)
    return version is not None and version in requirement.specifier


@functools.cache
def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def pip_ensure(
    requirements,
    constraints=None,
    skip_packages=None,
    prompt_install=True,
    prompt_restart=True,
    requester=None,
    skip_in_testing=True,
    show_progress=True,
):
    missing = [str(requirement) for requirement in _requirements(requirements) if not pip_check(requirement)]
    if missing and not (skip_in_testing and slicer.app.testingEnabled()):
        pip_install(missing)


def pip_install(requirements, **_kwargs) -> None:
    """Noted and refused: a test must not change the Python it runs in."""
    installed.append([str(requirement) for requirement in _requirements(requirements)])
    raise RuntimeError("The host installs no packages")
