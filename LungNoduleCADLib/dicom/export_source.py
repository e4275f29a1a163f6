"""The DICOM series that was analysed, taken up again: its headers in order, and masks laid onto its instances."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pydicom
from pydicom.config import disable_value_validation
from pydicom.dataset import Dataset
from pydicom.valuerep import DA, TM, PersonName

from LungNoduleCADLib.dicom.discover import find_series
from LungNoduleCADLib.dicom.headers import SliceHeader, quiet_pydicom, slice_headers, text
from LungNoduleCADLib.dicom.stack import check_slices, in_order, stack_geometry
from LungNoduleCADLib.domain.geometry import Geometry
from LungNoduleCADLib.domain.study import PatientHeader, SeriesDescription, SeriesRef
from LungNoduleCADLib.errors import InputError

_IDENTIFIERS = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "FrameOfReferenceUID")
_MAY_BE_EMPTY = ("PatientID", "PatientName", "PatientBirthDate", "PatientSex", "AccessionNumber", "StudyID",
                 "StudyDate", "StudyTime", "ReferringPhysicianName")  # fmt: skip
# Free text, and of a module that no CT has: a new object must have the first, but not what it says.
_EMPTIED, _TAKEN_OUT = ("PositionReferenceIndicator",), ("ContainerIdentifier", "ContainerDescription")
_STEP_TOLERANCE, _PLACE_TOLERANCE = 0.01, 0.1


@dataclass(frozen=True)
class SourceSeries:
    """One CT series without its pixels.

    Attributes
    ----------
    datasets : headers of its instances from feet to head; one only where it is a multi-frame object.
    geometry : slices from feet to head, rows and columns as stored.
    frames : for a multi-frame object the frame (from 0) of each slice, else empty.
    """

    datasets: tuple[Dataset, ...]
    geometry: Geometry
    frames: tuple[int, ...] = ()

    @property
    def patient(self) -> PatientHeader:
        """Whom the headers name."""
        first = self.datasets[0]
        named = PersonName(first.PatientName)
        return PatientHeader(
            named.family_comma_given().strip(", "),
            text(first, "PatientID"),
            text(first, "PatientBirthDate"),
            text(first, "AccessionNumber"),
        )

    def fits(self, grid: Geometry) -> bool:
        """Whether a grid has the very voxels of this series, in whatever order of axes."""
        try:
            start, shape, _ = self._placed(grid)
        except InputError:
            return False
        return start == (0, 0, 0) and shape == self.geometry.shape_kji

    def lay(self, voxels: np.ndarray, grid: Geometry, onto: np.ndarray) -> None:
        """Set the voxels of a bool (K, J, I) mask in an array on ``geometry``.

        Raises
        ------
        InputError : the mask's grid is not part of the series' grid.
        """
        start, shape, axes = self._placed(grid)
        turned = voxels.transpose([axis for axis, _ in axes])
        turned = turned[tuple(slice(None, None, step) for _, step in axes)]
        onto[tuple(slice(a, a + n) for a, n in zip(start, shape, strict=True))] |= turned

    def in_instance_order(self, planes: np.ndarray) -> np.ndarray:
        """Slices (K, …) from feet to head as ``datasets`` or the frames of the one dataset have them."""
        return planes[np.argsort(self.frames)] if self.frames else planes

    def _placed(self, grid: Geometry) -> tuple[tuple[int, ...], tuple[int, ...], list[tuple[int, int]]]:
        """First voxel and shape of a grid in this one, and for each axis here the grid's axis and its sense (±1)."""
        steps = np.linalg.solve(self.geometry.affine_kji_to_lps[:3, :3], grid.affine_kji_to_lps[:3, :3])
        whole = np.rint(steps)
        ordered = np.array_equal(np.abs(whole).sum(axis=0), np.ones(3)) and np.linalg.det(whole) != 0
        if not ordered or np.abs(steps - whole).max() > _STEP_TOLERANCE:
            raise _other_grid(grid, self.geometry)
        axes = [(int(np.abs(row).argmax()), int(row[np.abs(row).argmax()])) for row in whole]
        first = np.zeros(3)
        for axis, sense in axes:
            first[axis] = grid.shape_kji[axis] - 1 if sense < 0 else 0
        exact = self.geometry.to_kji(grid.to_lps_mm(first))
        start, shape = np.rint(exact).astype(int), [grid.shape_kji[axis] for axis, _ in axes]
        outside = np.any(start < 0) or np.any(start + shape > self.geometry.shape_kji)
        if outside or np.abs(exact - start).max() > _PLACE_TOLERANCE:
            raise _other_grid(grid, self.geometry)
        return tuple(start.tolist()), tuple(shape), axes


def open_source(place: Path, series: SeriesDescription, grid: Geometry) -> SourceSeries:
    """The series that was analysed, found again in a folder.

    Parameters
    ----------
    place : a folder, searched with its subfolders, or one file of the series.
    grid : that of the analysed CT.

    Raises
    ------
    InputError : it is not there, not whole, or lacks what a DICOM object made from it must repeat.
    """
    found = find_series(place.parent if place.is_file() else place)
    same = [ref for ref in found if ref.description.series_uid == series.series_uid]
    if not same:
        raise InputError(
            f"{place} does not hold the series that was analysed",
            expected=f"series {series.series_uid} ({series.description or 'without description'})",
            got=", ".join(ref.description.series_uid for ref in found[:3]) + (", …" if len(found) > 3 else ""),
            todo="give the folder of the scan that these results are of",
        )
    with quiet_pydicom():
        opened = [_open(ref) for ref in same]
        source = next((one for one in opened if one.fits(grid)), None)
        if source is None:
            raise _other_grid(grid, opened[0].geometry)
        for dataset in source.datasets:
            _complete(dataset, source)
    return source


def save(dataset: Dataset, path: Path) -> None:
    """Write a DICOM object as a file; values copied from the source are not judged again."""
    with quiet_pydicom(), disable_value_validation():
        dataset.save_as(path, enforce_file_format=True)


def _open(ref: SeriesRef) -> SourceSeries:
    by_slice: dict[int, Dataset] = {}
    slices: list[SliceHeader] = []
    for path in ref.files:
        try:
            dataset = pydicom.dcmread(path, stop_before_pixels=True, force=True)
            headers = slice_headers(path, dataset)
        except Exception as error:  # a damaged file can fail anywhere in the parser
            raise InputError(f"{path.name} cannot be read", got=str(error), todo="copy the file again") from error
        slices += headers
        by_slice |= {id(header): dataset for header in headers}
    slices = in_order(slices)
    for _, error in check_slices(slices):
        raise error
    geometry = stack_geometry(slices)
    if slices[0].frame is not None:
        return SourceSeries((by_slice[id(slices[0])],), geometry, tuple(one.frame or 0 for one in slices))
    return SourceSeries(tuple(by_slice[id(one)] for one in slices), geometry)


def _complete(dataset: Dataset, source: SourceSeries) -> None:
    """Fill in what DICOM wants present though empty, and take out what no new object may repeat."""
    for keyword in _IDENTIFIERS:
        if not text(dataset, keyword):
            raise InputError(
                f"the series has no {keyword}, which a DICOM object made from it must repeat",
                todo="export the series again from the PACS, or export the report without it",
            )
    for keyword in _MAY_BE_EMPTY:
        if keyword not in dataset or not _readable(dataset, keyword):
            setattr(dataset, keyword, "")
    for keyword in _EMPTIED:
        setattr(dataset, keyword, "")
    for keyword in _TAKEN_OUT:
        dataset.pop(keyword, None)
    if source.frames:
        _share_geometry(dataset)
    else:
        # slices may differ by rounding, which is harmless and which highdicom refuses
        dataset.ImageOrientationPatient = source.datasets[0].ImageOrientationPatient
        dataset.SpacingBetweenSlices = f"{source.geometry.spacing_kji_mm[0]:.6g}"
        dataset.SliceThickness = text(dataset, "SliceThickness") or dataset.SpacingBetweenSlices


def _share_geometry(dataset: Dataset) -> None:
    """Say once for all frames of a multi-frame object what the loader found to be alike in each."""
    shared = dataset.get("SharedFunctionalGroupsSequence") or [Dataset()]
    for keyword in ("PlaneOrientationSequence", "PixelMeasuresSequence"):
        if keyword not in shared[0]:
            setattr(shared[0], keyword, dataset.PerFrameFunctionalGroupsSequence[0].get(keyword))
    dataset.SharedFunctionalGroupsSequence = shared


def _readable(dataset: Dataset, keyword: str) -> bool:
    value = text(dataset, keyword)
    if keyword == "PatientSex":
        return value in ("", "M", "F", "O")
    kind = {"PatientBirthDate": DA, "StudyDate": DA, "StudyTime": TM}.get(keyword)
    try:
        return not value or kind is None or kind(value) is not None
    except ValueError:
        return False


def _other_grid(grid: Geometry, found: Geometry) -> InputError:
    return InputError(
        "the DICOM files are not the slices that were analysed",
        expected=_in_words(grid),
        got=_in_words(found),
        todo="give the complete, unchanged series",
    )


def _in_words(grid: Geometry) -> str:
    shape: Sequence[int] = grid.shape_kji
    height = ", ".join(f"{float(v):.1f}" for v in grid.origin_lps_mm)
    return f"{shape[0]} slices of {shape[2]} x {shape[1]} pixels from ({height}) mm"
