"""Who is scanned stays in the scan: a mark in everything that may identify, searched for in everything written."""

from __future__ import annotations

import gzip
import io
import re
import zlib
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pydicom
from PIL import Image
from pydicom.datadict import DicomDictionary
from pydicom.dataset import Dataset
from pydicom.uid import SecondaryCaptureImageStorage, generate_uid
from tally import Tally

if TYPE_CHECKING:
    from faulty_run import Scene

MARK = "Zqx7"
BIRTH_DATE = "19370217"
MARKS = (MARK.lower(), BIRTH_DATE, "1937-02-17")
TEXT_VRS = {"AE", "LO", "LT", "PN", "SH", "ST", "UC", "UR", "UT"}
GROUPS = range(0x0008, 0x0055)
MODULES_OF_THE_SCAN = ("patient", "general-study", "patient-study", "clinical-trial-subject", "clinical-trial-study")
BURNT_IN = np.frombuffer(np.random.default_rng(7).bytes(64), np.uint8)
BURNT_IN_BYTES = (
    BURNT_IN.tobytes(),
    *((BURNT_IN.astype(np.int16) + intercept).astype("<i2").tobytes() for intercept in (0, -1024)),
)


def mark_series(folder: Path) -> None:
    """Every text element of every header, private ones and such in sequences too, and every file name gets the mark."""
    for number, path in enumerate(sorted(folder.glob("*.dcm"))):
        dataset = pydicom.dcmread(path)
        dataset.update(_marked_texts())
        _mark_privates(dataset)
        dataset.PatientID, dataset.PatientBirthDate = f"{MARK}-4711", BIRTH_DATE
        nested = Dataset()
        nested.PatientID, nested.TypeOfPatientID = f"{MARK}-nested", "TEXT"
        dataset.OtherPatientIDsSequence = [nested]
        dataset.save_as(folder / f"{MARK}_{number:04d}.dcm", enforce_file_format=True)
        path.unlink()


@cache
def _marked_texts() -> Dataset:
    dataset = Dataset()
    for tag, (vr, _, _, retired, keyword) in DicomDictionary.items():
        if vr in TEXT_VRS and not retired and keyword and tag >> 16 in GROUPS:
            value = f"https://{MARK}.org" if vr == "UR" else MARK
            setattr(dataset, keyword, f"{MARK}^Jane" if vr == "PN" else value)
    return dataset


def _mark_privates(dataset: Dataset) -> None:
    for group, creator in ((0x0009, "GEMS_IDEN_01"), (0x0011, MARK), (0x0029, "SIEMENS CSA HEADER")):
        block = dataset.private_block(group, creator, create=True)
        block.add_new(0x01, "LO", f"{MARK} private")
        block.add_new(0x02, "UN", f"{MARK} bytes".encode())


def add_secondary_capture(folder: Path) -> None:
    """A picture of a screen in the scan's study, with the patient's name burnt into its pixels."""
    dataset = pydicom.dcmread(next(iter(sorted(folder.glob("*.dcm")))))
    rows, columns = dataset.Rows, dataset.Columns
    picture = np.resize(BURNT_IN, (rows, columns)).astype("<u2")
    dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = SecondaryCaptureImageStorage
    dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    dataset.SeriesInstanceUID, dataset.BurnedInAnnotation = generate_uid(), "YES"
    dataset.PixelData = picture.tobytes()
    dataset.save_as(folder / f"{MARK}_screen.dcm", enforce_file_format=True)


def marks_in(path: Path) -> list[str]:
    """What of a file, its name included, holds a mark; of a DICOM object what should not."""
    found = [f"name of {path.name}"] if _holds(path.name.encode()) else []
    content = path.read_bytes()
    if content[128:132] == b"DICM":
        return found + [f"{path.name}: {where}" for where in _in_dicom(path)]
    return found + [f"{path.name}: {what}" for what, data in _unpacked(path, content) if _holds(data)]


def _holds(data: bytes) -> bool:
    lower = data.lower()
    encoded = (mark.encode(encoding) for mark in MARKS for encoding in ("utf-8", "utf-16-le", "utf-16-be"))
    return any(mark in lower for mark in encoded) or any(pixels in data for pixels in BURNT_IN_BYTES)


def _unpacked(path: Path, content: bytes) -> Iterator[tuple[str, bytes]]:
    """The bytes as they are, and everything compressed in them."""
    yield "bytes", content
    if path.suffix == ".nrrd":
        header, _, packed = content.partition(b"\n\n")
        yield "voxels", gzip.decompress(packed) if b"gzip" in header else packed
    if path.suffix == ".pdf":
        yield from _of_pdf(content)
    if path.suffix == ".png":
        with Image.open(path) as picture:
            yield "pixels", np.asarray(picture.convert("L")).tobytes()
    for start in (match.start() for match in re.finditer(rb"\x78[\x01\x5e\x9c\xda]", content)):
        try:
            yield f"compressed bytes at {start}", zlib.decompressobj().decompress(content[start:])
        except zlib.error:
            continue


def _of_pdf(content: bytes) -> Iterator[tuple[str, bytes]]:
    from pypdf import PdfReader

    reader = PdfReader(io.BytesIO(content))
    yield "metadata", repr(dict(reader.metadata or {})).encode()
    yield "attachments", repr({name: list(data) for name, data in reader.attachments.items()}).encode()
    if reader.xmp_metadata is not None:
        yield "XMP", repr(reader.xmp_metadata.rdf_root.toxml()).encode()
    for number, page in enumerate(reader.pages, 1):
        yield f"text of page {number}", page.extract_text().encode()


def _in_dicom(path: Path) -> Iterator[str]:
    """An exported object is filed with the scan, so its patient and study are the scan's; nothing else is."""
    from highdicom._standard_utils import get_module_attribute_map  # the standard's tables

    attributes = get_module_attribute_map()
    allowed = {str(one["keyword"]) for module in MODULES_OF_THE_SCAN for one in attributes[module]}
    dataset = pydicom.dcmread(path)
    for element in dataset:
        if element.keyword == "EncapsulatedDocument":
            yield from (f"in the document: {what}" for what, data in _of_pdf(bytes(element.value)) if _holds(data))
        elif element.keyword not in allowed and _holds(str(element).encode()):
            yield element.keyword or str(element.tag)
        elif element.keyword == "PixelData" and _holds(dataset.pixel_array.tobytes()):
            yield "pixels"


def nothing_identifies(scene: Scene, outs: Iterable[Path]) -> Tally:
    """Everything that runs on marked scans wrote to ``outs``, and all that they said."""
    tally = Tally("files, reports and logs searched for who was scanned")
    for out in outs:
        for path in sorted(path for path in out.rglob("*") if path.is_file()):
            name = str(path.relative_to(scene.results))
            tally.attempt(name, lambda path=path: marks_in(path), "; ".join)
    for number, text in enumerate(scene.said):
        tally.attempt(f"log {number}", lambda text=text: text if _holds(text.encode()) else "", str)
    left = [path.name for path in scene.temporary.rglob("*")]
    tally.attempt("temporary files", lambda: left, lambda found: f"left over: {', '.join(found)}" if found else "")
    return tally
