"""Every rule has a source and a test, and the page that says so is up to date."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

from LungNoduleCADLib.guidelines.bts_2015 import BTS
from LungNoduleCADLib.guidelines.fleischner_2017 import FLEISCHNER
from LungNoduleCADLib.guidelines.lung_rads_table import ALL_RULES
from LungNoduleCADLib.guidelines.rules import Rule


def test_the_page_is_what_the_tables_and_the_tests_give_now(repository: Path) -> None:
    script = runpy.run_path(str(repository / "Testing/update_traceability.py"))
    written = (repository / "Resources/traceability.md").read_text(encoding="utf-8")
    assert written == script["page"](), "run: python Testing/update_traceability.py"


def test_a_rule_without_a_test_is_refused(repository: Path) -> None:
    script = runpy.run_path(str(repository / "Testing/update_traceability.py"))
    rule = Rule("made" + "-up", "text", "source", "management")
    with pytest.raises(ValueError, match="no test names made-up"):
        script["table"]((rule,), script["tests_naming"]())


def test_ids_are_unique_and_every_rule_names_its_source_and_management() -> None:
    rules = (*ALL_RULES, *FLEISCHNER.rules, *BTS.rules)
    assert len({rule.id for rule in rules}) == len(rules)
    assert all(rule.source and rule.management and rule.text for rule in rules)
