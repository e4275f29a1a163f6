"""``facts`` of a review: what a reader may state of a nodule."""

from __future__ import annotations

import pytest

from LungNoduleCADLib.cli.desk import _stated
from LungNoduleCADLib.domain.lung_rads import Airway, CystChange
from LungNoduleCADLib.domain.nodule import StatedFacts
from LungNoduleCADLib.errors import UsageError


def test_what_is_left_out_of_the_request_is_unknown() -> None:
    assert _stated({"facts": {"spiculated": False}}) == StatedFacts(spiculated=False, upper_lobe=None)


def test_kinds_of_airway_nodules_and_cysts_are_words() -> None:
    facts = {"airway": "segmental", "cyst": None, "cyst_change": "growing cyst"}
    assert _stated({"facts": facts}) == StatedFacts(airway=Airway.SEGMENTAL, cyst_change=CystChange.GROWING_CYST)


@pytest.mark.parametrize(
    "facts", [{"spiculated": "yes"}, {"upper_lobe": 1}, {"lobe": True}, {"cyst": True}, {"airway": "left"}, None]
)
def test_anything_but_yes_no_and_unknown_is_refused(facts: object) -> None:
    with pytest.raises(UsageError, match="facts"):
        _stated({"facts": facts})
