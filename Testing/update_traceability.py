"""Write Resources/traceability.md from the tables: ``python Testing/update_traceability.py [--check]``.

One line a rule: when it holds, what it gives, its source, and the tests that name it. A rule that no test names is an
error. Below the rules: the private codes of the DICOM report.
"""

from __future__ import annotations

import ast
import sys
from pathlib import Path

from highdicom.sr import CodedConcept

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "Resources" / "traceability.md"
TESTS = ROOT / "Testing" / "Unit" / "guidelines"
sys.path.insert(0, str(ROOT))

from LungNoduleCADLib.dicom import export_codes  # noqa: E402
from LungNoduleCADLib.guidelines.bts_2015 import BTS  # noqa: E402
from LungNoduleCADLib.guidelines.fleischner_2017 import FLEISCHNER  # noqa: E402
from LungNoduleCADLib.guidelines.lung_rads_table import ALL_RULES, SCOPE  # noqa: E402
from LungNoduleCADLib.guidelines.risk_models import MODELS  # noqa: E402
from LungNoduleCADLib.guidelines.rules import Rule  # noqa: E402
from LungNoduleCADLib.guidelines.scope import Scope  # noqa: E402

HEAD = """# Rules, sources, tests

Written by `Testing/update_traceability.py` from the tables in `LungNoduleCADLib/guidelines/`; not to be edited by hand.
Of a table of findings, of Fleischner and of BTS the first row that holds counts; of the size rows of Lung-RADS exactly
one holds. Diameters are rounded half up before they are compared: to 0.1 mm (Lung-RADS, BTS) or 1 mm (Fleischner),
volumes to 1 mm³.
"""


def tests_naming() -> dict[str, list[str]]:
    """{text or name in a test, or text in a table that a test is made of: tests}, from the sources of the tests."""
    naming: dict[str, list[str]] = {}
    for file in sorted(TESTS.glob("test_*.py")):
        tree = ast.parse(file.read_text(encoding="utf-8"))
        tables = {
            target.id: strings(node.value)
            for node in tree.body
            if isinstance(node, ast.Assign)
            for target in node.targets
            if isinstance(target, ast.Name)
        }
        for node in tree.body:
            if not isinstance(node, ast.FunctionDef) or not node.name.startswith("test_"):
                continue
            used = {name.id for part in node.decorator_list for name in ast.walk(part) if isinstance(name, ast.Name)}
            named = {part.id for part in ast.walk(node) if isinstance(part, ast.Name)}
            for text in {*strings(node), *named, *(text for name in used for text in tables.get(name, ()))}:
                naming.setdefault(text, []).append(f"{file.stem}::{node.name}")
    return naming


def strings(node: ast.AST) -> set[str]:
    return {part.value for part in ast.walk(node) if isinstance(part, ast.Constant) and isinstance(part.value, str)}


def table(rules: tuple[Rule, ...], naming: dict[str, list[str]]) -> list[str]:
    """Lines of a table; ValueError names the rules that no test names."""
    if untested := [rule.id for rule in rules if rule.id not in naming]:
        raise ValueError(f"no test names {', '.join(untested)}")
    lines = ["| rule | holds where | gives | what is ambiguous | tests |", "|---|---|---|---|---|"]
    for rule in rules:
        gives = f"**{rule.category}**: {rule.management}" if rule.category else rule.management
        cells = (f"`{rule.id}`: {rule.text}", rule.condition(), gives, rule.note or "", ", ".join(naming[rule.id]))
        lines.append("| " + " | ".join(cells) + " |")
    return lines


def scope_words(scope: Scope) -> str:
    parts = [f"{scope.least_age_years:g} years or older"]
    parts += [f"up to {scope.largest_mm:g} mm"] if scope.largest_mm else []
    parts += {True: ["screening only"], False: ["not for screening"], None: []}[scope.screening]
    parts += [f"not with {name.replace('_', ' ')}" for name in scope.not_with]
    return f"Scope: {'; '.join(parts)}. Anything else is refused with the reason."


def page() -> str:
    naming = tests_naming()
    lines = [HEAD, "## ACR Lung-RADS v2022 (November 2022)\n", scope_words(SCOPE), "", *table(ALL_RULES, naming)]
    for guideline in (FLEISCHNER, BTS):
        lines += [
            "",
            f"## {guideline.source}\n",
            scope_words(guideline.scope),
            *(f"\n{n}" for n in guideline.notes),
            "",
        ]
        lines += table(guideline.rules, naming)
    lines += [
        "",
        "## Risk models\n",
        "| model | source | made for | needs | asks | tests |",
        "|---|---|---|---|---|---|",
    ]
    for model in MODELS:
        names = (model.name.upper().replace(" ", "_"), f"{model.name.lower()}_linear_predictor")
        tests = [test for name in names for test in naming.get(name, [])]
        asked = (", ".join(names).replace("_", " ") for names in (model.needs, model.asks))
        lines.append("| " + " | ".join((model.name, model.source, model.made_for, *asked, ", ".join(tests))) + " |")
    lines += ["", "## Private codes in the DICOM report\n", "| code (99LUNGNODULECAD) | meaning |", "|---|---|"]
    lines += [f"| `{code}` | {meaning} |" for code, meaning in sorted(private_codes().items())]
    return "\n".join(lines) + "\n"


def private_codes() -> dict[str, str]:
    """{value: meaning} of every code of our own that the measurements (SR, TID 1500) may hold."""
    values = [*vars(export_codes).values()]
    values += [code for table in values if isinstance(table, dict) for code in table.values()]
    own = (code for code in values if isinstance(code, CodedConcept))
    return {code.value: code.meaning for code in own if code.scheme_designator == "99LUNGNODULECAD"}


def main(arguments: list[str]) -> int:
    text = page()
    if "--check" in arguments:
        current = PAGE.read_text(encoding="utf-8") if PAGE.is_file() else ""
        if current != text:
            print(f"{PAGE.relative_to(ROOT)} is old: run python Testing/update_traceability.py", file=sys.stderr)
            return 1
        return 0
    PAGE.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
