"""The process behind a reader's corrections, as the panel runs it: JSON lines in, JSON lines out."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk

from LungNoduleCADLib.domain.nodule import Saliency
from LungNoduleCADLib.report.reread import read_study

ROOT = Path(__file__).resolve().parents[2]
Answer = dict[str, Any]


class ReviewProcess:
    """``review OUT`` with its pipes; ``ready`` is its first line."""

    def __init__(self, out: Path, errors: Path) -> None:
        command = [sys.executable, "-m", "LungNoduleCADLib", "review", str(out), "--progress", "jsonl"]
        self._errors = errors.open("w", encoding="utf-8")
        self.process = subprocess.Popen(
            [*command, "--device", "cpu"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            encoding="utf-8",
        )
        self.ready = self.read()
        self.asked = 0

    def read(self) -> Answer:
        return json.loads(self.process.stdout.readline())

    def send(self, line: str) -> None:
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def ask(self, do: str, **request: Any) -> Answer:
        self.asked += 1
        self.send(json.dumps({"id": self.asked, "do": do, **request}))
        answer = self.read()
        assert answer["answer"] == self.asked
        return answer

    def end(self) -> int:
        self.process.stdin.close()
        rest = self.process.stdout.read()
        assert rest == ""
        return self.process.wait(timeout=60)

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()
        self._errors.close()


@pytest.fixture
def out(demo: Path, tmp_path: Path) -> Path:
    return shutil.copytree(demo, tmp_path / "out")


@pytest.fixture
def review(out: Path, tmp_path: Path) -> Iterator[Callable[[], ReviewProcess]]:
    started: list[ReviewProcess] = []

    def start() -> ReviewProcess:
        started.append(ReviewProcess(out, tmp_path / f"stderr-{len(started)}.txt"))
        return started[-1]

    yield start
    for process in started:
        process.close()


def on_disk(out: Path) -> Answer:
    return json.loads((out / "findings.json").read_text(encoding="utf-8"))


def nodule_of(answer: Answer, nodule_id: str) -> Answer:
    return next(nodule for nodule in answer["findings"]["nodules"] if nodule["id"] == nodule_id)


def voxels_of(file: str) -> int:
    return int(np.count_nonzero(sitk.GetArrayFromImage(sitk.ReadImage(file))))


def draw(out: Path, nodule: Answer, size_kji: tuple[int, int, int], path: Path) -> Path:
    """A box around a nodule's middle on the CT's grid, in a larger box of nothing."""
    ct = sitk.ReadImage(str(out / "ct.nrrd"))
    middle = ct.TransformPhysicalPointToIndex(nodule["centroid_lps_mm"])
    labels = np.zeros(tuple(n + 4 for n in size_kji), np.uint8)
    labels[2:-2, 2:-2, 2:-2] = 3
    image = sitk.GetImageFromArray(labels)
    start = [int(m - n // 2 - 2) for m, n in zip(middle, size_kji[::-1], strict=True)]
    image.SetOrigin(ct.TransformIndexToPhysicalPoint(start))
    image.SetSpacing(ct.GetSpacing())
    image.SetDirection(ct.GetDirection())
    sitk.WriteImage(image, str(path))
    return path


def test_every_correction_is_answered_and_on_disk_with_all_that_follows(out, review, tmp_path):
    process = review()
    first = process.ready["findings"]
    assert process.ready["ready"] is True
    assert first == on_disk(out)

    decides = first["lung_rads"]["decided_by"]
    answer = process.ask("review", nodule=decides, review="rejected")
    assert nodule_of(answer, decides)["lung_rads"] is None
    assert answer["findings"]["lung_rads"]["category"] != first["lung_rads"]["category"]
    assert answer["findings"] == on_disk(out)

    faint = next(nodule["id"] for nodule in first["nodules"] if nodule["type"] == "ground-glass")
    answer = process.ask("type", nodule=faint, type="solid")
    assert nodule_of(answer, faint)["lung_rads"] not in (None, "2")

    answer = process.ask("clinical", clinical={"age_years": 63, "significant_other_finding": True})
    assert answer["findings"]["clinical"]["age_years"] == 63
    assert answer["findings"]["lung_rads"]["modifier_s"]

    answer = process.ask("delete", nodule="N7")
    assert (answer["removed"], answer["added"]) == (["N7"], [])
    assert not (out / "saliency" / "N7.nrrd").exists()
    assert {m["change"] for m in answer["findings"]["comparison"]["matches"] if m["current_id"] is None} == {"resolved"}

    place = nodule_of({"findings": first}, "N7")["centroid_lps_mm"]
    answer = process.ask("add", point_lps_mm=place)
    (added,) = answer["added"]
    assert added not in {nodule["id"] for nodule in first["nodules"]}
    assert nodule_of(answer, added)["volume_mm3"] == pytest.approx(
        nodule_of({"findings": first}, "N7")["volume_mm3"], rel=0.2
    )
    assert voxels_of(answer["masks"][added]) > 0
    estimate = nodule_of(answer, added)["malignancy"]
    if Saliency.score_is_low(estimate["probability"], estimate["encoder_probability"]):
        assert answer["saliency"] == {}
    else:
        assert sitk.ReadImage(answer["saliency"][added]).GetSize()[0] > 1
    (row,) = (m for m in answer["findings"]["comparison"]["matches"] if m["current_id"] == added)
    assert row["change"] == "stable"

    drawn = draw(out, nodule_of(answer, "N3"), (4, 8, 10), tmp_path / "drawn.nrrd")
    answer = process.ask("outline", nodule="N3", file=str(drawn))
    assert voxels_of(answer["masks"]["N3"]) == 320
    before, after = nodule_of({"findings": first}, "N3"), nodule_of(answer, "N3")
    assert after["volume_mm3"] == pytest.approx(320 * np.prod(first["geometry"]["spacing_kji_mm"]), rel=1e-4)
    assert after["radiomics"] != before["radiomics"]
    assert after["malignancy"] != before["malignancy"]

    answer = process.ask("exam_category", category="4X")
    assert (answer["findings"]["lung_rads"]["category"], answer["findings"]["lung_rads"]["decided_by"]) == (
        "4X",
        "reader",
    )
    answer = process.ask("exam_category", category=None)
    assert answer["findings"]["lung_rads"]["decided_by"] != "reader"
    assert answer["findings"] == on_disk(out)
    assert [edit["action"] for edit in answer["findings"]["edits"]] == [
        *("reject", "type", "clinical", "delete", "add", "outline", "exam_category", "exam_category")
    ]
    assert process.end() == 0
    in_file = sitk.ReadImage(str(out / "segmentation.seg.nrrd"))
    ids = {in_file.GetMetaData(key) for key in in_file.GetMetaDataKeys() if key.endswith("_ID")}
    assert ids == {"lung_right", "lung_left", *(nodule["id"] for nodule in answer["findings"]["nodules"])}


def test_the_threshold_moves_to_and_fro_under_the_same_names(review):
    process = review()
    first = process.ready["findings"]
    high = process.ask("threshold", threshold=0.999)
    assert high["removed"]
    back = process.ask("threshold", threshold=first["operating_threshold"])
    assert sorted(back["added"]) == sorted(high["removed"])
    assert back["findings"]["nodules"] == first["nodules"]
    assert back["findings"]["comparison"] == first["comparison"]
    assert back["findings"]["operating_threshold"] == first["operating_threshold"]


def test_a_bad_request_is_answered_with_one_sentence_and_the_next_one_works(out, review, tmp_path):
    process = review()
    empty = draw(out, process.ready["findings"]["nodules"][0], (2, 2, 2), tmp_path / "x.nrrd")
    image = sitk.ReadImage(str(empty))
    sitk.WriteImage(image * 0, str(tmp_path / "empty.nrrd"))
    image.SetSpacing([s * 2 for s in image.GetSpacing()])
    sitk.WriteImage(image, str(tmp_path / "coarse.nrrd"))
    for request, why in (
        ({"do": "fly"}, "not known"),
        ({}, "'do'"),
        ({"do": "review", "nodule": "N99", "review": "accepted"}, "no such nodule"),
        ({"do": "review", "nodule": "N1", "review": "maybe"}, "not known"),
        ({"do": "type", "nodule": "N1"}, "not known"),
        ({"do": "delete"}, "'nodule'"),
        ({"do": "add", "point_lps_mm": [0, 0, 9999]}, "outside of the scan"),
        ({"do": "add", "point_lps_mm": [0, "x", 0]}, "a number"),
        ({"do": "outline", "nodule": "N1", "file": str(tmp_path / "none.nrrd")}, "cannot be read"),
        ({"do": "outline", "nodule": "N1", "file": str(tmp_path / "empty.nrrd")}, "empty"),
        ({"do": "outline", "nodule": "N1", "file": str(tmp_path / "coarse.nrrd")}, "grid"),
        ({"do": "clinical", "clinical": {"age": 3}}, "clinical is not valid"),
        ({"do": "threshold", "threshold": "low"}, "a number"),
        ({"do": "threshold", "threshold": 0}, "out of reach"),
        ({"do": "exam_category", "category": "5"}, "not known"),
        ({"do": "report", "paper": "A3"}, "paper"),
    ):
        process.send(json.dumps({"id": 7, **request}))
        answer = process.read()
        assert set(answer) == {"answer", "error"}
        assert answer["answer"] == 7
        assert why in answer["error"]
        assert "\n" not in answer["error"]
    for line in ("{not json", "[1, 2]"):
        process.send(line)
        assert process.read()["answer"] is None
    assert on_disk(out) == process.ready["findings"]
    assert process.ask("review", nodule="N1", review="accepted")["findings"]["nodules"][0]["review"] == "accepted"
    assert process.end() == 0


def test_a_process_that_is_killed_has_lost_nothing_that_it_answered(out, review, tmp_path):
    process = review()
    drawn = draw(out, process.ready["findings"]["nodules"][0], (5, 6, 7), tmp_path / "drawn.nrrd")
    process.ask("review", nodule="N2", review="accepted")
    answer = process.ask("outline", nodule="N1", file=str(drawn))
    process.process.kill()
    process.process.wait()
    findings, _, _ = read_study(out)
    assert np.count_nonzero(findings.nodules[0].mask.voxels) == 210
    assert findings.nodules[0].mask.method.name == "reader"
    again = review()
    assert again.ready["findings"] == answer["findings"]
    later = again.ask("delete", nodule="N5")
    assert [edit["action"] for edit in later["findings"]["edits"]] == ["accept", "outline", "delete"]
    assert again.end() == 0
    shutil.rmtree(out / "outlines")
    assert np.count_nonzero(read_study(out)[0].nodules[0].mask.voxels) == 210


def test_requests_that_were_sent_before_stdin_ended_are_answered(out, review):
    process = review()
    place = process.ready["findings"]["nodules"][6]["centroid_lps_mm"]
    process.send(json.dumps({"id": 1, "do": "delete", "nodule": "N7"}))
    process.send(json.dumps({"id": 2, "do": "add", "point_lps_mm": place}))
    process.process.stdin.close()
    answers = [json.loads(line) for line in process.process.stdout.read().splitlines()]
    assert [answer["answer"] for answer in answers] == [1, 2]
    assert process.process.wait(timeout=60) == 0
    assert on_disk(out) == answers[1]["findings"]


def test_a_process_whose_stdin_ends_while_it_loads_its_models_ends_well(review):
    process = review()
    assert process.end() == 0


def test_the_report_follows_with_pictures_of_its_pages(out, review):
    process = review()
    old = (out / "report.pdf").read_bytes()
    process.ask("review", nodule="N6", review="rejected")
    answer = process.ask("report", paper="letter")
    assert answer["report"] == str(out / "report.pdf")
    assert (out / "report.pdf").read_bytes() != old
    width, height = sitk.ReadImage(answer["pages"][0]).GetSize()
    assert (width, height) == pytest.approx((850, 1100), abs=2)
    assert [Path(page).name for page in answer["pages"][:2]] == ["page-1.png", "page-2.png"]


def test_an_export_holds_what_was_corrected(out, review, tmp_path):
    process = review()
    corrected = process.ask("delete", nodule="N7")
    answer = process.ask("export", folder=str(tmp_path / "export"), dicom_source=str(out / "dicom" / "follow-up"))
    names = {Path(file).name for file in answer["files"]}
    assert {"report.pdf", "findings.json", "segmentation.dcm", "measurements.dcm", "report.dcm"} <= names
    exported = json.loads((tmp_path / "export" / "findings.json").read_text(encoding="utf-8"))
    assert exported["nodules"] == corrected["findings"]["nodules"]


def test_a_folder_without_results_is_refused_before_anything_starts(tmp_path):
    command = [sys.executable, "-m", "LungNoduleCADLib", "review", str(tmp_path), "--progress", "jsonl"]
    done = subprocess.run(command, cwd=ROOT, input="", capture_output=True, text=True, check=False)
    assert done.returncode == 3
    (line,) = done.stdout.splitlines()
    assert json.loads(line)["kind"] == "InputError"
    assert "holds no results" in done.stderr
