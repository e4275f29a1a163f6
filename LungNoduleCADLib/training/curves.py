"""Curves of an evaluation as PNG, and beside each the numbers it was drawn from as JSON of the same name.

Every figure states on how many cases and patients it stands; bands and bars are 95 % intervals by patient.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from LungNoduleCADLib.errors import InputError
from LungNoduleCADLib.evaluation.bootstrap import DRAWS, SEED, Estimate, bootstrap, interval, number, resampled_rows
from LungNoduleCADLib.evaluation.calibration import (
    brier,
    calibration_error_by_chance,
    expected_calibration_error,
    reliability,
)
from LungNoduleCADLib.evaluation.discrimination import auc
from LungNoduleCADLib.evaluation.froc import LUNA16_RATES, ScanDetections, froc, froc_band
from LungNoduleCADLib.training.export import write_json

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

DPI = 110
STYLES = (  # Okabe and Ito's colours, which the colour-blind can tell apart; and a dash and a mark each
    {"color": "#0072b2", "linestyle": "-", "marker": "o"},
    {"color": "#d55e00", "linestyle": "--", "marker": "s"},
    {"color": "#009e73", "linestyle": "-.", "marker": "^"},
    {"color": "#cc79a7", "linestyle": ":", "marker": "D"},
    {"color": "#e69f00", "linestyle": (0, (5, 1, 1, 1, 1, 1)), "marker": "v"},
    {"color": "#000000", "linestyle": (0, (1, 2)), "marker": "x"},
)
BAND, GRID = 0.15, "#d9d9d9"


@dataclass(frozen=True)
class Scored:
    """A yes/no question put to cases: ``positive`` (N,) bool, ``score`` (N,), whose case it is ``patients`` (N,).

    The reliability curve needs probabilities as scores.
    """

    positive: np.ndarray
    score: np.ndarray
    patients: Sequence[str]


def draw_roc(
    target: Path, title: str, scores: Mapping[str, Scored], draws: int = DRAWS, seed: int = SEED
) -> dict[str, Any]:
    """Sensitivity against false positive rate of each score, with its area under the curve.

    Parameters
    ----------
    target : file without suffix; ``.png`` and ``.json`` are written.
    scores : what is compared, by name, on one pair of axes; six at most.

    Returns
    -------
    What the JSON says: ``title``, ``interval``, and ``curves`` with ``auc`` (an estimate), ``positives``, and
    ``points``: false positive rate, sensitivity, threshold (``None`` for the first point: above every score).
    """
    from sklearn.metrics import roc_curve

    figure, (ax,) = _figure(title, height=7.2)
    ax.set(xlabel="false positive rate (1 - specificity)", ylabel="sensitivity")
    ax.plot([0, 1], [0, 1], color="#888888", lw=1)
    rates, numbers = np.linspace(0, 1, 101), {}
    for (name, one), style in _styled(scores):
        positive = np.asarray(one.positive, bool)
        area = bootstrap(auc, one.patients, positive, one.score, draws=draws, seed=seed)
        false_rate, sensitivity, thresholds = roc_curve(positive, one.score)
        low, high = _roc_band(positive, one, rates, draws, seed)
        ax.fill_between(rates, low, high, color=style["color"], alpha=BAND, lw=0)
        label = f"{name}: AUC {_said(area)}; {_counts(positive, area)}"
        ax.plot(false_rate, sensitivity, color=style["color"], linestyle=style["linestyle"], lw=1.8, label=label)
        numbers[name] = {
            "auc": area.as_json(),
            "positives": int(positive.sum()),
            "points": _rounded(false_rate, sensitivity, thresholds),
        }
    ax.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.01), aspect="equal")
    _legend(figure, ax)
    return _write(figure, target, _curves(title, numbers))


def draw_froc(
    target: Path, title: str, systems: Mapping[str, Sequence[ScanDetections]], draws: int = DRAWS, seed: int = SEED
) -> dict[str, Any]:
    """Sensitivity against false positives a scan from 1/8 to 8 as LUNA16 reads it off, with its seven rates marked.

    Returns
    -------
    What the JSON says: ``title``, ``interval``, and ``curves`` with ``competition_metric`` (an estimate; its cases are
    nodules), ``scans``, ``at_rates`` (rate -> sensitivity, low, high) and ``points``: false positives a scan,
    sensitivity, threshold.
    """
    figure, (ax,) = _figure(title)
    ax.set(xlabel="false positives a scan", ylabel="sensitivity")
    steps, numbers = 2.0 ** np.linspace(-3, 3, 97), {}  # each of LUNA16's rates is every 16th of them
    for (name, scans), style in _styled(systems):
        curve, band = froc(scans), froc_band(scans, steps, draws, seed)
        metric = band.competition_metric
        ax.fill_between(steps, band.low, band.high, color=style["color"], alpha=BAND, lw=0)
        label = f"{name}: CPM {_said(metric)}; {metric.cases} nodules, {len(scans)} scans of {metric.patients} patients"
        ax.plot(steps, band.sensitivity, **style, markevery=16, ms=5, lw=1.8, label=label)
        at_rates = zip(LUNA16_RATES, band.sensitivity[::16], band.low[::16], band.high[::16], strict=True)
        numbers[name] = {
            "competition_metric": metric.as_json(),
            "scans": len(scans),
            "at_rates": {
                f"{rate:g}": {"value": number(value), "low": number(low), "high": number(high)}
                for rate, value, low, high in at_rates
            },
            "points": _rounded(curve.false_positives_per_scan, curve.sensitivity, curve.thresholds),
        }
    ax.set_xscale("log", base=2)
    ax.set_xticks(LUNA16_RATES, ["1/8", "1/4", "1/2", "1", "2", "4", "8"])
    ax.set(xlim=(0.118, 8.5), ylim=(-0.01, 1.01))
    _legend(figure, ax)
    return _write(figure, target, _curves(title, numbers))


def draw_reliability(
    target: Path, title: str, scores: Mapping[str, Scored], bins: int = 10, draws: int = DRAWS, seed: int = SEED
) -> dict[str, Any]:
    """Observed against stated frequency in bins of as many cases each, over a histogram of what was stated.

    Returns
    -------
    What the JSON says: ``title``, ``interval``, and ``curves`` with ``calibration_error`` (ECE, 15 bins of equal mass)
    and ``brier`` (estimates), ``calibration_error_by_chance`` (what exactly right probabilities would show on as many
    cases), and ``bins`` (``ReliabilityBin``).
    """
    figure, (ax, below) = _figure(title, height=7.4, shares=(3.5, 1.0))
    ax.plot([0, 1], [0, 1], color="#888888", lw=1)
    edges, numbers = np.linspace(0, 1, 21), {}
    for (name, one), style in _styled(scores):
        positive = np.asarray(one.positive, float)
        columns, options = (positive, one.score), {"draws": draws, "seed": seed}
        error = bootstrap(expected_calibration_error, one.patients, *columns, **options)
        squared = bootstrap(brier, one.patients, *columns, **options)
        table = reliability(*columns, one.patients, bins)
        stated, observed = [b.stated for b in table], np.array([b.observed for b in table])
        bars = np.array([observed - [b.low for b in table], [b.high for b in table] - observed])
        label = f"{name}: ECE {_said(error)}; Brier {_said(squared)}; {_counts(positive, error)}"
        ax.errorbar(stated, observed, bars.clip(0), **style, ms=5, lw=1.5, elinewidth=0.9, capsize=2, label=label)
        below.hist(one.score, edges, histtype="step", color=style["color"], linestyle=style["linestyle"], lw=1.5)
        rows = [{k: number(v) if isinstance(v, float) else v for k, v in asdict(b).items()} for b in table]
        numbers[name] = {
            "calibration_error": error.as_json(),
            "calibration_error_by_chance": number(calibration_error_by_chance(one.score, draws=draws, seed=seed)),
            "brier": squared.as_json(),
            "bins": rows,
        }
    ax.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))
    ax.set_ylabel("observed frequency")
    below.set(xlabel="stated probability", ylabel="cases")
    _legend(figure, ax)
    return _write(figure, target, _curves(title, numbers))


def draw_training_log(log: Path, target: Path | None = None, title: str = "") -> dict[str, Any]:
    """Validation figures and losses of ``log.csv`` by epoch, a panel each; over each its value in the best epoch.

    Parameters
    ----------
    target : file without suffix; beside the log and called like it by default.

    Returns
    -------
    What the JSON says: ``title``, ``best_epoch``, ``epochs``, ``seconds`` of training, and ``best`` (that epoch's row).

    Raises
    ------
    InputError : the file is no log of a training: it lacks the columns ``epoch`` and ``score``, or has no rows.
    """
    rows = _log_rows(log)
    best = max(rows, key=lambda row: row["score"])
    names = sorted((n for n in rows[0] if n not in {"epoch", "seconds"}), key=lambda name: name.startswith("loss_"))
    shown = title or f"Training of {log.resolve().parent.name}"
    figure, axes = _panels(f"{shown}; dotted: epoch {best['epoch']:g}, the best by score", len(names))
    for ax, name in zip(axes, names, strict=True):
        style = STYLES[1] if name.startswith("loss_") else STYLES[0]
        ax.plot([row["epoch"] for row in rows], [row[name] for row in rows], color=style["color"], marker=".", lw=1.4)
        ax.axvline(best["epoch"], color="#555555", lw=1, linestyle=":")
        ax.set_title(f"{name.replace('_', ' ')}: {best[name]:.4g}", fontsize=9)
        ax.xaxis.get_major_locator().set_params(integer=True)
    content = {
        "title": shown,
        "best_epoch": int(best["epoch"]),
        "epochs": len(rows),
        "seconds": number(sum(row.get("seconds", 0.0) for row in rows), 1),
        "best": {name: number(value, 6) for name, value in best.items()},
    }
    return _write(figure, target or log.with_suffix(""), content)


def _log_rows(log: Path) -> list[dict[str, float]]:
    try:
        with log.open(newline="", encoding="utf-8") as stream:
            rows = [{k: float(v) for k, v in row.items()} for row in csv.DictReader(stream)]
    except (OSError, TypeError, ValueError) as error:
        raise InputError("The log cannot be read", expected=f"{log}: a number in every cell", got=str(error)) from error
    if not rows or not {"epoch", "score"} <= rows[0].keys():
        got = ", ".join(rows[0]) if rows else "no rows"
        raise InputError("This is no log of a training", expected="columns epoch and score", got=got)
    return rows


def _roc_band(
    positive: np.ndarray, one: Scored, rates: np.ndarray, draws: int, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """2.5 and 97.5 percentile of the sensitivity at each false positive rate."""
    from sklearn.metrics import roc_curve

    curves = []
    for rows in resampled_rows(one.patients, draws, seed):
        if 0 < positive[rows].sum() < len(rows):
            false_rate, sensitivity, _ = roc_curve(positive[rows], one.score[rows])
            curves.append(np.interp(rates, false_rate, sensitivity))
    low, high = np.array([interval(values) for values in np.transpose(curves)]).T
    return low, high


def _styled(named: Mapping[str, Any]) -> list[tuple[tuple[str, Any], dict[str, Any]]]:
    if len(named) > len(STYLES):
        raise InputError(
            "Too many curves for one figure",
            expected=f"{len(STYLES)} at most",
            got=", ".join(named),
            todo="draw them in two figures",
        )
    return list(zip(named.items(), STYLES, strict=False))


def _panels(title: str, count: int, columns: int = 4) -> tuple[Figure, list[Axes]]:
    """As many small axes over epochs, row by row."""
    from matplotlib.figure import Figure

    rows = -(-count // columns)
    figure = Figure(figsize=(2.6 * columns, 1.7 * rows + 0.5), dpi=DPI, layout="constrained")
    figure.suptitle(title, fontsize=11)
    figure.supxlabel("epoch", fontsize=9)
    axes = [figure.add_subplot(rows, columns, place + 1) for place in range(count)]
    for ax in axes:
        _plain(ax)
        ax.tick_params(labelsize=8)
    return figure, axes


def _figure(title: str, height: float = 6.0, shares: tuple[float, ...] = (1.0,)) -> tuple[Figure, list[Axes]]:
    """Axes above one another that share their x axis; ``shares`` of the height."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.2, height), dpi=DPI, layout="constrained")
    figure.get_layout_engine().set(w_pad=0.1, h_pad=0.1)
    figure.suptitle(title, fontsize=11)
    axes = list(figure.subplots(len(shares), 1, sharex=True, height_ratios=shares, squeeze=False)[:, 0])
    for ax in axes:
        _plain(ax)
    return figure, axes


def _plain(ax: Axes) -> None:
    ax.grid(color=GRID, lw=0.6)
    ax.set_axisbelow(True)
    ax.spines[["top", "right"]].set_visible(False)


def _legend(figure: Figure, ax: Axes) -> None:
    """Under the axes, where it hides no curve."""
    figure.legend(*ax.get_legend_handles_labels(), loc="outside lower center", fontsize=8.5, edgecolor=GRID)


def _said(estimate: Estimate) -> str:
    return f"{estimate.value:.3f} ({estimate.low:.3f} to {estimate.high:.3f})"


def _counts(positive: np.ndarray, estimate: Estimate) -> str:
    return f"{int(np.sum(positive))} of {estimate.cases} cases positive, {estimate.patients} patients"


def _rounded(*columns: np.ndarray) -> list[list[float | None]]:
    return [[number(value, 5) for value in row] for row in zip(*columns, strict=True)]


def _curves(title: str, numbers: dict[str, Any]) -> dict[str, Any]:
    return {"title": title, "interval": "95 %, bootstrap of patients", "curves": numbers}


def _write(figure: Figure, target: Path, content: dict[str, Any]) -> dict[str, Any]:
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    target.parent.mkdir(parents=True, exist_ok=True)
    FigureCanvasAgg(figure)
    figure.savefig(target.with_name(target.name + ".png"), metadata={"Software": None})
    write_json(target.with_name(target.name + ".json"), content)
    return content
