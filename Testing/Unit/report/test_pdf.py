from dataclasses import replace

import pypdf
import pytest

from LungNoduleCADLib.domain.lung_rads import Airway
from LungNoduleCADLib.domain.nodule import MalignancyEstimate, Nodule, Review, StatedFacts
from LungNoduleCADLib.domain.study import PatientHeader
from LungNoduleCADLib.guidelines.exam import assess_findings
from LungNoduleCADLib.report.pdf import build_pdf
from LungNoduleCADLib.report.pdf_style import PAPERS


def _pages(findings, folder, **keywords):
    build_pdf(findings, folder, folder / "report.pdf", **keywords)
    return [page.extract_text() for page in pypdf.PdfReader(folder / "report.pdf").pages]


@pytest.mark.parametrize(("count", "prior"), [(0, False), (1, False), (8, True)])
def test_every_page_says_research_use_only_and_its_number(make_findings, tmp_path, count, prior):
    pages = _pages(make_findings(count, prior=prior), tmp_path)
    for number, page in enumerate(pages, start=1):
        assert "Research use only" in page
        assert f"Page {number} of {len(pages)}" in page


def test_category_and_management_come_first(make_findings, tmp_path):
    findings = make_findings(2)
    first = _pages(findings, tmp_path)[0]
    assert first.index("Lung-RADS v2022") < first.index("Nodules (2)")
    assert findings.lung_rads.category.value in first
    assert " ".join(findings.lung_rads.management.split()[:4]) in first


def test_a_card_holds_what_a_reader_asks_for(make_findings, tmp_path):
    text = " ".join(" ".join(_pages(make_findings(1, prior=True), tmp_path)).split())
    for words in (
        "long axis 7.4 × short axis 5.0 mm",
        "125 mm³",
        "62% (networks and views: 45% to 77%)",
        "not available: histology is decided by tissue; no trained weights",
        "Rule solid-growing-4A",
        "volume-doubling time 320 days (95% interval 214 to 657 days)",
        "nodule_ct_classify",
        "BTS and NELSON: the interval reaches from below 400 days",
        "growing over 2 exams since 2023-09-03",
        "2022-09-03, 546 days earlier: measured too",
        "The exam of 2022 shows 80 % of the lungs.",
    ):
        assert words in text


def test_an_empty_exam_and_missing_data_still_make_a_report(make_findings, tmp_path):
    findings = make_findings(1)
    series = replace(
        findings.series, study_date=None, age_years=None, sex=None, description="", patient_key="", kernel="", kvp=None
    )
    bare = Nodule("N1", findings.nodules[0].candidate, findings.nodules[0].centroid_lps_mm)
    findings = replace(findings, series=series, clinical=None, nodules=(bare,), lung_rads=None, flags=())
    text = " ".join(_pages(findings, tmp_path))
    assert "age unknown, sex unknown" in text
    assert "Not assessed." in text
    assert "not available: not computed" in text
    assert "None" not in text


def test_why_there_is_no_malignancy_probability_is_printed(make_findings, tmp_path):
    findings = make_findings(1)
    unknown = replace(findings.nodules[0], malignancy=MalignancyEstimate(None, not_available="no trained weights"))
    assert "not available: no trained weights" in " ".join(_pages(replace(findings, nodules=(unknown,)), tmp_path))


def test_clinical_risk_stands_beside_the_malignancy_and_is_not_combined_with_it(make_findings, tmp_path):
    text = " ".join(" ".join(_pages(make_findings(1), tmp_path)).split())
    low, high = (f"{end:.1%}" for end in make_findings(1).nodules[0].clinical_risk[0].probability_range)
    assert f"Brock 2a {low} to {high}; Brock 2b" in text
    assert "Combination with the malignancy above: exploratory, not shown" in text
    assert "Herder not available (not stated: PET uptake)" in text


def test_a_rejected_nodule_is_listed_but_has_no_card(make_findings, tmp_path):
    findings = make_findings(2)
    nodules = (findings.nodules[0], replace(findings.nodules[1], review=Review.REJECTED))
    text = " ".join(_pages(assess_findings(replace(findings, nodules=nodules)), tmp_path))
    assert "Nodules (1)" in text
    assert "not counted: N2" in text
    assert "N2 · Lung-RADS" not in text


def test_markup_and_other_scripts_in_a_long_series_name_survive(make_findings, tmp_path):
    name = "Лёгкие Θώραξ <b>thin</b> & " + "long " * 40
    text = " ".join(_pages(make_findings(0, description=name), tmp_path)[0].split())
    assert "Лёгкие Θώραξ <b>thin</b> &" in text


def test_what_the_font_lacks_is_told_by_its_code_points(make_findings, tmp_path):
    text = " ".join(_pages(make_findings(0, description="胸部 CT 結節影十字路口七 Größe"), tmp_path)[0].split())
    assert "[U+80F8 U+90E8] CT [U+7D50 U+7BC0 U+5F71 U+5341 U+5B57 U+8DEF…] Größe" in text


def test_the_readers_marks_and_facts_stand_on_the_card(make_findings, tmp_path):
    findings = make_findings(2)
    stated = replace(
        findings.nodules[0], review=Review.ACCEPTED, stated=StatedFacts(fat=False, airway=Airway.SEGMENTAL)
    )
    findings = assess_findings(replace(findings, nodules=(stated, findings.nodules[1])))
    text = " ".join(" ".join(_pages(findings, tmp_path)).split())
    assert "accepted by the reader; type changed by the reader; fat: no; airway: segmental" in text
    assert "Rule airway-baseline-4A" in text
    assert "not yet reviewed" in text


def test_the_patient_is_named_only_where_that_is_asked_for(make_findings, tmp_path):
    patient = PatientHeader("Doe, Jane", "4711", "19601231", "A-1")
    pages = _pages(make_findings(8), tmp_path, patient=patient)
    assert "Name: Doe, Jane" in " ".join(pages[0].split())
    assert all("Patient ID 4711" in page and "Doe, Jane" in page for page in pages[1:])
    assert "Doe" not in " ".join(_pages(make_findings(8), tmp_path))


def test_a_header_that_is_too_long_is_cut_at_the_margin(make_findings, tmp_path):
    pages = _pages(make_findings(8), tmp_path, patient=PatientHeader("Wolfeschlegelstein " * 12, "4711", "", ""))
    assert all("Patient ID 4711" in page and "Wolfeschlegelstein …" in page for page in pages[1:])


def test_fonts_are_embedded_and_metadata_names_no_patient(make_findings, tmp_path):
    _pages(make_findings(1), tmp_path)
    reader = pypdf.PdfReader(tmp_path / "report.pdf")
    for page in reader.pages:
        for font in page["/Resources"]["/Font"].values():
            assert "/FontFile2" in font.get_object()["/FontDescriptor"]
    assert "Lung-RADS" in reader.metadata.title
    assert reader.metadata.author.startswith("LungNoduleCAD")
    assert reader.trailer["/Root"]["/Lang"] == "en-US"


@pytest.mark.parametrize(("paper", "size"), [("A4", (595, 842)), ("letter", (612, 792))])
def test_both_paper_sizes_are_made(make_findings, tmp_path, paper, size):
    _pages(make_findings(0), tmp_path, paper=PAPERS[paper])
    box = pypdf.PdfReader(tmp_path / "report.pdf").pages[0].mediabox
    assert (round(box.width), round(box.height)) == size
