"""Where a model is most wrong, with pictures: a folder with a contact sheet a group, an index to read and as JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from textwrap import wrap
from typing import TYPE_CHECKING, Any

import numpy as np

from LungNoduleCADLib.errors import InputError, UsageError
from LungNoduleCADLib.evaluation.bootstrap import number
from LungNoduleCADLib.training.export import write_json

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

GROUPS = {  # group: its title, and what its error is
    "outlines": ("Worst outlines", "1 - Dice"),
    "malignancy": ("Most confident wrong malignancy", "distance of the probability from the readers' answer"),
    "types": ("Wrong types", "probability of the chosen type"),
    "missed": ("Missed nodules", "1 - the highest probability of a mark on it"),
    "false_positives": ("Worst false positives", "probability"),
}
WINDOW_HU = (-1350.0, 150.0)
READERS = {"colors": "#ffd400", "linestyles": "solid"}
MODEL = {"colors": "#56b4e9", "linestyles": "dashed"}
COLUMNS, DPI = 3, 100
TILE_IN, TEXT_IN, GAP_IN, HEAD_IN = 2.05, 0.78, 0.2, 0.75
LEAST_WIDTH_MM, MARGIN_MM, SCALE_MM = 36.0, 14.0, 10.0


@dataclass(frozen=True)
class HardExample:
    """One nodule, or one spot that is none, and how wrong the model was.

    ``name``: the nodule's id, or scan and position; ``error``: the larger the worse, as ``GROUPS`` says; ``said``: what
    the model answered; ``facts``: what the readers say; ``hu`` (K, J, I) around it, caudal to cranial, front to back,
    with ``spacing_kji_mm``; outlines on the same voxels where there are any.
    """

    name: str
    error: float
    said: str
    facts: str
    hu: np.ndarray
    spacing_kji_mm: tuple[float, float, float]
    readers: np.ndarray | None = None
    model: np.ndarray | None = None

    def __post_init__(self) -> None:
        for outline in (self.readers, self.model):
            if outline is not None and outline.shape != self.hu.shape:
                raise InputError(
                    f"The outline of {self.name} lies on other voxels",
                    expected=f"shape {self.hu.shape}",
                    got=f"{outline.shape}",
                )


def write_hard_examples(
    folder: Path, subject: str, examples: Mapping[str, Sequence[HardExample]], at_most: int = 24
) -> dict[str, Any]:
    """Write the ``at_most`` worst examples of each group; earlier sheets of the folder are replaced.

    Parameters
    ----------
    subject : what was evaluated on what, for the headings.
    examples : keys of ``GROUPS``; an empty group is written as such.

    Returns
    -------
    What ``index.json`` says.

    Raises
    ------
    UsageError : there is no such group.
    """
    unknown = set(examples) - set(GROUPS)
    if unknown:
        raise UsageError("No such hard examples", expected=" or ".join(GROUPS), got=", ".join(sorted(unknown)))
    folder.mkdir(parents=True, exist_ok=True)
    groups = {}
    for group, (title, error) in GROUPS.items():
        (folder / f"{group}.png").unlink(missing_ok=True)
        if group not in examples:
            continue
        worst = sorted(examples[group], key=lambda e: (-e.error, e.name))[:at_most]
        shown = f"{title}: {len(worst)} of {len(examples[group])}"
        if worst:
            _draw_sheet(folder / f"{group}.png", f"{shown}, {subject}", worst, at_difference=group == "outlines")
        rows = [{"name": e.name, "error": number(e.error), "said": e.said, "facts": e.facts} for e in worst]
        groups[group] = {"title": shown, "error": error, "sheet": f"{group}.png" if worst else None, "examples": rows}
    index = {"subject": subject, "groups": groups}
    write_json(folder / "index.json", index)
    (folder / "index.md").write_text(_markdown(index), encoding="utf-8")
    return index


def _markdown(index: dict[str, Any]) -> str:
    lines = [
        f"# Hard examples: {index['subject']}",
        "",
        "Yellow: the readers' consensus. Blue, dashed: the model; a cross: its mark. Left an axial, right a coronal "
        "cut through the largest part of the readers' outline (worst outlines: through that part of it where the two "
        "differ most). The white bar is 10 mm.",
    ]
    for group in index["groups"].values():
        lines += ["", f"## {group['title']}", ""]
        if not group["examples"]:
            lines.append("None.")
            continue
        lines += [f"![{group['title']}]({group['sheet']})", "", f"| # | where | {group['error']} | said | readers |"]
        lines.append("|---|---|---|---|---|")
        for place, row in enumerate(group["examples"], 1):
            cells = (str(place), row["name"], f"{row['error']:.3f}", row["said"], row["facts"])
            lines.append(f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |")
    return "\n".join(lines) + "\n"


def _draw_sheet(target: Path, title: str, examples: Sequence[HardExample], at_difference: bool) -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

    rows = -(-len(examples) // COLUMNS)
    tile = 2 * TILE_IN + GAP_IN
    width, height = COLUMNS * tile + GAP_IN, HEAD_IN + rows * (TILE_IN + TEXT_IN)
    figure = Figure(figsize=(width, height), dpi=DPI)
    figure.text(GAP_IN / width, 1 - 0.28 / height, title, fontsize=12, weight="bold", va="center")
    drawn = {"readers": READERS} if any(e.readers is not None for e in examples) else {}
    drawn |= {"model": MODEL} if any(e.model is not None for e in examples) else {}
    keys = [Line2D([], [], color=s["colors"], linestyle=s["linestyles"], label=who) for who, s in drawn.items()]
    keys.append(Line2D([], [], color="white", lw=2, label=f"{SCALE_MM:g} mm"))
    figure.legend(handles=keys, loc="upper right", ncols=3, fontsize=10, facecolor="#555555", labelcolor="white")
    for place, example in enumerate(examples):
        row, column = divmod(place, COLUMNS)
        left, top = GAP_IN + column * tile, HEAD_IN + row * (TILE_IN + TEXT_IN)
        for view in (0, 1):
            x, y = left + view * (TILE_IN + 0.02), height - top - TILE_IN
            ax = figure.add_axes((x / width, y / height, TILE_IN / width, TILE_IN / height))
            _draw_cut(ax, example, view, _slice_of_interest(example, view, at_difference))
        _write_caption(figure, f"{place + 1}. {example.name}", example, left / width, (y - 0.05) / height)
    FigureCanvasAgg(figure)
    figure.savefig(target, metadata={"Software": None})


def _write_caption(figure: Figure, name: str, example: HardExample, x: float, y: float) -> None:
    """Name, then what was said and what the readers say in the width of the tile."""
    figure.text(x, y, name, fontsize=9, weight="bold", va="top")
    said = [line for part in (example.said, f"readers: {example.facts}") for line in wrap(part, 58)]
    figure.text(x, y, "\n" + "\n".join(said[:3]), fontsize=9, va="top", linespacing=1.25)


def _draw_cut(ax: Axes, example: HardExample, axis: int, at: int) -> None:
    """The cut ``at`` an index of ``axis`` (0 axial, 1 coronal), as a square that stays inside the patch."""
    from matplotlib.patheffects import withStroke

    centre = _centre(example)
    across = [other for other in (0, 1, 2) if other != axis]
    rows_mm, columns_mm = (example.spacing_kji_mm[other] for other in across)
    hu = np.take(example.hu, at, axis)
    extent = (-0.5 * columns_mm, (hu.shape[1] - 0.5) * columns_mm, -0.5 * rows_mm, (hu.shape[0] - 0.5) * rows_mm)
    low, high = WINDOW_HU
    ax.imshow(hu, "gray", vmin=low, vmax=high, extent=extent, origin="lower", interpolation="bilinear", aspect="auto")
    grid = np.arange(hu.shape[1]) * columns_mm, np.arange(hu.shape[0]) * rows_mm
    for outline, style in ((example.readers, READERS), (example.model, MODEL)):
        cut = None if outline is None else np.take(outline, at, axis)
        if cut is not None and cut.any() and min(cut.shape) > 1:
            ax.contour(*grid, cut.astype(float), [0.5], linewidths=1.3, **style)
    x, y = centre[across[1]] * columns_mm, centre[across[0]] * rows_mm
    if example.readers is None and example.model is None:
        ax.plot(x, y, "+", color=MODEL["colors"], ms=16, mew=1, path_effects=[withStroke(linewidth=2.5)])
    half = min(_width_mm(example), max(extent[1] - extent[0], extent[3] - extent[2])) / 2
    x, y = _inside(x, half, extent[:2]), _inside(y, half, extent[2:])
    ax.set(xlim=(x - half, x + half), ylim=(y - half, y + half), xticks=[], yticks=[], facecolor="black")
    if axis == 0:
        ax.invert_yaxis()
    ax.plot([0.05, 0.05 + SCALE_MM / (2 * half)], [0.05, 0.05], color="white", lw=2, transform=ax.transAxes)


def _inside(middle: float, half: float, ends: tuple[float, ...]) -> float:
    """The middle of a view of 2 ``half``, moved so that it shows nothing beyond the ends, or as little as can be."""
    low, high = ends[0] + half, ends[1] - half
    return (low + high) / 2 if low > high else min(max(middle, low), high)


def _outlined(example: HardExample) -> np.ndarray | None:
    """Voxels of either outline; ``None`` where there are none."""
    outlines = [outline > 0 for outline in (example.readers, example.model) if outline is not None]
    union = np.any(outlines, axis=0) if outlines else np.zeros(1, bool)
    return union if union.any() else None


def _centre(example: HardExample) -> np.ndarray:
    """Index of the middle of the outlines, or of the patch."""
    outlined = _outlined(example)
    if outlined is None:
        return (np.asarray(example.hu.shape) - 1) / 2
    places = np.argwhere(outlined)
    return (places.min(axis=0) + places.max(axis=0)) / 2


def _width_mm(example: HardExample) -> float:
    outlined = _outlined(example)
    if outlined is None:
        return LEAST_WIDTH_MM
    extent_mm = (np.ptp(np.argwhere(outlined), axis=0) + 1) * example.spacing_kji_mm
    return max(LEAST_WIDTH_MM, float(extent_mm.max()) + MARGIN_MM)


def _slice_of_interest(example: HardExample, axis: int, at_difference: bool) -> int:
    """Where the readers' outline (else the model's) is largest; ``at_difference``: where in it the two differ most."""
    outline = example.readers if example.readers is not None else example.model
    if outline is None or not outline.any():
        return round(_centre(example)[axis])
    across = tuple(other for other in (0, 1, 2) if other != axis)
    area = (outline > 0).sum(axis=across)
    if at_difference and example.readers is not None and example.model is not None:
        differing = ((example.readers > 0) != (example.model > 0)).sum(axis=across)
        area = np.where(area > 0, differing, 0)
    return int(area.argmax())
