"""DICOM's network protocol with pynetdicom: C-STORE, C-FIND, C-GET and C-MOVE."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pydicom
from pydicom.dataset import Dataset
from pydicom.uid import CTImageStorage, EnhancedCTImageStorage, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from LungNoduleCADLib.dicom.decode import decoder_of
from LungNoduleCADLib.dicom.headers import text
from LungNoduleCADLib.errors import PacsError
from LungNoduleCADLib.pacs.address import Node, RemoteSeries, as_date

if TYPE_CHECKING:
    from pynetdicom.association import Association

PLAIN = [ExplicitVRLittleEndian, ImplicitVRLittleEndian]
CT_CLASSES = (CTImageStorage, EnhancedCTImageStorage)
TIMEOUT_S = 60
SUCCESS, PENDING = 0x0000, (0xFF00, 0xFF01)
_WARNINGS = (0xB000, 0xB006, 0xB007)
Keep = Callable[[Dataset], None]


def send(files: Sequence[Path], node: Node, report: Callable[[int], None] = lambda _: None) -> None:
    """C-STORE of DICOM files; what the PACS does not take compressed is sent uncompressed.

    Raises
    ------
    PacsError : no connection, or a file was refused; those before it are there.
    """
    from pynetdicom.presentation import build_context

    headers = [pydicom.dcmread(file, stop_before_pixels=True) for file in files]
    kinds = {(header.SOPClassUID, header.file_meta.TransferSyntaxUID) for header in headers}
    contexts = [build_context(sop_class, syntax) for sop_class, syntax in sorted(kinds) if syntax not in PLAIN]
    contexts += [build_context(sop_class, PLAIN) for sop_class in sorted({sop_class for sop_class, _ in kinds})]
    with _association(node, contexts) as association:
        accepted = {(c.abstract_syntax, c.transfer_syntax[0]) for c in association.accepted_contexts}
        for number, file in enumerate(files, start=1):
            dataset = pydicom.dcmread(file)
            if (dataset.SOPClassUID, dataset.file_meta.TransferSyntaxUID) not in accepted:
                _make_plain(dataset, accepted, node)
            status = association.send_c_store(dataset).get("Status")
            if status != SUCCESS and status not in _WARNINGS:
                raise PacsError(f"{node} refused {file.name}", got=_status_words(status))
            report(number)


def find_ct(node: Node, patient_id: str) -> list[RemoteSeries]:
    """The CT series of a patient (C-FIND, study root).

    Raises
    ------
    PacsError : no connection, or the PACS does not answer such questions.
    """
    from pynetdicom.presentation import build_context
    from pynetdicom.sop_class import StudyRootQueryRetrieveInformationModelFind as Find  # type: ignore[attr-defined]

    found = []
    with _association(node, [build_context(Find)]) as association:
        study = _query("STUDY", PatientID=patient_id, StudyInstanceUID="", StudyDate="", StudyDescription="")
        for one in list(_answers(node, association.send_c_find(study, Find))):
            if text(one, "PatientID") not in ("", patient_id):
                continue
            asked = {"SeriesDescription": "", "BodyPartExamined": "", "NumberOfSeriesRelatedInstances": ""}
            series = _query(
                "SERIES", StudyInstanceUID=one.StudyInstanceUID, SeriesInstanceUID="", Modality="CT", **asked
            )
            answers = _answers(node, association.send_c_find(series, Find))
            found += [_series(one, answer) for answer in answers if text(answer, "Modality") == "CT"]
    return found


def get(node: Node, series: RemoteSeries, keep: Keep) -> None:
    """C-GET of a series, each object handed to ``keep``; PacsError: no connection, or refused."""
    from pynetdicom import evt
    from pynetdicom.pdu_primitives import SCP_SCU_RoleSelectionNegotiation
    from pynetdicom.presentation import build_context
    from pynetdicom.sop_class import StudyRootQueryRetrieveInformationModelGet as Get  # type: ignore[attr-defined]

    roles = []
    for sop_class in CT_CLASSES:
        role = SCP_SCU_RoleSelectionNegotiation()
        role.sop_class_uid, role.scu_role, role.scp_role = sop_class, False, True
        roles.append(role)
    contexts = [build_context(Get), *_ct_contexts()]
    handlers = [(evt.EVT_C_STORE, _keeping(keep))]
    with _association(node, contexts, ext_neg=roles, evt_handlers=handlers) as association:
        _done(node, association.send_c_get(_of_series(series), Get))


def move(node: Node, series: RemoteSeries, port: int, keep: Keep) -> None:
    """C-MOVE of a series to ourselves, who listen at ``port`` meanwhile; the PACS must know our title and address.

    Raises
    ------
    PacsError : no connection, the port is taken, or refused.
    """
    from pynetdicom import AE, evt
    from pynetdicom.presentation import build_context
    from pynetdicom.sop_class import StudyRootQueryRetrieveInformationModelMove as Move  # type: ignore[attr-defined]

    ours = AE(node.calling)
    ours.supported_contexts = _ct_contexts()
    try:
        listener = ours.start_server(("", port), block=False, evt_handlers=[(evt.EVT_C_STORE, _keeping(keep))])
    except OSError as error:
        raise PacsError(f"Port {port} cannot be listened at", got=str(error), todo="choose another one") from error
    try:
        with _association(node, [build_context(Move)]) as association:
            _done(node, association.send_c_move(_of_series(series), node.calling, Move))
    finally:
        listener.shutdown()


@contextmanager
def _association(node: Node, contexts: list[Any], **more: Any) -> Iterator[Association]:
    from pynetdicom import AE

    ours = AE(node.calling)
    ours.acse_timeout = ours.dimse_timeout = ours.network_timeout = ours.connection_timeout = TIMEOUT_S
    association = ours.associate(node.host, node.port, contexts, node.title, **more)
    if not association.is_established:
        why = "it rejected us" if association.is_rejected else "no answer"
        raise PacsError(
            f"{node} cannot be reached", got=why, todo=f"check the address, and that it knows us as {node.calling}"
        )
    try:
        yield association
    except RuntimeError as error:  # pynetdicom's word for an association that was lost
        raise PacsError(f"{node} broke off the connection", got=str(error), todo="try again") from error
    finally:
        if association.is_established:
            association.release()


def _ct_contexts() -> list[Any]:
    from pynetdicom import ALL_TRANSFER_SYNTAXES
    from pynetdicom.presentation import build_context

    return [build_context(sop_class, ALL_TRANSFER_SYNTAXES) for sop_class in CT_CLASSES]


def _keeping(keep: Keep) -> Callable[[Any], int]:
    def store(event: Any) -> int:
        dataset = event.dataset
        dataset.file_meta = event.file_meta
        try:
            keep(dataset)
        except OSError:
            return 0xA700  # out of resources
        return SUCCESS

    return store


def _make_plain(dataset: Dataset, accepted: set[tuple[str, str]], node: Node) -> None:
    if not any((dataset.SOPClassUID, syntax) in accepted for syntax in PLAIN):
        raise PacsError(f"{node} does not take {pydicom.uid.UID(dataset.SOPClassUID).name}")
    if dataset.file_meta.TransferSyntaxUID.is_compressed:
        dataset.decompress(decoding_plugin=decoder_of(dataset))


def _query(level: str, **keys: str) -> Dataset:
    query = Dataset()
    query.QueryRetrieveLevel = level
    for keyword, value in keys.items():
        setattr(query, keyword, value)
    return query


def _of_series(series: RemoteSeries) -> Dataset:
    return _query("SERIES", StudyInstanceUID=series.study_uid, SeriesInstanceUID=series.series_uid)


def _answers(node: Node, answers: Any) -> Iterator[Dataset]:
    for status, identifier in answers:
        code = status.get("Status")
        if code in PENDING and identifier is not None:
            yield identifier
        elif code != SUCCESS:
            raise PacsError(f"{node} did not answer the question", got=_status_words(code))


def _done(node: Node, answers: Any) -> None:
    for status, _ in answers:
        code = status.get("Status")
        if code not in (SUCCESS, *PENDING):
            raise PacsError(
                f"{node} did not hand over the series",
                got=_status_words(code),
                todo="it may not offer C-GET (then give --listen), or not know us",
            )


def _series(study: Dataset, series: Dataset) -> RemoteSeries:
    return RemoteSeries(
        study.StudyInstanceUID,
        series.SeriesInstanceUID,
        as_date(text(study, "StudyDate")),
        text(study, "StudyDescription"),
        text(series, "SeriesDescription"),
        text(series, "BodyPartExamined"),
        int(text(series, "NumberOfSeriesRelatedInstances") or 0),
    )


def _status_words(code: int | None) -> str:
    return "the connection broke off" if code is None else f"status 0x{code:04X}"
