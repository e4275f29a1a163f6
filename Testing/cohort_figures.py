"""The measured figures of ``Resources/cohorts.md``: budgets, a plan for 100 000 scans, and the peers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

SCANS, CORES = 100_000, 64
ANALYSES = {"analyse, usual slices": "usual", "analyse, thin slices": "thin"}
NOT_YET = "Not measured yet: `Testing/Benchmarks/{name}.py` writes `{name}.json`, from which this is made."


def cohort_figures(benchmarks: Path) -> str:
    """Markdown from budgets.json and bench_peers.json of a folder; what is not there is said to be missing."""
    budgets, peers = (_read(benchmarks / f"{name}.json") for name in ("budgets", "bench_peers"))
    parts = [_budgets(budgets) if budgets else NOT_YET.format(name="budgets")]
    if budgets:
        parts.append(_plan(budgets))
    parts.append(_peers(peers) if peers else NOT_YET.format(name="bench_peers"))
    return "\n\n".join(parts)


def _read(path: Path) -> dict[str, Any] | None:
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None


def _budgets(measured: dict[str, Any]) -> str:
    rows = [
        f"Medians on {measured['cpu_count']} cores ({measured['cpu']}, {measured['device']}; "
        "`Testing/Benchmarks/budgets.json`):",
        "",
        "| command | runs | seconds (slowest) | budget | processor seconds | peak memory GB | budget |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, row in measured["budgets"].items():
        if "median_seconds" not in row:
            continue
        slices = measured["slices"].get(ANALYSES.get(name, ""))
        most = row["budget_gigabytes"]
        rows.append(
            f"| {name}{f' ({slices})' if slices else ''} | {row['runs']} | {row['median_seconds']:.2f} "
            f"({row['slowest_seconds']:.2f}) | {row['budget_seconds']:g} | {row['median_cpu_seconds']:.1f} "
            f"| {row['peak_gigabytes']:.2f} | {'' if most is None else f'{most:g}'} |"
        )
    return "\n".join(rows)


def _plan(measured: dict[str, Any]) -> str:
    rows = [
        f"| {SCANS:,} scans of | scans a core and hour | core-hours | days on {CORES} cores "
        f"| memory for {CORES} workers GB | results TB |",
        "|---|---|---|---|---|---|",
    ]
    for name, key in ANALYSES.items():
        row = measured["budgets"].get(name)
        if row is None:
            continue
        hours = SCANS * row["median_cpu_seconds"] / 3600
        rows.append(
            f"| {measured['slices'][key]} slices | {3600 / row['median_cpu_seconds']:.0f} | {hours:,.0f} "
            f"| {hours / CORES / 24:.1f} | {CORES * row['peak_gigabytes']:.0f} "
            f"| {SCANS * row['result_megabytes'] / 1e6:.1f} |"
        )
    return "\n".join(rows)


def _peers(measured: dict[str, Any]) -> str:
    sizes = sorted({row["slices"] for row in measured["rows"]})
    rows = [
        f"Beside other tools, one run on {measured['cpu_count']} cores ({measured['cpu']}; random weights "
        "of the others, and only their networks' passes: see `Testing/Benchmarks/bench_peers.py`), seconds:",
        "",
        "| step | method | " + " | ".join(f"{n} slices" for n in sizes) + " |",
        "|---|---|" + "---|" * len(sizes),
    ]
    found = {(row["task"], row["method"], row["slices"]): row["seconds"] for row in measured["rows"]}
    for task, method in dict.fromkeys((task, method) for task, method, _ in found):
        cells = [f"{found[task, method, n]:.1f}" if (task, method, n) in found else "" for n in sizes]
        rows.append(f"| {task} | {method} | " + " | ".join(cells) + " |")
    rows += ["", "![Seconds by slices](../Testing/Benchmarks/bench_peers.png)"]
    missing = [f"{name} ({why})" for name, why in measured["not_measured"].items()]
    return "\n".join([*rows, *(["", f"Not measured: {'; '.join(missing)}."] if missing else [])])
