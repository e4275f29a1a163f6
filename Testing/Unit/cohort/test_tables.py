"""What the tables, the overview and the verb say of a cohort."""

from __future__ import annotations

import base64
import csv
import io
import re
from collections.abc import Callable
from contextlib import AbstractContextManager
from html.parser import HTMLParser
from pathlib import Path

import psutil
import pytest
from PIL import Image

from LungNoduleCADLib.cli import main
from LungNoduleCADLib.cohort import engine
from LungNoduleCADLib.cohort.batch import Batch
from LungNoduleCADLib.cohort.overview import overview_html
from LungNoduleCADLib.cohort.scans import Scan
from LungNoduleCADLib.cohort.tables import NODULE_COLUMNS, SCAN_COLUMNS, rows_of_result, suspicion
from LungNoduleCADLib.errors import InputError

Killer = Callable[[str, Callable[[psutil.Process], object]], AbstractContextManager[list[int]]]


class _Page(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))


def test_rows_hold_what_the_findings_hold(result: Path) -> None:
    scan, (nodule,) = rows_of_result(result)

    assert scan["lung_rads"] == "4A"
    assert scan["nodules"] == 1
    assert scan["most_suspicious"] == "N1"
    assert scan["highest_malignancy"] == nodule["malignancy"] == 0.81
    assert scan["largest_mean_diameter_mm"] == nodule["mean_diameter_mm"] == 10.0
    assert scan["slices"] == 10
    assert scan["study_date"] == "2024-05-06"
    assert nodule["centroid_s_mm"] == 3.0
    assert nodule["side"] == "left"
    assert set(nodule) == set(NODULE_COLUMNS)
    assert set(scan) == set(SCAN_COLUMNS) - {"status", "error", "tries", "seconds"}


def test_the_most_suspicious_comes_first_and_an_incomplete_exam_before_a_benign_one() -> None:
    exams = [("2", 0.9), ("0", None), ("4B", 0.1), ("4B", 0.7), ("3", 0.2), (None, None), ("4X", 0.0)]
    rows = [{"lung_rads": category, "highest_malignancy": malignancy} for category, malignancy in exams]

    assert [(row["lung_rads"], row["highest_malignancy"]) for row in sorted(rows, key=suspicion)] == [
        *(("4X", 0.0), ("4B", 0.7), ("4B", 0.1), ("3", 0.2), ("0", None), ("2", 0.9), (None, None)),
    ]


def test_the_overview_is_one_file_with_pictures_links_and_nothing_from_elsewhere(
    batch_of: Callable[..., Batch], scan: Callable[..., Scan], tmp_path: Path
) -> None:
    batch_of([scan("bad", "is refused"), scan("good")])

    text = (tmp_path / "out" / "overview.html").read_text(encoding="utf-8")
    tags = _Page(text).tags
    pictures = [attributes["src"] or "" for tag, attributes in tags if tag == "img"]
    assert len(pictures) == 1
    assert pictures[0].startswith("data:image/jpeg;base64,")
    assert Image.open(io.BytesIO(base64.b64decode(pictures[0].split(",")[1]))).format == "JPEG"
    assert [attributes["href"] for tag, attributes in tags if tag == "a"] == ["good/report.pdf"]
    assert not re.findall(r"https?://|@import|<link", text)
    assert text.index(">good<") < text.index(">bad<")
    assert "2 scans: 1 analysed, 1 failed, 0 waiting" in text


def test_what_an_error_says_cannot_become_part_of_the_page(tmp_path: Path) -> None:
    row = {"id": "a", "error": "<script>alert(1)</script>", "status": "failed"}

    assert "<script>alert" not in overview_html(tmp_path, [row])


def test_parquet_tables_hold_what_the_csv_tables_hold(
    batch_of: Callable[..., Batch], scan: Callable[..., Scan], tmp_path: Path
) -> None:
    parquet = pytest.importorskip("pyarrow.parquet", reason="needs pyarrow (extra cohort)")
    batch_of([scan("a"), scan("b", "is refused")])

    table = parquet.read_table(tmp_path / "out" / "scans.parquet").to_pylist()

    with (tmp_path / "out" / "scans.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [{k: "" if v is None else str(v) for k, v in row.items()} for row in table] == rows
    assert table[0]["largest_mean_diameter_mm"] == 10.0
    assert table[1]["nodules"] is None


def test_a_dask_cluster_of_processes_loses_nothing_when_a_worker_is_killed(
    batch_of: Callable[..., Batch], scan: Callable[..., Scan], killer: Killer, tmp_path: Path
) -> None:
    distributed = pytest.importorskip("distributed", reason="needs Dask distributed (extra cohort)")
    scans = [scan("a"), scan("victim", "hangs once"), scan("c", "is refused"), scan("d")]
    out = tmp_path / "out"

    def kill_its_worker(process: psutil.Process) -> None:
        process.parent().kill()
        process.kill()  # the stand-in, unlike analyse, does not watch its standard input

    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None, host="127.0.0.1"
        ) as cluster,
        killer("victim", kill_its_worker) as killed,
    ):
        batch = batch_of(scans, engine=engine.dask_engine(cluster.scheduler_address), limit_seconds=60)

    assert killed
    assert (scans[1].source / "tries").read_text() == "2"
    assert sorted(batch.failures) == ["c"]
    assert {path.name for path in out.iterdir() if path.is_dir()} >= {"a", "victim", "d"}


def test_a_scheduler_that_is_not_there_and_dask_that_is_not_installed_are_said(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(engine, "find_spec", lambda _: None)
    with pytest.raises(InputError, match="extra cohort"), engine.dask_engine("tcp://127.0.0.1:1"):
        pass


@pytest.mark.parametrize(
    ("words", "code"), [(["--workers", "0"], 2), (["--minutes", "nan"], 2), (["--scheduler", "x", "--workers", "2"], 2)]
)
def test_options_that_make_no_sense_are_refused(tmp_path: Path, words: list[str], code: int) -> None:
    assert main(["batch", str(tmp_path), "-o", str(tmp_path / "out"), *words]) == code


def test_the_verb_never_writes_into_a_folder_of_something_else(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("keep")

    assert main(["batch", str(tmp_path), "-o", str(tmp_path)]) == 3
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_the_verb_lists_scans_that_cannot_be_read_with_the_reason_that_analyse_gives(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "SMITH").mkdir()
    (tmp_path / "SMITH" / "slice.dcm").write_bytes(bytes(128) + b"DICM" + b"torn")
    table = tmp_path / "table.csv"
    table.write_text("scan,id\nSMITH,torn\nnowhere,gone\n")

    code = main(["batch", str(table), "-o", str(tmp_path / "out"), "--workers", "2", "--progress", "none"])

    with (tmp_path / "out" / "scans.csv").open(encoding="utf-8", newline="") as file:
        rows = {row["id"]: row for row in csv.DictReader(file)}
    assert code == 3
    assert {row["status"] for row in rows.values()} == {"failed"}
    assert {row["tries"] for row in rows.values()} == {"1"}
    assert "no DICOM image" in rows["torn"]["error"]
    assert "nothing to read" in rows["gone"]["error"]
    assert "SMITH" not in capsys.readouterr().out
