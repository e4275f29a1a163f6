"""Finding the series to analyse among everything that lies in a folder."""

from __future__ import annotations

import json
import shutil
from argparse import ArgumentParser
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from LungNoduleCADLib.cli import series as series_verb
from LungNoduleCADLib.dicom.describe import is_sharp_kernel
from LungNoduleCADLib.dicom.discover import choose_series, find_series
from LungNoduleCADLib.domain.ct import CtVolume
from LungNoduleCADLib.domain.geometry import Geometry
from LungNoduleCADLib.domain.study import SeriesRef
from LungNoduleCADLib.errors import InputError
from LungNoduleCADLib.phantom.dicom import write_dicom_series

Edit = Callable[..., None]


def codes(ref: SeriesRef) -> set[str]:
    return {flag.code for flag in ref.flags}


def thin_series(box_ct: CtVolume, folder: Path, spacing_mm: float, uid: str, **facts: object) -> list[Path]:
    n = round(126 / spacing_mm)
    hu = np.resize(box_ct.hu, (n, 40, 48))
    geometry = Geometry((n, 40, 48), (-110.0, -90.0, 30.0), (spacing_mm, 6.0, 5.0))
    series = replace(box_ct.series, series_uid=uid, slice_thickness_mm=spacing_mm, **facts)
    return write_dicom_series(CtVolume(hu, geometry, series), folder)


def test_a_folder_that_does_not_exist_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not exist"):
        find_series(tmp_path / "nowhere")


def test_an_empty_folder_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is empty"):
        find_series(tmp_path)


def test_a_folder_without_dicom_is_said_so(tmp_path: Path) -> None:
    (tmp_path / "notes.xml").write_text("<a/>")
    with pytest.raises(InputError, match=r"no DICOM image in .* got 1 other files"):
        find_series(tmp_path)


def test_a_folder_with_other_modalities_only_names_them(box_files: list[Path], edit: Edit) -> None:
    for path in box_files:
        edit(path, Modality="MR")
    with pytest.raises(InputError, match="expected modality CT, got 1 MR"):
        choose_series(find_series(box_files[0].parent))


def test_files_come_from_feet_to_head_whatever_their_names(box_files: list[Path]) -> None:
    for n, path in enumerate(box_files):
        path.rename(path.with_name(f"IM{(n * 7) % 16:03d}"))
    [ref] = find_series(box_files[0].parent)
    assert [int(path.name[2:]) for path in ref.files] == [(n * 7) % 16 for n in range(16)]
    assert ref.spacing_kji_mm == pytest.approx((1.5, 6.0, 5.0))
    assert ref.usable


def test_a_scout_and_damaged_files_beside_the_scan_do_no_harm(box_files: list[Path], edit: Edit) -> None:
    folder = box_files[0].parent
    scout = folder / "deeper" / "scout"
    scout.parent.mkdir()
    shutil.copy(box_files[0], scout)
    edit(scout, ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"], ImageOrientationPatient=[1, 0, 0, 0, 0, -1],
         SOPInstanceUID="1.2.9")  # fmt: skip
    (folder / "broken.dcm").write_bytes(box_files[0].read_bytes()[:200])
    (folder / "empty.dcm").write_bytes(b"")
    found = find_series(folder)
    chosen, reason = choose_series(found)
    assert [(ref.n_slices, ref.usable) for ref in found] == [(16, True), (1, False)]
    assert "localizer" in codes(found[1])
    assert "2 damaged files" in next(f.message for f in chosen.flags if f.code == "unreadable_files")
    assert "16 axial slices every 1.50 mm" in reason


def test_copies_of_files_count_once(box_files: list[Path]) -> None:
    shutil.copytree(box_files[0].parent, box_files[0].parent / "copy")
    [ref] = find_series(box_files[0].parent)
    assert ref.n_slices == 16
    assert "duplicate_files" in codes(ref)


def test_two_acquisitions_in_one_series_are_told_apart(box_files: list[Path], edit: Edit) -> None:
    for n, path in enumerate(box_files):
        second = path.with_name(f"second{n}")
        shutil.copy(path, second)
        edit(second, AcquisitionNumber=2, SOPInstanceUID=f"1.2.9.{n}")
    found = find_series(box_files[0].parent)
    assert [(ref.n_slices, ref.usable) for ref in found] == [(16, True), (16, True)]


def test_slices_at_the_same_position_that_nothing_tells_apart_are_refused(box_files: list[Path], edit: Edit) -> None:
    second = box_files[5].with_name("second")
    shutil.copy(box_files[5], second)
    edit(second, SOPInstanceUID="1.2.9")
    [ref] = find_series(box_files[0].parent)
    assert not ref.usable
    assert "duplicate_positions" in codes(ref)
    with pytest.raises(InputError, match="same position"):
        choose_series([ref])


def test_the_thinnest_series_that_covers_the_lungs_is_chosen(box_ct: CtVolume, tmp_path: Path) -> None:
    thin_series(box_ct, tmp_path / "a", 5.0, "1.5")
    thin_series(box_ct, tmp_path / "b", 1.25, "1.125")
    thin_series(box_ct, tmp_path / "c", 2.5, "1.25")
    thin_part = thin_series(box_ct, tmp_path / "d", 1.0, "1.1")
    for path in thin_part[60:]:
        path.unlink()
    chosen, reason = choose_series(find_series(tmp_path))
    assert chosen.description.series_uid == "1.125"
    assert "thinnest slices" in reason


def test_of_equal_series_the_softer_kernel_is_chosen(box_ct: CtVolume, tmp_path: Path) -> None:
    thin_series(box_ct, tmp_path / "a", 2.0, "1.70", kernel="B70f")
    thin_series(box_ct, tmp_path / "b", 2.0, "1.30", kernel="B30f")
    chosen, reason = choose_series(find_series(tmp_path))
    assert chosen.description.kernel == "B30f"
    assert "softer kernel" in reason


def test_thick_slices_are_flagged_and_very_thick_ones_refused(box_ct: CtVolume, tmp_path: Path) -> None:
    severities = {}
    for spacing in (2.5, 3.0, 5.0, 10.0):
        thin_series(box_ct, tmp_path / str(spacing), spacing, f"1.{spacing:.0f}")
        [ref] = find_series(tmp_path / str(spacing))
        flag = [f.severity for f in ref.flags if f.code == "thick_slices"]
        severities[spacing] = (flag[0] if flag else None, ref.usable)
    assert severities == {2.5: (None, True), 3.0: ("info", True), 5.0: ("warning", True), 10.0: ("serious", False)}


def test_a_projection_and_a_coronal_series_are_not_usable(box_files: list[Path], edit: Edit) -> None:
    for path in box_files:
        edit(path, ImageType=["DERIVED", "SECONDARY", "AXIAL", "MIP"])
    [ref] = find_series(box_files[0].parent)
    assert (ref.usable, "projection" in codes(ref)) == (False, True)
    for n, path in enumerate(box_files):
        edit(path, ImageType=["DERIVED", "SECONDARY", "AXIAL"], ImageOrientationPatient=[1, 0, 0, 0, 0, -1],
             ImagePositionPatient=[0, 2 * n, 0])  # fmt: skip
    [ref] = find_series(box_files[0].parent)
    assert (ref.usable, {"derived", "not_axial"} <= codes(ref)) == (False, True)


def test_scans_of_two_patients_in_one_folder_are_flagged(box_ct: CtVolume, tmp_path: Path, edit: Edit) -> None:
    thin_series(box_ct, tmp_path / "a", 2.0, "1.1")
    for path in thin_series(box_ct, tmp_path / "b", 2.5, "1.2"):
        edit(path, PatientID="SOMEBODY ELSE")
    chosen, _ = choose_series(find_series(tmp_path))
    assert "several_patients" in codes(chosen)


def test_the_description_names_nobody(box_files: list[Path], edit: Edit) -> None:
    for path in box_files:
        edit(path, PatientName="Doe^Jane", PatientID="4711", PatientBirthDate="19640229", PatientSex="F",
             ContrastBolusAgent="IV", StudyDate="")  # fmt: skip
    facts = find_series(box_files[0].parent)[0].description
    assert "Doe" not in repr(facts)
    assert "4711" not in repr(facts)
    assert (facts.age_years, facts.sex, facts.contrast) == (60.0, "F", True)
    assert facts.study_date.isoformat() == "2024-03-01"  # from AcquisitionDate
    assert len(facts.patient_key) == 16


@pytest.mark.parametrize(
    ("kernel", "sharp"),
    [("STANDARD", False), ("LUNG", True), ("BONEPLUS", True), ("B30f", False), ("B60f", True), ("Br40d\\3", False),
     ("Bl57d", True), ("I70f", True), ("FC08", False), ("FC51", True), ("", False), ("C", False), ("D", True)],
)  # fmt: skip
def test_sharp_kernels_are_known_by_the_vendors_names(kernel: str, sharp: bool) -> None:
    assert is_sharp_kernel(kernel) is sharp


def run_verb(folder: Path, *options: str) -> int:
    parser = ArgumentParser()
    series_verb.add_parser(parser.add_subparsers())
    args = parser.parse_args(["series", str(folder), *options])
    return args.run(args)


def test_the_series_verb_lists_as_table_and_json(box_files: list[Path], capsys: pytest.CaptureFixture[str]) -> None:
    assert run_verb(box_files[0].parent) == 0
    assert "16" in capsys.readouterr().out
    assert run_verb(box_files[0].parent, "--json") == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 1  # the panel reads lines
    answer = json.loads(lines[0])
    assert answer["chosen"] == 0
    assert answer["series"][0]["spacing_kji_mm"] == pytest.approx([1.5, 6.0, 5.0])
    assert answer["series"][0]["files"] == [str(path) for path in find_series(box_files[0].parent)[0].files]


def test_the_series_verb_ends_with_3_where_nothing_is_usable(
    box_files: list[Path], capsys: pytest.CaptureFixture[str]
) -> None:
    box_files[7].unlink()
    assert run_verb(box_files[0].parent, "--json") == 3
    answer = json.loads(capsys.readouterr().out)
    assert answer["chosen"] is None
    assert "a slice is missing" in answer["reason"]
