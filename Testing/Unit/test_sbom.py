"""The list of what the product is made of says what is pinned."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "Testing"))

from update_sbom import SBOM, component, digests, normal, pins, requirements  # noqa: E402


def components() -> list[dict]:
    return json.loads(SBOM.read_text(encoding="utf-8"))["components"]


def test_the_list_has_what_is_pinned_and_nothing_else() -> None:
    listed = {one["name"]: one["version"] for one in components()}

    assert len(listed) > 50
    assert listed == pins()


def test_each_component_can_be_looked_up_and_has_a_licence_and_a_digest() -> None:
    for one in components():
        assert one["purl"] == f"pkg:pypi/{normal(one['name'])}@{one['version']}"
        assert one["licenses"], one["name"]
        assert all(re.fullmatch(r"[0-9a-f]{64}", digest["content"]) for digest in one["hashes"])
        assert {digest["content"] for digest in one["hashes"]} == set(digests()[normal(one["name"])])


def test_what_the_product_needs_is_pinned() -> None:
    assert requirements() <= {normal(name) for name in pins()}


def test_names_are_written_as_the_package_index_does() -> None:
    made = component("Typing_Extensions", "4.16.0", [], [])

    assert made["purl"] == "pkg:pypi/typing-extensions@4.16.0"
