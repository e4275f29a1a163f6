"""A results folder as it is sent to a PACS: report and findings, and as DICOM where the source series is at hand."""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from LungNoduleCADLib import RESEARCH_USE_ONLY
from LungNoduleCADLib.domain.findings import StudyFindings
from LungNoduleCADLib.domain.masks import Lung, LungMask, NoduleMask, Side
from LungNoduleCADLib.domain.nodule import Nodule, Origin, Review
from LungNoduleCADLib.domain.study import PatientHeader
from LungNoduleCADLib.errors import OutputError, UsageError
from LungNoduleCADLib.guidelines.lung_rads_2022 import READER
from LungNoduleCADLib.report import findings_json, growth_words, words
from LungNoduleCADLib.report.claim import claimed
from LungNoduleCADLib.report.folder import is_result, reason
from LungNoduleCADLib.report.reread import read_study
from LungNoduleCADLib.report.segmentation import CATEGORY_COLORS, LUNG_COLORS, UNCATEGORISED
from LungNoduleCADLib.report.values import day
from LungNoduleCADLib.report.write import IMAGES, OVERVIEW, image_names, pairs_of, rewrite_report

if TYPE_CHECKING:
    from LungNoduleCADLib.dicom.export_measurements import Remark, Remarks
    from LungNoduleCADLib.dicom.export_segmentation import Structure
    from LungNoduleCADLib.dicom.export_source import SourceSeries

PDF, TEXT, JSON = "report.pdf", "report.txt", findings_json.FILE_NAME
SEGMENTATION, MEASUREMENTS, DOCUMENT = "segmentation.dcm", "measurements.dcm", "report.dcm"
NAMES = (PDF, TEXT, JSON, SEGMENTATION, MEASUREMENTS, DOCUMENT)
PICTURES = "key_image-*.dcm"

_NEVER_NEEDED = ("dicom", "pages", "*.h5")
_NEEDED_TO_DRAW = ("ct.nrrd", "*.seg.nrrd", "prior", "outlines")
_WRITE_BITS = 0o222
CLAIM, LEAVING, GONE = ".export.lock", "leaving", "gone"
_LEFT_OVER = re.compile(r"\.[0-9a-f]{8}\.partial")


def export_results(
    out: Path, folder: Path, dicom_source: Path | None, paper: str = "A4", patient_header: bool = False
) -> list[Path]:
    """Write report.pdf, report.txt (made afresh) and findings.json to ``folder``, with the source series DICOM too.

    The DICOM objects are SEG, SR, the report as encapsulated PDF, and a picture of each nodule that was not rejected.

    All or nothing: on failure ``folder`` stays as it was. An earlier export is replaced; other files stay, and one of
    the names to be written is never taken from them.

    Parameters
    ----------
    dicom_source : the DICOM files that were analysed: a folder (the series is picked in it) or one file of them.
    patient_header : the PDF carries the patient's name and numbers, from the headers of ``dicom_source``.

    Returns
    -------
    The files written; without DICOM objects where ``no_dicom_because`` says why.

    Raises
    ------
    InputError : no results in ``out``, or ``dicom_source`` does not hold the analysed series.
    UsageError : a patient header without the series that has it.
    OutputError : ``folder`` cannot be written, or holds other results or files of these names.
    """
    source, patient = None, None
    if dicom_source is not None and not no_dicom_because(out, dicom_source):
        from LungNoduleCADLib.dicom.export_source import open_source

        known = findings_json.read_findings(out)
        source = open_source(dicom_source, known.series, known.geometry)
        patient = source.patient if patient_header else None
    elif patient_header:
        raise UsageError("A patient header needs the DICOM files of the scan", todo="give --dicom-source")
    with _placed(folder.resolve(), out.resolve()) as work:
        findings = _fresh_report(out, work, paper, patient)
        if source is not None:
            _write_dicom(out, work, source, findings)
    return _files_of(folder)


def _files_of(folder: Path) -> list[Path]:
    """The files of an export in a folder, whoever wrote them."""
    named = [folder / name for name in NAMES if (folder / name).exists()]
    return named + sorted(folder.glob(PICTURES))


def no_dicom_because(out: Path, dicom_source: Path | None) -> str:
    """Why an export has no DICOM objects, in a sentence; empty where it has them.

    Raises
    ------
    InputError : no results in ``out``.
    """
    findings = findings_json.read_findings(out)
    if any(flag.code == "no_header" for flag in findings.flags):
        return "No DICOM objects: the scan was an image file, which names no patient or study to file them with."
    if dicom_source is None:
        return "No DICOM objects: they need the DICOM files of the scan."
    return ""


def _fresh_report(out: Path, work: Path, paper: str, patient: PatientHeader | None) -> StudyFindings:
    """Lung-RADS, report, its pictures and findings as they are now; ``out`` itself stays untouched."""
    ignored = _NEVER_NEEDED + (_NEEDED_TO_DRAW if _has_pictures(out) else ())
    copy = shutil.copytree(out, work / "results", ignore=shutil.ignore_patterns(*ignored))
    findings = rewrite_report(copy, paper, patient)
    for name in (PDF, TEXT, JSON):
        (copy / name).rename(work / name)
    if (copy / IMAGES).is_dir():
        (copy / IMAGES).rename(work / IMAGES)
    return findings


def _has_pictures(out: Path) -> bool:
    """Whether every picture of the report is there; a review takes those away that no longer hold."""
    findings = findings_json.read_findings(out)
    names = [OVERVIEW, *(image_names(nodule.id)[0] for nodule in findings.nodules)]
    names += [image_names(now)[1] for now, before in pairs_of(findings).items() if now and before]
    return all((out / IMAGES / name).is_file() for name in names)


def _write_dicom(out: Path, work: Path, source: SourceSeries, findings: StudyFindings) -> None:
    from LungNoduleCADLib.dicom.export_document import make_document
    from LungNoduleCADLib.dicom.export_measurements import make_measurements, reported
    from LungNoduleCADLib.dicom.export_segmentation import make_segmentation
    from LungNoduleCADLib.dicom.export_source import save

    masked, _, lungs = read_study(out)
    masks = {nodule.id: nodule.mask for nodule in masked.nodules if nodule.mask is not None}
    structures = list(_lung_structures(findings, lungs))
    structures += [_nodule_structure(n, masks[n.id], findings) for n in reported(findings) if n.id in masks]
    segmentation = make_segmentation(source, structures)
    save(segmentation, work / SEGMENTATION)
    save(make_measurements(source, segmentation, findings, _remarks(findings)), work / MEASUREMENTS)
    save(make_document(source, (work / PDF).read_bytes()), work / DOCUMENT)
    _write_pictures(work, source, findings)


def _write_pictures(work: Path, source: SourceSeries, findings: StudyFindings) -> None:
    from pydicom.uid import generate_uid

    from LungNoduleCADLib.dicom.export_measurements import reported
    from LungNoduleCADLib.dicom.export_picture import make_picture
    from LungNoduleCADLib.dicom.export_source import save
    from LungNoduleCADLib.report.figures import titled_picture

    series_uid = str(generate_uid())
    drawn = [nodule for nodule in reported(findings) if (work / IMAGES / image_names(nodule.id)[0]).is_file()]
    for number, nodule in enumerate(drawn, start=1):
        title = words.title(nodule)
        pixels = titled_picture(work / IMAGES / image_names(nodule.id)[0], title, RESEARCH_USE_ONLY)
        picture = make_picture(source, pixels, series_uid, number, title, nodule.centroid_lps_mm)
        save(picture, work / PICTURES.replace("*", nodule.id))


def _lung_structures(findings: StudyFindings, lungs: LungMask) -> Iterator[Structure]:
    from LungNoduleCADLib.dicom.export_identity import tracking_uid
    from LungNoduleCADLib.dicom.export_segmentation import Structure

    for lung, side in ((Lung.RIGHT, Side.RIGHT), (Lung.LEFT, Side.LEFT)):
        voxels = lungs.labels == lung
        if voxels.any():
            name = f"lung_{side}"
            yield Structure(
                name,
                f"{side} lung",
                voxels,
                lungs.geometry,
                False,
                side,
                LUNG_COLORS[lung],
                findings.lungs.method,
                tracking_uid(findings, name),
            )


def _nodule_structure(nodule: Nodule, mask: NoduleMask, findings: StudyFindings) -> Structure:
    from highdicom.seg import SegmentAlgorithmTypeValues

    from LungNoduleCADLib.dicom.export_identity import tracking_uid
    from LungNoduleCADLib.dicom.export_segmentation import Structure

    drawn = SegmentAlgorithmTypeValues.AUTOMATIC
    if mask.method.name == READER:
        drawn = SegmentAlgorithmTypeValues.MANUAL
    elif nodule.candidate.origin is Origin.READER:
        drawn = SegmentAlgorithmTypeValues.SEMIAUTOMATIC
    measured = nodule.measurements
    name = [nodule.id, nodule.type.type if nodule.type else "", words.diameter(measured.axes) if measured else ""]
    return Structure(
        nodule.id,
        " ".join(part for part in name if part),
        mask.voxels,
        mask.box_geometry,
        True,
        measured.side if measured else None,
        CATEGORY_COLORS[nodule.lung_rads.category] if nodule.lung_rads else UNCATEGORISED,
        mask.method,
        tracking_uid(findings, nodule.id),
        drawn,
    )


def _remarks(findings: StudyFindings) -> Remarks:
    """What the report says in words, for those who read the measurements without it."""
    from LungNoduleCADLib.dicom.export_codes import COMMENT, CONCLUSION, RECOMMENDATION
    from LungNoduleCADLib.dicom.export_measurements import Remarks

    exam: list[Remark] = [(COMMENT, RESEARCH_USE_ONLY.upper())]
    assessed = findings.lung_rads
    if assessed is not None:
        exam.append((CONCLUSION, f"{assessed.source}: category {words.category(assessed)}, {assessed.reason}."))
        exam.append((RECOMMENDATION, assessed.management))
        exam += [(COMMENT, note) for note in assessed.notes]
    flags = findings.flags
    if findings.comparison is not None and findings.prior is not None:
        before = day(findings.prior.series.study_date)
        exam.append((COMMENT, f"Compared with the CT of {before}: {words.counts(findings)}."))
        flags += findings.comparison.flags
    exam += [(COMMENT, flag.message) for flag in flags]
    counted = [nodule for nodule in findings.nodules if nodule.review is not Review.REJECTED]
    return Remarks(exam, {nodule.id: [(COMMENT, text) for text in _said_of(nodule, findings)] for nodule in counted})


def _said_of(nodule: Nodule, findings: StudyFindings) -> Iterator[str]:
    if nodule.lung_rads is not None:
        yield f"Lung-RADS {words.category(nodule.lung_rads)}: {nodule.lung_rads.reason}."
    matches = findings.comparison.matches if findings.comparison else ()
    yield from (f"Follow-up: {growth_words.growth(match)}." for match in matches if match.current_id == nodule.id)
    yield f"Malignancy: {words.malignancy(nodule.malignancy)}"
    yield from (flag.message for flag in nodule.flags)


@contextmanager
def _placed(folder: Path, out: Path) -> Iterator[Path]:
    """A place beside the files of ``folder``, whose files are moved there at the end, all or none."""
    made: list[Path] = []
    try:
        _check_place(folder, out)
        made = [place for place in (folder, *folder.parents) if not place.exists()]
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with claimed(folder / CLAIM, folder):
                _put_right(folder)
                _check_names(folder)
                work = folder / f".{secrets.token_hex(4)}.partial"
                try:
                    work.mkdir()
                    yield work
                    _move(work, folder)
                finally:
                    shutil.rmtree(work, ignore_errors=True)
        finally:
            for place in made:
                if place.is_dir() and not any(place.iterdir()):
                    place.rmdir()
    except OSError as error:
        raise OutputError(
            f"The export could not be written to {folder}",
            got=reason(error),
            todo="check its disk and rights, or choose another folder",
        ) from error


def _put_right(folder: Path) -> None:
    """What an export that was killed left: the earlier one comes back as it was, the unfinished one goes."""
    for work in [path for path in folder.iterdir() if _LEFT_OVER.fullmatch(path.name)]:
        _move_back(work, folder)
        shutil.rmtree(work, ignore_errors=True)


def _check_place(folder: Path, out: Path) -> None:
    nearest = next(place for place in (folder, *folder.parents) if place.exists())
    if not nearest.is_dir():
        raise OutputError(f"The export cannot be written to {folder}", expected="a folder", got=f"the file {nearest}")
    if not nearest.stat().st_mode & _WRITE_BITS or not os.access(nearest, os.W_OK | os.X_OK):
        raise OutputError(
            f"The export cannot be written to {folder}", got=f"{nearest} is read-only", todo="choose another folder"
        )
    if folder == out or is_result(folder):
        raise OutputError(f"{folder} holds results, which an export must not mix with", todo="choose another folder")


def _check_names(folder: Path) -> None:
    taken = _files_of(folder)
    if taken and not _is_export(folder):
        raise OutputError(
            f"{folder} holds another {taken[0].name}, which would be lost",
            expected="a folder without it, or an earlier export",
            todo="choose another folder",
        )


def _is_export(folder: Path) -> bool:
    """Whether the findings there are of this software, of whatever version."""
    try:
        document = json.loads((folder / JSON).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(document, dict) and {"schema_version", "research_use_only"} <= document.keys()


def _move(work: Path, folder: Path) -> None:
    """Put new files in the place of an earlier export's, and those back if that fails.

    The earlier ones are ``leaving`` until all of them are out, then ``gone``: from then on the files in place are new.
    """
    leaving = work / LEAVING
    leaving.mkdir()
    try:
        for path in _files_of(folder):
            path.rename(leaving / path.name)
        leaving.rename(work / GONE)
        for path in _files_of(work):
            path.rename(folder / path.name)
    except BaseException:
        _move_back(work, folder)
        raise


def _move_back(work: Path, folder: Path) -> None:
    if (work / GONE).is_dir():
        for path in _files_of(folder):
            path.unlink()
    for path in (*(work / GONE).glob("*"), *(work / LEAVING).glob("*")):
        path.rename(folder / path.name)
