import argparse
import json
import os
import shutil
from dataclasses import replace

import pypdf
import pytest

from LungNoduleCADLib.cli import report as report_verb
from LungNoduleCADLib.domain.nodule import Review, StatedFacts
from LungNoduleCADLib.errors import InputError, OutputError
from LungNoduleCADLib.report.findings_json import read_findings
from LungNoduleCADLib.report.folder import new_results
from LungNoduleCADLib.report.write import renew_report, write_results


@pytest.fixture(scope="module")
def written(make_findings, make_ct, lungs, tmp_path_factory):
    findings, out = make_findings(2, masked=True, prior=True), tmp_path_factory.mktemp("written") / "out"
    with new_results(out) as folder:
        write_results(findings, make_ct(findings), lungs, folder, make_ct(findings.prior))
    return out


@pytest.fixture
def results(written, tmp_path):
    """A finished results folder with two nodules and a prior, to edit."""
    return shutil.copytree(written, tmp_path / "out")


def _edit(out, change):
    document = json.loads((out / "findings.json").read_text(encoding="utf-8"))
    change(document)
    (out / "findings.json").write_text(json.dumps(document), encoding="utf-8")


def _report(out):
    parser = argparse.ArgumentParser()
    report_verb.add_parser(parser.add_subparsers())
    args = parser.parse_args(["report", str(out)])
    return args.run(args)


def _text(out):
    return " ".join(page.extract_text() for page in pypdf.PdfReader(out / "report.pdf").pages)


def test_the_folder_holds_every_result(results):
    names = {str(path.relative_to(results).as_posix()) for path in results.rglob("*") if path.is_file()}
    assert names == {
        "findings.json",
        "run.json",
        "report.pdf",
        "report.txt",
        "segmentation.seg.nrrd",
        "saliency/N1.nrrd",
        "saliency/N2.nrrd",
        "images/overview.png",
        "images/N1.png",
        "images/N2.png",
        "images/N1_prior.png",
    }
    run = json.loads((results / "run.json").read_text())
    assert run["total_seconds"] == pytest.approx(64.2)
    assert run["peak_memory_mb"] == 2900.0
    assert run["device"] == "cpu"


def test_an_edited_type_changes_lung_rads_and_the_report(results):
    assert read_findings(results).lung_rads.category.value == "4B"
    _edit(results, lambda document: [nodule.update(type="ground-glass") for nodule in document["nodules"]])
    assert _report(results) == 0
    findings = read_findings(results)
    assert [nodule.lung_rads.category.value for nodule in findings.nodules] == ["2", "2"]
    assert findings.lung_rads.category.value == "2"
    assert [nodule.type.method.name for nodule in findings.nodules] == ["reader", "reader"]
    assert "ground-glass (reader)" in " ".join(_text(results).split())
    assert json.loads((results / "findings.json").read_text())["nodules"][0]["saliency"] == "saliency/N1.nrrd"
    assert (results / "images" / "N1.png").exists()


def test_a_rejected_nodule_no_longer_counts_and_an_accepted_one_is_marked(results, capsys):
    def review(document):
        document["nodules"][0]["review"] = "accepted"
        document["nodules"][1]["review"] = "rejected"

    _edit(results, review)
    _report(results)
    findings = read_findings(results)
    assert findings.lung_rads.decided_by == "N1"
    assert findings.lung_rads.category.value == "4A"
    assert [nodule.review.value for nodule in findings.nodules] == ["accepted", "rejected"]
    assert "Lung-RADS 4A, 1 nodule(s) counted" in capsys.readouterr().out


def test_a_category_set_by_the_reader_is_kept_however_often_the_report_is_made(results):
    _edit(results, lambda document: document["nodules"][1].update(lung_rads="4X"))
    _report(results)
    _report(results)
    findings = read_findings(results)
    assert (findings.lung_rads.category.value, findings.lung_rads.decided_by) == ("4X", "N2")
    assert "category set by the reader; the rules gave 4B (part-solid-new-4B)" in " ".join(_text(results).split())


def test_an_unedited_report_changes_no_finding(results):
    before = (results / "findings.json").read_text()
    _report(results)
    assert (results / "findings.json").read_text() == before


def test_a_report_made_again_still_tells_of_its_heat_maps(results):
    before = _text(results)
    assert before.count("Heat map (Grad-CAM)") == 2
    _report(results)
    assert _text(results) == before


def test_what_a_reader_states_of_a_nodule_is_kept_and_the_risk_models_follow(results):
    _edit(results, lambda document: document["nodules"][0]["stated"].update(spiculated=True, upper_lobe=True))
    before = read_findings(results).nodules[0].clinical_risk[1]
    _report(results)
    nodule = read_findings(results).nodules[0]
    assert nodule.stated == StatedFacts(spiculated=True, upper_lobe=True)
    assert nodule.clinical_risk[1].probability_range[0] > before.probability_range[0]
    assert nodule.clinical_risk[1].probability_range[1] == before.probability_range[1]


def test_a_wrong_edit_leaves_everything_as_it_was(results):
    _edit(results, lambda document: document["nodules"][0].update(type="hard"))
    before = (results / "report.pdf").read_bytes()
    with pytest.raises(InputError, match=r"nodules\[0\].type"):
        _report(results)
    assert (results / "report.pdf").read_bytes() == before
    assert [path.name for path in results.parent.iterdir()] == ["out"]


@pytest.mark.skipif(os.name == "nt", reason="Windows folders have no write bit")
def test_a_read_only_result_is_not_rewritten(results):
    results.chmod(0o555)
    with pytest.raises(OutputError, match="read-only"):
        _report(results)


def test_a_report_is_renewed_only_where_its_findings_are_newer(results, make_findings, make_ct, lungs):
    findings = make_findings(2, masked=True, prior=True)
    assert renew_report(results, findings, make_ct(findings), lungs) is False
    (results / "images/N1.png").unlink()
    rejected = replace(findings, nodules=(findings.nodules[0], replace(findings.nodules[1], review=Review.REJECTED)))
    later = (results / "report.pdf").stat().st_mtime_ns + 10**9
    os.utime(results / "findings.json", ns=(later, later))
    assert renew_report(results, rejected, make_ct(findings), lungs) is True
    assert "not counted: N2" in _text(results)
    assert "not counted: N2" in (results / "report.txt").read_text(encoding="utf-8")
    assert (results / "images/N1.png").is_file()
