"""Published models of the probability that a lung nodule is cancer: Brock 2a and 2b, Mayo, VA, Herder.

All are logistic. Coefficients as printed by their authors; ``source`` of each model names the paper.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from LungNoduleCADLib.domain.nodule import NoduleType

Answers = Mapping[str, Any]


class Smoking(StrEnum):
    NEVER = "never"
    FORMER = "former"
    CURRENT = "current"


class CancerHistory(StrEnum):
    """Cancer before this nodule; UNSPECIFIED: there was one, nothing more is known of it."""

    NONE = "none"
    EXTRATHORACIC_OVER_5_YEARS = "extrathoracic_over_5_years"
    EXTRATHORACIC_WITHIN_5_YEARS = "extrathoracic_within_5_years"
    LUNG = "lung"
    UNSPECIFIED = "unspecified"


class PetUptake(StrEnum):
    """FDG uptake as the BTS grades it: FAINT up to the mediastinal blood pool, INTENSE markedly above."""

    NONE = "none"
    FAINT = "faint"
    MODERATE = "moderate"
    INTENSE = "intense"


# Every answer to the questions that have few; a cancer that puts a patient out of scope is refused before.
ANSWERS: dict[str, tuple[Any, ...]] = {
    "sex": ("F", "M"),
    "smoking_status": tuple(Smoking),
    "cancer_history": (CancerHistory.NONE, CancerHistory.EXTRATHORACIC_OVER_5_YEARS),
    "family_history_lung_cancer": (False, True),
    "emphysema": (False, True),
    "type": tuple(NoduleType),
    "upper_lobe": (False, True),
    "spiculated": (False, True),
}


@dataclass(frozen=True)
class RiskModel:
    """A model and what it asks.

    ``needs``: inputs without which nothing can be said. ``asks``: inputs with few answers (``ANSWERS``); while one is
    unknown the model gives a range. ``made_for``: whom it was developed in.
    """

    name: str
    version: str
    source: str
    made_for: str
    needs: tuple[str, ...]
    asks: tuple[str, ...]
    linear_predictor: Callable[[Answers], float]

    @property
    def inputs(self) -> tuple[str, ...]:
        return self.needs + self.asks

    def probability(self, answers: Answers) -> float:
        """Of every input answered, from 0 to 1."""
        return 1 / (1 + math.exp(-self.linear_predictor(answers)))


@dataclass(frozen=True)
class _BrockTerms:
    """Coefficients of a PanCan model in its centred form: age - 62, (d / 10)^-0.5 - (4 / 10)^-0.5, count - 4."""

    constant: float
    age: float
    female: float
    family_history: float
    emphysema: float
    size: float
    part_solid: float
    ground_glass: float
    upper_lobe: float
    count: float
    spiculated: float = 0.0

    def __call__(self, told: Answers) -> float:
        kind = {NoduleType.PART_SOLID: self.part_solid, NoduleType.GROUND_GLASS: self.ground_glass}
        return (
            self.constant
            + self.age * (told["age_years"] - 62)
            + self.female * (told["sex"] == "F")
            + self.family_history * told["family_history_lung_cancer"]
            + self.emphysema * told["emphysema"]
            + self.size * ((told["diameter_mm"] / 10) ** -0.5 - 1.58113883)
            + kind.get(told["type"], 0.0)
            + self.upper_lobe * told["upper_lobe"]
            + self.count * (told["nodule_count"] - 4)
            + (self.spiculated * told["spiculated"] if self.spiculated else 0.0)
        )


def _mayo(told: Answers) -> float:
    return (
        -6.8272
        + 0.0391 * told["age_years"]
        + 0.7917 * (told["smoking_status"] != Smoking.NEVER)
        + 1.3388 * (told["cancer_history"] == CancerHistory.EXTRATHORACIC_OVER_5_YEARS)
        + 0.1274 * told["diameter_mm"]
        + 1.0407 * told["spiculated"]
        + 0.7838 * told["upper_lobe"]
    )


def _va(told: Answers) -> float:
    return (
        -8.404
        + 0.0779 * told["age_years"]
        + 2.061 * (told["smoking_status"] != Smoking.NEVER)
        + 0.112 * told["diameter_mm"]
        - 0.0567 * told["years_since_quit"]
    )


_UPTAKE = {PetUptake.NONE: 0.0, PetUptake.FAINT: 2.322, PetUptake.MODERATE: 4.617, PetUptake.INTENSE: 4.771}


def herder_linear_predictor(mayo_probability: float, uptake: PetUptake) -> float:
    """Mayo's probability as a fraction from 0 to 1, not in percent."""
    return -4.739 + 3.691 * mayo_probability + _UPTAKE[uptake]


_PANCAN = "McWilliams A et al., N Engl J Med 2013;369:910-919, Table 2"
_SCREENED = "people screened with low-dose CT (PanCan); size is the longest diameter"
_BROCK_NEEDS = ("age_years", "diameter_mm", "nodule_count")
_BROCK_ASKS = ("sex", "family_history_lung_cancer", "emphysema", "type", "upper_lobe")
_MAYO_ASKS = ("smoking_status", "cancer_history", "spiculated", "upper_lobe")

BROCK_2A = RiskModel(
    "Brock 2a",
    "2013",
    f"{_PANCAN}, model 2a (without spiculation)",
    _SCREENED,
    _BROCK_NEEDS,
    _BROCK_ASKS,
    _BrockTerms(-6.8071, 0.0321, 0.5635, 0.3013, 0.3462, -5.6693, 0.3395, -0.3005, 0.7116, -0.0803),
)
BROCK_2B = RiskModel(
    "Brock 2b",
    "2013",
    f"{_PANCAN}, model 2b (with spiculation)",
    _SCREENED,
    _BROCK_NEEDS,
    (*_BROCK_ASKS, "spiculated"),
    _BrockTerms(-6.7892, 0.0287, 0.6011, 0.2961, 0.2953, -5.3854, 0.377, -0.1276, 0.6581, -0.0824, 0.7729),
)
MAYO = RiskModel(
    "Mayo",
    "1997",
    "Swensen SJ et al., Arch Intern Med 1997;157:849-855",
    "solitary nodules found by chance on chest radiographs; no lung cancer, no other cancer within 5 years",
    ("age_years", "diameter_mm"),
    _MAYO_ASKS,
    _mayo,
)
VA = RiskModel(
    "VA",
    "2007",
    "Gould MK et al., Chest 2007;131:383-388",
    "solitary nodules found by chance on chest radiographs of veterans, mostly men who smoked",
    ("age_years", "diameter_mm", "smoking_status", "years_since_quit"),
    (),
    _va,
)
HERDER = RiskModel(
    "Herder",
    "2005",
    "Herder GJ et al., Chest 2005;128:2490-2496",
    "solitary nodules referred for FDG-PET",
    ("age_years", "diameter_mm", "pet_uptake"),
    _MAYO_ASKS,
    lambda told: herder_linear_predictor(MAYO.probability(told), told["pet_uptake"]),
)
MODELS = (BROCK_2A, BROCK_2B, MAYO, VA, HERDER)
