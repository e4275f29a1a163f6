"""Results that are read back whole, and brought up to date edit by edit."""

from __future__ import annotations

import json
import math
import shutil
from dataclasses import replace

import numpy as np
import pytest
import SimpleITK as sitk

from LungNoduleCADLib.domain.findings import Edit, EditAction
from LungNoduleCADLib.domain.nodule import Review
from LungNoduleCADLib.errors import InputError, OutputError
from LungNoduleCADLib.followup.register import Registration
from LungNoduleCADLib.report import update
from LungNoduleCADLib.report.findings_json import read_document, read_findings, to_json
from LungNoduleCADLib.report.folder import new_results
from LungNoduleCADLib.report.outlines import DRAWN, outline_path
from LungNoduleCADLib.report.pages import draw_pages
from LungNoduleCADLib.report.reread import read_registration, read_study, write_ct
from LungNoduleCADLib.report.write import rewrite_report, write_results

DELETED = Edit("2024-03-02T10:21:00+00:00", EditAction.DELETE, "N2", "part-solid 100 mm³", None)


@pytest.fixture(scope="module")
def written(make_findings, make_ct, lungs, tmp_path_factory):
    findings, out = make_findings(2, masked=True, prior=True), tmp_path_factory.mktemp("written") / "out"
    with new_results(out) as folder:
        write_results(findings, make_ct(findings), lungs, folder, make_ct(findings.prior))
        write_ct(make_ct(findings), lungs, folder)
        (folder / "prior").mkdir()
        write_results(findings.prior, make_ct(findings.prior), lungs, folder / "prior")
        write_ct(make_ct(findings.prior), lungs, folder / "prior")
    return out


@pytest.fixture
def out(written, tmp_path):
    return shutil.copytree(written, tmp_path / "out")


def redrawn(findings, nodule_id="N1"):
    """The findings after a reader drew a nodule's outline half as large."""
    nodules = []
    for nodule in findings.nodules:
        if nodule.id == nodule_id:
            voxels = nodule.mask.voxels.copy()
            voxels[: len(voxels) // 2] = False
            nodule = replace(nodule, mask=replace(nodule.mask, voxels=voxels, method=DRAWN))  # noqa: PLW2901
        nodules.append(nodule)
    edit = Edit("2024-03-02T10:21:00+00:00", EditAction.OUTLINE, nodule_id, "408 mm³", "204 mm³")
    return replace(findings, nodules=tuple(nodules), edits=(*findings.edits, edit))


def test_a_study_comes_back_on_the_whole_grid_of_its_scan(out, make_findings, make_ct, lungs):
    findings, ct, back = read_study(out)
    original = make_findings(2, masked=True, prior=True)
    whole = original.geometry
    assert findings.geometry == ct.geometry == back.geometry == whole
    assert (back.labels == lungs.labels).all()
    inside = lungs.labels > 0
    assert (ct.hu[inside] == make_ct(original).hu[inside]).all()
    assert ct.hu[0, 0, 0] == -1024
    for nodule, true in zip(findings.nodules, original.nodules, strict=True):
        assert nodule.mask.geometry == whole
        assert nodule.mask.start_kji == true.mask.start_kji
        assert (nodule.mask.voxels == true.mask.voxels).all()
        assert nodule.measurements == true.measurements
        assert nodule.saliency.heat == pytest.approx(true.saliency.heat)


def test_a_ct_that_lies_outside_of_the_scans_grid_is_refused(out):
    image = sitk.ReadImage(str(out / "ct.nrrd"))
    image.SetOrigin([v - 1000 for v in image.GetOrigin()])
    sitk.WriteImage(image, str(out / "ct.nrrd"))
    with pytest.raises(InputError, match="does not fit together"):
        read_study(out)


def test_a_drawn_outline_is_on_disk_before_the_segmentation_knows_of_it(out):
    before, _, lungs = read_study(out)
    saved = update.save_edit(out, before, redrawn(before))
    assert saved.current.masks == {"N1": outline_path(out, "N1", 2)}
    assert (saved.current.added, saved.current.removed) == ([], [])
    after, _, _ = read_study(out)
    expected = redrawn(before).nodules[0].mask
    assert after.nodules[0].mask.method == DRAWN
    assert after.nodules[0].mask.voxels.sum() == expected.voxels.sum()
    assert after.nodules[1].mask.voxels.sum() == before.nodules[1].mask.voxels.sum()
    update.update_segmentation(out, after, lungs)
    shutil.rmtree(out / "outlines")
    in_segmentation = read_study(out)[0].nodules[0].mask
    assert in_segmentation.voxels.sum() == expected.voxels.sum()


def test_a_prior_that_did_not_change_is_taken_over_as_it_stands(out):
    before, _, _ = read_study(out)
    standing = to_json(before)

    saved = update.save_edit(out, before, redrawn(before), standing)

    assert saved.document["prior"] is standing["prior"]
    assert saved.document == to_json(redrawn(before))
    assert read_document(out) == saved.document


def test_an_edit_that_was_stopped_before_the_findings_changes_nothing(out):
    before, _, _ = read_study(out)
    findings = (out / "findings.json").read_bytes()
    update.save_edit(out, before, redrawn(before))
    (out / "findings.json").write_bytes(findings)
    after, _, _ = read_study(out)
    assert after.nodules[0].mask.voxels.sum() == before.nodules[0].mask.voxels.sum()
    update.forget_unfinished(out, len(after.edits))
    assert not any((out / "outlines").iterdir())


def test_a_disk_that_cannot_be_written_leaves_everything_as_it_was(out, monkeypatch):
    before, _, _ = read_study(out)
    names = {path for path in out.rglob("*") if path.is_file()}
    document = (out / "findings.json").read_bytes()

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(update, "_write_json", full)
    with pytest.raises(OutputError, match=r"No space left on device.*nothing was changed"):
        update.save_edit(out, before, redrawn(before))
    assert {path for path in out.rglob("*") if path.is_file()} == names
    assert (out / "findings.json").read_bytes() == document


def test_a_nodule_off_the_list_takes_its_files_along(out):
    before, _, _ = read_study(out)
    update.save_edit(out, before, redrawn(before, "N2"))
    drawn = read_study(out)[0]
    left = replace(drawn, nodules=drawn.nodules[:1], edits=(*drawn.edits, DELETED))
    rows = tuple(match for match in left.comparison.matches if match.current_id != "N2")
    left = replace(left, comparison=replace(left.comparison, matches=rows))
    saved = update.save_edit(out, drawn, left)
    assert saved.current.removed == ["N2"]
    assert not any((out / "outlines").iterdir())
    assert not (out / "saliency" / "N2.nrrd").exists()
    assert [nodule["id"] for nodule in saved.document["nodules"]] == ["N1"]


def test_a_nodule_whose_malignancy_score_fell_loses_its_heat_map_and_an_undo_brings_it_back(out):
    before, _, _ = read_study(out)
    fallen = replace(before.nodules[0], saliency=None)
    after = replace(before, nodules=(fallen, *before.nodules[1:]), edits=(*before.edits, DELETED))
    update.save_edit(out, before, after)
    assert {path.name for path in (out / "saliency").iterdir()} == {"N2.nrrd"}
    assert read_study(out)[0].nodules[0].saliency is None
    update.save_edit(out, after, replace(before, edits=(*after.edits, DELETED)))
    assert read_study(out)[0].nodules[0].saliency.heat == pytest.approx(before.nodules[0].saliency.heat)


def test_pictures_that_no_longer_hold_go_and_the_report_draws_them_again(out):
    before, _, _ = read_study(out)
    kept = (out / "images" / "N2.png").read_bytes()
    old = (out / "images" / "N1.png").read_bytes()
    update.save_edit(out, before, redrawn(before))
    assert {path.name for path in (out / "images").iterdir()} == {"N2.png"}
    rewrite_report(out)
    assert {path.name for path in (out / "images").iterdir()} == {"overview.png", "N1.png", "N1_prior.png", "N2.png"}
    assert (out / "images" / "N2.png").read_bytes() == kept
    assert (out / "images" / "N1.png").read_bytes() != old


def test_an_edit_of_words_alone_keeps_the_pictures(out):
    before, _, _ = read_study(out)
    names = {path.name for path in (out / "images").iterdir()}
    accepted = replace(before.nodules[0], review=Review.ACCEPTED)
    update.save_edit(out, before, replace(before, nodules=(accepted, *before.nodules[1:])))
    assert {path.name for path in (out / "images").iterdir()} == names


def test_what_was_found_in_the_prior_is_in_the_priors_folder_too(out):
    before, _, _ = read_study(out)
    prior, _, _ = read_study(out / "prior")
    before = replace(before, prior=prior)
    after = replace(before, prior=redrawn(prior), edits=redrawn(before).edits)
    saved = update.save_edit(out, before, after)
    assert saved.current.masks == {}
    assert saved.prior.masks == {"N1": outline_path(out / "prior", "N1", len(after.edits))}
    assert read_findings(out / "prior").edits == redrawn(prior).edits
    assert not (out / "images" / "N1_prior.png").exists()
    assert (out / "images" / "N1.png").exists()
    assert to_json(after)["prior"] == json.loads((out / "prior" / "findings.json").read_text(encoding="utf-8"))


def test_a_drawn_outline_survives_being_written_as_new_results(out, lungs, tmp_path):
    before, ct, _ = read_study(out)
    (tmp_path / "new").mkdir()
    write_results(redrawn(before), ct, lungs, tmp_path / "new")
    write_ct(ct, lungs, tmp_path / "new")
    after, _, _ = read_study(tmp_path / "new")
    assert [nodule.mask.method.name for nodule in after.nodules] == ["reader", "segmentation.seg.nrrd"]


def test_a_registration_comes_back_as_it_was_written(tmp_path, make_findings):
    comparison = make_findings(2, prior=True).comparison
    affine = sitk.AffineTransform(3)
    affine.SetTranslation([1.0, -2.0, 3.0])
    affine.SetMatrix([1.1, 0, 0, 0, 0.9, 0, 0, 0, 1.0])
    field = sitk.Image([8, 8, 8], sitk.sitkVectorFloat64, 3)
    field.SetSpacing([20.0] * 3)
    field.SetOrigin([-70.0] * 3)
    field = sitk.Compose([sitk.VectorIndexSelectionCast(field, n) + 0.5 * n for n in range(3)])
    transform = sitk.CompositeTransform([affine, sitk.DisplacementFieldTransform(field)])
    written = Registration(transform, affine, comparison.registration, 0.9, comparison.flags)
    sitk.WriteTransform(transform, str(tmp_path / "current_to_prior.h5"))
    back = read_registration(tmp_path, comparison)
    for point in ((0.0, 0.0, 0.0), (12.0, -30.0, 5.0)):
        assert back.to_prior_lps_mm(point) == pytest.approx(written.to_prior_lps_mm(point))
        assert back.to_current_lps_mm(back.to_prior_lps_mm(point)) == pytest.approx(point, abs=0.02)
    assert back.quality == comparison.registration
    assert not back.failed
    assert math.isnan(back.image_correlation)
    with pytest.raises(InputError, match=r"current_to_prior\.h5"):
        read_registration(tmp_path / "none", comparison)


def test_the_pages_of_a_report_are_pictures_of_100_dots_an_inch(out, tmp_path):
    folder = tmp_path / "pages"
    folder.mkdir()
    (folder / "page-99.png").write_bytes(b"of a longer report")
    pages = draw_pages(out / "report.pdf", folder)
    assert sorted(folder.iterdir()) == sorted(pages)
    assert pages[0].name == "page-1.png"
    assert len(pages) >= 2
    picture = sitk.GetArrayFromImage(sitk.ReadImage(str(pages[0])))
    assert picture.shape[:2] == pytest.approx((1169, 827), abs=2)
    assert np.ptp(picture) > 200
