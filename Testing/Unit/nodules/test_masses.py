"""What is too large for the nodule models is told."""

from __future__ import annotations

import numpy as np
import pytest

from LungNoduleCADLib.domain.ct import CtVolume
from LungNoduleCADLib.domain.geometry import Geometry
from LungNoduleCADLib.domain.masks import LungMask
from LungNoduleCADLib.domain.provenance import Method
from LungNoduleCADLib.domain.quality import Severity
from LungNoduleCADLib.domain.study import SeriesDescription
from LungNoduleCADLib.nodules.masses import mass_flags

GEOMETRY = Geometry((60, 100, 100), (-50.0, -100.0, 0.0), (2.0, 1.2, 1.2))
CENTRE = (10.0, -40.0, 60.0)


def scan(diameter_mm: float) -> tuple[CtVolume, LungMask]:
    """A block of lung with a ball of soft tissue and a vessel of 8 mm through it."""
    kji = np.moveaxis(np.indices(GEOMETRY.shape_kji), 0, -1)
    offset = GEOMETRY.to_lps_mm(kji) - CENTRE
    ball = np.linalg.norm(offset, axis=-1) <= diameter_mm / 2
    vessel = np.hypot(offset[..., 0] - 20, offset[..., 1]) <= 4
    hu = np.where(ball | vessel, 30, -850).astype(np.int16)
    lungs = LungMask(np.ones(GEOMETRY.shape_kji, np.uint8), GEOMETRY, Method("all", "1"))
    return CtVolume(hu, GEOMETRY, SeriesDescription("1")), lungs


def test_a_mass_of_50_mm_is_told_with_its_place_and_size() -> None:
    (flag,) = mass_flags(*scan(50.0))
    assert flag.severity is Severity.SERIOUS
    size_mm = float(flag.message.split("about ")[1].split(" mm")[0])
    assert size_mm == pytest.approx(50, abs=4)
    assert "L 10, P -40" in flag.message or "L 11, P -40" in flag.message


@pytest.mark.parametrize("diameter_mm", [0.0, 15.0, 25.0])
def test_nodules_and_vessels_are_no_masses(diameter_mm: float) -> None:
    assert mass_flags(*scan(diameter_mm)) == ()
