"""The figures in a bundle's card, written from ``evaluation.json`` and from nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from LungNoduleCADLib.bundles.spec import Bundle
from LungNoduleCADLib.json_file import read_json

CARD, EVALUATION = "docs/README.md", "docs/evaluation.json"
BEGIN, END = "<!-- figures: written from evaluation.json -->", "<!-- end of figures -->"


def figures_table(evaluation: dict[str, Any]) -> str:
    """Markdown: the setting, then every figure with its interval, cases and patients.

    ``cases_are``, of all or of one figure, names what was counted, where that is not nodules.
    """
    head = f"{_examined_on(evaluation)}. {evaluation['setting']}. Intervals: {evaluation['interval']}."
    cases = evaluation.get("cases_are", "nodules")
    rows = [f"| {name} | {value} |" for name, value in _flat(evaluation["figures"], cases)]
    return "\n".join([head, "", "| figure | value |", "|---|---|", *rows, *_operating_points(evaluation)])


def _examined_on(evaluation: dict[str, Any]) -> str:
    scans = f"whole scans {', '.join(evaluation['scans'])}" if evaluation["scans"] else ""
    trained = f"trained on folds {evaluation['trained_on_folds']}"
    if "nodules" not in evaluation:
        return f"Fold {evaluation['fold']} of the pack, {scans} ({trained})"
    nodules = f"{evaluation['nodules']} nodules of {evaluation['patients']} patients"
    return f"Fold {evaluation['fold']} of the pack ({nodules}; {trained})" + (f"; {scans}" if scans else "")


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
    table = figures_table(read_json(bundle.path / EVALUATION))
    file.write_text(f"{before}{BEGIN}\n{table}\n{END}{after}", encoding="utf-8")


def card_is_current(folder: Path) -> bool:
    """Whether the card says what ``evaluation.json`` says."""
    evaluation = read_json(folder / EVALUATION)
    return figures_table(evaluation) in (folder / CARD).read_text(encoding="utf-8")


def _flat(figures: dict[str, Any], cases: str, prefix: str = "") -> Iterator[tuple[str, str]]:
    for name, value in figures.items():
        label = f"{prefix}{name.replace('_', ' ')}"
        if isinstance(value, dict) and {"value", "low", "high"} <= set(value):
            count = f"{value['cases']} {value.get('cases_are', cases)}, {value['patients']} patients"
            best, low, high = (_said(value[key]) for key in ("value", "low", "high"))
            chance = f"; {_said(value['by_chance'])} by chance, {value['bins']}" if "by_chance" in value else ""
            yield label, f"{best} ({low} to {high}; {count}{chance})"
        elif isinstance(value, dict):
            yield from _flat(value, cases, f"{label}: ")
        else:
            yield label, _said(value)


def _said(value: Any) -> str:
    return "not computable" if value is None else f"{value:.3f}" if isinstance(value, float) else str(value)
