"""All of a run's results into its folder, and the report again after ``findings.json`` was edited."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

from LungNoduleCADLib.domain.ct import CtVolume
from LungNoduleCADLib.domain.findings import StudyFindings
from LungNoduleCADLib.domain.masks import LungMask
from LungNoduleCADLib.domain.nodule import Review
from LungNoduleCADLib.domain.provenance import Provenance
from LungNoduleCADLib.domain.study import PatientHeader
from LungNoduleCADLib.guidelines.exam import assess_findings
from LungNoduleCADLib.guidelines.lung_rads_2022 import READER
from LungNoduleCADLib.report import findings_json
from LungNoduleCADLib.report.folder import exchange, new_results, stamp_after
from LungNoduleCADLib.report.nodule_json import saliency_name
from LungNoduleCADLib.report.outlines import outline_path, write_outline
from LungNoduleCADLib.report.pdf_style import PAPERS

REPORT = "report.pdf"
IMAGES, OVERVIEW = "images", "overview.png"
PRIOR = "prior"
RUN_FILE = "run.json"


def write_results(
    findings: StudyFindings, ct: CtVolume, lungs: LungMask, folder: Path, prior_ct: CtVolume | None = None
) -> None:
    """Write findings.json, report.pdf, report.txt, segmentation.seg.nrrd, saliency/, images/ and run.json.

    Outlines that a reader drew are kept by themselves too (``outlines/``).

    Parameters
    ----------
    folder : exists; ``report.folder.new_results`` makes it and moves it into place.
    prior_ct : for the pairs of prior and current images.
    """
    from LungNoduleCADLib.report.segmentation import FILE_NAME as SEGMENTATION
    from LungNoduleCADLib.report.segmentation import write_saliency, write_segmentation

    findings_json.write_document(findings_json.to_json(findings), folder / findings_json.FILE_NAME)
    write_run(findings.provenance, folder / RUN_FILE)
    write_segmentation(lungs, findings.nodules, folder / SEGMENTATION)
    for nodule in findings.nodules:
        if nodule.saliency is not None:
            path = folder / saliency_name(nodule.id)
            path.parent.mkdir(exist_ok=True)
            write_saliency(nodule, path)
        if nodule.mask is not None and nodule.mask.method.name == READER:
            write_outline(nodule.mask, outline_path(folder, nodule.id, 0))
    write_images(findings, ct, lungs, folder / IMAGES, prior_ct)
    write_report(findings, folder)


def write_report(
    findings: StudyFindings, folder: Path, paper: str = "A4", patient: PatientHeader | None = None
) -> None:
    """``report.pdf`` and ``report.txt`` of a results folder, each exchanged in one step.

    Parameters
    ----------
    patient : whose name and numbers the PDF carries; ``None``: it is de-identified, as the text always is.
    """
    from LungNoduleCADLib.report.pdf import build_pdf
    from LungNoduleCADLib.report.plain import FILE_NAME as TEXT
    from LungNoduleCADLib.report.plain import write_text

    exchange(folder / REPORT, lambda path: build_pdf(findings, folder / IMAGES, path, PAPERS[paper], patient))
    exchange(folder / TEXT, lambda path: write_text(findings, path))
    stamp_after(folder / REPORT, folder / findings_json.FILE_NAME)


def renew_report(folder: Path, findings: StudyFindings, ct: CtVolume, lungs: LungMask, paper: str = "A4") -> bool:
    """The report of a results folder again where its ``findings.json`` is newer; whether it was."""
    told, report = folder / findings_json.FILE_NAME, folder / REPORT
    if not told.is_file() or (report.is_file() and report.stat().st_mtime_ns >= told.stat().st_mtime_ns):
        return False
    write_images(findings, ct, lungs, folder / IMAGES)
    write_report(findings, folder, paper)
    return True


def write_images(
    findings: StudyFindings, ct: CtVolume, lungs: LungMask, folder: Path, prior_ct: CtVolume | None = None
) -> None:
    """The pictures that the PDF is made of and that are not there yet; they need the CT, so they are kept."""
    for _, draw in missing_images(findings, ct, lungs, folder, prior_ct):
        draw()


def missing_images(
    findings: StudyFindings, ct: CtVolume, lungs: LungMask, folder: Path, prior_ct: CtVolume | None = None
) -> Iterator[tuple[Path, Callable[[], None]]]:
    """(file, call that draws it) for each picture that is not in ``folder`` yet; drawn beside its place and moved."""
    from LungNoduleCADLib.report.figures import save_key_images, save_overview, save_pair

    folder.mkdir(exist_ok=True)
    wanted: dict[str, Callable[[Path], None]] = {}
    if lungs.labels.any():
        wanted[OVERVIEW] = partial(save_overview, findings.nodules, ct, lungs)
    earlier = {nodule.id: nodule for nodule in findings.prior.nodules} if findings.prior else {}
    partners = pairs_of(findings)
    for nodule in findings.nodules:
        key_images, pair = image_names(nodule.id)
        wanted[key_images] = partial(save_key_images, nodule, ct)
        before = earlier.get(partners.get(nodule.id) or "")
        if before is not None and prior_ct is not None:
            wanted[pair] = partial(save_pair, before, prior_ct, nodule, ct)
    for name, draw in wanted.items():
        if not (folder / name).is_file():
            yield folder / name, partial(exchange, folder / name, draw)


def image_names(nodule_id: str) -> tuple[str, str]:
    """Files of a nodule's key images and of its pair of prior and current image."""
    return f"{nodule_id}.png", f"{nodule_id}_prior.png"


def pairs_of(findings: StudyFindings) -> dict[str | None, str | None]:
    """{current nodule id: prior nodule id}."""
    matches = findings.comparison.matches if findings.comparison else ()
    return {match.current_id: match.prior_id for match in matches}


def rewrite_report(out: Path, paper: str = "A4", patient: PatientHeader | None = None) -> StudyFindings:
    """Lung-RADS, missing pictures, PDF and text again from an edited ``findings.json``; the rest of the folder stays.

    Raises
    ------
    InputError : findings.json is missing or wrong. OutputError : the folder cannot be written.
    """
    from LungNoduleCADLib.report.pages import FOLDER as PAGES
    from LungNoduleCADLib.report.reread import with_heat_maps

    document = findings_json.read_document(out)
    findings = assess_findings(findings_json.from_json(document, str(out / findings_json.FILE_NAME)))
    updated = _with_derived(document, findings_json.to_json(findings))
    with new_results(out) as folder:
        shutil.copytree(out, folder, dirs_exist_ok=True)
        findings_json.write_document(updated, folder / findings_json.FILE_NAME)
        _draw_again(findings, folder)
        shutil.rmtree(folder / PAGES, ignore_errors=True)
        write_report(with_heat_maps(findings, folder), folder, paper, patient)
    return findings


def _draw_again(findings: StudyFindings, folder: Path) -> None:
    """The pictures that a review took away because they no longer held."""
    from LungNoduleCADLib.report.reread import CT_NAME, read_images

    names = [OVERVIEW, *(image_names(nodule.id)[0] for nodule in findings.nodules)]
    names += [image_names(now)[1] for now, before in pairs_of(findings).items() if now and before]
    if all((folder / IMAGES / name).is_file() for name in names) or not (folder / CT_NAME).is_file():
        return
    shown, ct, lungs = read_images(folder, findings, len(findings.edits))
    prior_ct = None
    if findings.prior is not None and (folder / PRIOR / CT_NAME).is_file():
        prior, prior_ct, _ = read_images(folder / PRIOR, findings.prior, len(findings.edits))
        shown = replace(shown, prior=prior)
    write_images(shown, ct, lungs, folder / IMAGES, prior_ct)


def _with_derived(document: dict[str, Any], assessed: dict[str, Any]) -> dict[str, Any]:
    """What a person wrote, with only the derived values renewed (the name of a saliency file is not in the records)."""
    pairs = zip(document["nodules"], assessed["nodules"], strict=True)
    nodules = [{**new, "saliency": old["saliency"]} for old, new in pairs]
    return {**assessed, "nodules": nodules, "prior": document["prior"]}


def write_run(provenance: Provenance, path: Path) -> None:
    """How the findings came about, with the sum of its stages, as ``run.json``."""
    stages = provenance.stages
    run = {
        **asdict(provenance),
        "total_seconds": round(sum(stage.seconds for stage in stages), 3),
        "peak_memory_mb": max((stage.peak_memory_mb for stage in stages), default=None),
    }
    path.write_text(json.dumps(findings_json.plain(run), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def counted(findings: StudyFindings) -> int:
    """Nodules that were not rejected."""
    return sum(nodule.review is not Review.REJECTED for nodule in findings.nodules)
