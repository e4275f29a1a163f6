"""The shape of the project: who may import whom, what loads when, and what never happens in the library."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LIBRARY = ROOT / "LungNoduleCADLib"
ADAPTER = ROOT / "LungNoduleCAD"
STAGES = {"lungs", "nodules", "classification", "followup", "guidelines", "phantom", "backends"}
TIERS = [
    {"__init__", "domain", "errors", "json_file", "progress"},
    {"imaging", "dicom", "bundles", "networks", "evaluation", "pacs"},
    STAGES,
    {"report"},
    {"nodule_list", "pipeline", "review", "review_case", "training"},
    {"cohort"},
    {"cli", "__main__"},
]
TIER_OF = {part: tier for tier, parts in enumerate(TIERS) for part in parts}
APPLICATION = {"slicer", "qt", "ctk", "vtk", "vtkmodules", "mrml", "PythonQt", "LungNoduleCADSlicer"}
NETWORK = {"requests", "urllib.request", "urllib3", "httpx", "aiohttp", "http.client", "ftplib", "socket"}
NETWORK |= {"pynetdicom", "dicomweb_client", "distributed", "dask"}
REACHES = {  # what may reach the network, and the commands that a person must give for it
    "LungNoduleCADLib.backends.download": ({"backends/download.py"}, {"cli/bundles.py"}),
    "LungNoduleCADLib.pacs": (
        {"pacs/address.py", "pacs/dimse.py", "pacs/web.py", "pacs/priors.py"},
        {"cli/send.py", "cli/fetch.py"},
    ),
    "LungNoduleCADLib.cohort.engine": ({"cohort/engine.py"}, {"cli/batch.py"}),
}
HEAVY = ["torch", "monai", "radiomics", "matplotlib", "xgboost", "sklearn"]
LOAD_SECONDS = 0.3


def library_files() -> list[Path]:
    return sorted(LIBRARY.rglob("*.py"))


def imports(file: Path) -> Iterator[tuple[int, str]]:
    """(line, dotted name) of every import anywhere in a file; ``from a import b`` gives ``a.b``."""
    package = [LIBRARY.name, *file.relative_to(LIBRARY).parent.parts] if file.is_relative_to(LIBRARY) else []
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            start = ".".join(package[: len(package) - node.level + 1]) if node.level else ""
            module = ".".join(part for part in (start, node.module) if part)
            yield from ((node.lineno, f"{module}.{alias.name}") for alias in node.names)


def part_of(dotted: str) -> str:
    """The part of the library (a key of TIER_OF) that a dotted name belongs to."""
    names = dotted.split(".")
    return names[1] if len(names) > 1 and names[1] in TIER_OF else "__init__"


def named(dotted: str, forbidden: set[str]) -> bool:
    return any(dotted == name or dotted.startswith(f"{name}.") for name in forbidden)


def calls(file: Path) -> Iterator[tuple[ast.Call, str]]:
    """Every call with the dotted name of what is called."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call):
            yield node, ast.unparse(node.func)


def test_every_part_of_the_library_has_a_tier() -> None:
    parts = {path.stem for path in LIBRARY.glob("*.py")} | {path.parent.name for path in LIBRARY.glob("*/__init__.py")}

    assert parts <= set(TIER_OF), f"say in TIERS where {parts - set(TIER_OF)} belong"


def test_imports_go_down_the_tiers_and_stages_do_not_know_each_other() -> None:
    wrong = []
    for file in library_files():
        here = file.relative_to(LIBRARY).parts[0].removesuffix(".py")
        for line, name in imports(file):
            if not named(name, {LIBRARY.name}):
                continue
            there = part_of(name)
            upwards = TIER_OF[there] > TIER_OF[here]
            sideways = here != there and {here, there} <= STAGES
            if upwards or sideways:
                wrong.append(f"{file.relative_to(ROOT)}:{line} imports {name}")

    assert not wrong, "\n".join(wrong)


def test_the_library_knows_nothing_of_slicer_qt_or_vtk() -> None:
    wrong = [
        f"{file.relative_to(ROOT)}:{line} imports {name}"
        for file in library_files()
        for line, name in imports(file)
        if named(name, APPLICATION)
    ]

    assert not wrong, "\n".join(wrong)


def test_only_fetch_send_bundles_fetch_and_batch_with_a_scheduler_reach_the_network() -> None:
    reaching = {file for files, _ in REACHES.values() for file in files}
    wrong = []
    for file in library_files():
        here = file.relative_to(LIBRARY).as_posix()
        for line, name in imports(file):
            closed = {part for part, (files, verbs) in REACHES.items() if here not in files | verbs}
            if (named(name, NETWORK) and here not in reaching) or named(name, closed):
                wrong.append(f"{file.relative_to(ROOT)}:{line} imports {name}")

    assert not wrong, "\n".join(wrong)


def test_only_the_command_line_prints_and_exits() -> None:
    wrong = []
    for file in library_files():
        if file.relative_to(LIBRARY).parts[0] in {"cli", "__main__.py"}:
            continue
        wrong += [
            f"{file.relative_to(ROOT)}:{call.lineno} calls {name}"
            for call, name in calls(file)
            if name in {"print", "sys.exit", "exit", "quit"}
        ]

    assert not wrong, "\n".join(wrong)


def test_the_library_has_no_file_of_odds_and_ends() -> None:
    assert not [file for file in library_files() if file.stem in {"utils", "util", "helpers", "misc", "common"}]


def test_the_module_folder_holds_one_script_so_that_slicer_registers_one_module() -> None:
    assert [file.name for file in ADAPTER.glob("*.py")] == ["LungNoduleCAD.py"]
    assert len((ADAPTER / "LungNoduleCAD.py").read_text(encoding="utf-8").splitlines()) <= 150


def test_the_testing_folder_claims_no_import_name() -> None:
    testing = ROOT / "Testing"
    assert not [*testing.glob("__init__.py"), *testing.glob("*/__init__.py")]


def run_fresh(statement: str) -> dict:
    """Runs a statement in a new interpreter; what it cost and which heavy packages it loaded."""
    code = (
        "import contextlib, io, json, sys, time\n"
        "start = time.process_time()\n"
        "with contextlib.redirect_stdout(io.StringIO()):\n"
        "    try:\n"
        f"        {statement}\n"
        "    except SystemExit as stop:\n"
        "        if stop.code: raise\n"
        "seconds = time.process_time() - start\n"
        f"print(json.dumps({{'seconds': seconds, 'heavy': [m for m in {HEAVY} if m in sys.modules]}}))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize(
    "statement",
    ["import LungNoduleCADLib", "from LungNoduleCADLib.cli import main; main(['--help'])"],
    ids=["import", "help"],
)
def test_import_and_help_are_quick_and_load_nothing_heavy(statement: str) -> None:
    runs = [run_fresh(statement) for _ in range(3)]

    assert runs[0]["heavy"] == []
    assert min(run["seconds"] for run in runs) < LOAD_SECONDS
