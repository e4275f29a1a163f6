"""Which source a folder is, and what all of them do alike."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from LungNoduleCADLib.domain.ct import CtVolume
from LungNoduleCADLib.domain.masks import LungMask
from LungNoduleCADLib.domain.nodule import NoduleType
from LungNoduleCADLib.domain.provenance import Method
from LungNoduleCADLib.errors import InputError, UsageError
from LungNoduleCADLib.imaging.sitk_bridge import to_sitk
from LungNoduleCADLib.phantom.dicom import write_dicom_series
from LungNoduleCADLib.training import scans
from LungNoduleCADLib.training.data import NO_FOLD, Mark, MarkedScan, open_training_data
from LungNoduleCADLib.training.lidc_idri import LidcIdri
from LungNoduleCADLib.training.luna16 import Luna16
from LungNoduleCADLib.training.nodule_pack import NodulePack

MARKS = (
    "series,nodule_id,n_readers,l_mm,p_mm,s_mm,eq_diameter_mm,type\n"
    "scan of A,A_n00,3,1,2,3,10.0,partsolid\nscan of A,A_n01,1,5,6,7,4.0,solid\n"
)


@pytest.fixture
def small_ct(ct_of: Callable[..., CtVolume]) -> CtVolume:
    hu = np.full((12, 30, 30), -900)
    hu[:, 10:20, 10:20] = 44
    return ct_of(hu, (3.0, 2.0, 2.0))


@pytest.fixture
def scans_folder(small_ct: CtVolume, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Scans of patient A of the pack, and of a stranger."""
    monkeypatch.setattr(
        scans,
        "segment_lungs",
        lambda ct: LungMask(np.ones(ct.hu.shape, np.uint8), ct.geometry, Method("everything", "1")),
    )
    for patient in ("A", "stranger"):
        write_dicom_series(small_ct, tmp_path / "scans" / f"scan of {patient}", patient_id=patient)
    (tmp_path / "scans/nodules.csv").write_text(MARKS, encoding="utf-8")
    return tmp_path / "scans"


def test_a_nodule_pack_is_known_by_its_table(pack_folder: Path) -> None:
    data = open_training_data(pack_folder)

    assert isinstance(data, NodulePack)
    assert (len(data.nodules), data.has_outlines, data.has_ratings) == (3, True, True)
    assert list(data.marked_scans((0, 3))) == []


def test_lidc_idri_is_known_by_its_readings(small_ct: CtVolume, tmp_path: Path) -> None:
    write_dicom_series(small_ct, tmp_path / "LIDC-IDRI-0001/study/series", patient_id="LIDC-IDRI-0001")
    (tmp_path / "LIDC-IDRI-0001/069.xml").write_text(
        f"<LidcReadMessage><ResponseHeader><SeriesInstanceUid>{small_ct.series.series_uid}</SeriesInstanceUid>"
        "</ResponseHeader><readingSession/></LidcReadMessage>",
        encoding="utf-8",
    )
    (tmp_path / "nodules.csv").write_text(MARKS, encoding="utf-8")
    told: list[str] = []

    data = open_training_data(tmp_path, report=told.append)

    assert isinstance(data, LidcIdri)
    assert list(data.patient_folds()) == ["LIDC-IDRI-0001"]
    assert told == ["LIDC-IDRI: 1 scans opened, 0 readings to go"]


def test_luna16_is_known_by_its_subsets(small_ct: CtVolume, tmp_path: Path) -> None:
    (tmp_path / "subset3").mkdir()
    sitk.WriteImage(to_sitk(small_ct.hu, small_ct.geometry), tmp_path / "subset3/1.2.mhd")
    (tmp_path / "annotations.csv").write_text("seriesuid,coordX,coordY,coordZ,diameter_mm\n", encoding="utf-8")

    data = open_training_data(tmp_path)

    assert isinstance(data, Luna16)
    assert data.patient_folds() == {"1.2": 3}


@pytest.mark.parametrize("content", ["nothing", "other things"])
def test_any_other_folder_is_refused_with_what_is_known(tmp_path: Path, content: str) -> None:
    if content == "other things":
        (tmp_path / "nodules.csv").write_text("a,b\n1,2\n", encoding="utf-8")
        (tmp_path / "notes.xml").write_text("<notes/>", encoding="utf-8")

    with pytest.raises(InputError, match=r"holds no training data: expected a nodule pack.*LIDC-IDRI.*LUNA16") as error:
        open_training_data(tmp_path)

    assert error.value.got == ("an empty folder" if content == "nothing" else "nodules.csv, notes.xml")


def test_a_folder_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is no folder"):
        open_training_data(tmp_path / "nowhere")


def test_whole_scans_beside_data_that_has_its_own_make_no_sense(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="go with a nodule pack only"):
        open_training_data(tmp_path, scans=tmp_path)


def test_a_pack_gives_the_whole_scans_of_its_patients_and_of_strangers(pack_folder: Path, scans_folder: Path) -> None:
    data = open_training_data(pack_folder, scans_folder)

    (of_a,) = data.marked_scans((0, 1))
    (stranger,) = data.marked_scans((NO_FOLD,))

    assert (of_a.name, of_a.fold) == ("scan of A", 0)
    assert [(m.nodule_id, m.n_readers, m.type) for m in of_a.marks] == [
        ("A_n00", 3, NoduleType.PART_SOLID),
        ("A_n01", 1, NoduleType.SOLID),
    ]
    assert np.unique(of_a.ct.hu).tolist() == [-904, 40]
    assert (stranger.name, stranger.fold, stranger.marks) == ("scan of stranger", NO_FOLD, ())


def test_a_table_of_marks_that_makes_no_sense_is_refused(pack_folder: Path, scans_folder: Path) -> None:
    (scans_folder / "nodules.csv").write_text(MARKS.replace("10.0", "large"), encoding="utf-8")

    with pytest.raises(InputError, match=r"nodules\.csv makes no sense"):
        list(open_training_data(pack_folder, scans_folder).marked_scans((0,)))


def test_background_keeps_away_from_marks_and_from_nodules_below_3_mm(small_ct: CtVolume) -> None:
    lungs = LungMask(np.ones(small_ct.hu.shape, np.uint8), small_ct.geometry, Method("everything", "1"))
    marks = (Mark("n", 4, (1.0, 2.0, 3.0), 10.0, None),)

    scan = MarkedScan("a", small_ct, lungs, marks, small_lps_mm=np.array([[7.0, 8.0, 9.0]]))

    assert scan.keep_away_lps_mm.tolist() == [[1.0, 2.0, 3.0, 13.0], [7.0, 8.0, 9.0, 9.5]]
    assert MarkedScan("b", small_ct, lungs, ()).keep_away_lps_mm.shape == (0, 4)


def test_data_that_has_everything_meets_every_requirement(pack: NodulePack) -> None:
    pack.require("nodule_ct_segmentation", outlines=True, ratings=True)

    assert pack.of_folds((0,), lambda n: n.type is NoduleType.PART_SOLID)[0].nodule_id == "A_n01"
