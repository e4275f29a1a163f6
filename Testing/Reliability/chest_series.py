"""A small chest CT as DICOM, and what can be wrong with such a series."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from datetime import date
from pathlib import Path

import numpy as np
import pydicom
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.uid import (
    JPEG2000,
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    HTJ2KLossless,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSNearLossless,
    RLELossless,
    generate_uid,
)

from LungNoduleCADLib.domain.ct import CtVolume
from LungNoduleCADLib.domain.geometry import Geometry
from LungNoduleCADLib.domain.study import SeriesDescription
from LungNoduleCADLib.phantom.dicom import write_dicom_series
from Testing.enhanced_ct import write_enhanced

Change = Callable[[Path], None]
SLICES = 24


def chest(slices: int = SLICES, rows: int = 40, columns: int = 48) -> CtVolume:
    """Two lungs in tissue in air, with ramps along two edges that tell the axes apart."""
    hu = np.full((slices, rows, columns), -1000, np.int16)
    hu[:, 6 : rows - 4, 6 : columns - 6] = 40
    hu[2 : slices - 2, 12 : rows - 10, 10 : columns - 28] = -850
    hu[3 : slices - 3, 12 : rows - 10, 28 : columns - 10] = -860
    hu[0, 0, :] = np.arange(columns) * 10
    hu[:, 0, 0] = np.arange(slices) * 20
    series = SeriesDescription("1.2.3.4", "1.2.3", study_date=date(2024, 3, 1), kernel="B30f", slice_thickness_mm=2.0)
    return CtVolume(hu, Geometry((slices, rows, columns), (-140.0, -120.0, 30.0), (2.0, 7.0, 7.0)), series)


def write_chest(folder: Path) -> list[Path]:
    return write_dicom_series(chest(), folder)


def files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*.dcm") if path.is_file())


def edited(change: Callable[[Dataset, int], object], only: slice = slice(None)) -> Change:
    """A change of the headers of some slices: ``change(dataset, number)``."""

    def of_folder(folder: Path) -> None:
        for number, path in list(enumerate(files(folder)))[only]:
            dataset = pydicom.dcmread(path)
            change(dataset, number)
            dataset.save_as(path, enforce_file_format=True)

    return of_folder


def values(only: slice = slice(None), **named: object) -> Change:
    """Header values; ``None`` deletes."""

    def change(dataset: Dataset, _: int) -> None:
        for keyword, value in named.items():
            if value is None and keyword in dataset:
                delattr(dataset, keyword)
            elif value is not None:
                setattr(dataset, keyword, value)

    return edited(change, only)


def _raw(element: str, content: bytes, vr: str = "DS") -> Callable[[Dataset, int], None]:
    """A value as bytes that no writer would let through."""

    def change(dataset: Dataset, _: int) -> None:
        tag = pydicom.tag.Tag(element)
        dataset[tag] = pydicom.dataelem.RawDataElement(tag, vr, len(content), content, 0, False, True)

    return change


def _positions(step: Callable[[int], tuple[float, float, float]]) -> Change:
    def change(dataset: Dataset, number: int) -> None:
        shift = step(number)
        position = [float(p) + s for p, s in zip(dataset.ImagePositionPatient, shift, strict=True)]
        dataset.ImagePositionPatient = [f"{p:.3f}" for p in position]

    return edited(change)


def _pixels(convert: Callable[[np.ndarray], np.ndarray], **named: object) -> Change:
    """Stored values changed, and the header with them."""

    def change(dataset: Dataset, _: int) -> None:
        dataset.PixelData = convert(dataset.pixel_array).tobytes()
        for keyword, value in named.items():
            setattr(dataset, keyword, value)

    return edited(change)


def _recoded(syntax: str, **options: object) -> Change:
    def of_folder(folder: Path) -> None:
        for path in files(folder):
            dataset = pydicom.dcmread(path)
            if UID(syntax).is_encapsulated:
                dataset.compress(syntax, generate_instance_uid=False, **options)
            elif not UID(syntax).is_little_endian:
                dataset.PixelData = dataset.pixel_array.byteswap().tobytes()
            fresh = Dataset(dataset)  # forgets how it was stored
            fresh.file_meta = dataset.file_meta
            fresh.file_meta.TransferSyntaxUID = syntax
            pydicom.dcmwrite(path, fresh, enforce_file_format=True)

    return of_folder


def _encoded(syntax: str, encode: Callable[[np.ndarray], bytes]) -> Change:
    """Compressed by an encoder that pydicom does not have."""

    def change(dataset: Dataset, _: int) -> None:
        dataset.PixelData = encapsulate([encode(dataset.pixel_array)])
        dataset["PixelData"].VR = "OB"
        dataset.file_meta.TransferSyntaxUID = syntax

    return edited(change)


def _jpeg(syntax: str, bits: int, **options: object) -> Change:
    def encode(pixels: np.ndarray) -> bytes:
        from imagecodecs import jpeg8_encode

        return jpeg8_encode(pixels, bitspersample=bits, **options)

    return _encoded(syntax, encode)


def _htj2k(pixels: np.ndarray) -> bytes:
    from imagecodecs import htj2k_encode

    return htj2k_encode(pixels, reversible=True)


def _in_turn(*changes: Change) -> Change:
    def of_folder(folder: Path) -> None:
        for change in changes:
            change(folder)

    return of_folder


def _cut(keep: float, number: int) -> Change:
    def of_folder(folder: Path) -> None:
        path = files(folder)[number]
        content = path.read_bytes()
        path.write_bytes(content[: int(len(content) * keep)])

    return of_folder


def _kept(only: slice) -> Change:
    def of_folder(folder: Path) -> None:
        found = files(folder)
        for path in set(found) - set(found[only]):
            path.unlink()

    return of_folder


def _without(*numbers: int) -> Change:
    def of_folder(folder: Path) -> None:
        found = files(folder)
        for number in numbers:
            found[number].unlink()

    return of_folder


def _renamed(name: Callable[[int], str]) -> Change:
    def of_folder(folder: Path) -> None:
        for number, path in enumerate(files(folder)):
            target = folder / name(number)
            target.parent.mkdir(parents=True, exist_ok=True)
            path.rename(target)

    return of_folder


def _beside(add: Callable[[Path], object]) -> Change:
    return lambda folder: add(folder) and None


def _copies(folder: Path) -> None:
    for number, path in enumerate(files(folder)[::3]):
        shutil.copy(path, folder / f"copy of {number}.dcm")


def _loop(folder: Path) -> None:
    (folder / "deeper").mkdir()
    (folder / "deeper" / "again").symlink_to(folder, target_is_directory=True)
    (folder / "dangling.dcm").symlink_to(folder / "nowhere")


def _second_series(folder: Path, **changes: object) -> None:
    """The same series again, other pictures, with changes."""
    for number, path in enumerate(files(folder)):
        dataset = pydicom.dcmread(path)
        dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = generate_uid()
        for keyword, value in changes.items():
            setattr(dataset, keyword, value)
        dataset.save_as(folder / f"second {number}.dcm", enforce_file_format=True)


def _other_files(count: int) -> Change:
    def of_folder(folder: Path) -> None:
        for number in range(count):
            (folder / f"note-{number}.txt").write_bytes(b"no image")

    return of_folder


def _enhanced(folder: Path) -> None:
    """All slices as frames of one enhanced CT, the last first."""
    slices = [pydicom.dcmread(path) for path in reversed(files(folder))]
    for path in files(folder):
        path.unlink()
    write_enhanced(slices, folder / "all.dcm")


READ: dict[str, Change] = {  # has to be read, every voxel as it was
    "as it is": lambda _: None,
    "copies of slices": _copies,
    "shuffled names": _renamed(lambda n: f"{(n * 7) % SLICES:03d}-{n}.dcm"),
    "slices in subfolders": _renamed(lambda n: f"part {n % 5}/{n}.dcm"),
    "no extension": _renamed(lambda n: f"IM{n:06d}"),
    "non-Latin names": _renamed(lambda n: f"胸部 CT/срез № {n} é̱ 🫁.dcm"),
    "instance numbers reversed": edited(lambda d, n: setattr(d, "InstanceNumber", SLICES - n)),
    "instance numbers all one": values(InstanceNumber=1),
    "a link that turns in a circle": _loop,
    "other files beside it": _other_files(500),
    "an empty file beside it": _beside(lambda folder: (folder / "empty.dcm").write_bytes(b"")),
    "half a file beside it": _beside(lambda folder: (folder / "x.dcm").write_bytes(b"\0" * 128 + b"DICM\x02\x00")),
    "a second series of another patient with the same UID, smaller": _beside(
        lambda folder: _second_series(folder, Rows=20, Columns=96)
    ),
    "implicit VR": _recoded(ImplicitVRLittleEndian),
    "big endian": _recoded(ExplicitVRBigEndian),
    "deflated": _recoded(DeflatedExplicitVRLittleEndian),
    "RLE": _recoded(RLELossless),
    "JPEG 2000 lossless": _recoded(JPEG2000Lossless),
    "HTJ2K lossless": _encoded(HTJ2KLossless, _htj2k),
    "JPEG-LS lossless": _recoded(JPEGLSLossless),
    "JPEG lossless": _jpeg(JPEGLossless, 16, lossless=True, predictor=6),
    "JPEG lossless, first order": _jpeg(JPEGLosslessSV1, 12, lossless=True, predictor=1),
    "enhanced multi-frame": _enhanced,
    "signed values": _pixels(
        lambda p: (p.astype(np.int32) - 1024).astype(np.int16), PixelRepresentation=1, RescaleIntercept="0"
    ),
    "12 of 16 bits": values(BitsStored=12, HighBit=11),
    "32 bits": _pixels(lambda p: p.astype(np.uint32), BitsAllocated=32, BitsStored=32, HighBit=31),
    "a rescale for each slice": edited(
        lambda d, n: (
            setattr(d, "PixelData", (d.pixel_array.astype(np.int32) + n).astype(np.uint16).tobytes()),
            setattr(d, "RescaleIntercept", str(float(d.RescaleIntercept) - n)),
        )
    ),
    "slices of exactly 10": _kept(slice(0, 10)),
    "tiny field of view": values(PixelSpacing=["0.01", "0.01"]),
    "huge field of view": values(PixelSpacing=["60", "60"]),
    "private tags and sequences": edited(
        lambda d, _: d.private_block(0x0029, "SOMEBODY", create=True).add_new(1, "UN", bytes(range(256)))
    ),
    "a name in Japanese": values(SpecificCharacterSet=["", "ISO 2022 IR 87"], PatientName="山田^太郎"),
    "no dates": values(StudyDate="", SeriesDate="", AcquisitionDate="", ContentDate=""),
    "dates that are none": edited(_raw("StudyDate", b"20241399", "DA")),
    "an age that is none": edited(_raw("PatientAge", b"ABCY", "AS")),
    "no thickness": values(SliceThickness=None),
    "an unknown character set": values(SpecificCharacterSet="ISO_IR 999"),
}
_IN_8_BITS = _pixels(lambda p: (p >> 4).astype(np.uint8), BitsAllocated=8, BitsStored=8, HighBit=7, RescaleSlope="16")
READ_NEARLY: dict[str, tuple[Change, int]] = {  # has to be read, with HU that differ by so much at most
    "8 bits with a rescale to match": (_IN_8_BITS, 16),
    "JPEG of 8 bits": (_in_turn(_IN_8_BITS, _jpeg(JPEGBaseline8Bit, 8, level=100)), 32),
    "JPEG of 12 bits": (_jpeg(JPEGExtended12Bit, 12, level=100), 2),
    "JPEG-LS near-lossless": (_recoded(JPEGLSNearLossless, jls_error=3), 3),
    "JPEG 2000": (_recoded(JPEG2000, j2k_cr=[2]), 2),
}
REFUSED: dict[str, Change] = {  # may not be taken
    "a missing slice": _without(9),
    "two missing slices": _without(5, 14),
    "every slice twice, different pictures": _beside(_second_series),
    "irregular spacing": _positions(lambda n: (0.0, 0.0, 0.8 * (n % 3 == 1))),
    "spacing that changes half-way": _positions(lambda n: (0.0, 0.0, 1.5 * max(0, n - 12))),
    "a gantry tilt": _positions(lambda n: (0.0, 0.6 * n, 0.0)),
    "pixel spacing that changes": values(slice(12, None), PixelSpacing=["3.0", "3.0"]),
    "slices of 9": _kept(slice(0, 9)),
    "one slice": _kept(slice(0, 1)),
    "coronal": values(ImageOrientationPatient=[1.0, 0.0, 0.0, 0.0, 0.0, -1.0]),
    "sagittal": values(ImageOrientationPatient=[0.0, 1.0, 0.0, 0.0, 0.0, -1.0]),
    "oblique slices that do not stack": values(ImageOrientationPatient=[1.0, 0.0, 0.0, 0.0, 0.9, 0.435]),
    "no position": values(ImagePositionPatient=None),
    "no orientation": values(ImageOrientationPatient=None),
    "no pixel spacing": values(PixelSpacing=None),
    "a position that is no number": edited(_raw("ImagePositionPatient", b"here\\there\\up "), slice(3, 4)),
    "a position without end": edited(_raw("ImagePositionPatient", b"inf\\0\\0 "), slice(3, 4)),
    "pixel spacing zero": values(PixelSpacing=["0", "0"]),
    "pixel spacing below zero": values(PixelSpacing=["-7", "7"]),
    "orientation of zeros": values(ImageOrientationPatient=[0.0] * 6),
    "rescale slope zero": values(RescaleSlope="0"),
    "rescale slope enormous": values(RescaleSlope="1e20"),
    "rescale slope that is no number": edited(_raw("RescaleSlope", b"one ")),
    "no intercept": values(RescaleIntercept=None),
    "8 bits": _pixels(lambda p: (p >> 8).astype(np.uint8), BitsAllocated=8, BitsStored=8, HighBit=7),
    "a scout": values(ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"]),
    "a projection": values(ImageType=["DERIVED", "SECONDARY", "MIP"]),
    "MR": values(Modality="MR"),
    "a picture of a screen": edited(lambda d, _: setattr(d, "SOPClassUID", "1.2.840.10008.5.1.4.1.1.7")),
    "colour": values(SamplesPerPixel=3, PhotometricInterpretation="RGB"),
    "rows of another size in one slice": values(slice(4, 5), Rows=20, Columns=96),
    "rows zero": values(Rows=0),
    "rows beyond the pixels": values(Rows=4000),
    "rows far beyond the pixels": values(Rows=65535, Columns=65535),
    "no pixels": values(slice(6, 7), PixelData=None),
    "a compressed syntax, raw pixels": edited(
        lambda d, _: (
            setattr(d, "PixelData", encapsulate([d.PixelData])),
            setattr(d.file_meta, "TransferSyntaxUID", JPEG2000Lossless),
        ),
        slice(2, 3),
    ),
    **{f"slice cut at {percent} %": _cut(percent / 100, 2 + percent % 20) for percent in range(0, 100, 4)},
}
