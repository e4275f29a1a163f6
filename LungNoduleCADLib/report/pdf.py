"""``report.pdf``: the findings as a page a radiologist can read, from the findings and the key images alone."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import IO

from reportlab.lib.colors import HexColor
from reportlab.lib.pagesizes import A4
from reportlab.lib.units import mm
from reportlab.platypus import (
    BaseDocTemplate,
    CondPageBreak,
    Flowable,
    Frame,
    KeepTogether,
    PageTemplate,
    Spacer,
    Table,
)

from LungNoduleCADLib.domain.findings import StudyFindings
from LungNoduleCADLib.domain.nodule import Nodule, Review
from LungNoduleCADLib.domain.quality import Severity
from LungNoduleCADLib.domain.study import PatientHeader
from LungNoduleCADLib.report import growth_words, words
from LungNoduleCADLib.report.pdf_cards import nodule_card, picture
from LungNoduleCADLib.report.pdf_style import (
    BODY,
    BOX_CATEGORY,
    BOX_LABEL,
    BOX_TEXT,
    BULLET,
    CATEGORY_COLOR,
    CELL,
    FONT,
    HEAD_CELL,
    HEADING,
    LINE,
    MARGIN,
    NOTE,
    SHADE,
    TABLE_HEADING,
    TITLE,
    ReportCanvas,
    register_fonts,
    shown,
    table_style,
    text,
)
from LungNoduleCADLib.report.values import NONE, NOT_KNOWN, day, percent

OUTSIDE = 31 * mm  # of a page, above and below the text
LIMITS = (
    "Software makes mistakes: nodules are missed and normal structures are marked. Every finding needs a radiologist's "
    "review of the CT itself.",
    "The malignancy probability imitates the opinion of the readers of LIDC-IDRI; it is not trained on pathology and "
    "is not a risk of cancer.",
    "A range in parentheses after a model's probability says where 95% of what its networks, each by itself, answer to "
    "mirrored views of the nodule lie: how steady the answer is. It is no confidence interval; what all of them get "
    "wrong together is not in it.",
    "Clinical risk: Brock (McWilliams, N Engl J Med 2013), made in lung cancer screening; Mayo (Swensen, Arch Intern "
    "Med 1997), VA (Gould, Chest 2007) and Herder (Chest 2005), made for solitary nodules. Size (longest diameter), "
    "type and number are this software's; lobe and spiculation are the reader's.",
    "Lung-RADS applies to lung cancer screening with low-dose CT; the line If not screening has Fleischner 2017 and "
    "BTS 2015, for nodules found by chance. With known cancer or immunosuppression none of them goes without the "
    "reader's judgement.",
    "Volumes and diameters depend on slice thickness, kernel, dose, contrast and breath-hold; a change smaller than "
    "its interval may be none. The interval of a change holds this software's own error; of patients scanned twice, "
    "volumes of unchanged nodules differ by up to about a quarter.",
    "A heat map shows where a score came from in the network, not where disease is. Each map has its own scale.",
    "Abbreviations: ACR, American College of Radiology; BTS, British Thoracic Society; Dice, overlap of two outlines "
    "from 0 to 1; HU, Hounsfield units; LIDC-IDRI, a public collection of chest CTs read by four radiologists each; "
    "NELSON, the Dutch-Belgian lung cancer screening trial; VA, the model of the US Department of Veterans Affairs.",
)


def build_pdf(
    findings: StudyFindings,
    images: Path,
    path: Path | IO[bytes],
    paper: tuple[float, float] = A4,
    patient: PatientHeader | None = None,
) -> None:
    """Write the report.

    Parameters
    ----------
    images : folder with ``overview.png``, ``<id>.png`` and ``<id>_prior.png``; those that are not there are left out.
    paper : width and height in points.
    patient : whose name and numbers it carries; ``None``: it is de-identified.
    """
    register_fonts()
    width, height = paper
    document = BaseDocTemplate(
        str(path) if isinstance(path, Path) else path,
        pagesize=paper,
        title=f"Lung nodule CT report, Lung-RADS {words.category(findings.lung_rads)}",
        author=f"LungNoduleCAD {findings.provenance.software_version}",
        subject="Chest CT lung nodules; research use only",
        creator=f"LungNoduleCAD {findings.provenance.software_version}",
        keywords=["chest CT", "lung nodule", "Lung-RADS v2022"],
        lang="en-US",
        initialFontName=FONT,
    )
    frame = Frame(
        MARGIN,
        15 * mm,
        width - 2 * MARGIN,
        height - OUTSIDE,
        leftPadding=0,
        rightPadding=0,
        topPadding=0,
        bottomPadding=0,
    )
    document.addPageTemplates(PageTemplate("page", [frame]))
    # what may be cut off at the margin comes last
    header = " · ".join(
        shown(part)
        for part in (
            f"Patient ID {patient.patient_id or NOT_KNOWN}" if patient else "Lung nodule CT report",
            day(findings.series.study_date),
            "" if patient else f"patient key {words.patient_key(findings)}",
            f"Lung-RADS {words.category(findings.lung_rads)}",
            patient.name if patient else "",
        )
        if part
    )
    canvas = type("Canvas", (ReportCanvas,), {"header": header})
    story = _story(findings, images, width - 2 * MARGIN, height - OUTSIDE, patient)
    document.build(list(story), canvasmaker=canvas)


def _story(
    findings: StudyFindings, images: Path, width: float, height: float, patient: PatientHeader | None
) -> Iterator[Flowable]:
    yield text("Lung nodule CT report", TITLE)
    yield Spacer(1, 2 * mm)
    yield _header(findings, width, patient)
    yield Spacer(1, 3 * mm)
    yield _category_box(findings, width)
    yield Spacer(1, 1.5 * mm)
    yield from _exam_notes(findings)
    yield from _comparison(findings)
    yield from _nodule_table(findings, width)
    yield text("Technique and quality", HEADING)
    yield _technique(findings, images, width)
    for nodule in findings.nodules:
        if nodule.review is not Review.REJECTED:
            yield from nodule_card(nodule, findings, images, width, height)
    yield KeepTogether(list(_limits()))
    yield from _made_by(findings, width)


def _header(findings: StudyFindings, width: float, patient: PatientHeader | None) -> Table:
    prior = findings.prior.series if findings.prior else None
    rows = [
        [("Patient", words.patient(findings)), ("Study date", day(findings.series.study_date))],
        [
            ("Patient key", words.patient_key(findings)),
            ("Prior CT", day(prior.study_date) if prior else "none compared"),
        ],
        [
            ("Series", findings.series.description or NOT_KNOWN),
            ("Analyzed", findings.provenance.created[:16].replace("T", " ") or NOT_KNOWN),
        ],
        [("Reader's review", words.reviewed(findings)), None],
    ]
    if patient is not None:
        rows = [
            [("Name", patient.name or NOT_KNOWN), ("Patient ID", patient.patient_id or NOT_KNOWN)],
            [("Born", _dicom_day(patient.birth_date)), ("Accession", patient.accession_number or NOT_KNOWN)],
            *rows,
        ]
    cells = [[text(cell[1], label=f"{cell[0]}:") if cell else "" for cell in row] for row in rows]
    table = Table(cells, [width * 0.58, width * 0.42])
    table.setStyle(
        table_style(
            ("BACKGROUND", (0, 0), (-1, -1), SHADE),
            ("TOPPADDING", (0, 0), (-1, -1), 2),
            ("BOTTOMPADDING", (0, 0), (-1, -1), 2),
        )
    )
    return table


def _dicom_day(dicom_date: str) -> str:
    """A date of a DICOM header as the report writes dates; as it is where it is none."""
    try:
        return date.fromisoformat(dicom_date).isoformat()
    except ValueError:
        return dicom_date or NOT_KNOWN


def _category_box(findings: StudyFindings, width: float) -> Table:
    assessment = findings.lung_rads
    if assessment is None:
        left, right, color = [], [text("Not assessed.", BOX_TEXT)], HexColor("#4a5560")
    else:
        left, color = [text(words.category(assessment), BOX_CATEGORY)], CATEGORY_COLOR[assessment.category]
        significant = " S: a significant finding other than lung cancer was reported." if assessment.modifier_s else ""
        right = [
            text(
                assessment.management + significant,
                BOX_TEXT,
                label=f"{words.DESCRIPTOR[assessment.category].capitalize()}.",
            ),
            Spacer(1, 1 * mm),
            text(f"{assessment.reason}. Rule {assessment.rule_id}, {assessment.source}.", BOX_TEXT, label="Why:"),
        ]
    table = Table([[[text("Lung-RADS v2022", BOX_LABEL), *left], right]], [width * 0.21, width * 0.79])
    table.setStyle(
        table_style(
            ("BACKGROUND", (0, 0), (-1, -1), color),
            ("VALIGN", (0, 0), (-1, -1), "MIDDLE"),
            ("LEFTPADDING", (0, 0), (-1, -1), 9),
            ("TOPPADDING", (0, 0), (-1, -1), 7),
            ("BOTTOMPADDING", (0, 0), (-1, -1), 8),
        )
    )
    return table


def _exam_notes(findings: StudyFindings) -> Iterator[Flowable]:
    for note in findings.lung_rads.notes if findings.lung_rads else ():
        yield text(note, BULLET, bulletText="•")


def _comparison(findings: StudyFindings) -> Iterator[Flowable]:
    comparison = findings.comparison
    if comparison is None:
        return
    yield text("Comparison with the prior CT", HEADING)
    interval = f", {comparison.interval_days:,} days earlier" if comparison.interval_days is not None else ""
    prior_day = day(findings.prior.series.study_date) if findings.prior else "date unknown"
    yield text(f"{prior_day}{interval}: {words.counts(findings)}.")
    earlier = {nodule.id: nodule for nodule in findings.prior.nodules} if findings.prior else {}
    for match in comparison.matches:
        if match.current_id is None and (nodule := earlier.get(match.prior_id or "")):
            size = words.diameter(nodule.measurements.axes) if nodule.measurements else "size unknown"
            yield text(
                f"Prior {nodule.id} ({words.place(nodule)}, {words.kind(nodule)}, {size}): {match.change}.",
                BULLET,
                bulletText="•",
            )
    if quality := comparison.registration:
        surface = (
            f", mean surface distance {quality.mean_surface_distance_mm:.1f} mm"
            if quality.mean_surface_distance_mm is not None
            else ""
        )
        yield text(
            f"Registration: lung overlap (Dice) {quality.lung_dice_before:.2f} before, "
            f"{quality.lung_dice_after:.2f} after{surface}; "
            f"folded {quality.folding_fraction:.1%}; {words.method(quality.method)}.",
            NOTE,
        )
    for flag in comparison.flags:
        yield text(flag.message, BULLET, label=f"{flag.severity.capitalize()}:", bulletText="•")
    for exam in comparison.earlier:
        yield text(growth_words.earlier_exam(exam), NOTE)
        for flag in exam.flags:
            yield text(flag.message, BULLET, label=f"{flag.severity.capitalize()}:", bulletText="•")


def _nodule_table(findings: StudyFindings, width: float) -> Iterator[Flowable]:
    rejected = [nodule for nodule in findings.nodules if nodule.review is Review.REJECTED]
    counted = [nodule for nodule in findings.nodules if nodule.review is not Review.REJECTED]
    yield CondPageBreak(35 * mm)
    yield text(f"Nodules ({len(counted)})", TABLE_HEADING)
    if not findings.nodules:
        threshold = (
            f" at the operating threshold {findings.operating_threshold:.2f}"
            if findings.operating_threshold is not None
            else ""
        )
        yield text(f"No nodule was found{threshold}. This does not exclude one.")
        return
    compared = findings.comparison is not None
    heads = ["Nodule", "Lung-RADS", "Place", "Type", "Mean diameter", "Solid part", "Volume", "Detected", "Malignancy"]
    shares = [0.08, 0.10, 0.15, 0.13, 0.11, 0.10, 0.11, 0.10, 0.12]
    if compared:
        heads.append("Change")
        shares = [0.07, 0.10, 0.145, 0.11, 0.09, 0.085, 0.095, 0.085, 0.105, 0.115]
    rows = [[text(head, HEAD_CELL) for head in heads]]
    rows += [[text(cell, CELL) for cell in _row(nodule, findings, compared)] for nodule in (*counted, *rejected)]
    table = Table(rows, [width * share for share in shares], repeatRows=1)
    table.setStyle(
        table_style(
            ("BACKGROUND", (0, 0), (-1, 0), SHADE),
            ("LINEBELOW", (0, 0), (-1, -1), 0.4, LINE),
            ("LEFTPADDING", (0, 0), (-1, -1), 3),
            ("RIGHTPADDING", (0, 0), (-1, -1), 2),
            ("TOPPADDING", (0, 0), (-1, -1), 2.5),
            ("BOTTOMPADDING", (0, 0), (-1, -1), 3),
        )
    )
    yield table
    if rejected:
        yield text(f"Rejected by the reader and not counted: {', '.join(nodule.id for nodule in rejected)}.", NOTE)


def _row(nodule: Nodule, findings: StudyFindings, compared: bool) -> list[str]:
    measured, malignancy = nodule.measurements, nodule.malignancy
    row = [
        nodule.id,
        "rejected" if nodule.review is Review.REJECTED else words.category(nodule.lung_rads),
        words.place(nodule),
        words.kind(nodule),
        words.diameter(measured.axes if measured else None),
        words.diameter(words.solid_part(nodule)),
        words.volume(nodule),
        percent(nodule.candidate.probability),
        percent(malignancy.probability if malignancy else None),
    ]
    return [*row, growth_words.change_short(words.match_of(nodule, findings))] if compared else row


def _technique(findings: StudyFindings, images: Path, width: float) -> Table:
    lungs = findings.lungs
    left: list[Flowable] = [
        text(words.technique(findings) + "."),
        Spacer(1, 1 * mm),
        text(
            f"right {lungs.right_volume_ml:,.0f} ml, left {lungs.left_volume_ml:,.0f} ml "
            f"({words.method(lungs.method)}).",
            label="Lungs:",
        ),
        Spacer(1, 1 * mm),
    ]
    flags = [*findings.flags, *(findings.prior.flags if findings.prior else ())]
    for number, flag in enumerate(flags):
        whose = "Prior CT, " if number >= len(findings.flags) else ""
        left.append(
            text(
                flag.message,
                BULLET,
                label=f"{whose}{flag.severity}:" if whose else f"{flag.severity.capitalize()}:",
                bulletText="•",
            )
        )
    if not flags:
        left.append(text("No quality flag was raised.", BULLET, bulletText="•"))
    overview = picture(images / "overview.png", width * 0.30)
    table = Table([[left, overview or []]], [width * (0.68 if overview else 1.0), width * (0.32 if overview else 0.0)])
    serious = any(flag.severity is Severity.SERIOUS for flag in flags)
    table.setStyle(
        table_style(
            ("LEFTPADDING", (0, 0), (0, 0), 6 if serious else 0),
            ("ALIGN", (1, 0), (1, 0), "RIGHT"),
            ("RIGHTPADDING", (1, 0), (1, 0), 0),
            ("TOPPADDING", (0, 0), (-1, -1), 1),
            ("BOTTOMPADDING", (0, 0), (-1, -1), 2),
            *([("LINEBEFORE", (0, 0), (0, 0), 2.5, HexColor("#9b1c1c"))] if serious else []),
        )
    )
    return table


def _limits() -> Iterator[Flowable]:
    yield text("Limits", HEADING)
    for limit in LIMITS:
        yield text(limit, BULLET, bulletText="•")


def _made_by(findings: StudyFindings, width: float) -> Iterator[Flowable]:
    yield text("Made by", HEADING)
    source = findings.provenance
    yield text(
        f"LungNoduleCAD {source.software_version} on {source.device}; "
        f"{sum(stage.seconds for stage in source.stages):.0f} s in all.",
        BODY,
    )
    if source.methods:
        rows = [[text(head, HEAD_CELL) for head in ("Model or method", "Version", "SHA-256 of the weights")]]
        rows += [
            [text(m.name, CELL), text(m.version, CELL), text(m.sha256[:16] if m.sha256 else NONE, CELL)]
            for m in source.methods
        ]
        table = Table(rows, [width * 0.44, width * 0.26, width * 0.30], repeatRows=1)
        table.setStyle(
            table_style(
                ("BACKGROUND", (0, 0), (-1, 0), SHADE),
                ("LINEBELOW", (0, 0), (-1, -1), 0.4, LINE),
                ("TOPPADDING", (0, 0), (-1, -1), 2),
                ("BOTTOMPADDING", (0, 0), (-1, -1), 2),
            )
        )
        yield Spacer(1, 1 * mm)
        yield table
