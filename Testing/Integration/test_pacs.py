"""A patient's way through a real PACS (Orthanc on this machine): scans in, prior out, results in, results out.

On a coarse synthetic patient with two nodules, of which one grows and one is new.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from math import dist
from pathlib import Path

import highdicom
import numpy as np
import pydicom
import pypdf
import pytest

from LungNoduleCADLib.cli import main
from LungNoduleCADLib.domain.comparison import Change
from LungNoduleCADLib.domain.findings import StudyFindings
from LungNoduleCADLib.phantom.dicom import write_dicom_series
from LungNoduleCADLib.phantom.nodules import DEFAULT_NODULES
from LungNoduleCADLib.phantom.thorax import Phantom, make_phantom
from LungNoduleCADLib.report.findings_json import read_findings

PATH = os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"))
ORTHANC, VALIDATOR = shutil.which("Orthanc", path=PATH), shutil.which("dciodvfy", path=PATH)
START_S = 60
QUIET = ["--progress", "none"]
GROWING, NEW = "P1", "P6"
PLANS = [plan for plan in DEFAULT_NODULES if plan.id in (GROWING, NEW)]
DAYS = 270


@dataclass
class Orthanc:
    """A running PACS. ``listen``: the port at which it reaches us under the title US."""

    dicom_port: int
    http_port: int
    listen: int

    @property
    def node(self) -> str:
        return f"ORTHANC@127.0.0.1:{self.dicom_port}"

    @property
    def web(self) -> str:
        return f"http://127.0.0.1:{self.http_port}/dicom-web"


def free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


@pytest.fixture(scope="module")
def orthanc(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Orthanc]:
    pytest.importorskip("pynetdicom", reason="pynetdicom is not installed")
    if ORTHANC is None:
        pytest.skip("Orthanc is not installed (Debian: orthanc, orthanc-dicomweb)")
    tmp_path = tmp_path_factory.mktemp("orthanc")
    made = Orthanc(*free_ports(3))
    configuration = {
        "Name": "test",
        "StorageDirectory": str(tmp_path / "store"),
        "IndexDirectory": str(tmp_path / "store"),
        "DicomAet": "ORTHANC",
        "DicomPort": made.dicom_port,
        "HttpPort": made.http_port,
        "RemoteAccessAllowed": False,
        "AuthenticationEnabled": False,
        **{f"DicomAlwaysAllow{verb}": True for verb in ("Store", "Find", "Get", "Move")},
        "DicomModalities": {"us": ["US", "127.0.0.1", made.listen]},
        "Plugins": [str(Path(ORTHANC).parent.parent / "share" / "orthanc" / "plugins")],
        "DicomWeb": {"Enable": True, "Root": "/dicom-web/"},
    }
    (tmp_path / "orthanc.json").write_text(json.dumps(configuration), encoding="utf-8")
    with (tmp_path / "orthanc.log").open("w", encoding="utf-8") as log:
        process = subprocess.Popen([ORTHANC, str(tmp_path / "orthanc.json")], stdout=log, stderr=log)
        try:
            _wait_for(made, process, tmp_path / "orthanc.log")
            yield made
        finally:
            process.terminate()
            process.wait(30)


def _wait_for(orthanc: Orthanc, process: subprocess.Popen, log: Path) -> None:
    end = time.monotonic() + START_S
    while time.monotonic() < end and process.poll() is None:
        try:
            urllib.request.urlopen(f"{orthanc.web}/studies", timeout=5).close()
            return
        except OSError:
            time.sleep(0.2)
    pytest.fail(f"Orthanc did not start: {log.read_text(encoding='utf-8')[-2000:]}")


@dataclass
class Patient:
    """DICOM folders of two scans, and what is in the second one."""

    baseline: Path
    follow_up: Path
    now: Phantom


@pytest.fixture(scope="module")
def patient(tmp_path_factory: pytest.TempPathFactory) -> Patient:
    folder = tmp_path_factory.mktemp("patient")
    made = Patient(folder / "baseline", folder / "follow-up", _scan(True))
    write_dicom_series(_scan(False).ct, made.baseline)
    write_dicom_series(made.now.ct, made.follow_up)
    return made


def _scan(follow_up: bool) -> Phantom:
    grid = {"shape_kji": (56, 136, 136), "spacing_kji_mm": (2.5, 2.4, 2.4)}
    return make_phantom(3, follow_up, nodules=PLANS, interval_days=DAYS, **grid)


@pytest.fixture(scope="module")
def stored(orthanc: Orthanc, patient: Patient) -> Orthanc:
    """With both scans of the patient in it: one sent by C-STORE, the other by STOW."""
    assert main(["send", orthanc.node, str(patient.baseline), *QUIET]) == 0
    assert main(["send", orthanc.web, str(patient.follow_up), *QUIET]) == 0
    return orthanc


def _fetch(way: str, orthanc: Orthanc, patient: Patient, folder: Path) -> Path:
    """The series that is fetched as the prior of the follow-up."""
    address = orthanc.web if way == "QIDO and WADO" else orthanc.node
    more = ["--listen", str(orthanc.listen), "--calling", "US"] if way == "C-FIND and C-MOVE" else []
    assert main(["fetch", address, "--scan", str(patient.follow_up), "-o", str(folder), *more, *QUIET]) == 0
    (prior,) = folder.iterdir()
    return prior


@pytest.mark.parametrize("way", ["C-FIND and C-GET", "C-FIND and C-MOVE", "QIDO and WADO"])
def test_the_prior_comes_back_voxel_for_voxel(stored: Orthanc, patient: Patient, tmp_path: Path, way: str) -> None:
    assert _pixels(_fetch(way, stored, patient, tmp_path / "priors")) == _pixels(patient.baseline)


@pytest.fixture(scope="module")
def compared(stored: Orthanc, patient: Patient, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Results of the current scan compared with the prior that the PACS handed over."""
    place = tmp_path_factory.mktemp("compared")
    prior = _fetch("C-FIND and C-MOVE", stored, patient, place / "priors")
    scans = [str(prior), str(patient.follow_up)]
    assert main(["compare", *scans, "-o", str(place / "out"), "--device", "cpu", *QUIET]) == 0
    return place / "out"


def test_the_fetched_prior_is_analysed_and_compared(compared: Path, patient: Patient) -> None:
    findings = read_findings(compared)
    prior = pydicom.dcmread(next(patient.baseline.iterdir()), stop_before_pixels=True)
    assert findings.prior is not None
    assert findings.prior.series.series_uid == prior.SeriesInstanceUID
    assert findings.comparison is not None
    assert findings.comparison.interval_days == DAYS
    said = {truth.id: _match_at(truth.centre_lps_mm, findings) for truth in patient.now.truth}
    assert {id_: match.change for id_, match in said.items()} == {GROWING: Change.GROWING, NEW: Change.NEW}
    low, high = said[GROWING].growth.volume_change_interval_95_percent
    assert low < 100 * (PLANS[0].growth_factor - 1) < high
    assert "LUNG NODULE CT REPORT" in (compared / "report.txt").read_text(encoding="utf-8")


def _match_at(point: tuple[float, float, float], findings: StudyFindings):
    """The pair of the nodule whose center lies within 3 mm of a point (LPS mm)."""
    (name,) = (one.id for one in findings.nodules if dist(one.centroid_lps_mm, point) < 3)
    return next(match for match in findings.comparison.matches if match.current_id == name)


@pytest.fixture(scope="module")
def exported(compared: Path, patient: Patient, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The comparison as it goes to a PACS."""
    folder = tmp_path_factory.mktemp("exported") / "pacs"
    assert main(["export", str(compared), "-o", str(folder), "--dicom-source", str(patient.follow_up), *QUIET]) == 0
    return folder


def test_no_exported_object_breaks_the_standard(exported: Path) -> None:
    if VALIDATOR is None:
        pytest.skip("dciodvfy is not installed (Debian: dicom3tools)")
    objects = sorted(exported.glob("*.dcm"))
    assert {"segmentation.dcm", "measurements.dcm", "report.dcm", "key_image-N1.dcm"} <= {one.name for one in objects}
    said = {
        one.name: [
            line
            for line in subprocess.run(
                [VALIDATOR, one], check=False, capture_output=True, text=True
            ).stderr.splitlines()
            if line.startswith(("Error", "Abort"))
        ]
        for one in objects
    }
    assert said == {one.name: [] for one in objects}


@pytest.mark.parametrize("way", ["C-STORE", "STOW"])
def test_results_file_with_the_scans_study_and_come_back_as_they_were(
    stored: Orthanc, compared: Path, exported: Path, patient: Patient, tmp_path: Path, way: str
) -> None:
    assert main(["send", stored.web if way == "STOW" else stored.node, str(exported), *QUIET]) == 0
    scan = pydicom.dcmread(next(patient.follow_up.iterdir()), stop_before_pixels=True)
    back = _results_of_study(stored, scan.StudyInstanceUID)
    for file in exported.glob("*.dcm"):
        sent = pydicom.dcmread(file)
        got = back[sent.SOPInstanceUID]
        assert (got.PatientID, got.SeriesInstanceUID) == (scan.PatientID, sent.SeriesInstanceUID)
        if "PixelData" in got:
            assert np.array_equal(got.pixel_array, sent.pixel_array)
        if not sent.file_meta.TransferSyntaxUID.is_compressed:
            assert got == sent
        got.save_as(tmp_path / file.name)
    _check_objects(tmp_path, read_findings(compared), scan)
    _forget(stored, back)


def _check_objects(folder: Path, findings: StudyFindings, scan: pydicom.Dataset) -> None:
    """What a reader of the segmentation, the measurements, the document and the pictures finds in them."""
    segmentation = highdicom.seg.segread(folder / "segmentation.dcm")
    tracked = {segment.TrackingID: segment.TrackingUID for segment in segmentation.SegmentSequence}
    assert tracked.keys() == {"lung_right", "lung_left", *(nodule.id for nodule in findings.nodules)}
    assert segmentation.ReferencedSeriesSequence[0].SeriesInstanceUID == scan.SeriesInstanceUID
    report = highdicom.sr.srread(folder / "measurements.dcm").content
    groups = {one.tracking_identifier: one for one in report.get_volumetric_roi_measurement_groups()}
    assert {name: group.tracking_uid for name, group in groups.items()} == tracked
    for nodule in findings.nodules:
        values = {one.name.meaning: one.value for one in groups[nodule.id].get_measurements()}
        assert (values["Volume"], values["Diameter"]) == (
            nodule.measurements.volume_mm3,
            nodule.measurements.axes.mean_diameter_mm,
        )
    document = pydicom.dcmread(folder / "report.dcm").EncapsulatedDocument
    assert "Research use only" in pypdf.PdfReader(BytesIO(document)).pages[0].extract_text()
    pictures = [pydicom.dcmread(file) for file in sorted(folder.glob("key_image-*.dcm"))]
    assert [one.ImageComments.split()[0] for one in pictures] == [nodule.id for nodule in findings.nodules]


def _pixels(folder: Path) -> dict[str, bytes]:
    return {one.SOPInstanceUID: one.PixelData for one in map(pydicom.dcmread, folder.iterdir())}


def _results_of_study(orthanc: Orthanc, study_uid: str) -> dict[str, pydicom.Dataset]:
    """What the PACS has of a study besides its CT, by DICOMweb."""
    from dicomweb_client import DICOMwebClient

    client = DICOMwebClient(orthanc.web)
    found: dict[str, pydicom.Dataset] = {}
    for series in client.search_for_series(study_uid):
        one = pydicom.Dataset.from_json(series)
        if one.Modality != "CT":
            datasets = client.iter_series(study_uid, one.SeriesInstanceUID)
            found |= {dataset.SOPInstanceUID: dataset for dataset in datasets}
    return found


def _forget(orthanc: Orthanc, results: dict[str, pydicom.Dataset]) -> None:
    """So that the next way of sending starts from nothing."""
    for one in results.values():
        query = json.dumps({"Level": "Instance", "Query": {"SOPInstanceUID": one.SOPInstanceUID}}).encode()
        root = f"http://127.0.0.1:{orthanc.http_port}"
        with urllib.request.urlopen(f"{root}/tools/find", data=query, timeout=30) as answer:
            (name,) = json.load(answer)
        urllib.request.urlopen(urllib.request.Request(f"{root}/instances/{name}", method="DELETE"), timeout=30).close()
