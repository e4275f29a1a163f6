"""All of a run's results into its folder, and the report again after ``findings.json`` was edited."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Any

from LungNoduleCADLib.domain.ct import CtVolume
from LungNoduleCADLib.domain.findings import StudyFindings
from LungNoduleCADLib.domain.masks import LungMask
from LungNoduleCADLib.domain.nodule import Review
from LungNoduleCADLib.domain.provenance import Provenance
from LungNoduleCADLib.guidelines.exam import assess_findings
from LungNoduleCADLib.report import findings_json
from LungNoduleCADLib.report.folder import new_results
from LungNoduleCADLib.report.nodule_json import saliency_name
from LungNoduleCADLib.report.pdf_style import PAPERS

IMAGES = "images"
RUN_FILE = "run.json"


def write_results(
    findings: StudyFindings, ct: CtVolume, lungs: LungMask, folder: Path, prior_ct: CtVolume | None = None
) -> None:
    """Write findings.json, report.pdf, segmentation.seg.nrrd, saliency/, images/ and run.json into ``folder``.

    Parameters
    ----------
    folder : exists; ``report.folder.new_results`` makes it and moves it into place.
    prior_ct : for the pairs of prior and current images.
    """
    from LungNoduleCADLib.report.pdf import FILE_NAME, build_pdf
    from LungNoduleCADLib.report.segmentation import FILE_NAME as SEGMENTATION
    from LungNoduleCADLib.report.segmentation import write_saliency, write_segmentation

    findings_json.write_document(findings_json.to_json(findings), folder / findings_json.FILE_NAME)
    _write_run(findings.provenance, folder / RUN_FILE)
    write_segmentation(lungs, findings.nodules, folder / SEGMENTATION)
    for nodule in findings.nodules:
        if nodule.saliency is not None:
            path = folder / saliency_name(nodule.id)
            path.parent.mkdir(exist_ok=True)
            write_saliency(nodule, path)
    write_images(findings, ct, lungs, folder / IMAGES, prior_ct)
    build_pdf(findings, folder / IMAGES, folder / FILE_NAME)


def write_images(
    findings: StudyFindings, ct: CtVolume, lungs: LungMask, folder: Path, prior_ct: CtVolume | None = None
) -> None:
    """The pictures that the PDF is made of; they need the CT, so they are kept."""
    from LungNoduleCADLib.report.figures import save_key_images, save_overview, save_pair

    folder.mkdir(exist_ok=True)
    if lungs.labels.any():
        save_overview(findings.nodules, ct, lungs, folder / "overview.png")
    earlier = {nodule.id: nodule for nodule in findings.prior.nodules} if findings.prior else {}
    matches = findings.comparison.matches if findings.comparison else ()
    pairs = {match.current_id: earlier.get(match.prior_id or "") for match in matches}
    for nodule in findings.nodules:
        save_key_images(nodule, ct, folder / f"{nodule.id}.png")
        before = pairs.get(nodule.id)
        if before is not None and prior_ct is not None:
            save_pair(before, prior_ct, nodule, ct, folder / f"{nodule.id}_prior.png")


def rewrite_report(out: Path, paper: str = "A4") -> StudyFindings:
    """Lung-RADS and PDF again from an edited ``findings.json``; everything else in the folder stays.

    Raises
    ------
    InputError : findings.json is missing or wrong. OutputError : the folder cannot be written.
    """
    from LungNoduleCADLib.report.pdf import FILE_NAME, build_pdf

    document = findings_json.read_document(out)
    findings = assess_findings(findings_json.from_json(document, str(out / findings_json.FILE_NAME)))
    updated = _with_derived(document, findings_json.to_json(findings))
    with new_results(out) as folder:
        shutil.copytree(out, folder, dirs_exist_ok=True)
        findings_json.write_document(updated, folder / findings_json.FILE_NAME)
        build_pdf(findings, folder / IMAGES, folder / FILE_NAME, PAPERS[paper])
    return findings


def _with_derived(document: dict[str, Any], assessed: dict[str, Any]) -> dict[str, Any]:
    """What a person wrote, with only the derived values renewed (the name of a saliency file is not in the records)."""
    pairs = zip(document["nodules"], assessed["nodules"], strict=True)
    nodules = [{**new, "saliency": old["saliency"]} for old, new in pairs]
    return {**assessed, "nodules": nodules, "prior": document["prior"]}


def _write_run(provenance: Provenance, path: Path) -> None:
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
