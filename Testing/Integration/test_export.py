"""``export``: results of a synthetic patient as files for a PACS, all of them or none."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tarfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import highdicom
import numpy as np
import pydicom
import pypdf
import pytest

from LungNoduleCADLib.cli import main
from LungNoduleCADLib.dicom.export_measurements import Remarks, make_measurements
from LungNoduleCADLib.dicom.export_segmentation import Structure, make_segmentation
from LungNoduleCADLib.dicom.export_source import open_source, save
from LungNoduleCADLib.dicom.load import load_ct
from LungNoduleCADLib.domain.comparison import Change, Growth, NoduleMatch, StudyComparison
from LungNoduleCADLib.domain.ct import CtVolume
from LungNoduleCADLib.domain.findings import LungSummary, StudyFindings
from LungNoduleCADLib.domain.masks import Lung, LungMask
from LungNoduleCADLib.domain.nodule import MalignancyEstimate, Nodule, NoduleCandidate, TypeEstimate
from LungNoduleCADLib.domain.provenance import Method, Provenance
from LungNoduleCADLib.domain.quality import QualityFlag, Severity
from LungNoduleCADLib.errors import InputError, OutputError, UsageError
from LungNoduleCADLib.guidelines.exam import assess_findings
from LungNoduleCADLib.lungs.segment import segment_lungs
from LungNoduleCADLib.nodules.measure import measure_nodule
from LungNoduleCADLib.phantom.dicom import write_dicom_series
from LungNoduleCADLib.phantom.thorax import make_phantom
from LungNoduleCADLib.report import export
from LungNoduleCADLib.report.export import export_results, no_dicom_because
from LungNoduleCADLib.report.findings_json import read_findings
from LungNoduleCADLib.report.folder import new_results
from LungNoduleCADLib.report.reread import read_study, write_ct
from LungNoduleCADLib.report.write import write_results

VALIDATOR = shutil.which("dciodvfy")
OUTLINER = Method("nodule_ct_segmentation", "0.1.0", "ab" * 32)
DICOM = ("segmentation.dcm", "measurements.dcm", "report.dcm")
FILES = ("report.pdf", "report.txt", "findings.json", *DICOM)
REMARK = "Größe unsicher – 結節"


def _study(folder: Path, follow_up: bool) -> tuple[StudyFindings, CtVolume, LungMask]:
    """A coarse phantom with its true outlines, measured as they would be without any model."""
    phantom = make_phantom(3, follow_up, shape_kji=(88, 106, 106), spacing_kji_mm=(2.5, 3.0, 3.0))
    write_dicom_series(phantom.ct, folder)
    ct = load_ct(folder)
    lungs = segment_lungs(ct)
    nodules = []
    for truth, mask in zip(phantom.truth, phantom.masks, strict=True):
        centre = mask.centroid_lps_mm()
        nodules.append(
            Nodule(
                truth.id.replace("P", "N"),
                NoduleCandidate(centre, probability=0.9),
                centre,
                replace(mask, geometry=ct.geometry, method=OUTLINER),
                measure_nodule(ct, lungs, mask),
                TypeEstimate(truth.type, {}, OUTLINER),
                MalignancyEstimate(0.4321, method=Method("nodule_fusion", "0.1.0")),
                flags=(QualityFlag("remark", Severity.INFO, REMARK),),
            )
        )
    findings = StudyFindings(
        ct.series,
        ct.geometry,
        LungSummary(lungs.volume_ml(Lung.RIGHT), lungs.volume_ml(Lung.LEFT), lungs.method),
        tuple(nodules),
        Provenance("0.1.0", "2024-10-11T10:11:12", "cpu", "analyse", (lungs.method, OUTLINER)),
        flags=ct.flags,
    )
    return findings, ct, lungs


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``out``: results of a follow-up; ``dicom``: both of its scans."""
    place = tmp_path_factory.mktemp("made")
    prior, prior_ct, prior_lungs = _study(place / "dicom/baseline", False)
    current, ct, lungs = _study(place / "dicom/follow-up", True)
    before, now = ({nodule.id for nodule in study.nodules} for study in (prior, current))
    growth = Growth(270, 48.5, (20.0, 80.0), 1.5, 473.2, (300.0, 900.0))
    matches = [NoduleMatch(name, name, Change.GROWING, 1.0, growth) for name in sorted(before & now)]
    matches += [NoduleMatch(None, name, Change.NEW) for name in sorted(now - before)]
    comparison = StudyComparison(tuple(matches), 270, None)
    findings = assess_findings(replace(current, comparison=comparison, prior=assess_findings(prior)))
    with new_results(place / "out") as folder:
        write_results(findings, ct, lungs, folder, prior_ct)
        write_ct(ct, lungs, folder)
        (folder / "prior").mkdir()
        write_results(findings.prior, prior_ct, prior_lungs, folder / "prior")
        write_ct(prior_ct, prior_lungs, folder / "prior")
    return place


@pytest.fixture
def results(made: Path, tmp_path: Path) -> Path:
    """The results, to change."""
    return shutil.copytree(made / "out", tmp_path / "results")


def _edit(out: Path, change: Callable[[dict], None]) -> None:
    document = json.loads((out / "findings.json").read_text(encoding="utf-8"))
    change(document)
    (out / "findings.json").write_text(json.dumps(document), encoding="utf-8")


def test_segments_are_the_outlines_of_the_results_voxel_for_voxel(made: Path, tmp_path: Path) -> None:
    files = export_results(made / "out", tmp_path / "pacs", made / "dicom")

    pictures = [f"key_image-{nodule.id}.dcm" for nodule in read_findings(made / "out").nodules]
    assert files == [tmp_path / "pacs" / name for name in (*FILES, *sorted(pictures))]
    findings, _, lungs = read_study(made / "out")
    segmentation = highdicom.seg.segread(tmp_path / "pacs/segmentation.dcm")
    scan = {one.SOPInstanceUID: one for one in map(pydicom.dcmread, (made / "dicom/follow-up").iterdir())}
    truth = {"lung_right": lungs.labels == Lung.RIGHT, "lung_left": lungs.labels == Lung.LEFT}
    for nodule in findings.nodules:
        truth[nodule.id] = np.zeros(lungs.labels.shape, bool)
        truth[nodule.id][nodule.mask.box] = nodule.mask.voxels
    assert [segment.TrackingID for segment in segmentation.SegmentSequence] == list(truth)
    uids = sorted(scan, key=lambda uid: scan[uid].ImagePositionPatient[2])
    planes = segmentation.get_pixels_by_source_instance(uids, assert_missing_frames_are_empty=True)
    assert np.array_equal(planes.astype(bool), np.stack(list(truth.values()), axis=-1))


def test_no_object_of_any_kind_of_nodule_breaks_the_standard(results: Path, made: Path, tmp_path: Path) -> None:
    """Solid, part-solid and ground-glass, and one of no type; accepted, not reviewed, rejected."""
    if VALIDATOR is None:
        pytest.skip("dciodvfy is not installed (Debian: dicom3tools)")

    def change(document: dict) -> None:
        for nodule, review in zip(document["nodules"], ("accepted", "unreviewed", "rejected"), strict=False):
            nodule["review"] = review
        document["nodules"][1]["type"] = None

    _edit(results, change)
    export_results(results, tmp_path / "pacs", made / "dicom")

    objects = sorted((tmp_path / "pacs").glob("*.dcm"))
    assert len(objects) > 5
    for one in objects:
        said = subprocess.run([VALIDATOR, one], check=False, capture_output=True, text=True).stderr.splitlines()
        assert [line for line in said if line.startswith(("Error", "Abort"))] == [], one.name


def test_the_measurements_are_those_of_findings_json(made: Path, tmp_path: Path) -> None:
    export_results(made / "out", tmp_path / "pacs", made / "dicom")

    nodules = json.loads((tmp_path / "pacs/findings.json").read_text(encoding="utf-8"))["nodules"]
    report = highdicom.sr.srread(tmp_path / "pacs/measurements.dcm").content
    groups = {one.tracking_identifier: one for one in report.get_volumetric_roi_measurement_groups()}
    assert groups.keys() == {"lung_right", "lung_left", *(nodule["id"] for nodule in nodules)}
    for nodule in nodules:
        values = {one.name.meaning: one.value for one in groups[nodule["id"]].get_measurements()}
        assert values["Volume"] == nodule["volume_mm3"]
        assert values["Diameter"] == nodule["mean_diameter_mm"]
        assert values["Long axis"] == nodule["long_axis_mm"]
        assert values["Mean Attenuation Coefficient"] == nodule["mean_hu"]
        category = {one.value.meaning for one in groups[nodule["id"]].get_qualitative_evaluations()}
        assert f"Lung-RADS {nodule['lung_rads']}" in category
        texts = [item.TextValue for item in groups[nodule["id"]][0].ContentSequence if item.ValueType == "TEXT"]
        assert REMARK in texts
    assert 473.2 in [one.value for one in groups["N1"].get_measurements()]
    assert any("RESEARCH USE ONLY" in text for text in _texts(report[0]))


def _texts(item: pydicom.Dataset) -> list[str]:
    below = [text for part in item.get("ContentSequence", []) for text in _texts(part)]
    return [*([item.TextValue] if item.ValueType == "TEXT" else []), *below]


def test_the_encapsulated_pdf_is_the_exported_pdf(made: Path, tmp_path: Path) -> None:
    export_results(made / "out", tmp_path / "pacs", made / "dicom", "letter")

    document = pydicom.dcmread(tmp_path / "pacs/report.dcm")
    pdf = (tmp_path / "pacs/report.pdf").read_bytes()
    assert document.EncapsulatedDocument[: document.EncapsulatedDocumentLength] == pdf
    assert [float(v) for v in pypdf.PdfReader(tmp_path / "pacs/report.pdf").pages[0].mediabox[2:]] == [612.0, 792.0]


def test_with_the_switch_the_pdf_names_the_patient_and_without_it_does_not(made: Path, tmp_path: Path) -> None:
    def words(report: Path) -> str:
        return " ".join(page.extract_text() for page in pypdf.PdfReader(report).pages)

    assert "Phantom, Thorax" not in words(made / "out/report.pdf")
    export_results(made / "out", tmp_path / "pacs", made / "dicom/follow-up", "A4", True)
    named = words(tmp_path / "pacs/report.pdf")
    assert "Name: Phantom, Thorax" in named
    assert "Patient ID: PHANTOM" in named
    assert "Phantom" not in (tmp_path / "pacs/report.txt").read_text(encoding="utf-8")
    with pytest.raises(UsageError, match="patient header needs the DICOM files"):
        export_results(made / "out", tmp_path / "pacs", None, "A4", True)


def test_what_a_reader_changed_is_in_the_export_and_the_results_stay(results: Path, made: Path, tmp_path: Path) -> None:
    def review(document: dict) -> None:
        for nodule in document["nodules"]:
            nodule["review"] = "rejected" if nodule["id"] == "N1" else "accepted"

    _edit(results, review)
    before = {path: path.read_bytes() for path in results.rglob("*") if path.is_file()}

    export_results(results, tmp_path / "pacs", made / "dicom")

    segments = pydicom.dcmread(tmp_path / "pacs/segmentation.dcm").SegmentSequence
    report = highdicom.sr.srread(tmp_path / "pacs/measurements.dcm")
    tracked = {group.tracking_identifier for group in report.content.get_volumetric_roi_measurement_groups()}
    assert {segment.TrackingID for segment in segments} == tracked
    assert "N1" not in tracked
    pictures = {path.name for path in (tmp_path / "pacs").glob("key_image-*.dcm")}
    assert pictures == {f"key_image-{name}.dcm" for name in tracked if name.startswith("N")}
    assert "N2" in tracked
    assert report.CompletionFlag == "COMPLETE"
    assert read_findings(tmp_path / "pacs").nodules[0].lung_rads is None
    assert {path: path.read_bytes() for path in results.rglob("*") if path.is_file()} == before


def pictures_in(report: Path) -> int:
    return sum(len(page.images) for page in pypdf.PdfReader(report).pages)


def test_pictures_that_a_review_took_away_are_drawn_for_the_export(results: Path, tmp_path: Path) -> None:
    whole = pictures_in(results / "report.pdf")
    for picture in (results / "images").iterdir():
        picture.unlink()

    export_results(results, tmp_path / "pacs", None)

    assert pictures_in(tmp_path / "pacs/report.pdf") == whole > 0


def test_a_second_export_replaces_the_first_under_new_uids_and_keeps_other_files(made: Path, tmp_path: Path) -> None:
    folder = tmp_path / "pacs"
    folder.mkdir()
    (folder / "letter.txt").write_text("dear colleague", encoding="utf-8")
    export_results(made / "out", folder, made / "dicom")
    first = pydicom.dcmread(folder / "segmentation.dcm")
    export_results(made / "out", folder, made / "dicom")
    second = pydicom.dcmread(folder / "segmentation.dcm")

    assert first.SOPInstanceUID != second.SOPInstanceUID
    assert [one.TrackingUID for one in first.SegmentSequence] == [one.TrackingUID for one in second.SegmentSequence]
    export_results(made / "out", folder, None)
    assert sorted(path.name for path in folder.iterdir()) == ["findings.json", "letter.txt", "report.pdf", "report.txt"]
    assert (folder / "letter.txt").read_text(encoding="utf-8") == "dear colleague"


def test_files_of_others_are_never_overwritten(made: Path, tmp_path: Path) -> None:
    (tmp_path / "report.pdf").write_bytes(b"another report")

    with pytest.raises(OutputError, match=r"holds another report\.pdf"):
        export_results(made / "out", tmp_path, None)

    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("report.pdf", b"another report")]


def test_results_are_not_mixed_with_an_export(results: Path) -> None:
    with pytest.raises(OutputError, match="holds results"):
        export_results(results, results, None)


@pytest.mark.skipif(os.name == "nt", reason="Windows folders have no write bit")
def test_a_read_only_place_is_refused(made: Path, tmp_path: Path) -> None:
    (tmp_path / "locked").mkdir(mode=0o555)
    with pytest.raises(OutputError, match="read-only"):
        export_results(made / "out", tmp_path / "locked/pacs", None)


@pytest.mark.parametrize("source", ["nowhere", "dicom/baseline"])
def test_a_wrong_source_leaves_nothing_behind(made: Path, tmp_path: Path, source: str) -> None:
    with pytest.raises(InputError):
        export_results(made / "out", tmp_path / "new/pacs", made / source)

    assert list(tmp_path.iterdir()) == []


def test_a_failure_while_files_are_moved_brings_the_earlier_export_back(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "pacs"
    export_results(made / "out", folder, made / "dicom")
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    rename = Path.rename

    def fail_late(path: Path, target: Path) -> Path:
        if path.name == "measurements.dcm" and path.parent.name.endswith(".partial"):
            raise OSError(28, "No space left on device")
        return rename(path, target)

    monkeypatch.setattr(export.Path, "rename", fail_late)
    with pytest.raises(OutputError, match="No space left"):
        export_results(made / "out", folder, made / "dicom")

    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_results_of_an_image_file_have_no_dicom_and_say_why(
    results: Path, made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flag = {"code": "no_header", "severity": "info", "message": "The .nii file says nothing."}
    _edit(results, lambda document: document["quality_flags"].append(flag))

    files = export_results(results, tmp_path / "pacs", made / "dicom")

    assert [path.name for path in files] == ["report.pdf", "report.txt", "findings.json"]
    assert "image file" in no_dicom_because(results, made / "dicom")
    assert main(["export", str(results), "-o", str(tmp_path / "pacs"), "--progress", "none"]) == 0
    assert "image file" in capsys.readouterr().out.splitlines()[-1]


def test_the_command_prints_the_files_for_people_and_for_programs(
    made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["export", str(made / "out"), "-o", str(tmp_path / "pacs"), "--dicom-source", str(made / "dicom")]

    assert main([*arguments, "--progress", "none"]) == 0
    written = capsys.readouterr().out.splitlines()
    assert written[: len(FILES)] == [str(tmp_path / "pacs" / name) for name in FILES]
    assert {Path(name).name for name in written[len(FILES) :]} == {
        path.name for path in (tmp_path / "pacs").glob("key*")
    }
    assert main([*arguments, "--progress", "jsonl"]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert lines[-1] == {"result": str(tmp_path / "pacs"), "files": written}
    assert lines[0]["stage"] == "export"


@pytest.mark.parametrize(("folder", "code"), [("missing", 3), ("made", 3)])
def test_the_command_ends_with_the_exit_code_of_what_went_wrong(
    made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], folder: str, code: int
) -> None:
    out = tmp_path / "missing" if folder == "missing" else made / "out"
    arguments = ["export", str(out), "-o", str(tmp_path / "pacs"), "--dicom-source", str(tmp_path)]

    assert main(arguments) == code
    assert capsys.readouterr().err.count("\n") == 1
    assert not (tmp_path / "pacs").exists()


@pytest.mark.real_data
def test_masks_on_a_real_scan_come_back_where_they_were(shared_data: Path, tmp_path: Path) -> None:
    with tarfile.open(shared_data / "ct" / "lidc-0003.tar.xz") as archive:
        archive.extractall(tmp_path / "dicom", filter="data")
    ct = load_ct(tmp_path / "dicom")
    findings = StudyFindings(
        ct.series,
        ct.geometry,
        LungSummary(1.0, 1.0, OUTLINER),
        (Nodule("N1", NoduleCandidate((0.0, 0.0, 0.0)), (0.0, 0.0, 0.0)),),
        Provenance("0.1.0", "", "cpu", "analyse"),
    )
    voxels = np.zeros(ct.hu.shape, bool)
    voxels[60:64, 100:111, 300:307] = True
    structure = Structure("N1", "N1", voxels, ct.geometry, True, None, (1.0, 0.0, 0.0), OUTLINER, "1.2.3")

    source = open_source(tmp_path / "dicom", ct.series, ct.geometry)
    save(make_segmentation(source, [structure]), tmp_path / "seg.dcm")
    segmentation = highdicom.seg.segread(tmp_path / "seg.dcm")
    save(make_measurements(source, segmentation, findings, Remarks()), tmp_path / "sr.dcm")

    uids = [one.SOPInstanceUID for one in source.datasets]
    heights = [float(one.ImagePositionPatient[2]) for one in source.datasets]
    assert heights == sorted(heights)
    planes = segmentation.get_pixels_by_source_instance(uids, assert_missing_frames_are_empty=True)
    assert np.array_equal(planes[..., 0].astype(bool), voxels)
    assert segmentation.PatientID == pydicom.dcmread(tmp_path / "sr.dcm").PatientID == "LIDC-IDRI-0003"
