"""How good a registration is: how far corresponding points are apart after it, and whether it folds in the lungs."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import SimpleITK as sitk

from LungNoduleCADLib.domain.geometry import Geometry
from LungNoduleCADLib.errors import InputError
from LungNoduleCADLib.evaluation.bootstrap import interval, number, resampled_rows

JACOBIAN_GRID_MM = 2.5


class PointTransform(Protocol):
    """Anything that maps a point as SimpleITK's transforms do."""

    def TransformPoint(self, point: list[float]) -> tuple[float, ...]: ...  # noqa: N802


@dataclass(frozen=True)
class LandmarkError:
    """Distances in mm; ``n_left_out`` landmarks lay outside of the images and were not used.

    ``mean_95_mm``, ``p95_95_mm``: 95 % intervals over 1000 bootstrap draws of the landmarks.
    """

    n: int
    n_left_out: int
    initial_mean_mm: float
    mean_mm: float
    mean_95_mm: tuple[float, float]
    sd_mm: float
    median_mm: float
    p95_mm: float
    p95_95_mm: tuple[float, float]
    max_mm: float

    def as_json(self) -> dict[str, object]:
        """Its fields, to 0.001 mm."""
        return {k: v if isinstance(v, int) else np.round(v, 3).tolist() for k, v in asdict(self).items()}


@dataclass(frozen=True)
class Folding:
    """Jacobian determinants of a transform inside the lungs; a point folds where it is 0 or less."""

    n: int
    folding_fraction: float
    jacobian_min: float
    jacobian_p1: float
    jacobian_p99: float

    def as_json(self) -> dict[str, float | int | None]:
        """Its fields, rounded."""
        return {k: v if isinstance(v, int) else number(v) for k, v in asdict(self).items()}


def landmark_error_mm(
    transform: PointTransform,
    current_points: np.ndarray,
    prior_points: np.ndarray,
    current_geometry: Geometry | None = None,
    prior_geometry: Geometry | None = None,
) -> LandmarkError:
    """Distance of ``transform(current point)`` to its prior point.

    Parameters
    ----------
    current_points, prior_points : (N, 3) LPS mm, row by row the same anatomy.
    current_geometry, prior_geometry : leave out landmarks that the scan does not show.

    Raises
    ------
    InputError : the lists differ in length, or no landmark is inside the images.
    """
    if current_points.shape != prior_points.shape:
        raise InputError(
            "The two landmark lists do not correspond",
            expected=f"{len(current_points)} points in both",
            got=f"{len(prior_points)} in the second",
            todo="give both lists in the same order",
        )
    used = np.ones(len(current_points), bool)
    for points, geometry in ((current_points, current_geometry), (prior_points, prior_geometry)):
        if geometry is not None:
            used &= np.array([geometry.contains(point) for point in points], bool)
    if not used.any():
        raise InputError(
            "No landmark lies inside the images",
            expected="points in LPS mm of these two scans",
            todo="check that the landmarks belong to these scans and are LPS, not RAS",
        )
    current, prior = current_points[used], prior_points[used]
    moved = np.array([transform.TransformPoint([float(v) for v in point]) for point in current])
    error = np.linalg.norm(moved - prior, axis=1)
    draws = [error[rows] for rows in resampled_rows([str(n) for n in range(len(error))])]
    return LandmarkError(
        n=int(used.sum()),
        n_left_out=int((~used).sum()),
        initial_mean_mm=float(np.linalg.norm(current - prior, axis=1).mean()),
        mean_mm=float(error.mean()),
        mean_95_mm=interval(float(draw.mean()) for draw in draws),
        sd_mm=float(error.std()),
        median_mm=float(np.median(error)),
        p95_mm=float(np.percentile(error, 95)),
        p95_95_mm=interval(float(np.percentile(draw, 95)) for draw in draws),
        max_mm=float(error.max()),
    )


def folding(transform: sitk.Transform, lungs: np.ndarray, geometry: Geometry) -> Folding:
    """Jacobian determinants of the whole transform on a 2.5 mm grid inside the lungs.

    Parameters
    ----------
    lungs : bool (K, J, I) on ``geometry``, the grid whose points ``transform`` maps.

    Raises
    ------
    InputError : the lungs are empty.
    """
    where = np.argwhere(lungs)
    if not len(where):
        raise InputError("Folding cannot be measured", expected="a lung mask", got="an empty one")
    first, last = geometry.to_lps_mm(where.min(axis=0)), geometry.to_lps_mm(where.max(axis=0))
    low, high = np.minimum(first, last), np.maximum(first, last)
    size = [int(n) for n in np.ceil((high - low) / JACOBIAN_GRID_MM) + 3]
    origin = [float(v) for v in low - JACOBIAN_GRID_MM]
    identity = list(np.eye(3).ravel())
    field = sitk.TransformToDisplacementField(
        transform, sitk.sitkVectorFloat64, size, origin, [JACOBIAN_GRID_MM] * 3, identity
    )
    jacobian = sitk.GetArrayFromImage(sitk.DisplacementFieldJacobianDeterminant(field))
    lps = np.asarray(origin) + JACOBIAN_GRID_MM * np.stack(list(np.indices(jacobian.shape))[::-1], axis=-1)
    kji = np.rint(geometry.to_kji(lps)).astype(int)
    inside = np.all((kji >= 0) & (kji < lungs.shape), axis=-1)
    inside[inside] = lungs[tuple(kji[inside].T)]
    values = jacobian[inside]
    return Folding(
        n=int(values.size),
        folding_fraction=float(np.mean(values <= 0)),
        jacobian_min=float(values.min()),
        jacobian_p1=float(np.percentile(values, 1)),
        jacobian_p99=float(np.percentile(values, 99)),
    )


def read_landmarks(path: Path) -> np.ndarray:
    """Landmarks (N, 3) in LPS mm from a text file: the word ``point``, their number, then one line of x y z each.

    Raises
    ------
    InputError : the file does not hold that.
    """

    def broken(got: str) -> InputError:
        return InputError(
            f"{path.name} is no landmark file",
            expected="'point', a count, then lines of three LPS mm",
            got=got,
            todo="give points in mm, not indices",
        )

    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise broken(type(error).__name__) from error
    lines = [line.strip() for line in lines if line.strip()]
    if len(lines) < 3 or lines[0].lower() != "point" or not lines[1].isdigit():
        raise broken(f"{' / '.join(lines[:2])[:60]!r}")
    try:
        points = np.array([[float(v) for v in line.split()] for line in lines[2:]])
    except ValueError as error:
        raise broken("a line that is not three numbers") from error
    if points.shape != (int(lines[1]), 3):
        raise broken(f"{len(lines) - 2} points where the file says {lines[1]}")
    return points
