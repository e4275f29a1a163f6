"""What the networks of an ensemble know: fitted on the nodules each saw, its limit on those of the fold it did not."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from sklearn.covariance import LedoitWolf
from torch import Tensor

from LungNoduleCADLib.classification.encoder import EncoderRunner
from LungNoduleCADLib.classification.familiarity import FAMILIAR_SHARE, KINDS, Space, appearance
from LungNoduleCADLib.training.samples import SYNTHETIC_FOLD, SampleStore
from LungNoduleCADLib.training.train_encoder import held_out_rows, middle

MOST_KNOWN = 800
Vectors = dict[str, np.ndarray]
"""{name of ``KINDS``: (N, F)}."""


def fit_familiarity(runners: Mapping[int, EncoderRunner], store: SampleStore, seed: int) -> dict[str, Tensor]:
    """Tensors of ``models/familiarity.safetensors``, float32.

    ``FAMILIAR_SHARE`` of the held-out nodules, all folds together, lie within the limit.

    Parameters
    ----------
    runners : {fold that the network never saw: the network alone}; they give the names ``held_out_<fold>``.
    """
    fitted, distances = {}, {kind: {} for kind in KINDS}
    for fold, runner in runners.items():
        seen = vectors(runner, store, known_rows(store, fold, seed))
        unseen = vectors(runner, store, unseen_nodules(store, fold))
        for kind in KINDS:
            fitted[fold, kind] = space = fit_space(seen[kind])
            distances[kind][fold] = space.distance(unseen[kind])
    tensors = {}
    for (fold, kind), space in fitted.items():
        scale = np.median(distances[kind][fold]) * relative_limit(distances[kind])
        tensors[f"held_out_{fold}.{kind}.mean"] = space.mean
        tensors[f"held_out_{fold}.{kind}.whitening"] = space.whitening / scale
    return {name: torch.tensor(values, dtype=torch.float32) for name, values in tensors.items()}


def relative_limit(distances: Mapping[int, np.ndarray]) -> float:
    """The limit as a multiple of each fold's median distance, from {fold: distances of its nodules}.

    Both kinds together leave ``FAMILIAR_SHARE`` within, at least: each may leave out half of the rest.
    """
    relative = np.concatenate([of_fold / np.median(of_fold) for of_fold in distances.values()])
    return float(np.quantile(relative, 1 - (1 - FAMILIAR_SHARE) / len(KINDS), method="higher"))


def fit_space(known: np.ndarray) -> Space:
    """Mean and whitening of vectors (N, F); their root mean square distance is about the root of F."""
    mean, deviation = known.mean(axis=0), known.std(axis=0)
    least = 0.1 * np.median(deviation[deviation > 0])  # a channel may be silent in training
    deviation = np.maximum(deviation, least)
    variances, axes = np.linalg.eigh(LedoitWolf(assume_centered=True).fit((known - mean) / deviation).covariance_)
    return Space(mean, axes / np.sqrt(variances) / deviation[:, None])


def vectors(runner: EncoderRunner, store: SampleStore, rows: list[int]) -> Vectors:
    """Features and appearance of rows of a store."""
    patches = [middle(store.hu[row], runner.size) for row in rows]
    return {
        "features": runner.answer(patches).features.astype(float),
        "appearance": np.stack([appearance(patch) for patch in patches]),
    }


def known_rows(store: SampleStore, held_out: int, seed: int) -> list[int]:
    """Real nodules that a network may see, each once, in one of the lungs it was set into; at most ``MOST_KNOWN``."""
    places: dict[str, list[int]] = {}
    for row, sample in enumerate(store.samples):
        real = sample.nodule_id and sample.fold != SYNTHETIC_FOLD
        if real and not sample.hidden_from(held_out):
            places.setdefault(sample.nodule_id, []).append(row)
    rng = np.random.default_rng([seed, held_out])
    chosen = [int(rng.choice(rows)) for rows in places.values()]
    return [int(row) for row in rng.permutation(chosen)[:MOST_KNOWN]]


def unseen_nodules(store: SampleStore, fold: int) -> list[int]:
    """Each nodule of a fold, once."""
    return [row for row in held_out_rows(store, fold, 1) if store.samples[row].nodule_id]
