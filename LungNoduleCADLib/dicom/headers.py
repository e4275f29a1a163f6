"""One record per DICOM slice (or frame) as its header describes it; pixel data are not touched."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pydicom
from pydicom.dataset import Dataset
from pydicom.uid import CTImageStorage, EnhancedCTImageStorage, LegacyConvertedEnhancedCTImageStorage

MULTI_FRAME_CT = (EnhancedCTImageStorage, LegacyConvertedEnhancedCTImageStorage)
CT_CLASSES = (CTImageStorage, *MULTI_FRAME_CT)

_TAGS = [
    "SOPClassUID", "SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID", "Modality", "ImageType",
    "PatientID", "PatientAge", "PatientBirthDate", "PatientSex", "PatientPosition", "BodyPartExamined",
    "StudyDate", "AcquisitionDate", "SeriesDate", "ContentDate", "SeriesDescription", "Manufacturer",
    "ConvolutionKernel", "SliceThickness", "KVP", "ContrastBolusAgent", "AcquisitionNumber", "LossyImageCompression",
    "Rows", "Columns", "SamplesPerPixel", "NumberOfFrames", "PixelSpacing", "ImagePositionPatient",
    "ImageOrientationPatient", "RescaleSlope", "RescaleIntercept", "PixelRepresentation", "PixelPaddingValue",
    "PixelPaddingRangeLimit", "SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence",
]  # fmt: skip


@dataclass(frozen=True)
class SliceHeader:
    """One slice. ``position_mm`` and ``orientation`` as DICOM writes them (LPS); ``None`` where missing or unreadable.

    ``frame`` is the frame number in a multi-frame file, ``None`` in a file of its own. ``dataset`` keeps the header
    for the description of the series.
    """

    path: Path
    frame: int | None
    dataset: Dataset
    sop_uid: str
    series_uid: str
    sop_class: str
    modality: str
    image_type: tuple[str, ...]
    acquisition: str
    shape_ji: tuple[int, int]
    spacing_ji_mm: tuple[float, float] | None
    position_mm: tuple[float, float, float] | None
    orientation: tuple[float, ...] | None
    thickness_mm: float | None
    slope: float | None
    intercept: float | None
    unreadable_rescale: str
    """What stands where slope or intercept should, if it is no number."""

    @property
    def name(self) -> str:
        """What to call it in a message."""
        return self.path.name if self.frame is None else f"{self.path.name} frame {self.frame + 1}"


class UnreadableFile(Exception):
    """A file that claims to be DICOM and cannot be parsed."""


@contextmanager
def quiet_pydicom() -> Iterator[None]:
    """Keep pydicom's remarks on sloppy headers off the user's terminal; what matters is checked here."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def is_dicom(path: Path) -> bool:
    """Whether a file starts like DICOM: by its preamble, or (old files) directly with group 0002 or 0008."""
    with path.open("rb") as file:
        head = file.read(132)
    if head[128:132] == b"DICM":
        return True
    starts_with_low_tag = head[:2] in (b"\x02\x00", b"\x08\x00") and len(head) == 132 and head[3] == 0
    return starts_with_low_tag and (head[4:6].isalpha() or head[6:8] == b"\x00\x00")


def read_dataset(path: Path, *, pixels: bool) -> Dataset:
    """Read a file's header (the tags used here only) or, with ``pixels``, all of it.

    Raises
    ------
    UnreadableFile : it cannot be parsed, or has no SOP class.
    """
    try:
        if pixels:
            dataset = pydicom.dcmread(path, force=True)
        else:
            dataset = pydicom.dcmread(path, stop_before_pixels=True, specific_tags=_TAGS, force=True)
        if "SOPClassUID" not in dataset and "DirectoryRecordSequence" not in dataset:
            meta_class = getattr(dataset.file_meta, "MediaStorageSOPClassUID", None)
            if meta_class is None:
                raise ValueError("no SOP class")
            dataset.SOPClassUID = meta_class
    except Exception as error:  # a damaged file can fail anywhere in the parser
        raise UnreadableFile(f"{path.name}: {error}") from error
    return dataset


def slice_headers(path: Path, dataset: Dataset) -> tuple[SliceHeader, ...]:
    """The slices of a file: one, or one per frame of an enhanced CT; none where it is not an image.

    Raises
    ------
    UnreadableFile : it claims to be a CT image and is not whole.
    """
    try:
        return _slice_headers(path, dataset)
    except (UnreadableFile, MemoryError):
        raise
    except Exception as error:  # elements are parsed when they are looked at, and can fail then, too
        raise UnreadableFile(f"{path.name}: {error}") from error


def _slice_headers(path: Path, dataset: Dataset) -> tuple[SliceHeader, ...]:
    if number(dataset, "Rows") is None or number(dataset, "Columns") is None:
        if text(dataset, "SOPClassUID") in CT_CLASSES:
            raise UnreadableFile(f"{path.name}: a CT image whose header breaks off")
        return ()
    if text(dataset, "SOPClassUID") not in MULTI_FRAME_CT:
        return (_slice_header(path, dataset, None, [dataset]),)
    shared = _item(dataset, "SharedFunctionalGroupsSequence")
    frames = dataset.get("PerFrameFunctionalGroupsSequence") or []
    return tuple(_slice_header(path, dataset, n, _groups(frame, shared)) for n, frame in enumerate(frames))


def _groups(frame: Dataset, shared: Dataset) -> list[Dataset]:
    """The functional groups that hold what a single-slice header has at top level; per frame before shared."""
    names = ("PixelMeasuresSequence", "PlanePositionSequence", "PlaneOrientationSequence",
             "PixelValueTransformationSequence", "CTImageFrameTypeSequence")  # fmt: skip
    return [_item(where, name) for where in (frame, shared) for name in names]


def _item(dataset: Dataset, keyword: str) -> Dataset:
    sequence = dataset.get(keyword)
    return sequence[0] if sequence else Dataset()


def _slice_header(path: Path, dataset: Dataset, frame: int | None, groups: list[Dataset]) -> SliceHeader:
    def values(keyword: str, count: int) -> Any:
        found = (numbers(group, keyword, count) for group in groups)
        return next((value for value in found if value is not None), None)

    def one(keyword: str) -> float | None:
        value = values(keyword, 1)
        return value[0] if value else None

    return SliceHeader(
        path=path,
        frame=frame,
        dataset=dataset,
        sop_uid=text(dataset, "SOPInstanceUID"),
        series_uid=text(dataset, "SeriesInstanceUID"),
        sop_class=text(dataset, "SOPClassUID"),
        modality=text(dataset, "Modality") or "?",
        image_type=tuple(text(dataset, "ImageType").upper().split("\\")),
        acquisition=text(dataset, "AcquisitionNumber"),
        shape_ji=(int(number(dataset, "Rows") or 0), int(number(dataset, "Columns") or 0)),
        spacing_ji_mm=values("PixelSpacing", 2),
        position_mm=values("ImagePositionPatient", 3),
        orientation=values("ImageOrientationPatient", 6),
        thickness_mm=one("SliceThickness"),
        slope=one("RescaleSlope"),
        intercept=one("RescaleIntercept"),
        unreadable_rescale=next(
            (
                said
                for keyword in ("RescaleSlope", "RescaleIntercept")
                for group in groups
                if (said := text(group, keyword)) and one(keyword) is None
            ),
            "",
        ),
    )


def text(dataset: Dataset, keyword: str) -> str:
    """A value as text, several joined by a backslash; empty where it is missing or unreadable."""
    try:
        value = dataset.get(keyword)
        if value is None:
            return ""
        if isinstance(value, (list, tuple, pydicom.multival.MultiValue)):
            return "\\".join(str(part).strip() for part in value)
        return str(value).strip()
    except Exception:  # malformed values raise on access, in many ways
        return ""


def numbers(dataset: Dataset, keyword: str, count: int) -> tuple[float, ...] | None:
    """Exactly ``count`` finite numbers, else ``None``."""
    try:
        values = tuple(float(part) for part in text(dataset, keyword).split("\\"))
    except ValueError:
        return None
    return values if len(values) == count and all(math.isfinite(v) for v in values) else None


def number(dataset: Dataset, keyword: str) -> float | None:
    """One finite number, else ``None``."""
    values = numbers(dataset, keyword, 1)
    return values[0] if values else None
