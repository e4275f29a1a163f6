"""What of the Slicer module can be checked without Slicer."""

from __future__ import annotations

import argparse
import ast
import json
import sys
import xml.etree.ElementTree as ElementTree
from datetime import date
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import jsonschema
import pytest
import SimpleITK as sitk

WIDGET_CLASSES = {  # what the .ui may use: Qt, CTK and Slicer widgets of 5.12
    "QCheckBox",
    "QComboBox",
    "QLabel",
    "QProgressBar",
    "QPushButton",
    "QTableWidget",
    "ctkCollapsibleButton",
    "ctkPathLineEdit",
    "qMRMLNodeComboBox",
    "qMRMLWidget",
}


@pytest.fixture
def adapter(repository: Path) -> Path:
    return repository / "LungNoduleCAD" / "LungNoduleCADSlicer"


def load(file: Path) -> ModuleType:
    spec = spec_from_file_location(f"slicer_module_{file.stem}", file)
    module = module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def test_the_self_tests_results_have_the_form_of_genuine_ones(repository: Path, adapter: Path, tmp_path: Path) -> None:
    sample = load(adapter / "SampleResults.py")
    schema = json.loads((repository / "Resources" / "findings.schema.json").read_text(encoding="utf-8"))

    findings = sample.writeSampleResults(tmp_path)

    jsonschema.Draft202012Validator(schema).validate(findings)
    labels = sitk.ReadImage(tmp_path / "segmentation.seg.nrrd")
    assert labels.GetMetaData("Segment2_Name") == findings["nodules"][0]["id"]
    at_nodule = labels.TransformPhysicalPointToIndex(findings["nodules"][1]["centroid_lps_mm"])
    assert labels[at_nodule] == int(labels.GetMetaData("Segment3_LabelValue"))


def test_every_widget_the_panel_names_is_in_the_ui_file(repository: Path, adapter: Path) -> None:
    ui = ElementTree.parse(repository / "LungNoduleCAD" / "Resources" / "UI" / "LungNoduleCAD.ui")
    widgets = {widget.get("name"): widget.get("class") for widget in ui.iter("widget")}
    used = {
        node.attr
        for file in [*adapter.glob("*.py"), adapter.parent / "LungNoduleCAD.py"]
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute) and ast.unparse(node.value) in {"ui", "self.ui", "panel.ui"}
    }

    assert used
    assert used <= set(widgets)
    assert set(widgets.values()) <= WIDGET_CLASSES


def test_parameters_bound_in_the_ui_file_exist(repository: Path, adapter: Path) -> None:
    ui = ElementTree.parse(repository / "LungNoduleCAD" / "Resources" / "UI" / "LungNoduleCAD.ui")
    bound = {entry.findtext("string") for entry in ui.iter("property") if entry.get("name") == "SlicerParameterName"}
    tree = ast.parse((adapter / "Parameters.py").read_text(encoding="utf-8"))
    declared = {node.target.id for node in ast.walk(tree) if isinstance(node, ast.AnnAssign)}

    assert {"scan", "device"} <= bound <= declared


def test_visible_texts_are_translatable_without_f_strings(adapter: Path) -> None:
    wrong = [
        f"{file.name}:{node.lineno}"
        for file in adapter.glob("*.py")
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "_" and isinstance(node.args[0], ast.JoinedStr)
    ]

    assert not wrong


def test_file_scope_imports_only_what_slicer_has(repository: Path) -> None:
    """Slicer loads these files at start, before anything was installed."""
    allowed = set(sys.stdlib_module_names) | {"slicer", "qt", "vtk", "ctk", "numpy", "scipy", "SimpleITK"}
    wrong = []
    for file in (repository / "LungNoduleCAD").rglob("*.py"):
        for node in ast.parse(file.read_text(encoding="utf-8")).body:
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            wrong += [
                f"{file.name}: {name}" for name in names if name.split(".")[0] not in allowed | {"LungNoduleCADSlicer"}
            ]

    assert not wrong


def test_the_command_line_understands_what_the_panel_starts(adapter: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from LungNoduleCADLib.cli.analyse import add_parser

    monkeypatch.setitem(sys.modules, "qt", ModuleType("qt"))
    monkeypatch.setitem(sys.modules, "LungNoduleCADSlicer", ModuleType("LungNoduleCADSlicer"))
    monkeypatch.setitem(sys.modules, "LungNoduleCADSlicer.Signals", load(adapter / "Signals.py"))
    runner = load(adapter / "AnalysisRunner.py")
    arguments = runner.analysisArguments("scan", "results", "prior", "cpu", "2020-01-31")
    parser = argparse.ArgumentParser()
    add_parser(parser.add_subparsers())

    parsed = parser.parse_args(arguments[2:])

    assert arguments[:2] == ["-m", "LungNoduleCADLib"]
    assert (parsed.input, parsed.out, parsed.prior) == (Path("scan"), Path("results"), Path("prior"))
    assert (parsed.device, parsed.progress, parsed.date) == ("cpu", "jsonl", date(2020, 1, 31))
