"""How the report's pages look, as far as a program can tell: what the eye saw once must stay so."""

from __future__ import annotations

import re
from dataclasses import replace

import pypdf
import pypdfium2
import pytest
from PIL import Image

from LungNoduleCADLib.domain.nodule import MalignancyEstimate, Nodule
from LungNoduleCADLib.domain.quality import QualityFlag, Severity
from LungNoduleCADLib.domain.study import PatientHeader
from LungNoduleCADLib.guidelines.exam import assess_findings
from LungNoduleCADLib.report.pdf import build_pdf
from LungNoduleCADLib.report.pdf_style import (
    BOX_TEXT,
    CATEGORY_COLOR,
    INK,
    MARGIN,
    MUTED,
    PAPERS,
    SHADE,
)

HEADINGS = ("Nodules (", "Technique and quality", "Limits", "Made by", "Comparison with the prior CT")
FRAME = ("Research use only.", "Page ", "Lung nodule CT report · ", "Patient ID ")
LONG = PatientHeader("Wolfeschlegelsteinhausenbergerdorff-Müller-Lüdenscheidt, Hubert " * 3, "X" * 64, "", "A" * 64)
FOREIGN = PatientHeader("山田, 太郎 محمد Иванов", "Ω-17", "19601231", "Ł-4")


def _bare(findings):
    """Nothing known but that there are nodules: no models, no dates, no outlines."""
    series = replace(
        findings.series, study_date=None, age_years=None, sex=None, description="", patient_key="", kernel="", kvp=None
    )
    nodules = tuple(
        Nodule(n.id, n.candidate, n.centroid_lps_mm, malignancy=MalignancyEstimate(None, not_available="no model"))
        for n in findings.nodules
    )
    provenance = replace(findings.provenance, methods=(), created="")
    return assess_findings(
        replace(findings, series=series, nodules=nodules, clinical=None, flags=(), provenance=provenance)
    )


def _untyped(findings):
    return assess_findings(replace(findings, nodules=tuple(replace(n, type=None) for n in findings.nodules)))


def _as_it_is(findings):
    return findings


# count, prior, what is done to the findings, patient, paper, most pages
CASES = {
    "no nodule": (0, False, _as_it_is, None, "A4", 1),
    "one": (1, False, _as_it_is, None, "A4", 2),
    "eight, followed up": (8, True, _as_it_is, None, "letter", 10),
    "forty": (40, False, _as_it_is, None, "A4", 24),
    "long names": (2, True, _as_it_is, LONG, "A4", 4),
    "other scripts": (1, False, _as_it_is, FOREIGN, "A4", 2),
    "nothing known": (3, False, _bare, None, "A4", 3),
    "types unknown": (2, False, _untyped, None, "letter", 3),
}


@pytest.fixture(scope="module", params=CASES.values(), ids=CASES)
def report(request, make_findings, tmp_path_factory):
    """(the PDF's path, findings, most pages)"""
    count, prior, change, patient, paper, most = request.param
    findings = change(make_findings(count, prior=prior))
    path = tmp_path_factory.mktemp("layout") / "report.pdf"
    build_pdf(findings, path.parent, path, PAPERS[paper], patient)
    return path, findings, most


def _lines(path):
    """The lines of text of each page."""
    return [[*filter(str.strip, page.extract_text().splitlines())] for page in pypdf.PdfReader(path).pages]


def test_no_text_leaves_the_margins_or_runs_into_the_foot(report):
    path, _, most = report
    document = pypdfium2.PdfDocument(path)
    assert 0 < len(document) <= most
    for page in document:
        text, (width, height) = page.get_textpage(), page.get_size()
        boxes = [text.get_rect(n) for n in range(text.count_rects())]
        assert boxes
        for left, bottom, right, top in boxes:
            assert MARGIN - 1 <= left <= right <= width - MARGIN + 1
            assert 0.02 * height < bottom <= top < 0.98 * height
            foot = top < MARGIN
            assert foot or bottom > MARGIN - 3, "a line of the body stands in the foot"
    document.close()


def test_every_page_has_its_number_the_warning_and_selectable_text(report):
    path, _, _ = report
    pages = _lines(path)
    for number, lines in enumerate(pages, start=1):
        assert any(line.startswith("Research use only.") for line in lines)
        assert any(line.endswith(f"Page {number} of {len(pages)}") for line in lines)
        assert len(lines) > 3


def test_fonts_are_embedded_and_no_sign_is_an_empty_box(report):
    reader = pypdf.PdfReader(report[0])
    for page in reader.pages:
        for font in page["/Resources"]["/Font"].values():
            assert "/FontFile2" in font.get_object()["/FontDescriptor"]
        assert not set(page.extract_text()) & set("\ufffd□■")


def test_sections_stand_in_the_order_in_which_they_are_read(report):
    path, findings, _ = report
    text = "\n".join("\n".join(lines) for lines in _lines(path))
    cards = [f"\n{nodule.id} · " for nodule in findings.nodules]
    compared = ["Comparison with the prior CT"] if findings.comparison else []
    order = ["Lung nodule CT report", "Lung-RADS v2022", *compared, "Nodules (", "Technique and quality", *cards]
    places = [text.index(part) for part in (*order, "\nLimits", "\nMade by")]
    assert places == sorted(places)
    assert [text.count(card) for card in cards] == [1] * len(cards)


def test_no_heading_stands_alone_at_the_end_of_a_page(report):
    for lines in _lines(report[0]):
        body = [line for line in lines if not line.startswith(FRAME)]
        assert not body[-1].startswith(HEADINGS)
        assert " · Lung-RADS " not in body[-1]


def test_a_table_that_goes_on_repeats_its_head(make_findings, tmp_path):
    build_pdf(make_findings(40), tmp_path, tmp_path / "report.pdf")
    first, second, *_ = (" ".join(lines) for lines in _lines(tmp_path / "report.pdf"))
    assert "N40" not in first
    assert "Nodule Lung-RADS Place Type" in second
    assert "N40" in second


def _luminance(color):
    """Relative luminance as WCAG 2 defines it."""
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in color.rgb()]
    return sum(share * value for share, value in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def test_text_has_the_contrast_that_accessibility_asks_for():
    white = BOX_TEXT.textColor
    pairs = [(white, color) for color in CATEGORY_COLOR.values()]
    pairs += [(INK, white), (INK, SHADE), (MUTED, white), (MUTED, SHADE)]
    for pair in pairs:
        dark, light = sorted(map(_luminance, pair))
        assert (light + 0.05) / (dark + 0.05) >= 4.5


@pytest.mark.parametrize("doubts", [0, 8, 16, 30])
def test_pictures_of_a_nodule_stand_under_its_name_however_long_its_card_is(make_findings, tmp_path, doubts):
    findings = make_findings(2, prior=True)
    flags = tuple(QualityFlag(f"doubt_{n}", Severity.WARNING, f"Doubt {n}: {'much ' * 25}.") for n in range(doubts))
    findings = replace(findings, nodules=(replace(findings.nodules[0], flags=flags), findings.nodules[1]))
    for name, size in (("N1", (800, 200)), ("N1_prior", (400, 200)), ("N2", (800, 200))):
        Image.linear_gradient("L").resize(size).save(tmp_path / f"{name}.png")

    build_pdf(findings, tmp_path, tmp_path / "report.pdf")

    pages = [(page.extract_text(), len(page.images)) for page in pypdf.PdfReader(tmp_path / "report.pdf").pages]
    assert sum(count for _, count in pages) == 5
    for said, count in pages:
        assert count <= 3 * len(re.findall(r"^N[12] · ", said, re.MULTILINE)), said


def test_a_long_card_of_a_nodule_without_a_prior_says_nothing_of_one(make_findings, tmp_path):
    findings = make_findings(1)
    flags = tuple(QualityFlag(f"doubt_{n}", Severity.WARNING, f"Doubt {n}: {'much ' * 25}.") for n in range(30))
    findings = replace(findings, nodules=(replace(findings.nodules[0], flags=flags),))
    build_pdf(findings, tmp_path, tmp_path / "report.pdf")
    said = "".join(page.extract_text() for page in pypdf.PdfReader(tmp_path / "report.pdf").pages)
    assert "Doubt 29" in said
    assert "compared with the prior CT" not in said
