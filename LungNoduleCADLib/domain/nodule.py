"""A pulmonary nodule and what is known of it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from LungNoduleCADLib.domain.geometry import Geometry
from LungNoduleCADLib.domain.lung_rads import Airway, Cyst, CystChange, LungRadsAssessment
from LungNoduleCADLib.domain.masks import NoduleMask, Side
from LungNoduleCADLib.domain.provenance import Method
from LungNoduleCADLib.domain.quality import QualityFlag
from LungNoduleCADLib.domain.risk import RiskEstimate

Point = tuple[float, float, float]


class NoduleType(StrEnum):
    SOLID = "solid"
    PART_SOLID = "part-solid"
    GROUND_GLASS = "ground-glass"


class Origin(StrEnum):
    """How a nodule came onto the list; COUNTERPART: looked for because the other scan of a comparison has one there."""

    DETECTOR = "detector"
    READER = "reader"
    COUNTERPART = "counterpart"


class Review(StrEnum):
    """What the reader said of it."""

    UNREVIEWED = "unreviewed"
    ACCEPTED = "accepted"
    REJECTED = "rejected"


@dataclass(frozen=True)
class NoduleCandidate:
    """A place to look. ``probability`` that it is a nodule; ``None`` before false positives were reduced.

    ``spread_95``: of that probability over networks and views (see ``MalignancyEstimate``); ``None`` before the nodule
    was characterised.
    """

    centre_lps_mm: Point
    diameter_mm: float | None = None
    probability: float | None = None
    origin: Origin = Origin.DETECTOR
    spread_95: tuple[float, float] | None = None


@dataclass(frozen=True)
class AxialAxes:
    """Long axis and the short axis perpendicular to it in one axial slice (ACR Lung-RADS v2022).

    Lengths in mm rounded to 0.1; end points in LPS mm.
    """

    long_axis_mm: float
    short_axis_mm: float
    slice_index: int
    long_axis_lps_mm: tuple[Point, Point]
    short_axis_lps_mm: tuple[Point, Point]

    @property
    def mean_diameter_mm(self) -> float:
        """Mean of both axes, rounded half up to 0.1 mm."""
        return float(np.floor((self.long_axis_mm + self.short_axis_mm) / 2 * 10 + 0.5 + 1e-9) / 10)


@dataclass(frozen=True)
class Measurements:
    """Sizes and densities of one nodule, derived from its mask.

    ``solid_*`` is the solid part (voxels above the solid threshold inside the mask); ``None`` where there is none to
    measure. ``mass_mg`` = volume x (mean HU + 1000) / 1000. ``zone`` is the third of the lung's height
    (upper / middle / lower): not a lobe. ``lobe`` is ``None`` while no lobe model is trained. ``volume_again_mm3``: of
    the outline drawn once more, from the middle of the first one (0: nothing was seen there); how far both agree says
    how steady the outline is. ``None`` where nobody asked.
    """

    volume_mm3: float
    axes: AxialAxes
    mean_hu: float
    mass_mg: float
    side: Side | None
    zone: str | None
    distance_to_pleura_mm: float | None
    solid_volume_mm3: float | None = None
    solid_axes: AxialAxes | None = None
    lobe: str | None = None
    volume_again_mm3: float | None = None


@dataclass(frozen=True)
class TypeEstimate:
    """Nodule type with the probability of each; ``method`` is a model, or the reader where a person changed it.

    ``spread_95``: of each probability over networks and views (see ``MalignancyEstimate``).
    """

    type: NoduleType
    probabilities: dict[NoduleType, float]
    method: Method
    spread_95: dict[NoduleType, tuple[float, float]] | None = None


@dataclass(frozen=True)
class MalignancyEstimate:
    """Radiologist-likeness of malignancy (LIDC readers' opinion, not pathology).

    ``probability``: that readers' median rating exceeds 3; ``spread_95``: where 95 % of what each network alone says of
    each mirrored view lies about it. That is how steady the answer is, not a confidence interval: what all networks
    get wrong together is not in it. ``rating_1_to_5``: expected mean rating; ``not_available`` says why ``probability``
    is None; ``missing_inputs``: inputs the meta-classifier would have used.
    """

    probability: float | None
    rating_1_to_5: float | None = None
    spread_95: tuple[float, float] | None = None
    encoder_probability: float | None = None
    method: Method | None = None
    missing_inputs: tuple[str, ...] = ()
    not_available: str | None = None


@dataclass(frozen=True)
class HistologyEstimate:
    """SCLC / NSCLC and NSCLC subtype probabilities, or the reason why there are none."""

    probabilities: dict[str, float] | None
    not_available: str | None
    method: Method | None = None


@dataclass(frozen=True)
class StatedFacts:
    """What a reader states of a nodule that no model of this software decides; ``None``: nobody said.

    ``upper_lobe``: in the right or left upper lobe, lingula included. ``benign_calcification``: complete, central,
    popcorn or concentric rings. ``juxtapleural_smooth``: solid, at the pleura, smooth, oval, lentiform or triangular.
    ``slow_growth``: over several screening exams, never by more than 1.5 mm in 12 months. ``suspicious_features``:
    spiculation, lymphadenopathy and the like.
    """

    spiculated: bool | None = None
    upper_lobe: bool | None = None
    benign_calcification: bool | None = None
    fat: bool | None = None
    juxtapleural_smooth: bool | None = None
    airway: Airway | None = None
    cyst: Cyst | None = None
    cyst_change: CystChange | None = None
    slow_growth: bool | None = None
    proven_benign: bool | None = None
    suspicious_features: bool | None = None


@dataclass(frozen=True)
class Saliency:
    """Heat map of a score on a CT-grid box: float32 (K, J, I) >= 0, logit per cm³, hot where the score comes from.

    ``score``: the logit that it explains; ``technique``: how it was made (Grad-CAM where a file does not say: such maps
    have another scale). A nodule whose malignancy score is low has no map.
    """

    heat: np.ndarray
    geometry: Geometry
    target: str
    score: float
    method: Method
    technique: str = "Grad-CAM"

    @staticmethod
    def score_is_low(*probabilities: float | None) -> bool:
        """Whether a malignancy probability, the reported one or that of the encoder whose map it is, is below 0.5.

        Then more speaks against malignancy than for it, and a map of what speaks for it would mislead.
        """
        return any(probability is not None and probability < 0.5 for probability in probabilities)


@dataclass(frozen=True)
class Nodule:
    """One nodule as reported. ``id`` is stable inside a study (``N1``, ``N2``, … by suspicion).

    ``unfamiliarity``: distance from the nodules that the encoder was trained on, as a share of the limit: above 1 it is
    unlike 99 % of them; ``None``: not assessed.
    """

    id: str
    candidate: NoduleCandidate
    centroid_lps_mm: Point
    mask: NoduleMask | None = None
    measurements: Measurements | None = None
    type: TypeEstimate | None = None
    malignancy: MalignancyEstimate | None = None
    histology: HistologyEstimate | None = None
    saliency: Saliency | None = None
    radiomics: dict[str, float] | None = None
    unfamiliarity: float | None = None
    lung_rads: LungRadsAssessment | None = None
    review: Review = Review.UNREVIEWED
    flags: tuple[QualityFlag, ...] = ()
    stated: StatedFacts = StatedFacts()
    clinical_risk: tuple[RiskEstimate, ...] = ()
