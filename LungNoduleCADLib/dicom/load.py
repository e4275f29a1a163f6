"""A series or an image file as a checked CtVolume in HU: k from feet to head, j from front to back, i to the left."""

from __future__ import annotations

import hashlib
import math
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from pydicom.dataset import Dataset

from LungNoduleCADLib.dicom.decode import decode_pixels
from LungNoduleCADLib.dicom.describe import describe
from LungNoduleCADLib.dicom.discover import choose_series, find_series
from LungNoduleCADLib.dicom.doubts import grid_doubts
from LungNoduleCADLib.dicom.headers import (
    SliceHeader,
    UnreadableFile,
    is_dicom,
    number,
    quiet_pydicom,
    read_dataset,
    slice_headers,
)
from LungNoduleCADLib.dicom.stack import MAX_OFF_AXIAL_DEGREES, check_slices, in_order, stack_geometry
from LungNoduleCADLib.domain.ct import CtVolume
from LungNoduleCADLib.domain.geometry import Geometry
from LungNoduleCADLib.domain.quality import QualityFlag, Severity
from LungNoduleCADLib.domain.study import SeriesDescription, SeriesRef
from LungNoduleCADLib.errors import InputError
from LungNoduleCADLib.imaging.sitk_bridge import geometry_of, to_sitk

MIN_HU, MAX_HU = -1024, 3071
IMAGE_SUFFIXES = (".nii", ".nii.gz", ".nrrd", ".nhdr", ".mha", ".mhd")

_MIN_FRACTION = 0.005
MOST_VOXELS = 2**30
NRRD_HEADER_BYTES, LONGEST_FIELD = 2**16, 1000
_DECODERS = 2


def load_ct(path: Path, study_date: date | None = None) -> CtVolume:
    """A CT from a DICOM folder (the best series in it), one file of a DICOM series, or a NIfTI / NRRD / MHA file.

    Parameters
    ----------
    study_date : the date of the scan where the file does not say; overrides what a header says.

    Raises
    ------
    InputError : nothing there, no usable CT, or one that fails a check.
    """
    if path.is_dir() or not path.exists():
        ct = load_series(choose_series(find_series(path))[0])
    elif is_dicom(path):
        ct = load_series(_series_of_file(path))
    else:
        return load_image(path, study_date)
    return replace(ct, series=replace(ct.series, study_date=study_date)) if study_date else ct


def load_series(ref: SeriesRef) -> CtVolume:
    """Decode a series that ``find_series`` found.

    Raises
    ------
    InputError : a damaged file, a missing slice, irregular spacing, a tilt, or values that are not HU; it names the
        file or slice.
    """
    if not ref.usable:
        serious = [flag.message for flag in ref.flags if flag.severity is Severity.SERIOUS]
        raise InputError("this series cannot be analysed", got=" ".join(serious).rstrip("."))
    with quiet_pydicom(), ThreadPoolExecutor(_DECODERS) as pool:
        decoded = [pair for pairs in pool.map(decode_file, ref.files) for pair in pairs]
    by_header = {id(header): hu for header, hu in decoded}
    slices = in_order([header for header, _ in decoded])
    for _, error in check_slices(slices):
        raise error
    hu, geometry = _canonical(np.stack([by_header[id(one)] for one in slices]), stack_geometry(slices))
    _check_hu(hu)
    return CtVolume(hu, geometry, describe(slices[0]), ref.flags)


def load_image(path: Path, study_date: date | None) -> CtVolume:
    """A CT in HU from a NIfTI, NRRD or MHA file.

    Raises
    ------
    InputError : not such a file, damaged, not 3D, not axial enough, or not HU.
    """
    if not path.name.lower().endswith(IMAGE_SUFFIXES):
        raise InputError(f"{path.name} is not a kind of file that can be read", expected="a DICOM folder or "
                         + ", ".join(IMAGE_SUFFIXES), got=path.suffix or "no extension")  # fmt: skip
    image = _read_image(path)
    array = sitk.GetArrayFromImage(image)
    hu, geometry = _canonical(_to_int16(np.nan_to_num(array, nan=MIN_HU)), geometry_of(image))
    _check_hu(hu)
    doubts = grid_doubts(geometry, None)
    for flag, blocks in doubts:
        if blocks:
            raise InputError(f"{path.name} cannot be analysed", got=flag.message.rstrip("."),
                             todo="use a thin axial chest CT")  # fmt: skip
    flags = [flag for flag, _ in doubts]
    if study_date is None:
        flags.append(QualityFlag("no_study_date", Severity.WARNING, "No study date: growth rates cannot be computed."))
    flags.append(
        QualityFlag(
            "no_header", Severity.INFO, f"The {path.suffix} file says nothing of patient, kernel or slice thickness."
        )
    )
    # a valid UID made of the content, so that the same image is recognised again
    uid = f"2.25.{int(hashlib.sha256(hu.tobytes()).hexdigest()[:32], 16)}"
    return CtVolume(hu, geometry, SeriesDescription(series_uid=uid, study_date=study_date), tuple(flags))


def _series_of_file(path: Path) -> SeriesRef:
    """The series that a DICOM file belongs to, among the files beside it."""
    for ref in find_series(path.parent):
        if path in ref.files:
            return choose_series([ref])[0]
    raise InputError(f"{path.name} is no CT image that can be read", todo="choose the folder that holds the scan")


def decode_file(path: Path) -> list[tuple[SliceHeader, np.ndarray]]:
    """(header, HU (rows, columns) int16) of each slice in a file.

    Raises
    ------
    InputError : damaged, or of a compression that cannot be decoded.
    """
    try:
        dataset = read_dataset(path, pixels=True)
        headers = slice_headers(path, dataset)
        pixels = decode_pixels(dataset)
        if headers and pixels.size != len(headers) * headers[0].shape_ji[0] * headers[0].shape_ji[1]:
            raise ValueError(f"{pixels.size} pixels for {len(headers)} slices")
    except MemoryError:
        raise
    except (UnreadableFile, Exception) as error:  # decoders fail in many ways on damaged data
        raise InputError(f"{path.name} is damaged or its compression is not supported", got=_first_line(error),
                         todo="copy the file again or export the series uncompressed") from error  # fmt: skip
    planes = pixels.reshape(len(headers), *headers[0].shape_ji) if headers else []
    return [(header, _to_hu(plane, header)) for header, plane in zip(headers, planes, strict=True)]


def _to_hu(pixels: np.ndarray, header: SliceHeader) -> np.ndarray:
    slope = 1.0 if header.slope is None else header.slope
    intercept = 0.0 if header.intercept is None else header.intercept
    hu = pixels.astype(np.float32) * np.float32(slope) + np.float32(intercept)
    low, high = _padding_range(header.dataset)
    if low is not None and high is not None:
        padding_hu = np.asarray([low, high]) * slope + intercept
        # a padding value amid tissue densities is a wrong header: honouring it would cut holes into the patient
        if padding_hu.max() < -1000 or padding_hu.min() > MAX_HU:
            hu[(pixels >= low) & (pixels <= high)] = MIN_HU
    return _to_int16(hu)


def _padding_range(dataset: Dataset) -> tuple[float | None, float | None]:
    padding = number(dataset, "PixelPaddingValue")
    if padding is None:
        return None, None
    limit = number(dataset, "PixelPaddingRangeLimit")
    values = [padding, padding if limit is None else limit]
    if number(dataset, "PixelRepresentation") == 1:  # written unsigned by some scanners
        values = [v - 65536 if v > 32767 else v for v in values]
    return min(values), max(values)


def _to_int16(hu: np.ndarray) -> np.ndarray:
    return np.clip(np.rint(hu), MIN_HU, MAX_HU).astype(np.int16)


def _canonical(hu: np.ndarray, geometry: Geometry) -> tuple[np.ndarray, Geometry]:
    """Axes flipped or swapped (never resampled) so that i runs to the left, j to the back, k to the head."""
    direction = np.asarray(geometry.direction).reshape(3, 3)
    if np.all(np.diag(direction) > np.cos(np.radians(45))):
        oriented, array = geometry, hu
    else:
        image = sitk.DICOMOrient(to_sitk(hu, geometry), "LPS")
        oriented, array = geometry_of(image), sitk.GetArrayFromImage(image)
        direction = np.asarray(oriented.direction).reshape(3, 3)
    off_axial = np.degrees(np.arccos(np.clip(direction[2, 2], -1, 1)))
    if off_axial > MAX_OFF_AXIAL_DEGREES:
        raise InputError("the image is not axial", expected=f"slices within {MAX_OFF_AXIAL_DEGREES:.0f} degrees of "
                         "axial", got=f"{off_axial:.0f} degrees", todo="use the axial reconstruction")  # fmt: skip
    return np.ascontiguousarray(array), oriented


def _check_hu(hu: np.ndarray) -> None:
    """A chest CT in HU has air (or lung) and soft tissue."""
    sample = hu[:: max(1, hu.shape[0] // 40), ::4, ::4]
    air = float(np.mean(sample < -700))
    soft = float(np.mean((sample > -150) & (sample < 200)))
    if air < _MIN_FRACTION or soft < _MIN_FRACTION:
        what = "no air (below -700 HU)" if air < _MIN_FRACTION else "no soft tissue (-150 to 200 HU)"
        raise InputError("the values are not Hounsfield units of a chest", expected="air and soft tissue",
                         got=f"{what}, values from {hu.min()} to {hu.max()}",
                         todo="check RescaleSlope and RescaleIntercept, or that the file is a chest CT")  # fmt: skip


def _read_image(path: Path) -> sitk.Image:
    if not path.is_file():
        raise InputError(f"the file {path} does not exist", todo="check the path")
    damaged = InputError(f"{path.name} is damaged or not what its extension says", todo="copy the file again")
    if path.suffix.lower() == ".nrrd" and not _is_nrrd_header(path):  # ITK's reader would crash
        raise damaged
    reader = sitk.ImageFileReader()
    reader.SetFileName(str(path))
    try:
        reader.ReadImageInformation()
        size = reader.GetSize()
        if min(size) < 1:
            raise damaged
        if math.prod(size) > MOST_VOXELS:
            raise InputError(f"{path.name} is too large for a chest CT", expected=f"at most {MOST_VOXELS:,} voxels",
                             got=" x ".join(map(str, size)), todo="crop it to the chest")  # fmt: skip
        image = reader.Execute()
    except RuntimeError as error:
        raise damaged from error
    if image.GetDimension() == 4 and image.GetSize()[3] == 1:
        image = image[:, :, :, 0]
    if image.GetDimension() != 3 or image.GetNumberOfComponentsPerPixel() != 1:
        raise InputError(f"{path.name} is not one 3D image", expected="three dimensions and one value per voxel",
                         got=f"{image.GetDimension()} dimensions and {image.GetNumberOfComponentsPerPixel()} values",
                         todo="save the CT alone")  # fmt: skip
    return image


def _is_nrrd_header(path: Path) -> bool:
    """Whether the fields of a NRRD file (not its comments and its key/value pairs) are short lines of ASCII."""
    with path.open("rb") as file:
        header = file.read(NRRD_HEADER_BYTES).replace(b"\r\n", b"\n").split(b"\n\n")[0]
    fields = [line for line in header.split(b"\n") if not line.startswith(b"#") and b":=" not in line]
    return header.startswith(b"NRRD") and all(len(line) < LONGEST_FIELD and line.isascii() for line in fields)


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0].split(" - ")[0].rstrip(".")[:160] if lines else type(error).__name__
