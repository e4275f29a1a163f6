"""A stand-in for ``analyse`` that behaves as the scan's folder says, and a result that it gives."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from datetime import date
from pathlib import Path

import psutil
import pytest

from LungNoduleCADLib.cohort.batch import Batch
from LungNoduleCADLib.cohort.engine import local_engine
from LungNoduleCADLib.cohort.process import Task
from LungNoduleCADLib.cohort.scans import Scan
from LungNoduleCADLib.domain.findings import LungSummary, StudyFindings
from LungNoduleCADLib.domain.geometry import Geometry
from LungNoduleCADLib.domain.masks import Side
from LungNoduleCADLib.domain.nodule import (
    AxialAxes,
    MalignancyEstimate,
    Measurements,
    Nodule,
    NoduleCandidate,
    NoduleType,
    TypeEstimate,
)
from LungNoduleCADLib.domain.provenance import Method, Provenance, StageCost
from LungNoduleCADLib.domain.study import SeriesDescription
from LungNoduleCADLib.guidelines.exam import assess_findings
from LungNoduleCADLib.report import findings_json
from LungNoduleCADLib.report.write import write_run

STAND_IN = """
import json, os, shutil, signal, sys, time
from pathlib import Path

source, out = Path(sys.argv[2]), Path(sys.argv[4])
tries = source / "tries"
tries.write_text(str(int(tries.read_text()) + 1) if tries.exists() else "1")
os.utime(tries, (0, 0))  # the file was there before, so that the scan stays the same
told = (source / "does").read_text()
partial = out.with_name(f".{out.name}.00000000.partial")
partial.mkdir(parents=True)
if told == "dies" or (told == "dies once" and tries.read_text() == "1"):
    os.kill(os.getpid(), signal.SIGKILL)
if told == "is refused":
    print(json.dumps({"error": f"{source.name}/does is damaged.", "kind": "InputError"}), flush=True)
    print("damaged", file=sys.stderr)
    sys.exit(3)
if told == "raises":
    raise ValueError(f"no sense in {source}")
if told == "hangs" or (told == "hangs once" and tries.read_text() == "1"):
    time.sleep(600)
shutil.copytree(os.environ["STAND_IN_RESULT"], partial, dirs_exist_ok=True)
if out.exists():
    shutil.rmtree(out)
partial.rename(out)
"""


@pytest.fixture(scope="session")
def result(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A results folder as ``analyse`` writes it, less the images but for a picture of a nodule."""
    from PIL import Image

    folder = tmp_path_factory.mktemp("result")
    axes = AxialAxes(11.0, 9.0, 4, ((0.0, 0.0, 0.0), (11.0, 0.0, 0.0)), ((0.0, 0.0, 0.0), (0.0, 9.0, 0.0)))
    method = Method("a_model", "1", "ab" * 32)
    nodule = Nodule(
        "N1",
        NoduleCandidate((1.0, 2.0, 3.0), probability=0.98),
        (1.0, 2.0, 3.0),
        measurements=Measurements(523.6, axes, -50.0, 200.0, Side.LEFT, "upper", 12.0),
        type=TypeEstimate(NoduleType.SOLID, {NoduleType.SOLID: 1.0}, method),
        malignancy=MalignancyEstimate(0.81, rating_1_to_5=4.0, spread_95=(0.7, 0.9), method=method),
    )
    findings = StudyFindings(
        SeriesDescription("1.2.3", study_date=date(2024, 5, 6)),
        Geometry((10, 20, 20), (0.0, 0.0, 0.0), (2.0, 1.0, 1.0)),
        LungSummary(2000.0, 1900.0, method),
        (nodule,),
        Provenance("0.1.0", "2024-05-07T00:00:00+00:00", "cpu", "analyse", stages=(StageCost("load", 1.0, 512.0),)),
    )
    findings = assess_findings(findings)
    findings_json.write_document(findings_json.to_json(findings), folder / findings_json.FILE_NAME)
    write_run(findings.provenance, folder / "run.json")
    (folder / "images").mkdir()
    Image.linear_gradient("L").save(folder / "images" / "N1.png")
    return folder


@pytest.fixture
def scan(tmp_path: Path) -> Callable[..., Scan]:
    """``scan(id, does)``: its analysis succeeds, dies, dies once, is refused, raises, hangs or hangs once."""

    def make(name: str, does: str = "succeeds") -> Scan:
        source = tmp_path / "SMITH^JOHN" / name
        source.mkdir(parents=True)
        (source / "does").write_text(does)
        (source / "tries").write_text("0")
        os.utime(source / "tries", (0, 0))
        return Scan(name, source)

    return make


@pytest.fixture
def killer(tmp_path: Path) -> Callable[[str, Callable[[psutil.Process], object]], AbstractContextManager[list[int]]]:
    """``killer(id, kill)``: meanwhile the process of a scan is killed once, in the middle of its work."""

    @contextmanager
    def watching(name: str, kill: Callable[[psutil.Process], object]) -> Iterator[list[int]]:
        killed: list[int] = []
        over = threading.Event()

        def watch() -> None:
            while not killed and not over.wait(0.05):
                if not [*(tmp_path / "out").glob(f".{name}.*.partial")]:
                    continue
                for process in psutil.Process().children(recursive=True):
                    with suppress(psutil.Error):
                        if not killed and str(tmp_path / "out" / name) in process.cmdline():
                            killed.append(process.pid)
                            kill(process)

        thread = threading.Thread(target=watch)
        thread.start()
        try:
            yield killed
        finally:
            over.set()
            thread.join()

    return watching


@pytest.fixture
def batch_of(tmp_path: Path, result: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Batch]:
    """``batch_of(scans, ...)``: run by the stand-in into ``tmp_path / "out"``; ``engine``: a context that gives one."""
    code = tmp_path / "code"
    code.mkdir()
    (code / "stand_in.py").write_text(STAND_IN)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(code), os.environ.get("PYTHONPATH", "")]))
    monkeypatch.setenv("STAND_IN_RESULT", str(result))

    def run(scans: list[Scan], engine=None, **task) -> Batch:
        batch = Batch(scans, tmp_path / "out", Task(scans[0], tmp_path, module="stand_in", **task))
        with engine or local_engine(2) as executor:
            batch.run(executor)
        return batch

    return run
