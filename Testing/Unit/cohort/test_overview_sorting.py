"""The overview's script, run by Qt's JavaScript engine on a stand-in for the page."""

from __future__ import annotations

import json
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from LungNoduleCADLib.cohort.overview import overview_html

ROWS: list[dict[str, Any]] = [
    {"id": "b", "lung_rads": "2", "highest_malignancy": 0.05, "largest_mean_diameter_mm": 10.5, "nodules": 2},
    {"id": "d", "lung_rads": "4A", "highest_malignancy": 0.9, "largest_mean_diameter_mm": 9.5, "nodules": 10},
    {"id": "a", "lung_rads": "1", "nodules": 0},
    {"id": "c", "error": "The scan has no lungs."},
    {"id": "e"},
]
PAGE = """
function element(data) {
  const attributes = {}, listeners = {};
  return Object.assign({
    getAttribute: name => attributes[name] ?? null,
    setAttribute: (name, value) => { attributes[name] = value },
    removeAttribute: name => { delete attributes[name] },
    addEventListener: (kind, listener) => { listeners[kind] = listener },
    click: () => listeners.click(),
  }, data);
}
var table = {
  rows: page.rows.map(cells => ({cells})),
  append(...rows) { for (const row of rows) { this.rows.splice(this.rows.indexOf(row), 1); this.rows.push(row) } },
};
var head = {children: []};
for (const name of page.head) {
  const button = element({});
  head.children.push(element({parentNode: head, querySelector: () => button}));
}
var document = {
  querySelector: () => table,
  querySelectorAll: () => head.children,
};
var shown = () => JSON.stringify({
  order: table.rows.map(row => row.cells[0].textContent),
  sorted: head.children.map(one => one.getAttribute("aria-sort")),
});
"""


class _Table(HTMLParser):
    """The cells of the page's table and its script."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.head: list[str] = []
        self.rows: list[list[dict[str, Any]]] = []
        self.script = ""
        self._into: Callable[[str], None] | None = None
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        value = dict(attrs).get("data-v")
        if tag == "tr":
            self.rows.append([])
        elif tag == "th":
            self.head.append("")
            self._into = self._add_to_head
        elif tag == "td":
            self.rows[-1].append({"textContent": "", "dataset": {} if value is None else {"v": value}})
            self._into = self._add_to_cell
        elif tag == "script":
            self._into = self._add_to_script

    def handle_endtag(self, tag: str) -> None:
        if tag in ("th", "td", "script"):
            self._into = None

    def handle_data(self, data: str) -> None:
        if self._into:
            self._into(data)

    def _add_to_head(self, data: str) -> None:
        self.head[-1] += data

    def _add_to_cell(self, data: str) -> None:
        self.rows[-1][-1]["textContent"] += data

    def _add_to_script(self, data: str) -> None:
        self.script += data


Click = Callable[[str], tuple[str, str | None]]


@pytest.fixture
def click(tmp_path: Path) -> Click:
    """Press a column's head: the ids from top to bottom, and how the column says that it is sorted."""
    qml = pytest.importorskip("PySide6.QtQml", reason="needs PySide6 (extra slicer-host)")
    from PySide6.QtCore import QCoreApplication

    application = QCoreApplication.instance() or QCoreApplication([])
    engine = qml.QJSEngine(application)
    table = _Table(overview_html(tmp_path, ROWS))
    page = json.dumps({"head": table.head, "rows": [cells for cells in table.rows if cells]})

    def run(script: str) -> Any:
        result = engine.evaluate(script)
        assert not result.isError(), f"{result.toString()}, line {result.property('lineNumber').toInt()}"
        return result

    run(f"var page = {page};\n{PAGE}")
    run(table.script)

    def press(name: str) -> tuple[str, str | None]:
        column = table.head.index(name)
        run(f"head.children[{column}].querySelector('button').click()")
        now = json.loads(run("shown()").toString())
        assert [sort for n, sort in enumerate(now["sorted"]) if n != column] == [None] * (len(table.head) - 1)
        return "".join(now["order"]), now["sorted"][column]

    return press


def test_a_column_is_sorted_downwards_then_upwards(click: Click) -> None:
    """By number, not by letter."""
    order, sort = click("Largest mm")
    assert (order[:2], sort) == ("bd", "descending")
    order, sort = click("Largest mm")
    assert (order[:2], sort) == ("db", "ascending")


def test_scans_without_a_number_stay_below(click: Click) -> None:
    assert {"".join(sorted(click("Nodules")[0][-2:])) for _ in range(2)} == {"ce"}


def test_categories_are_sorted_by_suspicion_not_by_name(click: Click) -> None:
    order, _ = click("Lung-RADS")
    assert order[:3] == "dba"


def test_words_are_sorted_as_words(click: Click) -> None:
    click("Scan")
    assert click("Scan") == ("abcde", "ascending")


def test_another_column_starts_downwards_again(click: Click) -> None:
    click("Nodules")
    order, sort = click("Highest malignancy")
    assert (order[:2], sort) == ("db", "descending")
