"""Damage that once crashed, stalled or outgrew memory: refused in a sentence, each made here again."""

from __future__ import annotations

import re
import struct
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from imagecodecs import jpeg8_encode
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate, generate_frames
from pydicom.pixels import get_decoder
from pydicom.uid import (
    JPEG2000,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSTransferSyntaxes,
    RLELossless,
)

from LungNoduleCADLib.dicom.decode import decoder_of
from LungNoduleCADLib.dicom.load import MOST_VOXELS, decode_file, load_ct
from LungNoduleCADLib.domain.ct import CtVolume
from LungNoduleCADLib.errors import InputError
from LungNoduleCADLib.imaging.sitk_bridge import to_sitk

Edit = Callable[..., None]


def _patched(path: Path, old: bytes, new: bytes) -> Path:
    content = path.read_bytes()
    assert content.count(old) >= 1
    path.write_bytes(content.replace(old, new, 1))
    return path


def _as_image(ct: CtVolume, path: Path) -> Path:
    sitk.WriteImage(to_sitk(ct.hu, ct.geometry), str(path))
    return path


def test_an_image_with_a_side_of_none_is_refused(box_ct: CtVolume, tmp_path: Path) -> None:
    path = _as_image(box_ct, tmp_path / "ct.mha")
    _patched(path, b"DimSize = 48 40 16", b"DimSize = 0 40 16")
    with pytest.raises(InputError, match=r"ct\.mha is damaged"):
        load_ct(path)


def test_an_image_with_a_field_that_ends_nowhere_is_refused(box_ct: CtVolume, tmp_path: Path) -> None:
    path = _as_image(box_ct, tmp_path / "ct.nrrd")
    field = re.search(rb"space directions:.*", path.read_bytes())
    assert field
    _patched(path, field[0], b"space directions: " + b"\xba" * 512)
    with pytest.raises(InputError, match=r"ct\.nrrd is damaged"):
        load_ct(path)


def test_an_image_that_is_one_long_comment_is_refused(tmp_path: Path) -> None:
    (tmp_path / "ct.nrrd").write_bytes(b"#" * 48 + b"N")
    with pytest.raises(InputError, match=r"ct\.nrrd is damaged"):
        load_ct(tmp_path / "ct.nrrd")


def test_an_image_of_more_voxels_than_memory_is_refused_before_it_is_read(box_ct: CtVolume, tmp_path: Path) -> None:
    path = _as_image(box_ct, tmp_path / "ct.nii")
    assert MOST_VOXELS < 40 * 5664 * 5654
    _patched(path, struct.pack("<4h", 3, 48, 40, 16), struct.pack("<4h", 3, 40, 5664, 5654))
    with pytest.raises(InputError, match="too large for a chest CT"):
        load_ct(path)


def test_a_group_of_no_such_kind_is_refused(enhanced: Path) -> None:
    """(0028,9110), the pixel measures, with a VR that DICOM does not have."""
    _patched(enhanced, b"\x28\x00\x10\x91SQ", b"\x28\x00\x10\x91Sq")
    with pytest.raises(InputError, match="1 of them damaged DICOM"):
        load_ct(enhanced)


@pytest.mark.parametrize("after", [6, 20, 60, 130])
def test_groups_that_break_off_are_refused(after: int, enhanced: Path) -> None:
    content = enhanced.read_bytes()
    enhanced.write_bytes(content[: content.index(b"\x00\x52\x30\x92") + after])
    with pytest.raises(InputError):
        load_ct(enhanced)


def test_a_jpeg_ls_slice_of_no_rows_is_refused(box_files: list[Path]) -> None:
    """Rows zero, columns beyond: with such a frame one decoder was busy without end."""
    dataset = pydicom.dcmread(box_files[3])
    dataset.compress(JPEGLSLossless, generate_instance_uid=False)
    dataset.save_as(box_files[3], enforce_file_format=True)
    _patched(box_files[3], b"\xff\xf7\x00\x0b\x0c" + struct.pack(">2H", 40, 48),
             b"\xff\xf7\x00\x0b\x0c" + struct.pack(">2H", 0, 0x8000 + 48))  # fmt: skip
    with pytest.raises(InputError, match=r"0004\.dcm is damaged or its compression is not supported"):
        load_ct(box_files[0].parent)


def test_jpeg_ls_slices_that_break_off_are_refused_at_once(box_files: list[Path], edit: Edit) -> None:
    """Without its end marker, and with some last bytes, a decoder counted to 2^32."""

    def broken_off(dataset: Dataset, missing: int) -> None:
        dataset.compress(JPEGLSLossless, generate_instance_uid=False)
        frame = next(generate_frames(dataset.PixelData, number_of_frames=1))
        dataset.PixelData = encapsulate([frame[: frame.rindex(b"\xff\xd9") - missing]])

    start = time.process_time()
    for missing, path in enumerate(box_files, start=8):
        edit(path, lambda dataset, missing=missing: broken_off(dataset, missing))
        with pytest.raises(InputError, match=f"{path.name} is damaged or its compression is not supported"):
            decode_file(path)
    assert time.process_time() - start < 4


def _as_jpeg(dataset: Dataset) -> None:
    dataset.PixelData = encapsulate([jpeg8_encode(dataset.pixel_array, lossless=True, bitspersample=16)])
    dataset["PixelData"].VR = "OB"
    dataset.file_meta.TransferSyntaxUID = JPEGLossless


def test_lossless_jpeg_is_decoded_to_every_voxel(box_ct: CtVolume, box_files: list[Path], edit: Edit) -> None:
    for path in box_files:
        edit(path, _as_jpeg)
    assert np.array_equal(load_ct(box_files[0].parent).hu, box_ct.hu)


def test_a_jpeg_of_another_size_than_its_header_says_is_refused_at_once(box_files: list[Path], edit: Edit) -> None:
    """65,535 x 65,535 voxels took minutes and 8 GB."""

    def enlarged(dataset: Dataset) -> None:
        _as_jpeg(dataset)
        frame = next(generate_frames(dataset.PixelData, number_of_frames=1))
        frame = frame.replace(b"\xff\xc3\x00\x0b\x10\x00\x28\x00\x30", b"\xff\xc3\x00\x0b\x10\xff\xff\xff\xff")
        assert b"\x10\xff\xff\xff\xff" in frame
        dataset.PixelData = encapsulate([frame])

    edit(box_files[2], enlarged)
    with pytest.raises(InputError, match=r"0003\.dcm is damaged"):
        load_ct(box_files[0].parent)


def test_each_compression_has_one_decoder_and_it_is_there() -> None:
    jpeg = (JPEGBaseline8Bit, JPEGExtended12Bit, JPEGLossless, JPEGLosslessSV1)
    for syntax in (*jpeg, *JPEGLSTransferSyntaxes, JPEG2000Lossless, JPEG2000, RLELossless):
        dataset = Dataset()
        dataset.SamplesPerPixel = 1
        dataset.file_meta = pydicom.dataset.FileMetaDataset()
        dataset.file_meta.TransferSyntaxUID = syntax
        assert decoder_of(dataset) in get_decoder(syntax).available_plugins
