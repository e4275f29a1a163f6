"""Small scans written as DICOM with XML as LIDC's readers left it, laid out as TCIA ships them and otherwise."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from shutil import copytree

import numpy as np
import pydicom
import pytest

from LungNoduleCADLib.dicom.load import load_ct
from LungNoduleCADLib.domain.ct import CtVolume
from LungNoduleCADLib.domain.masks import LungMask
from LungNoduleCADLib.domain.nodule import NoduleType
from LungNoduleCADLib.domain.provenance import Method
from LungNoduleCADLib.errors import InputError
from LungNoduleCADLib.imaging.patch import quantise
from LungNoduleCADLib.phantom.dicom import write_dicom_series
from LungNoduleCADLib.training import scans
from LungNoduleCADLib.training.data import NO_FOLD
from LungNoduleCADLib.training.lidc_idri import HASHED, LidcIdri, hashed_fold, holds_readings, type_by_texture

SPACING_KJI_MM = (5.0, 1.0, 1.0)
SHAPE_JI = (110, 110)
SUPINE = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)
PRONE = (-1.0, 0.0, 0.0, 0.0, -1.0, 0.0, 0.0, 0.0, 1.0)
Pixel = tuple[int, int, int]


@pytest.fixture
def write_scan(ct_of: Callable[..., CtVolume], tmp_path: Path) -> Callable[..., list[str]]:
    """``write_scan(folder, patient, series_uid, n_slices)``: tissue in noisy air; returns the UIDs of its slices."""

    def write(
        folder: str, patient: str, series_uid: str, n_slices: int = 12, direction: tuple[float, ...] = SUPINE
    ) -> list[str]:
        hu = np.random.default_rng(1).integers(-900, -700, (n_slices, *SHAPE_JI))
        hu[:, 40:80, 40:80] = 40
        ct = ct_of(hu, SPACING_KJI_MM, (-60.0, -50.0, -200.0), direction)
        files = write_dicom_series(
            replace(ct, series=replace(ct.series, series_uid=series_uid)), tmp_path / folder, patient_id=patient
        )
        return [str(pydicom.dcmread(path, stop_before_pixels=True).SOPInstanceUID) for path in files]

    return write


def region(uid: str, pixels: list[tuple[int, int]], tag: str = "edgeMap") -> str:
    points = "".join(f"<{tag}><xCoord>{x}</xCoord><yCoord>{y}</yCoord></{tag}>" for x, y in pixels)
    return f"<imageSOP_UID>{uid}</imageSOP_UID><inclusion>TRUE</inclusion>{points}"


def nodule(uids: list[str], first: Pixel, last: Pixel, **grades: int) -> str:
    """A box of voxels (k, j, i), drawn by its corners just outside of it."""
    (k0, j0, i0), (k1, j1, i1) = first, last
    corners = [(i0 - 1, j0 - 1), (i1 + 1, j0 - 1), (i1 + 1, j1 + 1), (i0 - 1, j1 + 1)]
    rois = "".join(f"<roi>{region(uids[k], corners)}</roi>" for k in range(k0, k1 + 1))
    ratings = "".join(f"<{name}>{grade}</{name}>" for name, grade in grades.items())
    return f"<unblindedReadNodule><characteristics>{ratings}</characteristics>{rois}</unblindedReadNodule>"


def small(uids: list[str], at: Pixel) -> str:
    return f"<unblindedReadNodule><roi>{region(uids[at[0]], [(at[2], at[1])])}</roi></unblindedReadNodule>"


def non_nodule(uids: list[str], at: Pixel) -> str:
    return f"<nonNodule>{region(uids[at[0]], [(at[2], at[1])], 'locus')}</nonNodule>"


def reading(series_uid: str, *readers: str) -> str:
    sessions = "".join(f"<readingSession>{marks}</readingSession>" for marks in readers)
    header = f"<ResponseHeader><SeriesInstanceUid>{series_uid}</SeriesInstanceUid></ResponseHeader>"
    return f'<LidcReadMessage xmlns="http://www.nih.gov">{header}{sessions}</LidcReadMessage>'


@pytest.fixture
def collection(write_scan: Callable[..., list[str]], tmp_path: Path) -> Path:
    """Patient A: two nodules, the upper one seen by three readers; patient B: nothing outlined. XML here and there."""
    a = write_scan("LIDC/A/study/series", "A", "1.2.1", 24)
    b = write_scan("LIDC/B/study/series", "B", "1.2.2")
    upper, lower = ((10, 50, 50), (13, 57, 57)), ((3, 50, 50), (4, 53, 53))
    (tmp_path / "LIDC/A/study/series/158.xml").write_text(
        reading(
            "1.2.1",
            nodule(a, *upper, texture=5, malignancy=4) + nodule(a, *lower, texture=1),
            nodule(a, (10, 50, 50), (12, 57, 57), texture=3, malignancy=5),
            nodule(a, (10, 50, 50), (11, 57, 57), texture=3, malignancy=2) + small(a, (2, 30, 20)),
            non_nodule(a, (5, 10, 20)),
        ),
        encoding="utf-8",
    )
    (tmp_path / "LIDC/xml/185").mkdir(parents=True)
    (tmp_path / "LIDC/xml/185/072.XML").write_text(reading("1.2.2", small(b, (4, 6, 5)), ""), encoding="utf-8")
    (tmp_path / "LIDC/xml/185/073.xml").write_text(
        '<IdriReadMessage xmlns="http://www.nih.gov/idri"><CXRreadingSession/></IdriReadMessage>', encoding="utf-8"
    )
    return tmp_path / "LIDC"


@pytest.fixture
def data(collection: Path) -> LidcIdri:
    return LidcIdri(collection)


@pytest.fixture
def lungs_everywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        scans,
        "segment_lungs",
        lambda ct: LungMask(np.ones(ct.hu.shape, np.uint8), ct.geometry, Method("everything", "1")),
    )


def test_nodules_are_numbered_from_feet_to_head_with_what_their_readers_said(data: LidcIdri) -> None:
    lower, upper = data.nodules

    assert [n.nodule_id for n in data.nodules] == ["A_n00", "A_n01"]
    assert (lower.n_readers, lower.type, lower.ratings["texture"]) == (1, NoduleType.GROUND_GLASS, (1,))
    assert (upper.n_readers, upper.type, upper.ratings["texture"]) == (3, NoduleType.PART_SOLID, (5, 3, 3))
    assert upper.median("malignancy") == 4
    assert (upper.patient_id, upper.shard, upper.hu_source) == ("A", "1.2.1", "exact")
    assert data.notes == (HASHED,)


def test_the_size_is_that_of_what_half_of_the_readers_marked(data: LidcIdri) -> None:
    """The upper nodule: two of its three readers outlined 3 slices of 8 x 8 voxels."""
    lower, upper = data.nodules

    assert lower.volume_mm3 == pytest.approx(2 * 4 * 4 * 5.0)
    assert upper.volume_mm3 == pytest.approx(3 * 8 * 8 * 5.0)
    assert upper.eq_diameter_mm == pytest.approx((6 * upper.volume_mm3 / np.pi) ** (1 / 3))


def test_a_block_is_cut_from_the_scan_with_lung_on_all_sides(data: LidcIdri, collection: Path) -> None:
    upper = data.nodules[1]
    block = data.load(upper)
    ct = load_ct(collection / "A")
    box = tuple(slice(s, s + n) for s, n in zip(upper.start_kji, block.hu.shape, strict=True))

    assert np.array_equal(block.hu, quantise(ct.hu[box]))
    marked = np.argwhere(block.votes)
    for before in (marked.min(axis=0), block.hu.shape - marked.max(axis=0) - 1):
        assert np.all(before * SPACING_KJI_MM >= 40)
    assert block.geometry.to_lps_mm((0, 0, 0)) == pytest.approx(ct.geometry.to_lps_mm(upper.start_kji))


def test_the_votes_are_the_share_of_the_nodules_own_readers(data: LidcIdri) -> None:
    upper = data.nodules[1]
    block = data.load(upper)
    middle = tuple(int(c) for c in upper.centre_kji)

    assert block.votes[:, middle[1], middle[2]][block.votes[:, middle[1], middle[2]] > 0] == pytest.approx(
        [1, 1, 2 / 3, 1 / 3]
    )
    assert np.argwhere(block.consensus).mean(axis=0) == pytest.approx(upper.centre_kji)
    assert block.consensus.sum() * 5.0 == pytest.approx(upper.volume_mm3)


@pytest.mark.usefixtures("lungs_everywhere")
def test_whole_scans_have_marks_small_marks_and_non_nodules_in_lps(data: LidcIdri) -> None:
    folds = set(data.patient_folds().values())
    a, b = data.marked_scans(folds)

    assert (a.name, b.name) == ("A", "B")
    assert [m.nodule_id for m in a.marks] == ["A_n00", "A_n01"]
    assert a.marks[0].centre_lps_mm == pytest.approx((-60 + 51.5, -50 + 51.5, -200 + 3.5 * 5))
    assert a.small_lps_mm == pytest.approx(np.array([[-60 + 20, -50 + 30, -200 + 2 * 5]]))
    assert a.non_nodules_lps_mm == pytest.approx(np.array([[-60 + 20, -50 + 10, -200 + 5 * 5]]))
    assert b.marks == ()
    assert len(b.small_lps_mm) == 1
    assert len(b.keep_away_lps_mm) == 1
    assert np.all(a.ct.hu % 8 == 0)


@pytest.mark.usefixtures("lungs_everywhere")
def test_scans_are_given_by_fold(collection: Path) -> None:
    (collection / "folds.csv").write_text("patient_id,fold\nA,2\n", encoding="utf-8")
    data = LidcIdri(collection)

    assert data.notes == ()
    assert [(s.name, s.fold) for s in data.marked_scans((2,))] == [("A", 2)]
    assert [(s.name, s.fold) for s in data.marked_scans((NO_FOLD,))] == [("B", NO_FOLD)]
    assert [n.nodule_id for n in data.of_folds((2,))] == ["A_n00", "A_n01"]


def test_without_a_table_the_fold_is_a_hash_of_the_patient_that_uses_all_five(data: LidcIdri) -> None:
    counts = np.bincount([hashed_fold(f"LIDC-IDRI-{n:04d}") for n in range(1, 1013)])

    assert data.patient_folds() == {"A": hashed_fold("A"), "B": hashed_fold("B")}
    assert len(counts) == 5
    assert counts.min() > 160


def test_the_digest_of_the_split_knows_patients_without_a_nodule(collection: Path) -> None:
    digests = []
    for fold_of_b in (1, 2):
        (collection / "folds.csv").write_text(f"patient_id,fold\nA,0\nB,{fold_of_b}\n", encoding="utf-8")
        digests.append(LidcIdri(collection).split_sha256())

    assert digests[0] != digests[1]


@pytest.mark.parametrize(
    ("table", "why"),
    [
        ("patient,fold\nA,1\n", "makes no sense in line 2"),
        ("patient_id,fold\nA,1\nB,test\n", "makes no sense in line 3"),
        ("patient_id,fold\nA,1\nA,2\n", "has A in two folds: got 1 and 2"),
    ],
)
def test_a_table_of_folds_that_makes_no_sense_is_refused(collection: Path, table: str, why: str) -> None:
    (collection / "folds.csv").write_text(table, encoding="utf-8")

    with pytest.raises(InputError, match=why):
        LidcIdri(collection)


def test_a_prone_scan_has_its_nodules_where_it_is_loaded(write_scan: Callable[..., list[str]], tmp_path: Path) -> None:
    uids = write_scan("prone", "P", "1.2.9", direction=PRONE)
    (tmp_path / "prone/1.xml").write_text(reading("1.2.9", nodule(uids, (8, 50, 50), (9, 53, 53))), encoding="utf-8")

    data = LidcIdri(tmp_path / "prone")
    (found,) = data.nodules
    block = data.load(found)

    assert block.votes.sum() == 2 * 4 * 4
    assert np.argwhere(block.votes).mean(axis=0) + found.start_kji == pytest.approx((8.5, 109 - 51.5, 109 - 51.5))
    assert block.geometry.to_lps_mm(found.centre_kji) == pytest.approx((-60 - 51.5, -50 - 51.5, -200 + 8.5 * 5))
    assert found.type is None


def test_scans_that_nobody_read_and_readings_of_absent_scans_are_left_alone(
    collection: Path, write_scan: Callable[..., list[str]]
) -> None:
    write_scan("LIDC/C", "C", "1.2.3")
    (collection / "A/segmentation").mkdir()
    (collection / "A/segmentation/1.dcm").write_bytes(bytes(128) + b"DICM")
    (collection / "099.xml").write_text(reading("1.2.99", ""), encoding="utf-8")

    data = LidcIdri(collection)

    assert set(data.patient_folds()) == {"A", "B"}
    assert data.notes == (f"1 readings are of series that are not in {collection}.", HASHED)


def test_what_cannot_be_used_is_left_out_and_told(collection: Path) -> None:
    (collection / "B/study/series/0006.dcm").unlink()
    (collection / "xml/185/074.xml").write_text("<LidcReadMessage>", encoding="utf-8")

    data = LidcIdri(collection)

    assert set(data.patient_folds()) == {"A"}
    assert len(data.notes) == 3
    assert "074.xml is damaged" in data.notes[0]
    assert "1.2.2 was left out" in data.notes[1]
    assert "a slice is missing" in data.notes[1]


def test_a_reading_that_marks_a_slice_of_another_scan_is_left_out_and_told(collection: Path) -> None:
    xml = collection / "xml/185/072.XML"
    xml.write_text(xml.read_text(encoding="utf-8").replace("<imageSOP_UID>", "<imageSOP_UID>9."), encoding="utf-8")

    note, _ = LidcIdri(collection).notes

    assert "marks a slice that is not there" in note


@pytest.mark.usefixtures("lungs_everywhere")
def test_two_scans_of_a_patient_share_a_fold_and_have_names_of_their_own(
    collection: Path, write_scan: Callable[..., list[str]]
) -> None:
    uids = write_scan("LIDC/A/later", "A", "1.2.4")
    (collection / "4.xml").write_text(reading("1.2.4", nodule(uids, (8, 50, 50), (9, 53, 53))), encoding="utf-8")

    data = LidcIdri(collection)
    names = [scan.name for scan in data.marked_scans((hashed_fold("A"),)) if scan.name.startswith("A")]

    assert [n.nodule_id for n in data.nodules] == ["A_n00", "A_n01", "A_n02"]
    assert data.nodules[2].shard == "1.2.4"
    assert len(set(names)) == 2


def test_folders_behind_links_are_found_and_a_circle_of_links_ends(collection: Path, tmp_path: Path) -> None:
    linked = tmp_path / "linked"
    linked.mkdir()
    (linked / "A").symlink_to(collection / "A")
    (linked / "again").symlink_to(linked)

    assert [n.nodule_id for n in LidcIdri(linked).nodules] == ["A_n00", "A_n01"]


def test_a_copy_of_a_scan_counts_once(collection: Path) -> None:
    copytree(collection / "A", collection / "copy of A")

    assert len(LidcIdri(collection).nodules) == 2


def test_xml_without_scans_and_scans_without_xml_are_refused(collection: Path) -> None:
    with pytest.raises(InputError, match="no reading of a CT"):
        LidcIdri(collection / "B")
    with pytest.raises(InputError, match=r"no CT series that was read.*got 1 readings of other series"):
        LidcIdri(collection / "xml")
    assert holds_readings(collection / "xml")
    assert not holds_readings(collection / "B")


@pytest.mark.parametrize(
    ("grades", "kind"),
    [
        ((1, 2, 2), NoduleType.GROUND_GLASS),
        ((2, 3), NoduleType.PART_SOLID),
        ((3, 4), NoduleType.PART_SOLID),
        ((3, 5), NoduleType.SOLID),
        ((), None),
    ],
)
def test_the_type_is_by_the_median_of_texture(grades: tuple[int, ...], kind: NoduleType | None) -> None:
    assert type_by_texture(grades) is kind
