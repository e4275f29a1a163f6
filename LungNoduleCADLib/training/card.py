"""The figures in a bundle's card, written from ``evaluation.json`` and from nothing else."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from LungNoduleCADLib.bundles.spec import Bundle

CARD, EVALUATION = "docs/README.md", "docs/evaluation.json"
BEGIN, END = "<!-- figures: written from evaluation.json -->", "<!-- end of figures -->"


def figures_table(evaluation: dict[str, Any]) -> str:
    """Markdown: the setting, then every figure with its interval, cases and patients."""
    scans = f"; whole scans {', '.join(evaluation['scans'])}" if evaluation["scans"] else ""
    head = (
        f"Fold {evaluation['fold']} of the pack ({evaluation['nodules']} nodules of {evaluation['patients']} patients; "
        f"trained on folds {evaluation['trained_on_folds']}){scans}. {evaluation['setting']}. "
        f"Intervals: {evaluation['interval']}."
    )
    rows = [f"| {name} | {value} |" for name, value in _flat(evaluation["figures"])]
    return "\n".join([head, "", "| figure | value |", "|---|---|", *rows, *_operating_points(evaluation)])


def _operating_points(evaluation: dict[str, Any]) -> list[str]:
    """What each threshold gives, where it was measured."""
    measured = evaluation.get("operating_points")
    if not measured:
        return []
    rows = [
        f"| {point['threshold']:.2f} | {point['sensitivity']:.2f} | {point['false_positives_per_scan']:.1f} |"
        for point in measured["points"]
        if point["sensitivity"] is not None
    ]
    head = ["| threshold | sensitivity | false positives a scan |", "|---|---|---|"]
    return ["", f"Operating points. {measured['source']}", "", *head, *rows]


def update_card(bundle: Bundle) -> None:
    """Put the figures into the card, between its two marks."""
    file = bundle.path / CARD
    before, rest = file.read_text(encoding="utf-8").split(BEGIN)
    after = rest.split(END)[1]
    table = figures_table(json.loads((bundle.path / EVALUATION).read_text(encoding="utf-8")))
    file.write_text(f"{before}{BEGIN}\n{table}\n{END}{after}", encoding="utf-8")


def card_is_current(folder: Path) -> bool:
    """Whether the card says what ``evaluation.json`` says."""
    evaluation = json.loads((folder / EVALUATION).read_text(encoding="utf-8"))
    return figures_table(evaluation) in (folder / CARD).read_text(encoding="utf-8")


def _flat(figures: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for name, value in figures.items():
        label = f"{prefix}{name.replace('_', ' ')}"
        if isinstance(value, dict) and {"value", "low", "high"} <= set(value):
            cases = f"{value['cases']} nodules, {value['patients']} patients"
            yield label, f"{value['value']:.3f} ({value['low']:.3f} to {value['high']:.3f}; {cases})"
        elif isinstance(value, dict):
            yield from _flat(value, f"{label}: ")
        else:
            yield label, f"{value:.3f}" if isinstance(value, float) else str(value)
