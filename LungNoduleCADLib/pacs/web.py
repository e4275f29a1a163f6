"""DICOMweb with dicomweb-client: STOW-RS, QIDO-RS and WADO-RS."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pydicom
from pydicom.dataset import Dataset

from LungNoduleCADLib.dicom.headers import text
from LungNoduleCADLib.errors import PacsError
from LungNoduleCADLib.pacs.address import RemoteSeries, Web, as_date

if TYPE_CHECKING:
    from dicomweb_client import DICOMwebClient

TIMEOUT_S = 60
_FIELDS = ("StudyDescription", "SeriesDescription", "BodyPartExamined", "NumberOfSeriesRelatedInstances")


def send(files: Sequence[Path], web: Web, report: Callable[[int], None] = lambda _: None) -> None:
    """STOW-RS of DICOM files, one by one; PacsError: no connection, or one was refused (those before it are there)."""
    with _client(web) as client:
        for number, file in enumerate(files, start=1):
            answer = client.store_instances([pydicom.dcmread(file)])
            if answer.get("FailedSOPSequence"):
                reason = answer.FailedSOPSequence[0].get("FailureReason", 0)
                raise PacsError(f"{web} refused {file.name}", got=f"reason 0x{reason:04X}")
            report(number)


def find_ct(web: Web, patient_id: str) -> list[RemoteSeries]:
    """The CT series of a patient (QIDO-RS); PacsError: no connection, or no answer to such questions."""
    found = []
    with _client(web) as client:
        for study in client.search_for_studies(search_filters={"PatientID": patient_id}, fields=list(_FIELDS[:1])):
            one = Dataset.from_json(study)
            if text(one, "PatientID") not in ("", patient_id):
                continue
            answers = client.search_for_series(
                one.StudyInstanceUID, search_filters={"Modality": "CT"}, fields=list(_FIELDS[1:])
            )
            found += [_series(one, Dataset.from_json(answer)) for answer in answers]
    return [series for series in found if series is not None]


def get(web: Web, series: RemoteSeries, keep: Callable[[Dataset], None]) -> None:
    """WADO-RS of a series, each object handed to ``keep``; PacsError: no connection, or refused."""
    with _client(web) as client:
        for dataset in client.iter_series(series.study_uid, series.series_uid):
            keep(dataset)


@contextmanager
def _client(web: Web) -> Iterator[DICOMwebClient]:
    import requests
    from dicomweb_client import DICOMwebClient

    try:
        client = DICOMwebClient(web.url, timeout=TIMEOUT_S)
        client.set_http_retry_params(retry=False)  # whoever waits can ask again
        yield client
    except requests.HTTPError as error:
        raise PacsError(
            f"{web} refused", got=str(error), todo="check the address, and user and password in .netrc"
        ) from error
    except requests.RequestException as error:
        raise PacsError(f"{web} cannot be reached", got=_reason(error), todo="check the address") from error


def _reason(error: Exception) -> str:
    """The innermost cause in one line."""
    cause: Any = error
    while cause.__context__ is not None:
        cause = cause.__context__
    return str(cause).splitlines()[0][:200] if str(cause) else type(cause).__name__


def _series(study: Dataset, series: Dataset) -> RemoteSeries | None:
    if text(series, "Modality") not in ("", "CT"):
        return None
    return RemoteSeries(
        study.StudyInstanceUID,
        series.SeriesInstanceUID,
        as_date(text(study, "StudyDate")),
        text(study, "StudyDescription"),
        text(series, "SeriesDescription"),
        text(series, "BodyPartExamined"),
        int(text(series, "NumberOfSeriesRelatedInstances") or 0),
    )
