"""Scans and tables laid out as LUNA16 ships them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from LungNoduleCADLib.domain.geometry import Geometry
from LungNoduleCADLib.domain.masks import LungMask
from LungNoduleCADLib.domain.provenance import Method
from LungNoduleCADLib.errors import InputError
from LungNoduleCADLib.imaging.sitk_bridge import to_sitk
from LungNoduleCADLib.training import scans
from LungNoduleCADLib.training.luna16 import SAME_PATIENTS, Luna16

SHAPE, SPACING_KJI_MM, ORIGIN_LPS_MM = (40, 60, 60), (2.0, 1.0, 1.0), (-30.0, -20.0, -300.0)
CENTRE_KJI = (20, 30, 25)
FLIPPED = (-1.0, 0.0, 0.0, 0.0, -1.0, 0.0, 0.0, 0.0, 1.0)


def write_scan(path: Path, direction: tuple[float, ...] = (1, 0, 0, 0, 1, 0, 0, 0, 1)) -> np.ndarray:
    """Air with one bright voxel and some tissue; the bright voxel's place (LPS mm)."""
    hu = np.full(SHAPE, -900, np.int16)
    hu[:, 50:] = 40
    hu[CENTRE_KJI] = 1000
    geometry = Geometry(SHAPE, ORIGIN_LPS_MM, SPACING_KJI_MM, direction)
    path.parent.mkdir(parents=True, exist_ok=True)
    sitk.WriteImage(to_sitk(hu, geometry), path)
    return geometry.to_lps_mm(CENTRE_KJI)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    rows = ["seriesuid,coordX,coordY,coordZ,diameter_mm"]
    others = ["seriesuid,coordX,coordY,coordZ,class"]
    for uid, subset, direction in (("1.1", 0, (1, 0, 0, 0, 1, 0, 0, 0, 1)), ("1.2", 7, FLIPPED)):
        x, y, z = write_scan(tmp_path / f"subset{subset}/{uid}.mhd", direction)
        rows += [f"{uid},{x},{y},{z},6.0", f"{uid},{x},{y},{z + 20},10.0"]
        others += [f"{uid},{x},{y},{z},1", f"{uid},{x + 5},{y},{z - 8},0"]
    write_scan(tmp_path / "subset7/1.3.mhd")
    rows.append("1.99,0,0,0,5.0")
    (tmp_path / "annotations.csv").write_text("\n".join(rows), encoding="utf-8")
    (tmp_path / "candidates.csv").write_text("\n".join(others), encoding="utf-8")
    return tmp_path


@pytest.fixture
def lungs_everywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        scans,
        "segment_lungs",
        lambda ct: LungMask(np.ones(ct.hu.shape, np.uint8), ct.geometry, Method("everything", "1")),
    )


def test_nodules_have_a_place_a_diameter_and_the_subset_as_fold(folder: Path) -> None:
    data = Luna16(folder)
    first = data.nodules[0]

    assert [(n.nodule_id, n.fold) for n in data.nodules] == [
        ("1.1_n00", 0), ("1.1_n01", 0), ("1.2_n00", 7), ("1.2_n01", 7),
    ]  # fmt: skip
    assert (first.patient_id, first.eq_diameter_mm, first.type, first.ratings) == ("1.1", 6.0, None, {})
    assert first.volume_mm3 == pytest.approx(np.pi * 36)
    assert data.patient_folds() == {"1.1": 0, "1.2": 7, "1.3": 7}
    assert data.notes == (f"1 nodules are of scans that are not in {folder}.", SAME_PATIENTS)


@pytest.mark.parametrize("number", [0, 2], ids=["as usual", "flipped"])
def test_the_centre_of_a_block_is_the_annotated_place(folder: Path, number: int) -> None:
    data = Luna16(folder)
    nodule = data.nodules[number]

    block = data.load(nodule)

    assert block.hu[tuple(round(c) for c in nodule.centre_kji)] == 1000
    assert np.count_nonzero(block.hu == 1000) == 1
    assert block.geometry.spacing_kji_mm == SPACING_KJI_MM


def test_nobody_outlined_or_rated_anything(folder: Path) -> None:
    data = Luna16(folder)
    block = data.load(data.nodules[0])

    assert block.votes is None
    with pytest.raises(InputError, match="has no outline"):
        _ = block.consensus
    with pytest.raises(InputError, match=r"1\.1_n00 was not rated: expected a grade of malignancy"):
        data.nodules[0].median("malignancy")
    with pytest.raises(
        InputError, match="segmentation cannot learn from LUNA16: expected readers' outlines and ratings"
    ):
        data.require("segmentation", outlines=True, ratings=True)


@pytest.mark.usefixtures("lungs_everywhere")
def test_whole_scans_have_their_marks_and_the_candidates_that_are_no_nodule(folder: Path) -> None:
    data = Luna16(folder)
    flipped, without = data.marked_scans((7,))

    assert (flipped.name, flipped.fold, without.name) == ("1.2", 7, "1.3")
    x, y, z = flipped.marks[0].centre_lps_mm
    assert flipped.ct.hu[tuple(np.rint(flipped.ct.geometry.to_kji((x, y, z))).astype(int))] == 1000
    assert flipped.non_nodules_lps_mm == pytest.approx(np.array([[x + 5, y, z - 8]]))
    assert without.marks == ()
    assert without.non_nodules_lps_mm.shape == (0, 3)


@pytest.mark.usefixtures("lungs_everywhere")
def test_the_second_list_of_candidates_goes_before_the_first_and_none_is_needed(folder: Path) -> None:
    (folder / "candidates_V2.csv").write_text("seriesuid,coordX,coordY,coordZ,class\n1.1,1,2,3,0", encoding="utf-8")
    (first,) = Luna16(folder).marked_scans((0,))
    for name in ("candidates_V2.csv", "candidates.csv"):
        (folder / name).unlink()
    (without,) = Luna16(folder).marked_scans((0,))

    assert first.non_nodules_lps_mm.tolist() == [[1.0, 2.0, 3.0]]
    assert len(without.non_nodules_lps_mm) == 0


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ("diameter_mm", "size", "annotations.csv lacks a column: expected .*diameter_mm"),
        ("6.0", "large", "annotations.csv makes no sense in line 2"),
        ("seriesuid,", "", "annotations.csv lacks a column: expected seriesuid"),
    ],
)
def test_a_table_that_makes_no_sense_is_refused(folder: Path, old: str, new: str, why: str) -> None:
    table = folder / "annotations.csv"
    table.write_text(table.read_text(encoding="utf-8").replace(old, new), encoding="utf-8")

    with pytest.raises(InputError, match=why):
        Luna16(folder)


def test_a_nodule_outside_of_its_scan_is_refused(folder: Path) -> None:
    """Voxel indices instead of millimetres, say."""
    (folder / "annotations.csv").write_text(
        "seriesuid,coordX,coordY,coordZ,diameter_mm\n1.1,25,30,20,6.0", encoding="utf-8"
    )

    with pytest.raises(InputError, match=r"does not fit its scan 1\.1"):
        Luna16(folder)


def test_scans_without_nodules_and_nodules_without_scans_are_refused(folder: Path) -> None:
    (folder / "nodules only").mkdir()
    (folder / "annotations.csv").rename(folder / "nodules only/annotations.csv")
    with pytest.raises(InputError, match=r"is not LUNA16.*got no scans"):
        Luna16(folder / "nodules only")
    (folder / "nodules only/annotations.csv").unlink()
    with pytest.raises(InputError, match=r"is not LUNA16.*got no annotations\.csv"):
        Luna16(folder)


def test_a_scan_whose_header_is_damaged_is_named(folder: Path) -> None:
    (folder / "subset0/1.1.mhd").write_text("ObjectType = Image", encoding="utf-8")

    with pytest.raises(InputError, match=r"1\.1\.mhd is damaged"):
        Luna16(folder)


def test_a_scan_whose_pixels_are_missing_is_named_when_it_is_read(folder: Path) -> None:
    (folder / "subset0/1.1.raw").unlink()
    data = Luna16(folder)

    with pytest.raises(InputError, match=r"1\.1\.mhd is damaged"):
        data.load(data.nodules[0])
