"""Hypothesis strategies made of a JSON schema: values that fit it, and such values with one place damaged."""

from __future__ import annotations

from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Any

from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from mutations import ODD_VALUES, places

from LungNoduleCADLib.json_file import read_json

MOST_ITEMS = 2
DAY = "^[0-9]{4}-[0-9]{2}-[0-9]{2}$"
TEXT = st.text(st.characters(codec="utf-8"), max_size=8)
ANYTHING = st.sampled_from([value for value in ODD_VALUES if not isinstance(value, (dict, list))])


@cache
def documents(schema_file: Path) -> st.SearchStrategy[Any]:
    """Values that fit a schema (of the keywords that the schemas in Resources/ use)."""
    return _Fitting(read_json(schema_file)).values("#")


@st.composite
def damaged(draw: st.DrawFn, whole: st.SearchStrategy[Any]) -> Any:
    """One value of a fitting document exchanged, or one of its keys or items dropped."""
    document = deepcopy(draw(whole))
    found = places(document)
    if not found:
        return draw(ANYTHING)
    parent, key = draw(st.sampled_from(found))
    if draw(st.booleans()):
        parent[key] = draw(ANYTHING)
    else:
        del parent[key]
    return document


class _Fitting:
    def __init__(self, root: dict[str, Any]) -> None:
        self.root = root
        self.known: dict[str, st.SearchStrategy[Any]] = {}

    def values(self, reference: str) -> st.SearchStrategy[Any]:
        """Of what ``$ref`` names; it may name itself."""
        if reference not in self.known:
            self.known[reference] = st.deferred(lambda: self._of(self._named(reference)))
        return self.known[reference]

    def _named(self, reference: str) -> dict[str, Any]:
        schema = self.root
        for key in reference.removeprefix("#").strip("/").split("/"):
            schema = schema[key] if key else schema
        return schema

    def _of(self, schema: dict[str, Any]) -> st.SearchStrategy[Any]:
        if "const" in schema:
            return st.just(schema["const"])
        if "enum" in schema:
            return st.sampled_from(schema["enum"])
        if "$ref" in schema:
            return self.values(schema["$ref"])
        if "anyOf" in schema:  # null first: to this examples shrink
            return st.one_of(*(self._of(one) for one in sorted(schema["anyOf"], key=lambda one: "$ref" in one)))
        kinds = schema.get("type", ["null"])
        kinds = [kinds] if isinstance(kinds, str) else sorted(kinds, key=lambda kind: kind != "null")
        return st.one_of(*(getattr(self, f"_{kind}")(schema) for kind in kinds))

    def _null(self, _: dict[str, Any]) -> st.SearchStrategy[Any]:
        return st.none()

    def _boolean(self, _: dict[str, Any]) -> st.SearchStrategy[Any]:
        return st.booleans()

    def _integer(self, schema: dict[str, Any]) -> st.SearchStrategy[Any]:
        return st.integers(schema.get("minimum"), schema.get("maximum"))

    def _number(self, schema: dict[str, Any]) -> st.SearchStrategy[Any]:
        low, above = schema.get("minimum"), schema.get("exclusiveMinimum")
        return st.floats(
            above if low is None else low,
            schema.get("maximum"),
            exclude_min=above is not None,
            allow_nan=False,
            allow_infinity=False,
        )

    def _string(self, schema: dict[str, Any]) -> st.SearchStrategy[Any]:
        if schema.get("pattern") == DAY:
            return st.dates().map(str)
        return st.from_regex(schema["pattern"], fullmatch=True) if "pattern" in schema else TEXT

    def _array(self, schema: dict[str, Any]) -> st.SearchStrategy[Any]:
        least = schema.get("minItems", 0)
        most = schema.get("maxItems", max(least, MOST_ITEMS))
        return st.lists(self._of(schema.get("items", {})), min_size=least, max_size=most)

    def _object(self, schema: dict[str, Any]) -> st.SearchStrategy[Any]:
        required = set(schema.get("required", ()))
        properties = {name: self._of(one) for name, one in schema.get("properties", {}).items()}
        named = st.fixed_dictionaries(
            {name: one for name, one in properties.items() if name in required},
            optional={name: one for name, one in properties.items() if name not in required},
        )
        if "if" in schema:
            named = self._narrowed(named, schema)
        more = schema.get("additionalProperties", False)
        if not isinstance(more, dict):
            return named
        names = self._of(schema["propertyNames"]) if "propertyNames" in schema else TEXT
        others = st.dictionaries(names, self._of(more), max_size=MOST_ITEMS)
        return st.builds(lambda a, b: {**b, **a}, named, others)

    def _narrowed(self, whole: st.SearchStrategy[Any], schema: dict[str, Any]) -> st.SearchStrategy[Any]:
        """Where ``if`` is met, the properties that ``then`` names are of what is allowed by both."""
        met = Draft202012Validator(schema["if"]).is_valid
        properties = schema["properties"]
        then = st.fixed_dictionaries(
            {name: self._of({**properties[name], **one}) for name, one in schema["then"]["properties"].items()}
        )
        return whole.flatmap(lambda value: then.map(lambda more: {**value, **more}) if met(value) else st.just(value))
