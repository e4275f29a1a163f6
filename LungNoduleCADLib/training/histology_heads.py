"""The encoder's two histology heads, fitted on its frozen features: logistic regressions written into linear layers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold
from sklearn.preprocessing import StandardScaler
from torch import nn

from LungNoduleCADLib.classification.encoder import EncoderRunner, mirror_images
from LungNoduleCADLib.errors import InputError
from LungNoduleCADLib.imaging.patch import network_patch, patch_geometry
from LungNoduleCADLib.training.histology import Histology, HistologyCase

Report = Callable[[str], None]

FOLDS, SEED, INVERSE_PENALTY = 5, 20261121, 0.01
LEAST_PATIENTS = FOLDS
NOT_ASKED = -1
CLASSES = {
    "small_cell": (
        (Histology.ADENOCARCINOMA, Histology.SQUAMOUS, Histology.LARGE_CELL),
        (Histology.SMALL_CELL,),
    ),
    "nsclc_subtype": ((Histology.ADENOCARCINOMA,), (Histology.SQUAMOUS,), (Histology.LARGE_CELL,)),
}
"""Head -> its classes, in the order of its outputs; the one output of ``small_cell`` is its second class."""


@dataclass(frozen=True)
class Observation:
    """A case and what each network of the ensemble makes of it: features (F,), the mean of the mirror images'."""

    case: HistologyCase
    features: tuple[np.ndarray, ...]


@dataclass(frozen=True)
class LinearHead:
    """``weight`` (outputs, F), ``bias`` (outputs,): logits of features as they come from the network."""

    weight: np.ndarray
    bias: np.ndarray

    def logits(self, features: np.ndarray) -> np.ndarray:
        """(N, outputs) for (N, F)."""
        return features @ self.weight.T + self.bias

    def put_into(self, layer: nn.Linear) -> None:
        """Overwrite a network's head."""
        import torch

        with torch.no_grad():
            layer.weight.copy_(torch.from_numpy(self.weight))
            layer.bias.copy_(torch.from_numpy(self.bias))


def observe(cases: Sequence[HistologyCase], runner: EncoderRunner, report: Report) -> list[Observation]:
    """What the encoder sees around the middle of each tumour; a case whose CT cannot be read is left out and named."""
    seen = []
    for case in cases:
        try:
            ct = case.load()
        except InputError as error:
            report(f"{case.patient} left out: {error}")
            continue
        patch = network_patch(ct, patch_geometry(case.centre_lps_mm, runner.size, runner.spacing_mm))
        members = runner.answers_of_members(mirror_images(patch))
        seen.append(Observation(case, tuple(member.features.mean(axis=0) for member in members)))
    return seen


def truth_of(head: str, cases: Sequence[HistologyCase]) -> np.ndarray:
    """Class (N,) of each case in the order of ``CLASSES``; ``NOT_ASKED`` where the head has no answer for it."""
    number = {histology: n for n, members in enumerate(CLASSES[head]) for histology in members}
    return np.array([number.get(case.histology, NOT_ASKED) for case in cases])


def too_few(head: str, observations: Sequence[Observation]) -> str | None:
    """Why a head cannot be trained or measured: a class with fewer than 5 patients; ``None`` where it can."""
    truth = truth_of(head, [one.case for one in observations])
    for n, members in enumerate(CLASSES[head]):
        patients = len({one.case.patient for one, t in zip(observations, truth, strict=True) if t == n})
        if patients < LEAST_PATIENTS:
            return f"{' or '.join(members)}: {patients} patients, at least {LEAST_PATIENTS} are needed"
    return None


def fit_head(observations: Sequence[Observation], truth: np.ndarray) -> list[LinearHead]:
    """One head for each network: penalised logistic regression on standardised features, the standardisation folded in.

    Two classes make one output (the log odds of the second), more make one each.
    """
    heads = []
    for features in members(observations):
        scaler = StandardScaler().fit(features)
        scale = np.asarray(scaler.scale_)
        model = LogisticRegression(C=INVERSE_PENALTY, max_iter=2000).fit(scaler.transform(features), truth)
        weight = model.coef_ / scale
        heads.append(LinearHead(weight, model.intercept_ - weight @ np.asarray(scaler.mean_)))
    return heads


def ensemble_logits(heads: Sequence[LinearHead], observations: Sequence[Observation]) -> np.ndarray:
    """(N, outputs): the mean over the networks, as the encoder answers."""
    return np.mean([head.logits(f) for head, f in zip(heads, members(observations), strict=True)], axis=0)


def members(observations: Sequence[Observation]) -> list[np.ndarray]:
    """Features (N, F) of each network."""
    return [np.stack(features) for features in zip(*(one.features for one in observations), strict=True)]


def patient_folds(observations: Sequence[Observation], truth: np.ndarray) -> np.ndarray:
    """Which of five folds each row (N,) is in; a patient's rows are in one, classes spread evenly."""
    patients = [one.case.patient for one in observations]
    folds = np.zeros(len(truth), int)
    splitter = StratifiedGroupKFold(FOLDS, shuffle=True, random_state=SEED)
    for number, (_, held) in enumerate(splitter.split(truth, truth, patients)):
        folds[held] = number
    return folds


def left_out_logits(observations: Sequence[Observation], truth: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """(N, outputs) for each group by heads fitted on all others; NaN where a class is missing among these."""
    logits = np.full((len(truth), 1 if truth.max() == 1 else truth.max() + 1), np.nan)
    for group in np.unique(groups):
        train, held = np.flatnonzero(groups != group), np.flatnonzero(groups == group)
        if set(truth[train]) >= set(truth):
            heads = fit_head([observations[n] for n in train], truth[train])
            logits[held] = ensemble_logits(heads, [observations[n] for n in held])
    return logits
