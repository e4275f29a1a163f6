"""What is ambiguous in Lung-RADS v2022 reaches the reader in every form of the report."""

from dataclasses import replace

import pytest
from pypdf import PdfReader

from LungNoduleCADLib.domain.lung_rads import Airway, LungRadsCategory
from LungNoduleCADLib.domain.nodule import NoduleType
from LungNoduleCADLib.guidelines.lung_rads_2022 import NoduleFacts, assess_exam, assess_nodule
from LungNoduleCADLib.guidelines.rules import Situation
from LungNoduleCADLib.report.findings_json import to_json
from LungNoduleCADLib.report.pdf import build_pdf
from LungNoduleCADLib.report.plain import report_text

AMBIGUOUS = {
    "juxtapleural, 10 mm": NoduleFacts(NoduleType.SOLID, 10.0, juxtapleural_smooth=True),
    "growing ground glass of 30 mm": NoduleFacts(NoduleType.GROUND_GLASS, 31.0, situation=Situation.GROWING),
    "new part-solid below 6 mm": NoduleFacts(NoduleType.PART_SOLID, 5.0, 2.0, Situation.NEW),
    "airway with air": NoduleFacts(NoduleType.SOLID, 7.0, airway=Airway.SECRETIONS),
    "stable 4B": NoduleFacts(
        NoduleType.SOLID, 16.0, situation=Situation.STABLE, prior_category=LungRadsCategory.C4B, months_since_prior=6
    ),
}


@pytest.mark.parametrize("facts", AMBIGUOUS.values(), ids=AMBIGUOUS)
def test_what_is_ambiguous_in_lung_rads_stands_in_every_form_of_the_report(make_findings, tmp_path, facts):
    findings = make_findings(1)
    assessed = assess_nodule(facts)
    exam = assess_exam([("N1", assessed)])
    findings = replace(findings, nodules=(replace(findings.nodules[0], lung_rads=assessed),), lung_rads=exam)
    build_pdf(findings, tmp_path, tmp_path / "report.pdf")
    pdf = " ".join(" ".join(page.extract_text() for page in PdfReader(tmp_path / "report.pdf").pages).split())
    text, document = " ".join(report_text(findings).split()), to_json(findings)

    assert assessed.notes
    for note in assessed.notes:
        assert pdf.count(note) == 2, "once for the exam, once on the card"
        assert note.replace("–", "-") in text
        assert note in document["lung_rads"]["notes"]
        assert note in document["nodules"][0]["lung_rads_assessment"]["notes"]
