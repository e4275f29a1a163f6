"""``overview.html``: the scans of a cohort at a glance, in one file that needs no network and names nobody."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import lru_cache
from html import escape
from pathlib import Path

from LungNoduleCADLib import RESEARCH_USE_ONLY, __version__
from LungNoduleCADLib.cohort.tables import Row, suspicion
from LungNoduleCADLib.report.write import IMAGES, OVERVIEW, image_names

FILE_NAME = "overview.html"
LISTED, WITH_PICTURE = 2000, 300
_PICTURE_WIDTH, _QUALITY = 420, 72

_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta http-equiv="Content-Security-Policy"
 content="default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Lung nodules: {title}</title>
<style>
body {{ font: 14px/1.4 system-ui, sans-serif; margin: 1.5rem; color: #1c2430; background: #fff }}
h1 {{ font-size: 1.3rem; margin: 0 }} p {{ margin: .3rem 0 1rem; color: #556 }}
table {{ border-collapse: collapse; width: 100% }}
th, td {{ padding: .35rem .6rem; border-bottom: 1px solid #dde; text-align: left; vertical-align: middle }}
th {{ position: sticky; top: 0; background: #f2f5f9 }} td.n {{ text-align: right; font-variant-numeric: tabular-nums }}
th button {{ all: unset; cursor: pointer; font-weight: 600 }} th button:focus-visible {{ outline: 2px solid #357 }}
th[aria-sort=ascending] button::after {{ content: " ▲" }} th[aria-sort=descending] button::after {{ content: " ▼" }}
td img {{ display: block; width: 420px; max-width: 32vw; background: #000 }}
.c {{ font-weight: 700; border-radius: 4px; padding: .1rem .45rem; background: #dfe8df }}
.c3 {{ background: #fbe7a1 }} .c4A {{ background: #f8c58c }} .c4B, .c4X {{ background: #d9463e; color: #fff }}
.bad {{ color: #a11 }}
</style></head><body>
<h1>Lung nodules: {title}</h1>
<p>{summary}<br>{note} LungNoduleCAD {version}, {made}.</p>
<table id="scans"><thead><tr>{head}</tr></thead><tbody>
{rows}
</tbody></table>
<script>
const body = document.querySelector("#scans tbody");
for (const [column, head] of document.querySelectorAll("#scans th").entries())
  head.querySelector("button").addEventListener("click", () => {{
    const down = head.getAttribute("aria-sort") !== "descending";
    for (const other of head.parentNode.children) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", down ? "descending" : "ascending");
    const key = row => row.cells[column].dataset.v ?? row.cells[column].textContent;
    const order = (a, b) => isNaN(a) || isNaN(b) ? a.localeCompare(b, undefined, {{numeric: true}}) : a - b;
    body.append(...[...body.rows].sort((one, other) => {{
      const a = key(one), b = key(other);
      return (a === "") - (b === "") || (down ? -1 : 1) * order(a, b);
    }}));
  }});
</script></body></html>
"""
_COLUMNS = (
    *("Scan", "Lung-RADS", "Highest malignancy", "Largest mm", "Nodules", "New or growing", "Most suspicious nodule"),
    "Doubts",
)


def overview_html(folder: Path, rows: Sequence[Row]) -> str:
    """The page of a batch's folder: most suspicious scan first, then what waits, then what failed.

    Pictures are those of the reports, made small; only the first ones are in the page, so that it stays one that a
    browser opens.
    """
    done = sorted((row for row in rows if row.get("lung_rads")), key=suspicion)
    listed = [*done, *(row for row in rows if not row.get("lung_rads"))]
    listed.sort(key=lambda row: bool(row.get("error")))
    failed = sum(bool(row.get("error")) for row in rows)
    waiting = len(rows) - len(done) - failed
    summary = (
        f"{len(rows)} scans: {len(done)} analysed, {failed} failed, {waiting} waiting. {escape(RESEARCH_USE_ONLY)}"
    )
    return _PAGE.format(
        title=f"{len(rows)} scans",
        summary=summary,
        note=_note(len(rows)),
        version=__version__,
        made=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        head="".join(f'<th scope="col"><button type="button">{escape(name)}</button></th>' for name in _COLUMNS),
        rows="\n".join(_row(folder, row, n) for n, row in enumerate(listed[:LISTED])),
    )


def _note(count: int) -> str:
    if count <= WITH_PICTURE:
        return ""
    listed = f"The first {LISTED} are listed" if count > LISTED else "All are listed"
    return f"{listed}, the first {WITH_PICTURE} with a picture; scans.csv and nodules.csv hold all of them."


def _row(folder: Path, row: Row, number: int) -> str:
    name = escape(row["id"])
    if row.get("error"):
        unknown = _number(None, "") * 4
        why = f'<td class="bad">{escape(row["error"])}</td>'
        return f'<tr><td>{name}</td><td data-v="-1">failed</td>{unknown}<td></td>{why}</tr>'
    category = row.get("lung_rads") or ""
    cells = [
        f'<td><a href="{name}/report.pdf">{name}</a></td>' if category else f"<td>{name}</td>",
        f'<td data-v="{-suspicion(row)[0]}"><span class="c c{category}">{category}</span></td>'
        if category
        else '<td data-v="-1">waiting</td>',
        _number(row.get("highest_malignancy"), ".0%"),
        _number(row.get("largest_mean_diameter_mm"), ".1f"),
        _number(row.get("nodules"), "d"),
        _number(row.get("new_or_growing") if row.get("days_since_prior") is not None else None, "d"),
        f"<td>{_picture(folder, row) if number < WITH_PICTURE else escape(row.get('most_suspicious') or '')}</td>",
        f"<td>{_doubts(row)}</td>",
    ]
    return f"<tr>{''.join(cells)}</tr>"


def _number(value: float | None, form: str) -> str:
    if value is None:
        return '<td data-v=""></td>'
    return f'<td class="n" data-v="{value}">{format(value, form)}</td>'


def _doubts(row: Row) -> str:
    serious, warnings = (
        escape((row.get(key) or "").replace(";", ", ").replace("_", " ")) for key in ("serious_flags", "warnings")
    )
    return f'<span class="bad">{serious}</span> {warnings}' if serious else warnings


def _picture(folder: Path, row: Row) -> str:
    nodule = row.get("most_suspicious")
    if row.get("lung_rads") is None:
        return ""
    name = image_names(nodule)[0] if nodule else OVERVIEW
    file = folder / row["id"] / IMAGES / name
    if not file.is_file():
        return ""
    data = _small(str(file), file.stat().st_mtime_ns)
    name = escape(nodule or "no nodule")
    return f'{name}<img alt="{name}" src="data:image/jpeg;base64,{data}">'


@lru_cache(maxsize=4 * WITH_PICTURE)
def _small(file: str, _changed_ns: int) -> str:
    from PIL import Image

    with Image.open(file) as image:
        picture = image.convert("RGB")
    picture.thumbnail((_PICTURE_WIDTH, _PICTURE_WIDTH))
    packed = io.BytesIO()
    picture.save(packed, "JPEG", quality=_QUALITY, optimize=True)
    return base64.b64encode(packed.getvalue()).decode()
