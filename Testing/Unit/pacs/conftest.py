"""A small PACS in this process, with pynetdicom: it stores, lists and hands over what it was sent."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, ImplicitVRLittleEndian, SecondaryCaptureImageStorage

from LungNoduleCADLib.domain.ct import CtVolume
from LungNoduleCADLib.domain.geometry import Geometry
from LungNoduleCADLib.domain.study import SeriesDescription
from LungNoduleCADLib.phantom.dicom import write_dicom_series

pynetdicom = pytest.importorskip("pynetdicom", reason="pynetdicom is not installed")


@dataclass
class Pacs:
    """``refuse``: the status that every C-STORE is answered with; ``others``: {title: (host, port)} that it knows."""

    port: int = 0
    stored: dict[str, Dataset] = field(default_factory=dict)
    refuse: int = 0
    lose: int = 0
    others: dict[str, tuple[str, int]] = field(default_factory=dict)

    @property
    def address(self) -> str:
        return f"PACS@127.0.0.1:{self.port}"

    def store(self, event: Any) -> int:
        if self.refuse:
            return self.refuse
        dataset = event.dataset
        dataset.file_meta = event.file_meta
        self.stored[dataset.SOPInstanceUID] = dataset
        return 0

    def find(self, event: Any) -> Iterator[tuple[int, Dataset | None]]:
        asked = event.identifier
        by_series = asked.QueryRetrieveLevel == "SERIES"
        level = "SeriesInstanceUID" if by_series else "StudyInstanceUID"
        known = {one[level].value: one for one in self.matching(asked)}
        for one in known.values():
            answer = Dataset()
            for element in asked:
                setattr(answer, element.keyword, one.get(element.keyword, ""))
            answer.QueryRetrieveLevel = asked.QueryRetrieveLevel
            if by_series:
                same = [other for other in self.stored.values() if other.SeriesInstanceUID == one.SeriesInstanceUID]
                answer.NumberOfSeriesRelatedInstances = len(same)
            yield 0xFF00, answer

    def get(self, event: Any) -> Iterator[Any]:
        wanted = self.matching(event.identifier)
        yield len(wanted) - self.lose
        for one in wanted[self.lose :]:
            yield 0xFF00, one

    def move(self, event: Any) -> Iterator[Any]:
        yield self.others.get(event.move_destination, (None, None))
        yield from self.get(event)

    def matching(self, asked: Dataset) -> list[Dataset]:
        keys = [k for k in ("PatientID", "StudyInstanceUID", "SeriesInstanceUID", "Modality") if asked.get(k)]
        return [one for one in self.stored.values() if all(one.get(key) == asked[key].value for key in keys)]


@pytest.fixture
def pacs() -> Iterator[Pacs]:
    from pynetdicom import AE, evt
    from pynetdicom.sop_class import (
        StudyRootQueryRetrieveInformationModelFind,
        StudyRootQueryRetrieveInformationModelGet,
        StudyRootQueryRetrieveInformationModelMove,
    )

    made = Pacs()
    ae = AE("PACS")
    ae.require_called_aet = True
    for sop_class in (CTImageStorage, SecondaryCaptureImageStorage):
        ae.add_supported_context(
            sop_class, [ExplicitVRLittleEndian, ImplicitVRLittleEndian], scu_role=True, scp_role=True
        )
        ae.add_requested_context(sop_class, [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
    for model in (
        StudyRootQueryRetrieveInformationModelFind,
        StudyRootQueryRetrieveInformationModelGet,
        StudyRootQueryRetrieveInformationModelMove,
    ):
        ae.add_supported_context(model)
    handlers = [
        (evt.EVT_C_STORE, made.store),
        (evt.EVT_C_FIND, made.find),
        (evt.EVT_C_GET, made.get),
        (evt.EVT_C_MOVE, made.move),
    ]
    server = ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=handlers)
    made.port = server.server_address[1]
    yield made
    server.shutdown()


@pytest.fixture(scope="session")
def scans(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``baseline`` and ``follow-up`` of one patient: 24 slices of noise each."""
    folder = tmp_path_factory.mktemp("scans")
    geometry = Geometry((24, 32, 32), (-150.0, -150.0, 0.0), (2.5, 10.0, 10.0))
    for number, (name, day) in enumerate((("baseline", date(2024, 1, 5)), ("follow-up", date(2025, 1, 9)))):
        hu = np.random.default_rng(number).integers(-1000, 200, geometry.shape_kji, np.int16)
        series = SeriesDescription(f"1.2.3.{number}.1", f"1.2.3.{number}", study_date=day, slice_thickness_mm=2.5)
        write_dicom_series(CtVolume(hu, geometry, series), folder / name)
    return folder


@pytest.fixture
def ask(capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Runs a command; its words."""
    from LungNoduleCADLib.cli import main

    def run(*arguments: object, code: int = 0) -> str:
        assert main([str(argument) for argument in arguments]) == code
        said = capsys.readouterr()
        return said.err if code else said.out

    return run
