"""``report.txt``: the report as plain text of at most 80 columns, to be pasted into a radiology information system."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from textwrap import wrap

from LungNoduleCADLib import RESEARCH_USE_ONLY
from LungNoduleCADLib.domain.findings import StudyFindings
from LungNoduleCADLib.domain.nodule import Nodule, Review
from LungNoduleCADLib.report import growth_words, words
from LungNoduleCADLib.report.values import day

FILE_NAME = "report.txt"
COLUMNS = 80
# What old information systems cannot show.
_ASCII = str.maketrans({"³": "3", "×": "x", "≥": ">=", "≤": "<=", "–": "-", "−": "-", "·": "-", "±": "+/-", "…": "..."})


def write_text(findings: StudyFindings, path: Path) -> None:
    """Write the report."""
    path.write_text(report_text(findings), encoding="utf-8")


def report_text(findings: StudyFindings) -> str:
    """The exam first, then technique, the prior, and each nodule that was not rejected with its rule."""
    lines = [*_head(findings), "", *_exam(findings), "", *_technique(findings)]
    if findings.comparison is not None:
        lines += ["", *_comparison(findings)]
    lines += ["", *_nodules(findings), "", *_made_by(findings)]
    return "\n".join(lines).translate(_ASCII) + "\n"


def _head(findings: StudyFindings) -> Iterator[str]:
    yield "LUNG NODULE CT REPORT"
    yield from _wrapped(RESEARCH_USE_ONLY.upper())
    prior = day(findings.prior.series.study_date) if findings.prior else "none compared"
    yield from _wrapped(f"Study date: {day(findings.series.study_date)}. Prior CT: {prior}.")
    yield from _wrapped(f"Patient: {words.patient(findings)}; key {words.patient_key(findings)}.")


def _exam(findings: StudyFindings) -> Iterator[str]:
    yield "ASSESSMENT"
    assessment = findings.lung_rads
    if assessment is None:
        yield "Not assessed."
        return
    said = f"Lung-RADS {words.category(assessment)} ({words.DESCRIPTOR[assessment.category]})."
    yield from _wrapped(f"{said} {assessment.management}")
    yield from _wrapped(f"Why: {assessment.reason}. Rule {assessment.rule_id}, {assessment.source}.")
    for note in assessment.notes:
        yield from _wrapped(note, "- ")


def _technique(findings: StudyFindings) -> Iterator[str]:
    yield "TECHNIQUE AND QUALITY"
    yield from _wrapped(f"{words.technique(findings)}.")
    if not findings.flags:
        yield "No quality flag was raised."
    for flag in findings.flags:
        yield from _wrapped(f"{flag.severity.capitalize()}: {flag.message}", "- ")


def _comparison(findings: StudyFindings) -> Iterator[str]:
    yield "COMPARISON"
    yield from _wrapped(f"{words.counts(findings)}.")
    gone = [match for match in findings.comparison.matches if match.current_id is None] if findings.comparison else []
    for match in gone:
        yield from _wrapped(f"Prior {match.prior_id}: {match.change}.", "- ")
    for flag in findings.comparison.flags if findings.comparison else ():
        yield from _wrapped(f"{flag.severity.capitalize()}: {flag.message}", "- ")
    for exam in findings.comparison.earlier if findings.comparison else ():
        yield from _wrapped(growth_words.earlier_exam(exam), "- ")
        for flag in exam.flags:
            yield from _wrapped(f"{flag.severity.capitalize()}: {flag.message}", "  - ")


def _nodules(findings: StudyFindings) -> Iterator[str]:
    counted = [nodule for nodule in findings.nodules if nodule.review is not Review.REJECTED]
    rejected = [nodule.id for nodule in findings.nodules if nodule.review is Review.REJECTED]
    yield f"NODULES ({len(counted)})"
    if not findings.nodules:
        yield "No nodule was found. This does not exclude one."
    for nodule in counted:
        yield from _nodule(nodule, findings)
    if rejected:
        yield from _wrapped(f"Rejected by the reader and not counted: {', '.join(rejected)}.")


def _nodule(nodule: Nodule, findings: StudyFindings) -> Iterator[str]:
    yield from _wrapped(words.title(nodule))
    for label, text in words.card(nodule, findings):
        yield from _wrapped(f"{label}: {text}", "  ")
    if nodule.lung_rads is not None:
        rule = f"{nodule.lung_rads.reason}. Rule {nodule.lung_rads.rule_id}, {nodule.lung_rads.source}."
        yield from _wrapped(f"Lung-RADS {words.category(nodule.lung_rads)}: {rule} {nodule.lung_rads.management}", "  ")
        for note in nodule.lung_rads.notes:
            yield from _wrapped(note, "  - ")
    for message in words.doubts(nodule, findings):
        yield from _wrapped(f"Please check: {message}", "  ")


def _made_by(findings: StudyFindings) -> Iterator[str]:
    source = findings.provenance
    methods = ", ".join(words.method(method) for method in source.methods)
    yield from _wrapped(f"LungNoduleCAD {source.software_version}{f': {methods}' if methods else ''}.")


def _wrapped(text: str, lead: str = "") -> list[str]:
    # rule ids have hyphens and stay whole
    lines = wrap(text, COLUMNS, initial_indent=lead, subsequent_indent=" " * len(lead), break_on_hyphens=False)
    return lines or [lead.rstrip()]
