"""Corrections of a study that was compared with a prior one: pairs and growth follow."""

from __future__ import annotations

from dataclasses import replace

import pytest

from LungNoduleCADLib.domain.comparison import Change
from LungNoduleCADLib.domain.nodule import NoduleType, Origin, Review
from LungNoduleCADLib.domain.provenance import Method
from LungNoduleCADLib.report.findings_json import to_json
from LungNoduleCADLib.review import add_nodule, delete_nodule, draw_outline, set_review, set_threshold, set_type
from LungNoduleCADLib.review_case import Case


def rows(case: Case) -> dict[tuple[str | None, str | None], Change]:
    return {(m.prior_id, m.current_id): m.change for m in case.findings.comparison.matches}


def without_edits(case: Case) -> dict:
    return {key: value for key, value in to_json(case.findings).items() if key not in ("edits", "candidates")}


def test_the_scene_is_what_the_tests_think(followed_up):
    case, _ = followed_up
    assert set(rows(case)) == {("N1", "N1"), ("N3", "N2"), ("N2", None)}
    assert case.prior.findings.nodules[2].candidate.origin is Origin.COUNTERPART


def test_a_rejected_nodule_takes_its_counterpart_with_it_and_brings_it_back(followed_up):
    case, looks = followed_up
    rejected = set_review(case, looks, "N2", Review.REJECTED)
    assert set(rows(rejected)) == {("N1", "N1"), ("N2", None)}
    assert [n.id for n in rejected.findings.prior.nodules] == ["N1", "N2"]
    back = set_review(rejected, looks, "N2", Review.UNREVIEWED)
    assert without_edits(back) == without_edits(case)


def test_rejecting_and_deleting_ask_no_model(followed_up, models):
    case, looks = followed_up
    asked = len(models.segmenter.asked), len(models.characteriser.asked)
    case = set_review(case, looks, "N1", Review.REJECTED)
    case = delete_nodule(case, looks, "N2")
    set_review(set_type(case, looks, "N1", NoduleType.PART_SOLID), looks, "N1", Review.ACCEPTED)
    assert (len(models.segmenter.asked), len(models.characteriser.asked)) == asked


def test_the_partner_of_a_rejected_nodule_is_not_found_there_again(followed_up):
    case, looks = followed_up
    rejected = set_review(case, looks, "N1", Review.REJECTED)
    assert rows(rejected)["N1", None] is Change.RESOLVED
    assert [n.id for n in rejected.findings.nodules] == ["N1", "N2"]


def test_an_added_nodule_is_looked_for_in_the_prior(followed_up):
    case, looks = followed_up
    after = add_nodule(delete_nodule(case, looks, "N2"), looks, (40.0, 1.0, 0.0))
    assert rows(after)["N3", "N3"] is Change.GROWING
    assert after.nodule("N3").lung_rads.rule_id.startswith("solid-growing")


def test_growth_follows_a_drawn_outline(followed_up):
    case, looks = followed_up
    drawn = replace(case.prior.findings.nodules[0].mask, method=Method("reader", "drawn"))
    same = draw_outline(case, looks, "N1", drawn)
    (match,) = (m for m in same.findings.comparison.matches if m.current_id == "N1")
    assert match.growth.volume_change_percent == pytest.approx(0, abs=1e-6)
    assert match.change is Change.STABLE


def test_growth_is_less_certain_for_a_type_that_is_harder_to_measure(followed_up):
    case, looks = followed_up

    def width(of: Case) -> float:
        (match,) = (m for m in of.findings.comparison.matches if m.current_id == "N1")
        low, high = match.growth.volume_change_interval_95_percent
        return high - low

    assert width(set_type(case, looks, "N1", NoduleType.PART_SOLID)) > width(case)


def test_a_threshold_holds_for_both_scans_and_to_and_fro_changes_nothing(followed_up):
    case, looks = followed_up
    high = set_threshold(case, looks, 0.92)
    assert set(rows(high)) == {("N1", "N1")}
    assert [n.id for n in high.findings.prior.nodules] == ["N1"]
    low = set_threshold(high, looks, 0.45)
    assert rows(low)["N3", "N2"] is Change.GROWING
    assert low.findings.prior.nodules[2].candidate.origin is Origin.DETECTOR
    back = set_threshold(set_threshold(low, looks, 0.1), looks, 0.8)
    assert without_edits(back) == without_edits(case)


def test_a_deleted_counterpart_is_not_found_again(followed_up):
    case, looks = followed_up
    low = set_threshold(case, looks, 0.5)
    name = next(n.id for n in low.findings.nodules if n.centroid_lps_mm[1] > 30)
    gone = delete_nodule(low, looks, name)
    again = set_threshold(set_threshold(gone, looks, 0.9), looks, 0.1)
    assert all(n.centroid_lps_mm[1] < 30 for n in again.findings.nodules)


def test_registration_and_its_doubts_are_kept(followed_up):
    case, looks = followed_up
    after = set_review(case, looks, "N1", Review.ACCEPTED)
    assert after.findings.comparison.registration == case.findings.comparison.registration
    assert after.findings.comparison.interval_days == 182
