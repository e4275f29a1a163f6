"""Compressed pixels: for each compression one decoder, whatever else is installed.

None of them crashes or stalls on damaged data (``Testing/Reliability``). Others that pydicom would take, if they were
there, do: GDCM ends the process on a damaged JPEG, and libjpeg stays busy without end on a damaged JPEG-LS.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from pydicom.dataset import Dataset
from pydicom.pixels import get_decoder
from pydicom.uid import (
    HTJ2K,
    JPEG2000,
    UID,
    HTJ2KLossless,
    HTJ2KLosslessRPCL,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSNearLossless,
    RLELossless,
)

if TYPE_CHECKING:
    from pydicom.pixels.decoders.base import DecodeRunner

IMAGECODECS = "imagecodecs"  # libjpeg-turbo and CharLS
JPEG = (JPEGBaseline8Bit, JPEGExtended12Bit, JPEGLossless, JPEGLosslessSV1)
JPEG_LS = (JPEGLSLossless, JPEGLSNearLossless)
DECODER_DEPENDENCIES: dict[UID, tuple[str, ...]] = dict.fromkeys((*JPEG, *JPEG_LS), (IMAGECODECS,))
_DECODERS: dict[str, str] = {
    **dict.fromkeys(DECODER_DEPENDENCIES, IMAGECODECS),
    **dict.fromkeys((JPEG2000Lossless, JPEG2000, HTJ2K, HTJ2KLossless, HTJ2KLosslessRPCL), "pylibjpeg"),
    RLELossless: "pydicom",
}
_END_OF_IMAGE = b"\xff\xd9"  # CharLS counts to 2^32 at the end of a frame that breaks off before it


def decoder_of(dataset: Dataset) -> str:
    """What pydicom calls the decoder of a file's pixels; empty, for its own choice, where they are not compressed or
    in colour."""
    return _DECODERS.get(dataset.file_meta.TransferSyntaxUID, "") if dataset.get("SamplesPerPixel") == 1 else ""


def decode_pixels(dataset: Dataset) -> np.ndarray:
    """Stored values, (rows, columns) or (frames, rows, columns).

    Raises
    ------
    Exception : of any kind, where the data are damaged or of a compression that is not known.
    """
    dataset.pixel_array_options(decoding_plugin=decoder_of(dataset))
    return dataset.pixel_array


def is_available(syntax: str) -> bool:
    """Asked by pydicom."""
    return syntax in DECODER_DEPENDENCIES


def decode_frame(frame: bytes, runner: DecodeRunner) -> bytes:
    """One frame in shades of grey, called by pydicom; one of another size than the header's is not decoded."""
    from imagecodecs import jpeg8_decode, jpegls_decode

    if runner.samples_per_pixel != 1:
        raise ValueError("JPEG in colour")
    if runner.transfer_syntax in JPEG:
        return jpeg8_decode(frame, out=_room(runner, runner.bits_allocated)).tobytes()
    bits = 8 if runner.get_option("jls_precision", runner.bits_stored) <= 8 else 16
    runner.set_option("bits_allocated", bits)
    return jpegls_decode(frame + _END_OF_IMAGE, out=_room(runner, bits)).tobytes()


def _room(runner: DecodeRunner, bits: int) -> np.ndarray:
    return np.empty((runner.rows, runner.columns), np.uint8 if bits == 8 else np.uint16)


for _syntax in DECODER_DEPENDENCIES:
    get_decoder(_syntax).add_plugin(IMAGECODECS, (__name__, decode_frame.__name__))
