"""Which scans a table or a folder lists, and under which names."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from LungNoduleCADLib.cohort.scans import read_scans
from LungNoduleCADLib.dicom.load import load_ct
from LungNoduleCADLib.domain.ct import CtVolume
from LungNoduleCADLib.domain.geometry import Geometry
from LungNoduleCADLib.domain.study import SeriesDescription
from LungNoduleCADLib.errors import InputError
from LungNoduleCADLib.phantom.dicom import write_dicom_series


def written(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def test_a_table_gives_scans_priors_facts_and_ids(tmp_path: Path) -> None:
    table = written(
        tmp_path / "t.csv",
        "\ufeffarm,scan,prior,clinical,id\n"
        "screen,SMITH/ct,SMITH/2023;SMITH/2022,smith.json,s-01\n"
        f"control,{tmp_path / 'JONES'},,,\n",
    )

    first, second = read_scans(table)

    assert first.id == "s-01"
    assert first.source == tmp_path / "SMITH/ct"
    assert first.priors == (tmp_path / "SMITH/2023", tmp_path / "SMITH/2022")
    assert first.clinical == tmp_path / "smith.json"
    assert (second.source, second.priors, second.clinical) == (tmp_path / "JONES", (), None)
    assert second.id.startswith("ct-")
    assert "jones" not in second.id.lower()
    assert read_scans(table)[1].id == second.id


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "an empty file"),
        ("path\na\n", "got path"),
        ("scan\n", "lists no scans"),
        ("scan,id\n,x\n", "Line 2"),
        ("scan,id\na,../x\n", "cannot name a folder"),
        ("scan,id\na,X\nb,x\n", "Line 3"),
        ("scan\na\na\n", "same id"),
        ("scan\n\xff\n", "UTF-8"),
    ],
)
def test_a_table_that_cannot_be_used_is_refused_with_its_line(tmp_path: Path, text: str, complaint: str) -> None:
    table = tmp_path / "t.csv"
    table.write_bytes(text.encode("latin-1"))

    with pytest.raises(InputError) as error:
        read_scans(table)

    assert complaint in str(error.value)


def test_what_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such table or folder"):
        read_scans(tmp_path / "nothing.csv")


def studies(tmp_path: Path) -> dict[str, Path]:
    """Four studies below one folder: two series of one, two that share a folder, one with a slice missing."""
    below = tmp_path / "cohort"
    box = _box("1.1", "1.1.1", thickness_mm=2.0)
    write_dicom_series(_box("1.1", "1.1.2", thickness_mm=5.0, n=8), below / "SMITH" / "thick")
    write_dicom_series(box, below / "SMITH" / "thin")
    for study in ("2.1", "3.1"):
        for path in write_dicom_series(_box(study, f"{study}.1"), tmp_path / study):
            (below / "both").mkdir(parents=True, exist_ok=True)
            path.rename(below / "both" / f"{study}-{path.name}")
    torn = write_dicom_series(_box("4.1", "4.1.1"), below / "torn")
    for path in torn[5:8]:
        path.unlink()
    return {"thin": below / "SMITH" / "thin", "both": below / "both", "torn": below / "torn", "below": below}


def _box(study_uid: str, series_uid: str, *, thickness_mm: float = 2.0, n: int = 20) -> CtVolume:
    hu = np.full((n, 40, 48), -1000, np.int16)
    hu[:, 10:34, 12:40] = 40
    geometry = Geometry((n, 40, 48), (-110.0, -90.0, 30.0), (thickness_mm, 6.0, 5.0))
    return CtVolume(hu, geometry, SeriesDescription(series_uid, study_uid, slice_thickness_mm=thickness_mm))


def test_a_folder_gives_one_scan_a_study_and_the_series_that_analyse_would_choose(tmp_path: Path) -> None:
    folders = studies(tmp_path)

    scans = read_scans(folders["below"])

    assert len({scan.id for scan in scans}) == len(scans) == 4
    (thin,) = [scan for scan in scans if scan.files[0].parent == folders["thin"]]
    assert len(thin.files) == 20
    both = [scan for scan in scans if scan.source.parent == folders["both"]]
    assert {scan.source.name[:3] for scan in both} == {"2.1", "3.1"}
    for scan in both:
        assert load_ct(scan.source).series.study_uid == scan.source.name[:3]
    (torn,) = [scan for scan in scans if scan.files[0].parent == folders["torn"]]
    assert "missing" in torn.refused
    assert not any(scan.refused for scan in scans if scan is not torn)


def test_a_folder_without_ct_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("none")

    with pytest.raises(InputError, match="no DICOM image"):
        read_scans(tmp_path)
