"""What a Lung-RADS v2022 assessment says."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class LungRadsCategory(StrEnum):
    """ACR Lung-RADS v2022 categories, least to most suspicious after 0."""

    C0 = "0"
    C1 = "1"
    C2 = "2"
    C3 = "3"
    C4A = "4A"
    C4B = "4B"
    C4X = "4X"

    @property
    def suspicion(self) -> int:
        """Order among categories 1 to 4X; 0 (incomplete) sorts first."""
        return list(LungRadsCategory).index(self)


class Airway(StrEnum):
    """Where in the airways a nodule lies. SEGMENTAL: segmental or more proximal.

    SECRETIONS: segmental or more proximal, but with air in it and without soft tissue.
    """

    NONE = "none"
    SUBSEGMENTAL = "subsegmental"
    SEGMENTAL = "segmental"
    SECRETIONS = "secretions"


class Cyst(StrEnum):
    """An air-filled cyst whose wall is not its main part. THIN_WALLED: unilocular, wall below 2 mm throughout."""

    NONE = "none"
    THIN_WALLED = "thin-walled"
    THICK_WALLED = "thick-walled"
    MULTILOCULAR = "multilocular"


class CystChange(StrEnum):
    """What changed in a cyst since the prior CT; growing: by more than 1.5 mm in 12 months."""

    NONE = "none"
    GROWING_CYST = "growing cyst"
    GROWING_WALL = "growing wall or nodularity"
    BECAME_MULTILOCULAR = "became multilocular"
    MORE_LOCULATION = "more loculation"
    NEW_OPACITY = "new or increased opacity"


@dataclass(frozen=True)
class LungRadsAssessment:
    """A category with the rule that applied (stable id), its reason in words, management and source.

    ``notes`` surface the guideline's ambiguities and what was assumed. ``modifier_s``: significant other finding.
    """

    category: LungRadsCategory
    rule_id: str
    reason: str
    management: str
    source: str
    notes: tuple[str, ...] = ()
    modifier_s: bool = False
    decided_by: str | None = None
