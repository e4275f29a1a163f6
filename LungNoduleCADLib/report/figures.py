"""Key images and the growth plot, drawn with matplotlib's objects (no display, no global state)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from textwrap import fill
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from LungNoduleCADLib.domain.comparison import TimePoint
from LungNoduleCADLib.domain.ct import CtVolume
from LungNoduleCADLib.domain.masks import LungMask
from LungNoduleCADLib.domain.nodule import AxialAxes, Nodule, Point, Saliency
from LungNoduleCADLib.report import words
from LungNoduleCADLib.report.planes import Orientation, Plane

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.image import AxesImage

LUNG_WINDOW_HU = (-1350.0, 150.0)  # centre -600, width 1500
OUTLINE, CALIPER, TEXT = "#ffd400", "#4cc9f0", "#ffffff"
WIDTH_MM, MARGIN_MM = 60.0, 30.0
_DPI = 220
_OVERVIEW_RIM_MM = 14.0  # around the lungs, for the names of nodules at their edge
_LINE = 26  # characters that a picture is wide


def save_key_images(nodule: Nodule, ct: CtVolume, path: Path) -> None:
    """One row: axial with outline and axes, coronal, sagittal, and axial with the heat map (or why there is none)."""
    figure, axes = _row(4)
    width = view_width_mm((nodule,))
    for ax, orientation in zip(axes, Orientation, strict=False):
        draw_plane(ax, ct, nodule, orientation, width)
    draw_saliency(axes[3], ct, nodule, width)
    _save(figure, path)


def titled_picture(path: Path, *lines: str) -> np.ndarray:
    """A picture under lines of white on black, uint8 (rows, columns, 3)."""
    from matplotlib import get_data_path
    from PIL import Image, ImageDraw, ImageFont

    with Image.open(path) as picture:
        below = picture.convert("RGB")
    font = ImageFont.truetype(str(Path(get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"), 24)
    step = 34
    whole = Image.new("RGB", (below.width, below.height + step * len(lines) + 8))
    draw = ImageDraw.Draw(whole)
    for number, line in enumerate(lines):
        draw.text((10, 4 + number * step), line, fill=TEXT, font=font)
    whole.paste(below, (0, step * len(lines) + 8))
    return np.asarray(whole)


def save_pair(prior: Nodule, prior_ct: CtVolume, current: Nodule, ct: CtVolume, path: Path) -> None:
    """Prior and current axial cut side by side at the same scale."""
    figure, axes = _row(2)
    width = view_width_mm((prior, current))
    for ax, when, nodule, volume in ((axes[0], "prior", prior, prior_ct), (axes[1], "current", current, ct)):
        draw_plane(ax, volume, nodule, Orientation.AXIAL, width)
        day = volume.series.study_date
        ax.set_title(f"{when}, {day.isoformat()}" if day else when, fontsize=7, pad=3)
    _save(figure, path)


def save_overview(nodules: Iterable[Nodule], ct: CtVolume, lungs: LungMask, path: Path) -> None:
    """Where the nodules lie: the lungs seen from the front, brightest voxel along the way, with the nodules' ids."""
    inside = np.where(lungs.labels > 0, ct.hu, np.int16(-1024))
    projection = inside.max(axis=1)
    keep = np.argwhere((lungs.labels > 0).any(axis=1))
    (k0, i0), (k1, i1) = keep.min(axis=0), keep.max(axis=0) + 1
    sk, _, si = ct.geometry.spacing_kji_mm
    height, width = (k1 - k0) * sk, (i1 - i0) * si
    x0, x1, y1 = -_OVERVIEW_RIM_MM, width + _OVERVIEW_RIM_MM, height + _OVERVIEW_RIM_MM
    figure = Figure(figsize=(2.6, 2.6 * y1 / (x1 - x0)), dpi=_DPI, facecolor="black")
    ax = figure.add_axes((0, 0, 1, 1))
    ax.imshow(
        projection[k0:k1, i0:i1],
        cmap="gray",
        vmin=-1000,
        vmax=200,
        aspect="auto",
        origin="lower",
        extent=(0, width, 0, height),
        interpolation="bilinear",
    )
    for nodule in nodules:
        k, _, i = ct.geometry.to_kji(nodule.centroid_lps_mm)
        x, y = (i - i0 + 0.5) * si, (k - k0 + 0.5) * sk
        ax.plot(x, y, "o", mfc="none", mec=OUTLINE, ms=9, mew=1.1)
        _text(ax, x, y + 9, nodule.id, ha="center", va="bottom", color=OUTLINE, weight="bold")
    _text(ax, x0 + 3, y1 - 3, "R", ha="left", va="top")
    _text(ax, x1 - 3, y1 - 3, "L", ha="right", va="top")
    ax.set(xlim=(x0, x1), ylim=(0, y1))
    ax.axis("off")
    _save(figure, path)


def save_growth(points: Sequence[TimePoint], target: Path | BinaryIO) -> None:
    """Volume (mm³) over all exams that show the nodule, each with the 95 % interval of one measurement as error bar.

    The exams stand as far apart as their dates; at equal distances where a date is unknown.
    """
    shown = [point for point in points if point.volume_mm3 is not None]
    dated = all(point.days is not None for point in shown) and len({point.days for point in shown}) == len(shown)
    days = [-float(point.days or 0) if dated else float(n) for n, point in enumerate(shown)]
    volumes = np.array([point.volume_mm3 for point in shown], float)
    ends = np.array([point.volume_interval_95_mm3 or (point.volume_mm3,) * 2 for point in shown], float).reshape(-1, 2)
    figure = Figure(figsize=(2.5, 1.75), dpi=_DPI)
    ax = figure.add_subplot()
    errors = [volumes - ends[:, 0], ends[:, 1] - volumes]
    ax.errorbar(days, volumes, yerr=errors, fmt="-o", color="#1f3a5f", ms=4, lw=1.2, capsize=4)
    span = (max(days) - min(days)) or 1.0
    for n in _apart(days, 0.16 * span):
        above = (days[n], max(ends[n, 1], volumes[n]))
        ax.annotate(f"{volumes[n]:,.0f}", above, (0, 3), textcoords="offset points", fontsize=7, ha="center")
    names = [point.study_date.isoformat() if point.study_date else _unnamed(n, shown) for n, point in enumerate(shown)]
    named = _apart(days, 0.08 * span)
    slanted = {"rotation": 40, "ha": "right", "rotation_mode": "anchor"} if len(shown) > 2 else {}
    ax.set_xticks(days, [name if n in named else "" for n, name in enumerate(names)], fontsize=7, **slanted)
    ax.set(xlim=(min(days) - 0.18 * span, max(days) + 0.18 * span), ylim=(0, ends.max() * 1.15 or 1))
    ax.set_ylabel("volume (mm³)", fontsize=7)
    ax.tick_params(axis="y", labelsize=7)
    ax.spines[["top", "right"]].set_visible(False)
    figure.tight_layout(pad=0.4)
    _save(figure, target)


def _apart(days: Sequence[float], least: float) -> list[int]:
    """The points that can be labeled without touching one another; the newest always is."""
    kept: list[int] = []
    for n in reversed(range(len(days))):
        if not kept or days[kept[-1]] - days[n] >= least:
            kept.append(n)
    return kept


def _unnamed(number: int, points: Sequence[TimePoint]) -> str:
    return "current" if number == len(points) - 1 else "prior"


def view_width_mm(nodules: Iterable[Nodule]) -> float:
    """60 mm, or more where a nodule would not fit with a margin."""
    longest = max((n.measurements.axes.long_axis_mm for n in nodules if n.measurements), default=0.0)
    return max(WIDTH_MM, longest + MARGIN_MM)


def draw_plane(ax: Axes, ct: CtVolume, nodule: Nodule, orientation: Orientation, width_mm: float) -> None:
    """A cut through the nodule's centre (axial: the slice its axes were measured in) with outline, axes and scale."""
    measured = nodule.measurements.axes if nodule.measurements else None
    plane = Plane(orientation, _centre(nodule, orientation, measured), width_mm)
    _draw_ct(ax, ct, plane)
    if nodule.mask is not None:
        _draw_outline(ax, plane, plane.cut_mask(nodule.mask))
    if measured and orientation is Orientation.AXIAL:
        for line in (measured.long_axis_lps_mm, measured.short_axis_lps_mm):
            (x0, y0), (x1, y1) = (plane.to_mm(point) for point in line)
            ax.plot([x0, x1], [y0, y1], color=CALIPER, lw=0.7)


def draw_saliency(ax: Axes, ct: CtVolume, nodule: Nodule, width_mm: float) -> None:
    """Axial cut with the heat map over it: transparent at 0, its own absolute scale in the colour bar."""
    measured = nodule.measurements.axes if nodule.measurements else None
    plane = Plane(Orientation.AXIAL, _centre(nodule, Orientation.AXIAL, measured), width_mm)
    _draw_ct(ax, ct, plane)
    why = words.no_heat_map(nodule)
    if why or nodule.saliency is None:
        _text(ax, 0, -width_mm * 0.40, fill(why, width=_LINE), ha="center", va="top")
        return
    _draw_heat(ax, plane, nodule.saliency)
    if nodule.mask is not None:
        _draw_outline(ax, plane, plane.cut_mask(nodule.mask), lw=0.5)


def _draw_heat(ax: Axes, plane: Plane, saliency: Saliency) -> None:
    heat = plane.cut_box(saliency.heat, saliency.geometry)
    top = float(saliency.heat.max())
    half = plane.width_mm / 2
    drawn = ax.imshow(
        heat,
        cmap="inferno",
        vmin=0,
        vmax=top,
        alpha=np.clip(heat / top * 1.2, 0, 0.65),
        extent=(-half, half, half, -half),
        interpolation="bilinear",
    )
    bar_axes = ax.inset_axes((0.955, 0.12, 0.035, 0.76))
    bar = ax.figure.colorbar(_opaque(drawn, top), cax=bar_axes)
    bar.set_ticks([0, top], labels=["0", f"{top:.2g}"])
    bar.ax.yaxis.set_ticks_position("left")
    bar.ax.tick_params(labelsize=6, colors=TEXT, length=1.5, pad=1)
    for label in bar.ax.get_yticklabels():
        label.set_path_effects(_rim())
    _text(ax, -half * 0.95, half * 0.80, f"{saliency.target}, logit {saliency.score:.2f}", ha="left", va="bottom")


def _opaque(drawn: AxesImage, top: float) -> ScalarMappable:
    """The overlay's colours without its transparency, for the colour bar."""
    return ScalarMappable(Normalize(0, top), drawn.cmap)


def _centre(nodule: Nodule, orientation: Orientation, measured: AxialAxes | None) -> Point:
    if orientation is not Orientation.AXIAL or measured is None:
        return nodule.centroid_lps_mm
    left, posterior, _ = nodule.centroid_lps_mm
    start, end = measured.long_axis_lps_mm
    return left, posterior, (start[2] + end[2]) / 2


def _draw_ct(ax: Axes, ct: CtVolume, plane: Plane) -> None:
    half = plane.width_mm / 2
    low, high = LUNG_WINDOW_HU
    ax.imshow(
        plane.cut_ct(ct.hu, ct.geometry),
        cmap="gray",
        vmin=low,
        vmax=high,
        extent=(-half, half, half, -half),
        interpolation="bilinear",
    )
    ax.set(xlim=(-half, half), ylim=(half, -half), xticks=[], yticks=[])
    ax.spines[:].set_visible(False)
    left, top = plane.orientation.letters
    _text(ax, -half * 0.95, 0, left, ha="left", va="center")
    _text(ax, 0, -half * 0.95, top, ha="center", va="top")
    ax.plot(
        [-half * 0.95, -half * 0.95 + 10],
        [half * 0.92] * 2,
        color=TEXT,
        lw=1.6,
        solid_capstyle="butt",
        path_effects=_rim(2.8),
    )
    _text(ax, -half * 0.95 + 11.5, half * 0.92, "10 mm", ha="left", va="center")


def _draw_outline(ax: Axes, plane: Plane, share: np.ndarray, lw: float = 0.9) -> None:
    if share.max() < 0.5:
        return
    at = np.linspace(-plane.width_mm / 2, plane.width_mm / 2, plane.size)
    ax.contour(at, at, share, levels=[0.5], colors=[OUTLINE], linewidths=lw)


def _text(ax: Axes, x: float, y: float, text: str, color: str = TEXT, **keywords: Any) -> None:
    """White on a dark rim: legible on lung and on bone."""
    ax.text(x, y, text, fontsize=6.5, color=color, path_effects=_rim(), **keywords)


def _rim(width: float = 1.6) -> list[Any]:
    from matplotlib.patheffects import withStroke

    return [withStroke(linewidth=width, foreground="black")]


def _row(count: int) -> tuple[Figure, list[Axes]]:
    """Square pictures side by side with a title line over each."""
    side, gap, title = 1.72, 0.04, 0.17
    width = count * side + (count - 1) * gap
    figure = Figure(figsize=(width, side + title), dpi=_DPI)
    axes = [figure.add_axes((n * (side + gap) / width, 0, side / width, side / (side + title))) for n in range(count)]
    names = ("axial", "coronal", "sagittal", "heat map, axial")
    for ax, name in zip(axes, names, strict=False):
        ax.set_title(name, fontsize=7, pad=3)
    return figure, axes


def _save(figure: Figure, target: Path | BinaryIO) -> None:
    FigureCanvasAgg(figure)
    # hardly larger than at the best compression, and a third quicker: a reader waits for it
    figure.savefig(target, format="png", metadata={"Software": None}, pil_kwargs={"compress_level": 1})
