"""What is exported, before a validator and in a real PACS (Orthanc on this machine), where they are installed."""

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
from pathlib import Path

import highdicom
import pydicom
import pytest

from LungNoduleCADLib.cli import main

PATH = os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"))
ORTHANC, VALIDATOR = shutil.which("Orthanc", path=PATH), shutil.which("dciodvfy", path=PATH)
START_S = 60
QUIET = ["--progress", "none"]


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


@pytest.fixture(scope="module")
def exported(demo: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo's comparison as it goes to a PACS."""
    folder = tmp_path_factory.mktemp("exported") / "pacs"
    source = demo / "dicom" / "follow-up"
    assert main(["export", str(demo), "-o", str(folder), "--dicom-source", str(source), "--progress", "none"]) == 0
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


@pytest.fixture(scope="module")
def stored(orthanc: Orthanc, demo: Path) -> Orthanc:
    """With both scans of the demo's patient in it, sent by C-STORE."""
    assert main(["send", orthanc.node, str(demo / "dicom"), *QUIET]) == 0
    return orthanc


@pytest.mark.parametrize("way", ["C-GET", "C-MOVE", "WADO"])
def test_the_prior_that_the_demo_analysed_comes_back_voxel_for_voxel(
    stored: Orthanc, demo: Path, tmp_path: Path, way: str
) -> None:
    address = stored.web if way == "WADO" else stored.node
    more = ["--listen", str(stored.listen), "--calling", "US"] if way == "C-MOVE" else []
    scan = str(demo / "dicom" / "follow-up")
    assert main(["fetch", address, "--scan", scan, "-o", str(tmp_path / "priors"), *more, *QUIET]) == 0
    (prior,) = (tmp_path / "priors").iterdir()
    assert _pixels(prior) == _pixels(demo / "dicom" / "baseline")


@pytest.mark.parametrize("way", ["C-STORE", "STOW"])
def test_results_file_with_the_scans_study_and_come_back_as_they_were(
    stored: Orthanc, exported: Path, tmp_path: Path, way: str
) -> None:
    assert main(["send", stored.web if way == "STOW" else stored.node, str(exported), *QUIET]) == 0
    scan = pydicom.dcmread(exported / "segmentation.dcm", stop_before_pixels=True)
    back = _results_of_study(stored, scan.StudyInstanceUID)
    for file in exported.glob("*.dcm"):
        sent = pydicom.dcmread(file)
        got = back[sent.SOPInstanceUID]
        assert (got.PatientID, got.SeriesInstanceUID) == (sent.PatientID, sent.SeriesInstanceUID)
        if not sent.file_meta.TransferSyntaxUID.is_compressed:
            assert got == sent
        got.save_as(tmp_path / file.name)
    tracked = {segment.TrackingUID for segment in scan.SegmentSequence}
    segmentation = highdicom.seg.segread(tmp_path / "segmentation.dcm")
    assert {segment.TrackingUID for segment in segmentation.SegmentSequence} == tracked
    report = highdicom.sr.srread(tmp_path / "measurements.dcm").content
    assert {group.tracking_uid for group in report.get_volumetric_roi_measurement_groups()} == tracked
    _forget(stored, back)


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
