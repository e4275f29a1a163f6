"""The list at another threshold: what comes, what goes, what stays, and under which name."""

from __future__ import annotations

from dataclasses import replace

import pytest

from LungNoduleCADLib.domain.nodule import NoduleType, Origin, Review
from LungNoduleCADLib.errors import InputError
from LungNoduleCADLib.nodule_list import rounded_place
from LungNoduleCADLib.pipeline import AnalysedStudy
from LungNoduleCADLib.report.findings_json import to_json
from LungNoduleCADLib.review import add_nodule, delete_nodule, set_review, set_threshold, set_type
from LungNoduleCADLib.review_case import Case, places_ahead

FAINT, FAINTER = (0.0, 40.0, 0.0), (0.0, -40.0, 0.0)


def ids(case: Case) -> list[str]:
    return [nodule.id for nodule in case.findings.nodules]


def without_edits(case: Case) -> dict:
    return {key: value for key, value in to_json(case.findings).items() if key not in ("edits", "candidates")}


def test_a_lower_threshold_lists_more_and_says_so(alone):
    case, looks = alone
    after = set_threshold(case, looks, 0.5)
    assert ids(after) == ["N1", "N2", "N3"]
    assert after.nodule("N3").centroid_lps_mm == pytest.approx(FAINT, abs=0.1)
    assert after.nodule("N3").candidate.origin is Origin.DETECTOR
    assert after.findings.operating_threshold == 0.5
    assert (after.findings.edits[-1].before, after.findings.edits[-1].after) == ("0.8", "0.5")


def test_a_higher_threshold_takes_off_what_no_reader_touched(alone):
    case, looks = alone
    assert ids(set_threshold(case, looks, 0.9)) == ["N1"]
    accepted = set_review(case, looks, "N2", Review.ACCEPTED)
    assert ids(set_threshold(accepted, looks, 0.9)) == ["N1", "N2"]
    rejected = set_review(case, looks, "N2", Review.REJECTED)
    assert ids(set_threshold(rejected, looks, 0.9)) == ["N1", "N2"]
    typed = set_type(case, looks, "N2", NoduleType.PART_SOLID)
    assert ids(set_threshold(typed, looks, 0.9)) == ["N1", "N2"]


def test_to_and_fro_gives_the_same_list_under_the_same_names(alone, models):
    case, looks = alone
    low = set_threshold(case, looks, 0.2)
    assert ids(low) == ["N1", "N2", "N3", "N4"]
    high = set_threshold(low, looks, 0.99)
    assert ids(high) == []
    asked = len(models.segmenter.asked), len(models.characteriser.asked)
    again = set_threshold(high, looks, 0.2)
    assert without_edits(again) == without_edits(low)
    assert without_edits(set_threshold(again, looks, 0.8)) == without_edits(case)
    assert (len(models.segmenter.asked), len(models.characteriser.asked)) == asked


def test_names_are_kept_in_the_findings_so_that_they_outlive_the_process(alone):
    case, looks = alone
    away = set_threshold(set_threshold(case, looks, 0.2), looks, 0.8)
    kept = {place.centre_lps_mm: place.nodule_id for place in away.findings.candidates}
    assert (kept[FAINT], kept[FAINTER]) == ("N3", "N4")
    assert ids(away) == ["N1", "N2"]


def test_what_a_reader_added_stays_whatever_the_threshold(alone):
    case, looks = alone
    added = add_nodule(case, looks, FAINTER)
    assert ids(set_threshold(added, looks, 0.99)) == ["N3"]
    low = set_threshold(added, looks, 0.2)
    assert ids(low) == ["N1", "N2", "N3", "N4"]
    assert low.nodule("N3").candidate.origin is Origin.READER


def test_a_nodule_below_the_threshold_goes_when_its_mark_is_taken_back(alone):
    case, looks = alone
    case = set_threshold(case, looks, 0.5)
    case = set_threshold(set_review(case, looks, "N3", Review.ACCEPTED), looks, 0.8)
    assert ids(case) == ["N1", "N2", "N3"]
    assert ids(set_review(case, looks, "N3", Review.UNREVIEWED)) == ["N1", "N2"]


@pytest.mark.parametrize("threshold", [0.85, 0.2])
def test_a_deleted_nodule_never_comes_back(alone, threshold):
    case, looks = alone
    case = delete_nodule(case, looks, "N2")
    case = set_threshold(set_threshold(case, looks, 0.99), looks, threshold)
    assert "N2" not in ids(case)
    assert all(nodule.centroid_lps_mm[0] < 30 for nodule in case.findings.nodules)


@pytest.mark.parametrize("threshold", [0.01, -1.0, 1.5])
def test_a_threshold_out_of_reach_is_refused(alone, threshold):
    case, looks = alone
    with pytest.raises(InputError, match=r"from 0\.05 to 1"):
        set_threshold(case, looks, threshold)


def _beside_the_middle(study: AnalysedStudy) -> AnalysedStudy:
    """The study with its unlisted candidates 1 mm beside the middle of what is there."""
    places = tuple(
        place if place.nodule_id else replace(place, centre_lps_mm=tuple(v + 1.0 for v in place.centre_lps_mm))
        for place in study.findings.candidates
    )
    return replace(study, findings=replace(study.findings, candidates=places))


def test_looking_ahead_leaves_nothing_to_look_at_for_a_lower_threshold(followed_up, models):
    case, looks = followed_up
    case = replace(case, current=_beside_the_middle(case.current), prior=_beside_the_middle(case.prior))
    for _ in range(100):
        ahead = next(places_ahead(case, looks), None)
        if ahead is None:
            break
        seen, point = ahead
        seen.look(point)
    asked = len(models.segmenter.asked), len(models.characteriser.asked)
    lower = set_threshold(case, looks, 0.05)
    assert len(lower.findings.nodules) > len(case.findings.nodules)
    assert (len(models.segmenter.asked), len(models.characteriser.asked)) == asked
    more = [nodule for nodule in lower.findings.nodules if nodule.id not in ids(case)]
    assert all(looks.current.has_outlined(rounded_place(nodule.centroid_lps_mm)) for nodule in more)  # for pairs
