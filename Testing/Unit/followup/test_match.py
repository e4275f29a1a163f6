"""Which nodule is which, and which scans may be compared at all."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date

import numpy as np
import pytest
import SimpleITK as sitk

from LungNoduleCADLib.domain.comparison import Change, NoduleMatch, RegistrationQuality
from LungNoduleCADLib.domain.findings import StudyFindings
from LungNoduleCADLib.domain.nodule import Nodule, NoduleType, Review
from LungNoduleCADLib.domain.provenance import Method
from LungNoduleCADLib.domain.quality import QualityFlag, Severity
from LungNoduleCADLib.followup.match import match_nodules
from LungNoduleCADLib.followup.register import Registration

MakeNodule = Callable[..., Nodule]
MakeStudy = Callable[..., StudyFindings]
BEFORE, AFTER = date(2023, 1, 1), date(2024, 1, 1)
SHIFT_MM = 30.0


@pytest.fixture
def registration() -> Registration:
    """Prior points lie 30 mm further cranial than current ones."""
    transform = sitk.AffineTransform(3)
    transform.SetTranslation((0.0, 0.0, SHIFT_MM))
    quality = RegistrationQuality(0.5, 0.98, 0.5, 0.0, 1.0, Method("shift", "1"))
    return Registration(transform, transform, quality, 0.9)


def rows(matches: tuple[NoduleMatch, ...]) -> list[tuple[str | None, str | None, Change]]:
    return [(match.prior_id, match.current_id, match.change) for match in matches]


def codes(match: NoduleMatch) -> set[str]:
    return {flag.code for flag in match.flags}


def test_nodules_are_paired_at_their_registered_place_and_the_rest_is_new_or_gone(
    nodule: MakeNodule, study: MakeStudy, registration: Registration
) -> None:
    prior = study([nodule("P1", (0, 0, 30)), nodule("P2", (50, 0, 30)), nodule("P3", (-50, 40, 0))], BEFORE)
    current = study([nodule("C1", (52, 0, 1), 600), nodule("C2", (1, 0, 0)), nodule("C3", (0, -60, -20))], AFTER)

    matches = match_nodules(prior, current, registration)

    assert rows(matches) == [
        ("P2", "C1", Change.GROWING),
        ("P1", "C2", Change.STABLE),
        (None, "C3", Change.NEW),
        ("P3", None, Change.RESOLVED),
    ]
    assert matches[0].distance_mm == pytest.approx(np.hypot(2, 1), abs=0.01)
    assert matches[0].growth.interval_days == 365
    assert matches[0].growth.vdt_days == pytest.approx(365 * np.log(2) / np.log(600 / 268), abs=0.1)


def test_one_prior_nodule_has_one_partner_only(
    nodule: MakeNodule, study: MakeStudy, registration: Registration
) -> None:
    prior = study([nodule("P1", (0, 0, 30))], BEFORE)
    current = study([nodule("C1", (6, 0, 0)), nodule("C2", (1, 0, 0))], AFTER)

    matches = match_nodules(prior, current, registration)

    assert rows(matches) == [(None, "C1", Change.NEW), ("P1", "C2", Change.STABLE)]
    assert "possible_match" in codes(matches[0])
    assert "ambiguous_match" not in codes(matches[1])


def test_a_sure_pair_is_not_broken_up_for_two_poor_ones(
    nodule: MakeNodule, study: MakeStudy, registration: Registration
) -> None:
    prior = study([nodule("P1", (0, 0, 30)), nodule("P2", (-9, 0, 30))], BEFORE)
    current = study([nodule("C1", (0.5, 0, 0)), nodule("C2", (9, 0, 0))], AFTER)

    assert ("P1", "C1", Change.STABLE) in rows(match_nodules(prior, current, registration))


def test_size_and_type_decide_between_neighbours_at_the_same_distance(
    nodule: MakeNodule, study: MakeStudy, registration: Registration
) -> None:
    prior = study([nodule("P1", (-3, 0, 30), 100), nodule("P2", (3, 0, 30), 800, NoduleType.GROUND_GLASS)], BEFORE)
    current = study([nodule("C1", (0, 3, 0), 850, NoduleType.GROUND_GLASS), nodule("C2", (0, -3, 0), 100)], AFTER)

    assert [row[:2] for row in rows(match_nodules(prior, current, registration))] == [("P2", "C1"), ("P1", "C2")]


def test_two_equally_good_partners_are_shown(nodule: MakeNodule, study: MakeStudy, registration: Registration) -> None:
    prior = study([nodule("P1", (-3, 0, 30)), nodule("P2", (3, 0, 30))], BEFORE)
    current = study([nodule("C1", (0.2, 0, 0))], AFTER)

    pair = match_nodules(prior, current, registration)[0]

    assert pair.prior_id == "P2"
    assert "ambiguous_match" in codes(pair)
    assert "P1" in pair.flags[0].message


def test_nodules_too_far_apart_are_not_paired(nodule: MakeNodule, study: MakeStudy, registration: Registration) -> None:
    prior, current = study([nodule("P1", (0, 0, 30))], BEFORE), study([nodule("C1", (0, 10.5, 0))], AFTER)

    assert rows(match_nodules(prior, current, registration)) == [
        (None, "C1", Change.NEW),
        ("P1", None, Change.RESOLVED),
    ]


def test_a_large_nodule_may_have_moved_by_its_own_size(
    nodule: MakeNodule, study: MakeStudy, registration: Registration
) -> None:
    prior = study([nodule("P1", (0, 0, 30), 6000)], BEFORE)
    current = study([nodule("C1", (0, 13, 0), 8000)], AFTER)

    assert rows(match_nodules(prior, current, registration))[0][:2] == ("P1", "C1")


def test_rejected_nodules_take_no_part(nodule: MakeNodule, study: MakeStudy, registration: Registration) -> None:
    prior = study([nodule("P1", (0, 0, 30), review=Review.REJECTED), nodule("P2", (0, 5, 30))], BEFORE)
    current = study([nodule("C1", (0, 0, 0)), nodule("C2", (60, 0, 0), review=Review.REJECTED)], AFTER)

    assert [row[:2] for row in rows(match_nodules(prior, current, registration))] == [("P2", "C1")]


def test_a_place_that_the_other_scan_does_not_show_is_neither_new_nor_gone(
    nodule: MakeNodule, study: MakeStudy, registration: Registration
) -> None:
    prior, current = study([nodule("P1", (0, 0, -90))], BEFORE), study([nodule("C1", (0, 0, 90))], AFTER)

    matches = match_nodules(prior, current, registration)

    assert rows(matches) == [(None, "C1", Change.UNCERTAIN), ("P1", None, Change.UNCERTAIN)]
    assert all("outside_other_scan" in codes(match) for match in matches)


def test_a_failed_registration_is_said_at_every_nodule_without_a_partner(
    nodule: MakeNodule, study: MakeStudy, registration: Registration
) -> None:
    failed = replace(registration, flags=(QualityFlag("registration_lung_overlap", Severity.SERIOUS, "bad"),))
    current = study([nodule("C1", (0, 0, 0))], AFTER)

    assert "unreliable_registration" in codes(match_nodules(study([], BEFORE), current, failed)[0])


def test_a_nodule_without_measurements_is_paired_and_its_change_uncertain(
    nodule: MakeNodule, study: MakeStudy, registration: Registration
) -> None:
    prior = study([nodule("P1", (0, 0, 30), volume_mm3=None, kind=None)], BEFORE)
    match = match_nodules(prior, study([nodule("C1", (0, 0, 0))], AFTER), registration)[0]

    assert (match.prior_id, match.change, match.growth) == ("P1", Change.UNCERTAIN, None)
    assert "growth_not_measured" in codes(match)


def test_thick_slices_and_a_changed_type_are_told_to_the_reader(
    nodule: MakeNodule, study: MakeStudy, registration: Registration
) -> None:
    prior = study([nodule("P1", (0, 0, 30), 15, NoduleType.GROUND_GLASS)], BEFORE, slice_mm=5.0)
    current = study([nodule("C1", (0, 0, 0), 17, NoduleType.PART_SOLID)], AFTER, slice_mm=5.0)

    assert {"wide_growth_interval", "type_changed"} <= codes(match_nodules(prior, current, registration)[0])


def test_studies_without_nodules_have_no_rows(study: MakeStudy, registration: Registration) -> None:
    assert match_nodules(study([], BEFORE), study([], AFTER), registration) == ()
