"""Tries to break the product, and writes how often what was tried: ``outcomes.json`` and the table in ``README.md``.

python Testing/Reliability/break_it.py            minutes
python Testing/Reliability/break_it.py --long     50,000 mutated files of each kind, a folder of 50,000 files: hours

``--state FILE`` knows how far the mutated files are, so that a stopped long form goes on there (see ``fuzz.py``);
``--only NAME`` tries the rows with that word in their name and leaves the others of the table as they are.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
OUTCOMES, TABLE = HERE / "outcomes.json", HERE / "README.md"
BEGIN, END = "<!-- outcomes: written from outcomes.json -->", "<!-- end of outcomes -->"
SHORT = 200

sys.path[:0] = [str(ROOT), str(HERE)]

from faults import everything  # noqa: E402
from faulty_run import Scene  # noqa: E402
from fuzz import LONG, TARGETS, fuzz  # noqa: E402
from guided import available, guided  # noqa: E402
from load import analyses_in_a_row, many_candidates, thousand_slices  # noqa: E402
from tally import Tally  # noqa: E402
from torture import (  # noqa: E402
    derived_series,
    large_folder,
    objects_of_other_projects,
    pixels_of_other_projects,
)

from LungNoduleCADLib import __version__  # noqa: E402

ANALYSES = {SHORT: 4, LONG: 100}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--long", action="store_true")
    parser.add_argument("--objects", type=Path, default=ROOT / "../shared/data/dicom-torture")
    parser.add_argument("--state", type=Path)
    parser.add_argument("--only", metavar="NAME", default="")
    arguments = parser.parse_args()
    known = json.loads(OUTCOMES.read_text(encoding="utf-8"))["rows"] if arguments.only else []
    rows = {row["what"]: row for row in known}
    with tempfile.TemporaryDirectory() as folder:
        # Runs come first: processes are forked from what the first row imported
        count = LONG if arguments.long else SHORT
        tries = dict(_runs(Path(folder))) | _tries(count, arguments.objects, arguments.state)
        for attempt in (attempt for name, attempt in tries.items() if arguments.only in name):
            start = time.perf_counter()
            tally = attempt()
            row = rows[tally.what] = {**tally.as_json(), "seconds": round(time.perf_counter() - start, 1)}
            print(table([row]).splitlines()[-1], *tally.failures, sep="\n  ", flush=True)
            _write(list(rows.values()))
    return 1 if any(row["failed"] for row in rows.values()) else 0


def _runs(folder: Path) -> Iterator[tuple[str, Callable[[], Tally]]]:
    for number, attempt in enumerate(everything(Scene(folder))):
        yield f"run {number}", attempt


def _tries(count: int, objects: Path, state: Path | None) -> dict[str, Callable[[], Tally]]:
    """{what is tried, for ``--only``: how}."""
    tries: dict[str, Callable[[], Tally]] = {"series": derived_series, "folder": lambda: large_folder(count)}
    if objects.is_dir():
        tries["objects"] = lambda: objects_of_other_projects(objects)
        tries["pixels"] = lambda: pixels_of_other_projects(objects)
    for what in TARGETS:
        tries[f"mutated {what}"] = lambda what=what: fuzz(what, count, state=state)
    for what in TARGETS if available() else ():
        tries[f"guided {what}"] = lambda what=what: guided(what, count, state=state)
    tries["load: in a row"] = lambda: analyses_in_a_row(ANALYSES[count])
    if count == LONG:
        tries |= {"load: candidates": many_candidates, "load: slices": thousand_slices}
    return tries


def _write(rows: list[dict]) -> None:
    OUTCOMES.write_text(json.dumps({"version": __version__, "rows": rows}, indent=1) + "\n", encoding="utf-8")
    TABLE.write_text(with_table(TABLE.read_text(encoding="utf-8"), rows), encoding="utf-8")


def table(rows: list[dict]) -> str:
    """Markdown."""
    lines = ["| what | tried | passed | refused cleanly | failed |", "|---|---|---|---|---|"]
    return "\n".join(
        lines + [f"| {r['what']} | {r['tried']} | {r['passed']} | {r['refused']} | {r['failed']} |" for r in rows]
    )


def with_table(text: str, rows: list[dict]) -> str:
    before, rest = text.split(BEGIN)
    return f"{before}{BEGIN}\n{table(rows)}\n{END}{rest.split(END)[1]}"


if __name__ == "__main__":
    sys.exit(main())
