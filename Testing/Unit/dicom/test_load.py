"""From files to checked Hounsfield units on the right grid."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from pydicom.dataset import Dataset
from pydicom.uid import JPEG2000Lossless, JPEGLSLossless, RLELossless

from LungNoduleCADLib.dicom.discover import find_series
from LungNoduleCADLib.dicom.load import load_ct, load_series
from LungNoduleCADLib.domain.ct import CtVolume
from LungNoduleCADLib.domain.geometry import Geometry
from LungNoduleCADLib.errors import InputError
from LungNoduleCADLib.imaging.sitk_bridge import to_sitk
from LungNoduleCADLib.phantom.dicom import write_dicom_series

Edit = Callable[..., None]


def test_what_was_written_is_read_back(box_ct: CtVolume, box_files: list[Path]) -> None:
    ct = load_ct(box_files[0].parent)
    assert np.array_equal(ct.hu, box_ct.hu)
    assert ct.geometry.origin_lps_mm == pytest.approx(box_ct.geometry.origin_lps_mm)
    assert ct.geometry.spacing_kji_mm == pytest.approx(box_ct.geometry.spacing_kji_mm)
    assert ct.series.study_date == date(2024, 3, 1)


def test_one_file_of_a_series_stands_for_all(box_ct: CtVolume, box_files: list[Path]) -> None:
    assert np.array_equal(load_ct(box_files[4]).hu, box_ct.hu)


def test_slice_thickness_does_not_make_the_spacing(box_files: list[Path], edit: Edit) -> None:
    for path in box_files:
        edit(path, SliceThickness=5.0)
    assert load_ct(box_files[0].parent).geometry.spacing_kji_mm[0] == pytest.approx(1.5)


@pytest.mark.parametrize("syntax", [RLELossless, JPEG2000Lossless, JPEGLSLossless])
def test_compressed_slices_are_decoded(syntax: str, box_ct: CtVolume, box_files: list[Path], edit: Edit) -> None:
    for path in box_files:
        edit(path, lambda dataset: dataset.compress(syntax, generate_instance_uid=False))
    assert np.array_equal(load_ct(box_files[0].parent).hu, box_ct.hu)


def test_each_slice_has_its_own_rescale(box_ct: CtVolume, box_files: list[Path], edit: Edit) -> None:
    def halve(dataset: Dataset) -> None:
        dataset.PixelData = (dataset.pixel_array // 2).astype("<u2").tobytes()

    edit(box_files[5], halve, RescaleSlope=2)
    assert np.array_equal(load_ct(box_files[0].parent).hu, box_ct.hu)


def test_padding_becomes_air_but_never_cuts_holes_into_tissue(
    box_ct: CtVolume, box_files: list[Path], edit: Edit
) -> None:
    def pad(dataset: Dataset) -> None:
        pixels = dataset.pixel_array.astype(np.int16)
        pixels[0] = -2000
        dataset.PixelRepresentation, dataset.BitsStored, dataset.HighBit = 1, 16, 15
        dataset.PixelData = pixels.tobytes()

    edit(box_files[9], lambda dataset: (pad(dataset), dataset.add_new("PixelPaddingValue", "SS", -2000)))
    edit(box_files[8], lambda dataset: dataset.add_new("PixelPaddingValue", "US", 1064))  # 40 HU: the box itself
    hu = load_ct(box_files[0].parent).hu
    assert np.all(hu[9, 0] == -1024)
    assert np.array_equal(hu[8], box_ct.hu[8])


def test_a_missing_slice_is_refused_with_its_position(box_files: list[Path]) -> None:
    box_files[7].unlink()
    with pytest.raises(InputError, match=r"missing between 0007\.dcm \(S 39\.0 mm\) and 0009\.dcm \(S 42\.0 mm\)"):
        load_ct(box_files[0].parent)


def test_a_slice_that_vanished_since_it_was_found_is_refused(box_files: list[Path]) -> None:
    [ref] = find_series(box_files[0].parent)
    with pytest.raises(InputError, match="a slice is missing"):
        load_series(replace(ref, files=ref.files[:6] + ref.files[7:]))


def test_irregular_spacing_is_refused(box_files: list[Path], edit: Edit) -> None:
    edit(box_files[7], ImagePositionPatient=[-110, -90, 30 + 7 * 1.5 + 0.5])
    with pytest.raises(InputError, match=r"irregular, worst at 0008\.dcm"):
        load_ct(box_files[0].parent)


def test_rounded_positions_are_not_irregular(box_files: list[Path], edit: Edit) -> None:
    for k, path in enumerate(box_files):
        edit(path, ImagePositionPatient=[-110, -90, round(30 + 0.625 * k, 1)])
    assert load_ct(box_files[0].parent).geometry.spacing_kji_mm[0] == pytest.approx(0.625, abs=0.01)


def test_a_gantry_tilt_is_refused(box_files: list[Path], edit: Edit) -> None:
    for k, path in enumerate(box_files):
        edit(path, ImagePositionPatient=[-110, -90 + 0.3 * k, 30 + 1.5 * k])
    with pytest.raises(InputError, match=r"tilt of 11\.3 degrees"):
        load_ct(box_files[0].parent)


@pytest.mark.parametrize("kept_bytes", [300, 900, -100])
def test_a_truncated_file_is_refused_by_name(kept_bytes: int, box_files: list[Path]) -> None:
    box_files[6].write_bytes(box_files[6].read_bytes()[:kept_bytes])
    with pytest.raises(InputError, match=r"0007\.dcm"):
        load_ct(box_files[0].parent)


def test_a_slice_of_another_size_is_refused(box_files: list[Path], edit: Edit) -> None:
    def shrink(dataset: Dataset) -> None:
        dataset.PixelData = dataset.pixel_array[:10].tobytes()
        dataset.Rows = 10

    edit(box_files[6], shrink)
    with pytest.raises(InputError, match=r"a slice is missing between 0006\.dcm"):
        load_ct(box_files[0].parent)


def test_values_that_are_not_hounsfield_units_are_refused(box_files: list[Path], edit: Edit) -> None:
    for path in box_files:
        edit(path, RescaleIntercept=0)
    with pytest.raises(InputError, match="not Hounsfield units"):
        load_ct(box_files[0].parent)


@pytest.mark.parametrize("flips", [(True, False, False), (False, True, True), (True, True, True)])
def test_reversed_axes_are_turned_the_right_way(
    flips: tuple[bool, bool, bool], box_ct: CtVolume, tmp_path: Path
) -> None:
    signs = [-1.0 if flip else 1.0 for flip in flips]
    hu = np.ascontiguousarray(np.flip(box_ct.hu, [axis for axis in range(3) if flips[axis]]))
    corner = [(n - 1) if flip else 0 for n, flip in zip(box_ct.hu.shape, flips, strict=True)]
    direction = (signs[2], 0.0, 0.0, 0.0, signs[1], 0.0, 0.0, 0.0, signs[0])
    geometry = Geometry(hu.shape, tuple(box_ct.geometry.to_lps_mm(corner)), (1.5, 6.0, 5.0), direction)
    write_dicom_series(replace(box_ct, hu=hu, geometry=geometry), tmp_path)
    ct = load_ct(tmp_path)
    assert np.array_equal(ct.hu, box_ct.hu)
    assert ct.geometry.origin_lps_mm == pytest.approx(box_ct.geometry.origin_lps_mm)
    assert ct.geometry.direction == pytest.approx((1, 0, 0, 0, 1, 0, 0, 0, 1))


def test_a_slightly_oblique_series_keeps_its_directions(box_ct: CtVolume, tmp_path: Path) -> None:
    c, s = np.cos(np.radians(6)), np.sin(np.radians(6))
    oblique = replace(box_ct.geometry, direction=(1.0, 0.0, 0.0, 0.0, c, -s, 0.0, s, c))
    write_dicom_series(replace(box_ct, geometry=oblique), tmp_path)
    ct = load_ct(tmp_path)
    assert np.array_equal(ct.hu, box_ct.hu)
    assert ct.geometry.to_lps_mm((15, 39, 47)) == pytest.approx(oblique.to_lps_mm((15, 39, 47)), abs=1e-3)


@pytest.mark.parametrize("suffix", [".nii.gz", ".nrrd", ".mha"])
def test_an_image_file_gives_the_same_volume(suffix: str, box_ct: CtVolume, tmp_path: Path) -> None:
    path = tmp_path / f"scan{suffix}"
    sitk.WriteImage(to_sitk(box_ct.hu.astype(np.float32) + 0.2, box_ct.geometry), str(path))
    ct = load_ct(path, date(2023, 5, 6))
    assert np.array_equal(ct.hu, box_ct.hu)
    assert ct.geometry.origin_lps_mm == pytest.approx(box_ct.geometry.origin_lps_mm)
    assert ct.series.study_date == date(2023, 5, 6)


def test_an_image_in_ras_order_is_turned_to_lps(box_ct: CtVolume, tmp_path: Path) -> None:
    image = sitk.DICOMOrient(to_sitk(box_ct.hu, box_ct.geometry), "RAS")
    sitk.WriteImage(image, str(tmp_path / "scan.nii"))
    ct = load_ct(tmp_path / "scan.nii")
    assert np.array_equal(ct.hu, box_ct.hu)
    assert "no_study_date" in {flag.code for flag in ct.flags}


@pytest.mark.parametrize("name", ["scan.nii.gz", "scan.nrrd", "scan.txt", "nothing.nii"])
def test_a_file_that_is_no_image_is_refused(name: str, tmp_path: Path) -> None:
    if not name.startswith("nothing"):
        (tmp_path / name).write_text("no image")
    with pytest.raises(InputError):
        load_ct(tmp_path / name)


def test_an_enhanced_multi_frame_ct_is_read(box_ct: CtVolume, enhanced: Path) -> None:
    ct = load_ct(enhanced.parent)
    assert np.array_equal(ct.hu, box_ct.hu)
    assert ct.geometry.origin_lps_mm == pytest.approx(box_ct.geometry.origin_lps_mm)


def test_no_file_of_other_projects_gives_a_traceback(shared_data: Path) -> None:
    folders = [path for path in (shared_data / "dicom-torture").rglob("*") if path.is_dir()]
    for folder in folders:
        try:
            found = find_series(folder)
        except InputError:
            continue
        assert not any(ref.usable for ref in found), folder


def test_slices_of_a_real_scan_have_the_density_of_air_and_tissue(shared_data: Path, tmp_path: Path) -> None:
    import tarfile

    with tarfile.open(shared_data / "ct" / "lidc-0006.tar") as archive:
        slices = sorted((m for m in archive.getmembers() if m.name.endswith(".dcm")), key=lambda m: m.name)
        archive.extractall(tmp_path, slices[60:72], filter="data")
    ct = load_ct(tmp_path)
    assert ct.hu.shape == (12, 512, 512)
    assert ct.geometry.spacing_kji_mm == pytest.approx((2.5, 0.625, 0.625))
    assert np.mean(ct.hu < -700) > 0.2
    assert -100 < np.median(ct.hu[ct.hu > -300]) < 100
    assert "short_coverage" in {flag.code for flag in ct.flags}
