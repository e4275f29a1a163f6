"""Slices put in order along the patient, and the checks whether they make one regular volume."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from LungNoduleCADLib.dicom.headers import SliceHeader
from LungNoduleCADLib.domain.geometry import Geometry
from LungNoduleCADLib.errors import InputError

MAX_OFF_AXIAL_DEGREES = 15.0
MAX_TILT_DEGREES = 0.5
SAME_POSITION_MM = 0.01

Problem = tuple[str, InputError]
"""A stable code and the sentence for the user."""


def in_order(slices: Sequence[SliceHeader]) -> list[SliceHeader]:
    """From feet to head, by position along the slice normal; as given where positions are missing."""
    if any(s.position_mm is None or s.orientation is None for s in slices):
        return list(slices)
    heights = _heights_mm(slices)
    return [slices[n] for n in np.argsort(heights, kind="stable")]


def check_slices(slices: Sequence[SliceHeader]) -> list[Problem]:
    """What makes these slices (in order) unfit as one volume; empty where nothing does."""
    for one in slices:
        missing = [
            name
            for name, value in (
                ("ImagePositionPatient", one.position_mm),
                ("ImageOrientationPatient", one.orientation),
                ("PixelSpacing", one.spacing_ji_mm),
            )
            if value is None
        ]
        if missing:
            return [("no_geometry", InputError(
                f"{one.name} does not say where it lies", expected=" and ".join(missing),
                got="none or no numbers", todo="export the series again from the PACS"))]  # fmt: skip
    checks = (_check_alike, _check_axes, _check_duplicates, _check_axial, _check_rescale, _check_positions)
    return next((problems for check in checks if (problems := check(slices))), [])


def _check_alike(slices: Sequence[SliceHeader]) -> list[Problem]:
    first = slices[0]
    for one in slices[1:]:
        if one.shape_ji != first.shape_ji:
            return [("differing_shape", InputError(
                f"{one.name} differs in size from the other slices", expected=_size(first), got=_size(one),
                todo="use a series of one reconstruction"))]  # fmt: skip
        if not np.allclose(one.spacing_ji_mm, first.spacing_ji_mm, atol=1e-3):
            return [("differing_spacing", InputError(
                f"{one.name} differs in pixel spacing from the other slices", expected=f"{first.spacing_ji_mm} mm",
                got=f"{one.spacing_ji_mm} mm", todo="use a series of one reconstruction"))]  # fmt: skip
        if not np.allclose(one.orientation, first.orientation, atol=1e-2):
            return [("differing_orientation", InputError(
                f"{one.name} is oriented differently from the other slices",
                todo="use a series of one reconstruction"))]  # fmt: skip
    return []


def _check_axes(slices: Sequence[SliceHeader]) -> list[Problem]:
    first = slices[0]
    if min(first.shape_ji) < 1:
        return [("bad_size", InputError(
            f"{first.name} has no pixels", got=_size(first), todo="export the series again"))]  # fmt: skip
    row, column = np.asarray(first.orientation).reshape(2, 3)
    lengths = np.linalg.norm([row, column], axis=1)
    if np.any(np.abs(lengths - 1) > 0.01) or abs(row @ column) > 0.01 or min(first.spacing_ji_mm) <= 0:
        return [("bad_orientation", InputError(
            f"the orientation or pixel spacing of {first.name} is impossible",
            expected="two perpendicular unit vectors and a spacing above zero",
            got=f"{first.orientation} and {first.spacing_ji_mm} mm", todo="export the series again"))]  # fmt: skip
    return []


def _check_axial(slices: Sequence[SliceHeader]) -> list[Problem]:
    off_axial = np.degrees(np.arccos(min(1.0, abs(float(_normal(slices[0])[2])))))
    if off_axial > MAX_OFF_AXIAL_DEGREES:
        return [("not_axial", InputError(
            "the series is not axial", expected=f"slices within {MAX_OFF_AXIAL_DEGREES:.0f} degrees of axial",
            got=f"{off_axial:.0f} degrees", todo="use the axial reconstruction"))]  # fmt: skip
    return []


def _check_rescale(slices: Sequence[SliceHeader]) -> list[Problem]:
    return [("bad_rescale", InputError(
        f"{one.name} does not say what its values mean", expected="numbers as RescaleSlope and RescaleIntercept",
        got=one.unreadable_rescale, todo="export the series again"))
        for one in slices if one.unreadable_rescale][:1]  # fmt: skip


def _check_duplicates(slices: Sequence[SliceHeader]) -> list[Problem]:
    gaps = np.diff(_heights_mm(slices))
    if gaps.size and gaps.min() < SAME_POSITION_MM:
        n = int(gaps.argmin())
        return [("duplicate_positions", InputError(
            f"{slices[n].name} and {slices[n + 1].name} lie at the same position ({_at(slices[n])})",
            expected="one slice per position", got=f"{int((gaps < SAME_POSITION_MM).sum())} duplicates",
            todo="the series holds two acquisitions: export them as separate series"))]  # fmt: skip
    return []


def _check_positions(slices: Sequence[SliceHeader]) -> list[Problem]:
    """Gantry tilt, missing slices, irregular spacing: the first that is found."""
    if len(slices) < 2:
        return []
    heights = _heights_mm(slices)
    gaps = np.diff(heights)
    tilt = _tilt_degrees(slices)
    if tilt > MAX_TILT_DEGREES:
        return [("gantry_tilt", InputError(
            "the slices are sheared by a gantry tilt", expected="slices stacked along their normal",
            got=f"a tilt of {tilt:.1f} degrees", todo="use an untilted or tilt-corrected reconstruction"))]  # fmt: skip
    usual = float(np.median(gaps))
    wide = np.flatnonzero(gaps > 1.5 * usual)
    if wide.size:
        n = int(wide[0])
        others = f" (and {wide.size - 1} more gaps)" if wide.size > 1 else ""
        return [("missing_slices", InputError(
            f"a slice is missing between {slices[n].name} ({_at(slices[n])}) and {slices[n + 1].name} "
            f"({_at(slices[n + 1])}){others}", expected=f"a slice every {usual:.2f} mm",
            got=f"a gap of {gaps[n]:.2f} mm", todo="copy the complete series and try again"))]  # fmt: skip
    regular = np.linspace(heights[0], heights[-1], len(heights))
    deviation = np.abs(heights - regular)
    if deviation.max() > max(0.1, 0.1 * usual):
        n = int(deviation.argmax())
        return [("irregular_spacing", InputError(
            f"the slice spacing is irregular, worst at {slices[n].name} ({_at(slices[n])})",
            expected=f"a slice every {usual:.2f} mm", got=f"gaps of {gaps.min():.2f} to {gaps.max():.2f} mm",
            todo="use a reconstruction with one slice spacing"))]  # fmt: skip
    return []


def stack_geometry(slices: Sequence[SliceHeader]) -> Geometry:
    """The grid of checked slices in order; spacing along k from the positions, never from SliceThickness."""
    first = slices[0]
    row, column = np.asarray(first.orientation).reshape(2, 3)
    row = row / np.linalg.norm(row)
    column = column - (column @ row) * row
    column = column / np.linalg.norm(column)
    direction = np.stack([row, column, _normal(first)], axis=1)
    heights = _heights_mm(slices)
    spacing_k = float(heights[-1] - heights[0]) / (len(slices) - 1) if len(slices) > 1 else first.thickness_mm or 1.0
    return Geometry(
        shape_kji=(len(slices), *first.shape_ji),
        origin_lps_mm=first.position_mm,  # type: ignore[arg-type]
        spacing_kji_mm=(spacing_k, *first.spacing_ji_mm),  # type: ignore[misc]
        direction=tuple(float(v) for v in direction.ravel()),
    )


def _normal(one: SliceHeader) -> np.ndarray:
    """Unit normal of a slice, turned towards the head."""
    row, column = np.asarray(one.orientation).reshape(2, 3)
    normal = np.cross(row, column)
    normal = normal / max(float(np.linalg.norm(normal)), 1e-9)
    return -normal if normal[2] < 0 else normal


def _heights_mm(slices: Sequence[SliceHeader]) -> np.ndarray:
    return np.asarray([s.position_mm for s in slices], float) @ _normal(slices[0])


def _tilt_degrees(slices: Sequence[SliceHeader]) -> float:
    travel = np.asarray(slices[-1].position_mm, float) - np.asarray(slices[0].position_mm, float)
    return float(np.degrees(np.arccos(min(1.0, abs(travel @ _normal(slices[0])) / np.linalg.norm(travel)))))


def _size(one: SliceHeader) -> str:
    return f"{one.shape_ji[1]} x {one.shape_ji[0]} pixels"


def _at(one: SliceHeader) -> str:
    return f"S {one.position_mm[2]:.1f} mm" if one.position_mm else "no position"
