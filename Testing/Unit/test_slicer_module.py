"""What of the Slicer module can be checked without Slicer."""

from __future__ import annotations

import argparse
import ast
import json
import re
import sys
import xml.etree.ElementTree as ElementTree
from datetime import date
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import jsonschema
import pytest
import SimpleITK as sitk

WIDGET_CLASSES = re.compile(r"Q[A-Z]\w+|Line|ctk[A-Z]\w+|qMRML\w+")


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

    findings = sample.writeSampleResults(tmp_path / "results")

    jsonschema.Draft202012Validator(schema).validate(findings)
    labels = sitk.ReadImage(tmp_path / "results" / "segmentation.seg.nrrd")
    assert labels.GetMetaData("Segment2_Name") == findings["nodules"][0]["id"]
    at_nodule = labels.TransformPhysicalPointToIndex(findings["nodules"][1]["centroid_lps_mm"])
    assert labels[at_nodule] == int(labels.GetMetaData("Segment3_LabelValue"))


def test_the_self_tests_registration_leads_from_the_current_to_the_prior_scan(adapter: Path, tmp_path: Path) -> None:
    sample = load(adapter / "SampleResults.py")
    findings = sample.writeSampleResults(tmp_path / "results")
    transform = sitk.ReadTransform(tmp_path / "results" / "current_to_prior.h5")

    there = transform.TransformPoint(findings["nodules"][0]["centroid_lps_mm"])

    assert there == pytest.approx(findings["prior"]["nodules"][0]["centroid_lps_mm"])


def panels(repository: Path) -> list[tuple[Path, Path]]:
    """Each panel's code with its .ui file; the frame's is named as the module."""
    module = repository / "LungNoduleCAD"
    uis = sorted((module / "Resources" / "UI").glob("*.ui"))
    names = {"LungNoduleCAD": "ModuleWidget"}
    return [(module / "LungNoduleCADSlicer" / f"{names.get(ui.stem, ui.stem)}.py", ui) for ui in uis]


def test_every_widget_a_panel_names_is_in_its_ui_file(repository: Path) -> None:
    for code, file in panels(repository):
        widgets = {widget.get("name"): widget.get("class") for widget in ElementTree.parse(file).iter("widget")}
        used = {
            node.attr
            for node in ast.walk(ast.parse(code.read_text(encoding="utf-8")))
            if isinstance(node, ast.Attribute) and ast.unparse(node.value) in {"ui", "self.ui"}
        }
        assert used, code
        assert used <= set(widgets), (code.name, used - set(widgets))
        strange = {widget for widget in widgets.values() if not WIDGET_CLASSES.fullmatch(widget)}
        assert not strange, (file.name, strange)


def test_every_control_explains_itself(repository: Path) -> None:
    controls = {"QPushButton", "QComboBox", "QCheckBox", "QSpinBox", "QDoubleSpinBox", "QToolButton"}
    for _, file in panels(repository):
        for widget in ElementTree.parse(file).iter("widget"):
            if widget.get("class") in controls:
                named = {entry.get("name") for entry in widget.findall("property")}
                assert "toolTip" in named, (file.name, widget.get("name"))


def test_parameters_bound_to_widgets_exist(adapter: Path) -> None:
    calls = [
        node
        for file in adapter.glob("*.py")
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "Binding"
    ]
    bound = {key.value for call in calls for key in call.args[0].keys}
    tree = ast.parse((adapter / "Parameters.py").read_text(encoding="utf-8"))
    declared = {node.target.id for node in ast.walk(tree) if isinstance(node, ast.AnnAssign)}

    assert {"scan", "prior"} <= bound <= declared


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


def test_the_command_line_understands_what_the_panel_starts(adapter: Path) -> None:
    from LungNoduleCADLib.cli.analyse import add_parser

    tree = ast.parse((adapter / "AnalysisRunner.py").read_text(encoding="utf-8"))
    function = next(node for node in tree.body if getattr(node, "name", "") == "analysisArguments")
    names: dict = {}
    exec(compile(ast.Module([function], []), "AnalysisRunner.py", "exec"), names)
    arguments = names["analysisArguments"]("scan", "results", "prior", "cpu", "2020-01-31", "2019-07-31")
    parser = argparse.ArgumentParser()
    add_parser(parser.add_subparsers())

    parsed = parser.parse_args(arguments)

    assert (parsed.input, parsed.out, parsed.prior) == (Path("scan"), Path("results"), [Path("prior")])
    assert (parsed.device, parsed.progress) == ("cpu", "jsonl")
    assert (parsed.date, parsed.prior_date) == (date(2020, 1, 31), date(2019, 7, 31))
