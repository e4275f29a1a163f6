"""What the encoder is asked to answer for a sample, from the readers' ratings; a missing answer is masked."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from LungNoduleCADLib.domain.nodule import NoduleType
from LungNoduleCADLib.networks.nodule_encoder import DESCRIPTORS, HEADS
from LungNoduleCADLib.training.data import PackNodule

ABSENT_CALCIFICATION = 6
SYNTHETIC_TYPE_WEIGHT = 0.5
TYPES = (NoduleType.SOLID, NoduleType.PART_SOLID, NoduleType.GROUND_GLASS)


def labels_of(nodule: PackNodule | None, synthetic_type: str = "") -> dict[str, Tensor]:
    """{head: (outputs,) target} and {head + "_weight": ()} for a nodule, a phantom's nodule, or no nodule."""
    targets = {head.name: torch.zeros(head.outputs) for head in HEADS}
    weights = {head.name: 0.0 for head in HEADS}
    weights["nodule"] = 1.0
    if synthetic_type:
        targets["nodule"][0] = 1.0
        targets["nodule_type"][TYPES.index(NoduleType(synthetic_type))] = 1.0
        weights["nodule_type"] = SYNTHETIC_TYPE_WEIGHT
    if nodule is not None:
        targets["nodule"][0] = 1.0
    if nodule is not None and nodule.ratings:
        agreed = 0.4 + 0.15 * nodule.n_readers
        targets["malignancy"][0] = suspicious_share(nodule.ratings["malignancy"])
        weights["malignancy"] = agreed
        for name in ("malignancy_rating", *DESCRIPTORS):
            targets[name][0] = nodule.mean("malignancy" if name == "malignancy_rating" else name)
            weights[name] = agreed
        targets["nodule_type"] = _type_votes(nodule)
        weights["nodule_type"] = agreed
        calcified = np.mean([grade != ABSENT_CALCIFICATION for grade in nodule.ratings["calcification"]])
        targets["calcified"][0] = float(calcified)
        weights["calcified"] = agreed
    return targets | {f"{name}_weight": torch.tensor(weight) for name, weight in weights.items()}


def reference_type(nodule: PackNodule) -> int:
    """Index in ``TYPES`` of the type by the readers' median texture."""
    return TYPES.index(nodule.type)


def suspicious_share(grades: tuple[int, ...]) -> float:
    """Share of readers who suspect malignancy (4 or 5); a 3 is half a vote."""
    return float(np.mean([1.0 if grade > 3 else 0.5 if grade == 3 else 0.0 for grade in grades]))


def _type_votes(nodule: PackNodule) -> Tensor:
    votes = torch.zeros(3)
    for grade in nodule.ratings["texture"]:
        votes[2 if grade <= 2 else 1 if grade == 3 else 0] += 1.0
    votes /= votes.sum()
    votes[reference_type(nodule)] += 1.0
    return votes / votes.sum()
