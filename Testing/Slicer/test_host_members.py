"""The stand-in invents nothing: what it offers, and what the panel uses, stands in ``host/members.py``."""

from __future__ import annotations

import ast
import json
import re
import sys
import xml.etree.ElementTree as ElementTree
from itertools import pairwise
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
MODULE = HERE.parents[1] / "LungNoduleCAD"
OFFERED = """
import json, sys, ctk, slicer
sys.path.insert(0, {folder!r})
from host.members import CTK, SLICER

kinds = dict((name, getattr(ctk if name in CTK else slicer, name)) for name in (*CTK, *SLICER))
offered = dict()
for name, kind in kinds.items():
    ours = [base for base in kind.__mro__ if base.__module__.startswith("host.")]
    offered[name] = dict(
        own=[member for base in ours for member in vars(base) if member[0] != "_"],
        qt=[member for base in kind.__mro__ if base not in ours for member in vars(base)],
        bases=[base.__name__ for base in kind.__mro__ if base.__name__ in kinds],
    )
print("offered:" + json.dumps(offered))
"""
UI_NAMES = re.compile(r"(?:.*\.)?ui(?:Widget)?$")


@pytest.fixture(scope="module")
def members() -> dict:
    sys.path.insert(0, str(HERE))
    try:
        from host.members import CTK, SLICER
    finally:
        sys.path.remove(str(HERE))
    return CTK | SLICER


@pytest.fixture(scope="module")
def offered(in_host) -> dict[str, dict[str, list[str]]]:
    """Class: its own members and those of its Qt class, as the running host has them."""
    code = OFFERED.format(folder=str(HERE))
    run = in_host("--no-main-window", "--python-code", code)
    assert run.returncode == 0, run.stdout + run.stderr
    return json.loads(re.search(r"^offered:(.*)$", run.stdout, re.MULTILINE).group(1))


def widgets_of_ui() -> dict[str, set[str]]:
    """Name of a widget in the .ui files: its classes there."""
    found: dict[str, set[str]] = {}
    for file in sorted((MODULE / "Resources" / "UI").glob("*.ui")):
        for widget in ElementTree.parse(file).iter("widget"):
            found.setdefault(widget.get("name"), set()).add(widget.get("class"))
    return found


def members_used() -> list[tuple[str, str, str]]:
    """(place, widget, member) of every ``ui.<widget>.<member>`` in the module, and of signals named in a text."""
    used = []
    for file in sorted(MODULE.rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            place = f"{file.name}:{getattr(node, 'lineno', 0)}"
            if isinstance(node, ast.Attribute) and _is_ui_widget(node.value):
                used.append((place, node.value.attr, node.attr))
            parts = node.elts if isinstance(node, ast.Tuple) else node.args if isinstance(node, ast.Call) else []
            for widget, signal in pairwise(parts):
                text = signal.value if isinstance(signal, ast.Constant) else None
                if _is_ui_widget(widget) and isinstance(text, str) and re.fullmatch(r"\w+\(.*\)", text):
                    used.append((place, widget.attr, text))
    return used


def _is_ui_widget(node: ast.AST) -> bool:
    return isinstance(node, ast.Attribute) and UI_NAMES.match(ast.unparse(node.value)) is not None


def test_every_member_that_the_panel_uses_of_ctk_and_slicer_widgets_is_declared_there(members, offered) -> None:
    classes = widgets_of_ui()
    unknown = []
    for place, widget, member in members_used():
        for kind in classes.get(widget, set()):
            if kind not in members:
                continue
            declared = set().union(*(members[base].names for base in offered[kind]["bases"]))
            signals = {text for base in offered[kind]["bases"] for text in members[base].signals.split()}
            name = member.partition("(")[0]
            isSignature = "(" in member
            ofQt = name in offered[kind]["qt"]
            if not (member in signals if isSignature and name in declared else name in declared or ofQt):
                unknown.append(f"{place}: {kind}.{member}")

    assert members_used()
    assert not unknown


def test_every_widget_class_of_the_ui_files_is_qts_or_in_the_table(members) -> None:
    classes = set().union(*widgets_of_ui().values())

    assert {kind for kind in classes if not kind.startswith("Q")} <= set(members)


def test_the_host_offers_nothing_that_ctk_or_slicer_has_not(members, offered) -> None:
    invented = {
        kind: sorted(extra)
        for kind, found in offered.items()
        if (
            extra := set(found["own"])
            - set().union(*(members[base].names for base in offered[kind]["bases"]))
            - set(found["qt"])
            - ENUMS
        )
    }

    assert not invented


def test_each_class_names_the_header_that_declares_it(members) -> None:
    assert members
    assert all(re.match(r"(CTK|Slicer) \S+\.h", entry.header) for entry in members.values())


# ctkPathLineEdit::Filter
ENUMS = {
    "Dirs",
    "Files",
    "Drives",
    "NoSymLinks",
    "AllEntries",
    "Readable",
    "Writable",
    "Executable",
    "Hidden",
    "NoDotAndDotDot",
    "NoDot",
    "NoDotDot",
    "NoFilter",
}
