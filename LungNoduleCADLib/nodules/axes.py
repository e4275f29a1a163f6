"""Long and short axis of a nodule as a radiologist draws them: both in the axial slice where it is longest."""

from __future__ import annotations

from dataclasses import dataclass

import contourpy
import numpy as np
from scipy.spatial import ConvexHull

from LungNoduleCADLib.domain.geometry import Geometry
from LungNoduleCADLib.domain.nodule import AxialAxes, Point


@dataclass(frozen=True)
class _SliceAxes:
    """Axes in one slice: lengths in mm, end points (2, 2) as in-plane (j, i) mm."""

    long_mm: float
    short_mm: float
    long_ji_mm: np.ndarray
    short_ji_mm: np.ndarray


def round_to_tenth(value_mm: float) -> float:
    """Half up to 0.1 (5.95 becomes 6.0), as the ACR's size thresholds need, also a float a hair below."""
    return float(np.floor(value_mm * 10.0 + 0.5 + 1e-9) / 10.0)


def axial_axes(occupancy: np.ndarray, box: Geometry, first_slice: int = 0) -> AxialAxes | None:
    """Axes of the outline at half occupancy (ACR Lung-RADS v2022: long axis, and the longest line across it).

    Parameters
    ----------
    occupancy : (K, J, I), 0..1; a bool mask serves as well.
    box : the grid of ``occupancy``.
    first_slice : slice of the CT in which ``occupancy`` starts.

    Returns
    -------
    None where no voxel is half full.
    """
    field = np.asarray(occupancy, np.float32)
    best: tuple[int, _SliceAxes] | None = None
    for k in np.nonzero(field.max(axis=(1, 2)) >= 0.5)[0]:
        found = _slice_axes(field[k], box.spacing_kji_mm[1:])
        if found is not None and (best is None or found.long_mm > best[1].long_mm):
            best = (int(k), found)
    if best is None:
        return None
    k, axes = best
    return AxialAxes(
        long_axis_mm=round_to_tenth(axes.long_mm),
        short_axis_mm=round_to_tenth(axes.short_mm),
        slice_index=k + first_slice,
        long_axis_lps_mm=_end_points(axes.long_ji_mm, k, box),
        short_axis_lps_mm=_end_points(axes.short_ji_mm, k, box),
    )


def _slice_axes(field: np.ndarray, spacing_ji_mm: tuple[float, ...]) -> _SliceAxes | None:
    """Largest distance of two points of the outline, and the longest chord of its convex hull across that."""
    # The border of zeros closes outlines that reach the edge of the box.
    padded = np.pad(field, 1)
    j_mm = (np.arange(padded.shape[0]) - 1) * spacing_ji_mm[0]
    i_mm = (np.arange(padded.shape[1]) - 1) * spacing_ji_mm[1]
    # A hair below one half, so that a level met exactly on a pixel centre is not a degenerate contour.
    outlines = contourpy.contour_generator(j_mm, i_mm, padded.T).lines(0.5 - 1e-4)
    if not outlines:
        return None
    hull_mm = max((_hull(np.asarray(line)) for line in outlines), key=_area)
    apart = np.linalg.norm(hull_mm[:, None] - hull_mm[None], axis=2)
    start, end = np.unravel_index(int(apart.argmax()), apart.shape)
    along = (hull_mm[end] - hull_mm[start]) / apart[start, end]
    short_ji_mm = _longest_chord_across(hull_mm, int(start), int(end), along)
    return _SliceAxes(
        long_mm=float(apart[start, end]),
        short_mm=float(np.linalg.norm(short_ji_mm[1] - short_ji_mm[0])),
        long_ji_mm=hull_mm[[start, end]],
        short_ji_mm=short_ji_mm,
    )


def _hull(points_mm: np.ndarray) -> np.ndarray:
    """Vertices (N, 2) of the convex hull, in order."""
    return points_mm[ConvexHull(points_mm).vertices]


def _area(polygon: np.ndarray) -> float:
    after = np.roll(polygon, -1, axis=0)
    return float(abs(np.sum(polygon[:, 0] * after[:, 1] - after[:, 0] * polygon[:, 1])) / 2.0)


def _longest_chord_across(hull_mm: np.ndarray, start: int, end: int, along: np.ndarray) -> np.ndarray:
    """End points (2, 2) of the longest chord at right angles to ``along``; it runs through a vertex of the hull."""
    across = np.array([-along[1], along[0]])
    count = len(hull_mm)
    one_side = hull_mm[(start + np.arange((end - start) % count + 1)) % count]
    other_side = hull_mm[(end + np.arange((start - end) % count + 1)) % count][::-1]
    at = np.unique(hull_mm @ along)
    edges = [np.interp(at, side @ along, side @ across) for side in (one_side, other_side)]
    widest = int(np.abs(edges[0] - edges[1]).argmax())
    return np.array([at[widest] * along + edge[widest] * across for edge in edges])


def _end_points(ji_mm: np.ndarray, k: int, box: Geometry) -> tuple[Point, Point]:
    kji = np.column_stack([np.full(2, k), ji_mm / box.spacing_kji_mm[1:]])
    one, other = (tuple(float(v) for v in point) for point in box.to_lps_mm(kji))
    return one, other  # type: ignore[return-value]
