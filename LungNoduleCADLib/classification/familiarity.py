"""Whether a nodule looks like those that the encoder was trained on.

Distances from the training nodules in two spaces: the encoder's pooled features (what the network makes of the patch;
Mahalanobis distance as in Lee et al., NeurIPS 2018, with the covariance of Ledoit and Wolf, J Multivar Anal 2004), and
the patch's appearance as an image (densities, grain, sharpness), which the features are trained to overlook.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy import ndimage

from LungNoduleCADLib.bundles.spec import Bundle
from LungNoduleCADLib.bundles.weights import load_tensors, member_files
from LungNoduleCADLib.classification.encoder import WINDOW_HU, Answers
from LungNoduleCADLib.domain.quality import QualityFlag, Severity

FILE = "models/familiarity.safetensors"
KINDS = ("features", "appearance")
FAMILIAR_SHARE = 0.99
LEAST_DISAGREEMENT = 0.4
LEAST_NODULE_PROBABILITY = 0.5

UNFAMILIAR = QualityFlag(
    "unfamiliar",
    Severity.WARNING,
    f"The nodule or the image around it looks unlike {FAMILIAR_SHARE:.0%} of the nodules that the models know: "
    "detection, type and malignancy may be wrong here, and their ranges too narrow.",
)

_PERCENTILES = (1, 10, 25, 50, 75, 90, 99)
_LAGS = (1, 4)


def appearance(patch_hu: np.ndarray) -> np.ndarray:
    """What a patch (D, D, D) in HU looks like as an image, (18,): densities, grain, and roughness along each axis."""
    seen = np.clip(patch_hu.astype(np.float32), *WINDOW_HU)
    grain = seen - ndimage.median_filter(seen, 3)
    roughness = [np.abs(grain).mean(), grain.std()]
    for axis in range(3):
        along = np.moveaxis(seen, axis, 0)
        roughness.append(np.abs(np.diff(along, n=2, axis=0)).mean())
        roughness += [np.sqrt(np.mean((along[lag:] - along[:-lag]) ** 2)) for lag in _LAGS]
    return np.concatenate([np.percentile(patch_hu, _PERCENTILES), np.log1p(roughness)])


@dataclass(frozen=True)
class Space:
    """Where the known nodules lie: ``distance`` 1 is the limit of the familiar.

    ``mean`` (F,); ``whitening`` (F, F): what is left of a vector's difference from the mean has its distance as length.
    """

    mean: np.ndarray
    whitening: np.ndarray

    def distance(self, vectors: np.ndarray) -> np.ndarray:
        """(N,) of vectors (N, F)."""
        return np.linalg.norm((vectors - self.mean) @ self.whitening, axis=1)


class Familiarity:
    """The spaces of each network of an ensemble: {name of ``KINDS``: Space}, in the networks' order."""

    def __init__(self, members: Sequence[dict[str, Space]]) -> None:
        self.members = tuple(members)

    @classmethod
    def from_bundle(cls, bundle: Bundle, unseen_fold: int | None = None) -> Familiarity | None:
        """Of the bundle's networks (as ``weights.load_members`` chooses them); ``None`` where nothing was fitted.

        Raises
        ------
        ModelError : damaged; or every network saw that fold.
        """
        if FILE not in bundle.weight_files:
            return None
        tensors = load_tensors(bundle, FILE)
        members = [Path(file).stem for file in member_files(bundle, unseen_fold)]
        return cls(
            [
                {
                    kind: Space(*(tensors[f"{name}.{kind}.{part}"].numpy() for part in ("mean", "whitening")))
                    for kind in KINDS
                }
                for name in members
            ]
        )

    def distances(self, patches_hu: Sequence[np.ndarray], answers: Sequence[Answers]) -> np.ndarray:
        """(kinds, N) for patches (N, D, D, D) and each network's answers to them: the mean over the networks."""
        looks = np.stack([appearance(patch) for patch in patches_hu])
        of_members = [
            [spaces["features"].distance(one.features), spaces["appearance"].distance(looks)]
            for spaces, one in zip(self.members, answers, strict=True)
        ]
        return np.mean(of_members, axis=0)

    def unfamiliarity(self, patches_hu: Sequence[np.ndarray], answers: Sequence[Answers]) -> np.ndarray:
        """(N,): the larger of both kinds of distance; above 1 is unlike the training nodules."""
        return self.distances(patches_hu, answers).max(axis=0)


def doubts(
    unfamiliarity: float | None, malignancy_by_network: Sequence[float], nodule_probability: float | None = None
) -> tuple[QualityFlag, ...]:
    """What the reader must know of how far the models can be trusted with a nodule (codes: ``quality.MODEL_DOUBTS``).

    Parameters
    ----------
    unfamiliarity : of the nodule; ``None``: not assessed.
    malignancy_by_network : probability by each network of the ensemble.
    nodule_probability : that it is a nodule; ``None``: not asked.
    """
    flags = [UNFAMILIAR] if unfamiliarity is not None and unfamiliarity > 1 else []
    if nodule_probability is not None and nodule_probability < LEAST_NODULE_PROBABILITY:
        flags.append(
            QualityFlag(
                "not_a_nodule",
                Severity.WARNING,
                f"To the models this is rather no nodule ({nodule_probability:.0%} that it is one): what they say of "
                "type and malignancy holds for nodules only.",
            )
        )
    low, high = min(malignancy_by_network), max(malignancy_by_network)
    if high - low >= LEAST_DISAGREEMENT:
        flags.append(
            QualityFlag(
                "networks_disagree",
                Severity.WARNING,
                f"The networks disagree on malignancy: each alone says {low:.0%} to {high:.0%}.",
            )
        )
    return tuple(flags)
