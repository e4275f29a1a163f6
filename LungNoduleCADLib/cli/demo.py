"""``demo``: a synthetic patient, scanned twice, through the whole pipeline; found against true. Needs no data."""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from LungNoduleCADLib.cli.console import add_device_option, add_progress_option, emit, listening, wide_console
from LungNoduleCADLib.cli.phantom import BASELINE, DAYS_BETWEEN, FOLLOW_UP, add_seed_option, make_scans, write_scans

if TYPE_CHECKING:
    from rich.table import Table

    from LungNoduleCADLib.domain.findings import StudyFindings
    from LungNoduleCADLib.domain.nodule import Nodule
    from LungNoduleCADLib.phantom.thorax import Phantom

FILE_NAME = "demo.json"


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    parser = subparsers.add_parser("demo", help="a synthetic patient, found against true")
    parser.add_argument("-o", "--out", type=Path, required=True, help="folder for the results")
    add_seed_option(parser)
    add_device_option(parser)
    add_progress_option(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    import shutil
    import tempfile

    from LungNoduleCADLib.cli.work import Session
    from LungNoduleCADLib.progress import Progress
    from LungNoduleCADLib.report.folder import check_writable

    check_writable(arguments.out)
    with listening(arguments.progress) as listener, tempfile.TemporaryDirectory() as scratch:
        dicom = Path(scratch) / "dicom"
        scans = make_scans(arguments.seed, Progress([], listener))
        write_scans(scans, dicom, arguments.seed)
        session = Session(arguments.device, None, listener, command="demo")
        rows: list[dict[str, Any]] = []

        def finish(folder: Path, findings: StudyFindings) -> None:
            rows.extend(found_against_true(scans[BASELINE], scans[FOLLOW_UP], findings))
            (folder / FILE_NAME).write_text(json.dumps(rows, indent=2) + "\n", encoding="utf-8")
            shutil.copytree(dicom, folder / dicom.name)

        session.analyse(dicom / FOLLOW_UP, arguments.out, priors=[dicom / BASELINE], finish=finish)
    if arguments.progress == "jsonl":
        emit({"result": str(arguments.out)})
        return 0
    session.print_findings(arguments.out)
    _print_rows(rows, session.findings)
    return 0


def found_against_true(before: Phantom, after: Phantom, findings: StudyFindings) -> list[dict[str, Any]]:
    """A row for each true nodule of each scan: what was found within its radius, and both sides' numbers."""
    prior = findings.prior
    expected = expected_categories(before, after)
    vdt = (
        {m.current_id: m.growth.vdt_days if m.growth else None for m in findings.comparison.matches}
        if findings.comparison
        else {}
    )
    rows = []
    for scan, phantom, nodules in (
        (BASELINE, before, prior.nodules if prior else ()),
        (FOLLOW_UP, after, findings.nodules),
    ):
        for truth in phantom.truth:
            found = _nearest(truth.centre_lps_mm, max(truth.diameter_mm / 2, 3.0), nodules)
            size = found.measurements if found else None
            rows.append(
                {
                    "scan": scan,
                    "true_id": truth.id,
                    "found_id": found.id if found else None,
                    "type": str(truth.type),
                    "found_type": str(found.type.type) if found and found.type else None,
                    "true_volume_mm3": round(truth.volume_mm3, 1),
                    "found_volume_mm3": round(size.volume_mm3, 1) if size else None,
                    "true_vdt_days": truth.vdt_days if scan == FOLLOW_UP else None,
                    "found_vdt_days": vdt.get(found.id) if found and scan == FOLLOW_UP else None,
                    "true_category": expected[scan, truth.id],
                    "found_category": str(found.lung_rads.category) if found and found.lung_rads else None,
                }
            )
    return rows


def expected_categories(before: Phantom, after: Phantom) -> dict[tuple[str, str], str]:
    """{(scan, nodule id): Lung-RADS category that the true sizes lead to}."""
    from LungNoduleCADLib.guidelines.lung_rads_2022 import DAYS_PER_MONTH, NoduleFacts, assess_nodule, is_growth
    from LungNoduleCADLib.guidelines.lung_rads_table import Situation

    expected, earlier = {}, {}
    for truth in before.truth:
        facts = NoduleFacts(truth.type, truth.diameter_mm, truth.solid_diameter_mm)
        earlier[truth.id] = (truth, assess_nodule(facts).category)
        expected[BASELINE, truth.id] = str(earlier[truth.id][1])
    for truth in after.truth:
        facts = NoduleFacts(truth.type, truth.diameter_mm, truth.solid_diameter_mm, Situation.NEW)
        if truth.id in earlier:
            was, category = earlier[truth.id]
            grows, _ = is_growth(truth.diameter_mm - was.diameter_mm, DAYS_BETWEEN)
            facts = replace(
                facts,
                situation=Situation.GROWING if grows else Situation.STABLE,
                months_since_prior=DAYS_BETWEEN / DAYS_PER_MONTH,
                prior_mean_diameter_mm=was.diameter_mm,
                prior_solid_mean_diameter_mm=was.solid_diameter_mm,
                prior_category=category,
            )
        expected[FOLLOW_UP, truth.id] = str(assess_nodule(facts).category)
    return expected


def _nearest(centre_lps_mm: tuple[float, float, float], reach_mm: float, nodules: tuple[Nodule, ...]) -> Nodule | None:
    from math import dist

    near = [n for n in nodules if dist(n.centroid_lps_mm, centre_lps_mm) <= reach_mm]
    return min(near, key=lambda n: dist(n.centroid_lps_mm, centre_lps_mm), default=None)


def rows_table(rows: list[dict[str, Any]]) -> Table:
    """Found against true, a line a nodule and scan."""
    from rich.table import Table

    columns = ("scan", "nodule", "type", "true mm³", "found mm³", "error", "true VDT", "found VDT", "category", "found")
    table = Table(*columns, title="Found against true")
    for row in rows:
        true, found = row["true_volume_mm3"], row["found_volume_mm3"]
        grows = row["true_vdt_days"] is not None
        days = [f"{row[key]:.0f} d" if grows and row[key] else "" for key in ("true_vdt_days", "found_vdt_days")]
        size = ("missed", "") if found is None else (f"{found:.0f}", f"{found / true - 1:+.0%}")
        names = (row["scan"], row["true_id"], row["type"])
        table.add_row(*names, f"{true:.0f}", *size, *days, row["true_category"], row["found_category"] or "")
    return table


def _print_rows(rows: list[dict[str, Any]], findings: StudyFindings) -> None:
    console = wide_console()
    console.print(rows_table(rows))
    matched = {(row["scan"], row["found_id"]) for row in rows}
    listed = [(BASELINE, n.id) for n in (findings.prior.nodules if findings.prior else ())]
    listed += [(FOLLOW_UP, n.id) for n in findings.nodules]
    console.print(f"False positives in the two scans together: {len(set(listed) - matched)}")
