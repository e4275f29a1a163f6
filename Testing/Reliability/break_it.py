"""Tries to break the product, and writes how often what was tried: ``outcomes.json`` and the table in ``README.md``.

python Testing/Reliability/break_it.py            minutes
python Testing/Reliability/break_it.py --long     50,000 mutated files of each kind, a folder of 50,000 files: hours
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
OUTCOMES, TABLE = HERE / "outcomes.json", HERE / "README.md"
BEGIN, END = "<!-- outcomes: written from outcomes.json -->", "<!-- end of outcomes -->"
SHORT, LONG = 200, 50_000

sys.path[:0] = [str(ROOT), str(HERE)]

from faults import everything  # noqa: E402
from faulty_run import Scene  # noqa: E402
from fuzz import TARGETS, fuzz  # noqa: E402
from tally import Tally  # noqa: E402
from torture import (  # noqa: E402
    derived_series,
    large_folder,
    objects_of_other_projects,
    pixels_of_other_projects,
)

from LungNoduleCADLib import __version__  # noqa: E402


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--long", action="store_true")
    parser.add_argument("--objects", type=Path, default=ROOT / "../shared/data/dicom-torture")
    arguments = parser.parse_args()
    rows = []
    for tally, seconds in _rows(LONG if arguments.long else SHORT, arguments.objects):
        rows.append({**tally.as_json(), "seconds": round(seconds, 1)})
        print(table([rows[-1]]).splitlines()[-1], *tally.failures, sep="\n  ", flush=True)
    OUTCOMES.write_text(json.dumps({"version": __version__, "rows": rows}, indent=1) + "\n", encoding="utf-8")
    TABLE.write_text(with_table(TABLE.read_text(encoding="utf-8"), rows), encoding="utf-8")
    return 1 if any(row["failed"] for row in rows) else 0


def _rows(count: int, objects: Path) -> Iterator[tuple[Tally, float]]:
    tries = [derived_series, lambda: large_folder(count)]
    if objects.is_dir():
        tries += [lambda: objects_of_other_projects(objects), lambda: pixels_of_other_projects(objects)]
    tries += [lambda what=what: fuzz(what, count) for what in TARGETS]
    with tempfile.TemporaryDirectory() as folder:
        runs = everything(Scene(Path(folder)))  # first: processes are forked from what the first row imported
        for attempt in chain(runs, tries):
            start = time.perf_counter()
            yield attempt(), time.perf_counter() - start


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
