"""The measured figures of ``Resources/cohorts.md``: budgets, cost by size, a plan for 100 000 scans, and the peers.

Text and pictures are made of the benchmarks' JSON alone; what is not there is said to be missing.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from textwrap import fill
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SCANS, CORES = 100_000, 64
ANALYSES = {"analyse, usual slices": "usual", "analyse, thin slices": "thin"}
SIZES, EDITS = "cost by size", "panel edits"
BENCHMARKS = ("budgets", "throughput", "bench_peers", "engines")
NOT_YET = "Not measured yet: `Testing/Benchmarks/{name}.py` writes `{name}.json`, from which this is made."
OURS = "LungNoduleCAD"
WORTH_A_CHANGE = 1.3  # times as quick: another engine is one more requirement on every computer


def cohort_figures(benchmarks: Path) -> str:
    """Markdown from the JSON of a folder."""
    found = _found(benchmarks)
    makers = {"budgets": _budgets, "throughput": _plan, "bench_peers": _peers, "engines": _engines}
    return "\n\n".join(maker(found) if name in found else NOT_YET.format(name=name) for name, maker in makers.items())


def draw_pictures(benchmarks: Path) -> list[Path]:
    """The pictures of the text (SVG, beside the JSON), as far as there is something to draw."""
    found, drawn = _found(benchmarks), []
    if SIZES in found.get("budgets", {}).get("budgets", {}):
        drawn.append(_saved(_drawn_sizes(found["budgets"]["budgets"][SIZES]["rows"]), benchmarks / "cost_by_size.svg"))
    if "bench_peers" in found:
        drawn.append(_saved(_drawn_peers(found["bench_peers"]["rows"]), benchmarks / "bench_peers.svg"))
    return drawn


def _found(benchmarks: Path) -> dict[str, Any]:
    files = {name: benchmarks / f"{name}.json" for name in BENCHMARKS}
    return {name: json.loads(file.read_text(encoding="utf-8")) for name, file in files.items() if file.is_file()}


def _budgets(found: dict[str, Any]) -> str:
    measured = found["budgets"]
    rows = [
        f"Medians on {_machine(measured)}, {measured['device']} (`Testing/Benchmarks/budgets.json`):",
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
    parts = ["\n".join(rows)]
    if edits := measured["budgets"].get(EDITS):
        parts.append(_edits(edits))
    if sizes := measured["budgets"].get(SIZES):
        parts.append(_sizes(sizes))
    return "\n\n".join(parts)


def _edits(measured: dict[str, Any]) -> str:
    ready, early = (
        ", ".join(f"{name} {row['median_seconds']:.2f} s" for name, row in measured[key].items())
        for key in ("edits", "edits_in_the_first_seconds")
    )
    return (
        f"Corrections in the panel (budget {measured['budget_seconds']:g} s): {ready}. Right after a result is opened, "
        f"while the models are loaded and the places looked at: {early}."
    )


def _sizes(measured: dict[str, Any]) -> str:
    rows = [
        "Cost by size, the thin scan cut to its middle parts (a slice that was added last costs "
        f"{measured['growth']:g} times what one before it cost; the outer ones hold less lung):",
        "",
        "| slices | lungs in them l | seconds | processor seconds | peak memory GB |",
        "|---|---|---|---|---|",
        *(
            f"| {row['slices']} | {row['lungs_ml'] / 1000:.2f} | {row['median_seconds']:.1f} "
            f"| {row['median_cpu_seconds']:.1f} | {row['peak_gigabytes']:.2f} |"
            for row in measured["rows"]
        ),
        "",
        "![Seconds and memory by size](../Testing/Benchmarks/cost_by_size.svg)",
    ]
    return "\n".join(rows)


def _plan(found: dict[str, Any]) -> str:
    batch, budgets = found["throughput"], found.get("budgets", {"budgets": {}})
    low, high = batch["slices"][0], batch["slices"][-1]
    rows = [
        f"A batch of {batch['scans']} scans of {low} to {high} slices by {batch['workers']} processes of one thread "
        f"took {batch['seconds']:.0f} s on {_machine(batch)} (`Testing/Benchmarks/throughput.json`). {SCANS:,} scans:",
        "",
        f"| {SCANS:,} scans | scans a core and hour | core-hours | days on {CORES} cores "
        f"| memory for {CORES} workers GB | results TB |",
        "|---|---|---|---|---|---|",
        _planned(
            "like those of the batch",
            batch["scans_a_core_and_hour"],
            batch["peak_gigabytes"] / batch["workers"],
            batch["megabytes_of_a_result"],
        ),
    ]
    for name, key in ANALYSES.items():
        if row := budgets["budgets"].get(name):
            scans = f"of {budgets['slices'][key]} slices, by processor time alone"
            hourly = 3600 / row["median_cpu_seconds"]
            rows.append(_planned(scans, hourly, row["peak_gigabytes"], row["result_megabytes"]))
    return "\n".join(rows)


def _planned(scans: str, hourly: float, gigabytes: float, result_megabytes: float) -> str:
    hours = SCANS / hourly
    return (
        f"| {scans} | {hourly:.0f} | {hours:,.0f} | {hours / CORES / 24:.1f} | {CORES * gigabytes:.0f} "
        f"| {SCANS * result_megabytes / 1e6:.1f} |"
    )


def _peers(found: dict[str, Any]) -> str:
    measured = found["bench_peers"]
    sizes = sorted({row["slices"] for row in measured["rows"]})
    rows = [
        f"Beside other tools, one run on {_machine(measured)} (`Testing/Benchmarks/bench_peers.json`): seconds, and "
        f"how many times as long as {OURS}.",
        "",
        "| step | method | " + " | ".join(f"{n} slices" for n in sizes) + " |",
        "|---|---|" + "---|" * len(sizes),
    ]
    seconds = {(row["task"], row["method"], row["slices"]): row["seconds"] for row in measured["rows"]}
    times = {(row["task"], row["peer"], row["slices"]): row["times_as_long"] for row in measured["ratios"]}
    for task, method in dict.fromkeys((task, method) for task, method, _ in seconds):
        keys = [(task, method, n) for n in sizes]
        cells = [
            (f"{seconds[key]:.1f}" + (f" ({times[key]:g} ×)" if key in times else "")) if key in seconds else ""
            for key in keys
        ]
        rows.append(f"| {task} | {method} | " + " | ".join(cells) + " |")
    rows += ["", "![Seconds by slices](../Testing/Benchmarks/bench_peers.svg)", "", "What the figures are:", ""]
    rows += [f"- {name}: {what}" for name, what in measured["what"].items()]
    missing = [f"{name} ({why})" for name, why in measured["not_measured"].items()]
    return "\n".join([*rows, *(["", f"Not measured: {'; '.join(missing)}."] if missing else [])])


def _engines(found: dict[str, Any]) -> str:
    measured = found["engines"]
    names = list(dict.fromkeys(row["engine"] for row in measured["rows"]))
    networks = list(dict.fromkeys(row["network"] for row in measured["rows"]))
    seconds = {(row["network"], row["engine"]): row["milliseconds"] for row in measured["rows"]}
    rows = [
        f"Engines for the networks, milliseconds for a batch on {_machine(measured)}, {measured['threads']} threads "
        "(`Testing/Benchmarks/engines.json`):",
        "",
        "| network | " + " | ".join(names) + " |",
        "|---|" + "---|" * len(names),
    ]
    for network in networks:
        cells = [f"{seconds[network, name]:.0f}" if (network, name) in seconds else "" for name in names]
        rows.append(f"| {network} | " + " | ".join(cells) + " |")
    missing = [f"{name} ({why})" for name, why in measured["not_measured"].items()]
    said = [f"Not measured: {'; '.join(missing)}."] if missing else []
    return "\n".join([*rows, "", " ".join([_choice(seconds, names, networks), *said])])


def _choice(milliseconds: dict[tuple[str, str], float], names: list[str], networks: list[str]) -> str:
    """Whether another engine is worth a change: for the network for which it wins least."""
    used, *others = names
    wins = {
        name: min(milliseconds[network, used] / milliseconds[network, name] for network in networks)
        for name in others
        if all((network, name) in milliseconds for network in networks)
    }
    if not wins:
        return f"No other engine than {used} takes all networks."
    best = max(wins, key=lambda name: wins[name])
    quicker = f"{best}, at least {wins[best]:.2f} times as quick for every network"
    if wins[best] >= WORTH_A_CHANGE:
        return f"Worth a change to {quicker}."
    return f"{used} stays. The best of the others is {quicker}; a change has to bring {WORTH_A_CHANGE:g} times."


def _machine(measured: dict[str, Any]) -> str:
    return f"{measured['cpu_count']} cores of {measured['cpu']}"


def _drawn_sizes(rows: Sequence[dict[str, Any]]) -> Figure:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.2, 3.0), layout="constrained")
    left, right = figure.subplots(1, 2)
    slices = [row["slices"] for row in rows]
    for key, label in (("median_seconds", "seconds"), ("median_cpu_seconds", "processor seconds")):
        left.plot(slices, [row[key] for row in rows], "o-", label=label)
    left.legend(frameon=False)
    left.set(ylabel="seconds")
    right.plot(slices, [row["peak_gigabytes"] for row in rows], "o-")
    right.set(ylabel="peak memory (GB)")
    for axes in (left, right):
        axes.set(xlabel="slices of 512 × 512", xlim=(0, None), ylim=(0, None))
        axes.grid(alpha=0.3)
    return figure


def _drawn_peers(rows: Sequence[dict[str, Any]]) -> Figure:
    from matplotlib.figure import Figure

    tasks = list(dict.fromkeys(row["task"] for row in rows))
    figure = Figure(figsize=(2.8 * len(tasks), 4.2), layout="constrained")
    for axes, task in zip(figure.subplots(1, len(tasks), squeeze=False)[0], tasks, strict=True):
        for method in dict.fromkeys(row["method"] for row in rows if row["task"] == task):
            points = sorted((r["slices"], r["seconds"]) for r in rows if (r["task"], r["method"]) == (task, method))
            own = method.startswith(OURS)
            axes.plot(
                *zip(*points, strict=True), "o-" if own else "s--", lw=2.2 if own else 1.2, label=fill(method, 32)
            )
        axes.set(title=task, xlabel="slices", yscale="log")
        axes.legend(fontsize=7, loc="upper center", bbox_to_anchor=(0.5, -0.2), frameon=False)
        axes.grid(alpha=0.3)
    figure.axes[0].set_ylabel("seconds")
    return figure


def _saved(figure: Figure, path: Path) -> Path:
    """The same figures give the same file."""
    from matplotlib import rc_context

    with rc_context({"svg.hashsalt": path.stem, "svg.fonttype": "none"}):
        figure.savefig(path, metadata={"Date": None, "Creator": None})
    return path
