"""Where the views of a layout lie: Slicer's layout XML, cut into rectangles."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from dataclasses import dataclass

GAP = 2  # between neighbours, pixels


@dataclass(frozen=True)
class Place:
    """A view by class and singleton tag, and its rectangle in pixels."""

    viewClass: str
    tag: str
    x: int
    y: int
    width: int
    height: int


def places(description: str, width: int, height: int) -> list[Place]:
    """The views of a layout description on an area of that size; of tabs only the first."""
    root = ElementTree.fromstring(description)
    return list(_cut(root, 0, 0, width, height))


def _cut(element, x: int, y: int, width: int, height: int) -> Iterator[Place]:
    if element.tag == "view":
        yield Place(element.get("class"), element.get("singletontag", "1"), x, y, max(width, 1), max(height, 1))
        return
    items = element.findall("item")
    kind = element.get("type", "horizontal")
    if element.tag == "item" or kind == "tab":
        for inner in list(element if element.tag == "item" else items)[:1]:
            yield from _cut(inner, x, y, width, height)
    elif kind == "grid":
        yield from _grid(items, x, y, width, height)
    else:
        shares = _shares(items)
        along, position = (width if kind == "horizontal" else height), 0.0
        for item, share in zip(items, shares, strict=True):
            begin, end = round(along * position), round(along * (position + share)) - GAP
            position += share
            if kind == "horizontal":
                yield from _cut(item, x + begin, y, end - begin, height)
            else:
                yield from _cut(item, x, y + begin, width, end - begin)


def _shares(items) -> list[float]:
    sizes = [float(item.get("splitSize", 0)) for item in items]
    total = sum(sizes)
    return [size / total for size in sizes] if total and all(sizes) else [1 / len(items)] * len(items)


def _grid(items, x: int, y: int, width: int, height: int) -> Iterator[Place]:
    cells = [(int(item.get("row", 0)), int(item.get("column", 0)), item) for item in items]
    spans = [(int(item.get("rowspan", 1)), int(item.get("colspan", 1))) for item in items]
    rows = max(row + span[0] for (row, _, _), span in zip(cells, spans, strict=True))
    columns = max(column + span[1] for (_, column, _), span in zip(cells, spans, strict=True))
    for (row, column, item), (rowspan, colspan) in zip(cells, spans, strict=True):
        left, top = round(width * column / columns), round(height * row / rows)
        right, bottom = round(width * (column + colspan) / columns), round(height * (row + rowspan) / rows)
        yield from _cut(item, x + left, y + top, right - left - GAP, bottom - top - GAP)
