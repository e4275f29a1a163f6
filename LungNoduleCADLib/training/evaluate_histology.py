"""Whether histology heads have learned histology, or the hospital.

Beside the cross-validated AUC stand, always: the AUC of a model that sees nothing but the scanner's settings, and the
AUC on sites that the head was not trained on. Where the network is no better than the settings, the words say so.

Every AUC counts pairs of patients that one fit answered (of one fold, or of one site left out): scores of different
fits are not on one scale, and telling sites apart is not telling histologies apart.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import logsumexp
from scipy.stats import rankdata
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

from LungNoduleCADLib.evaluation.bootstrap import DRAWS, Estimate, bootstrap
from LungNoduleCADLib.training.histology_heads import (
    CLASSES,
    FOLDS,
    NOT_ASKED,
    Observation,
    left_out_logits,
    patient_folds,
    too_few,
    truth_of,
)

SINGLE_SITE = "all patients are of one site"
NO_MIXED_SITE = "no site has patients of both kinds and leaves enough of them elsewhere to learn from"


@dataclass(frozen=True)
class Scores:
    """Fold and site of each row (N,); log odds (N, classes asked for) of each way to answer, NaN for no answer."""

    folds: np.ndarray
    sites: np.ndarray
    network: np.ndarray
    settings: np.ndarray
    network_on_unseen_site: np.ndarray


def evaluate_histology(observations: Sequence[Observation], draws: int = DRAWS) -> dict[str, Any]:
    """Figures of both heads with 95 % intervals over patients, and what they mean in words (``sentences``)."""
    heads: dict[str, Any] = {}
    sentences = []
    for head in CLASSES:
        reason = too_few(head, observations)
        if reason:
            heads[head] = {"not_available": reason}
            sentences.append(f"{head} was not measured: {reason}.")
            continue
        heads[head], words = _evaluate_head(head, observations, draws)
        sentences += words
    return {
        "patients": len({one.case.patient for one in observations}),
        "sites": dict(Counter(one.case.site for one in observations)),
        "split": f"{FOLDS}-fold cross-validation by patient; each site left out in turn",
        "baseline": "logistic regression that sees site, maker, model, kernel, slice thickness, kVp, mA and contrast",
        "interval": f"95 %, {draws} bootstrap draws of patients",
        "heads": heads,
        "sentences": sentences,
    }


def auc_within(positive: np.ndarray, score: np.ndarray, group: np.ndarray) -> float:
    """Share of pairs inside a group in which the positive scores higher (ties are half), all groups' pairs together.

    Rows whose score is NaN are left out. ValueError where no group has both kinds.
    """
    won, pairs = 0.0, 0
    for name in np.unique(group):
        rows = (group == name) & np.isfinite(score)
        yes, no = int(positive[rows].sum()), int((~positive[rows]).sum())
        won += rankdata(score[rows])[positive[rows]].sum() - yes * (yes + 1) / 2
        pairs += yes * no
    if not pairs:
        raise ValueError("expected a group with both kinds, got none")
    return won / pairs


def _evaluate_head(head: str, observations: Sequence[Observation], draws: int) -> tuple[dict[str, Any], list[str]]:
    truth = truth_of(head, [one.case for one in observations])
    asked = [one for one, t in zip(observations, truth, strict=True) if t != NOT_ASKED]
    truth = truth[truth != NOT_ASKED]
    folds, sites = patient_folds(asked, truth), np.array([one.case.site for one in asked])
    scores = Scores(
        folds,
        sites,
        _log_odds(left_out_logits(asked, truth, folds)),
        _log_odds(_settings_logits(asked, truth, folds)),
        _log_odds(left_out_logits(asked, truth, sites)),
    )
    questions = {}
    sentences = []
    classes = CLASSES[head]
    for column, number in enumerate([1] if len(classes) == 2 else range(len(classes))):
        others = [name for n, members in enumerate(classes) if n != number for name in members]
        name = f"{' or '.join(classes[number])} against {' or '.join(others)}"
        questions[name], words = _answer(name, truth == number, scores, column, asked, draws)
        sentences += words
    counts = Counter(str(one.case.histology) for one in asked)
    return {"patients": dict(counts), "questions": questions}, sentences


def _answer(
    name: str, positive: np.ndarray, scores: Scores, column: int, asked: Sequence[Observation], draws: int
) -> tuple[dict[str, Any], list[str]]:
    patients = [one.case.patient for one in asked]
    network, settings = scores.network[:, column], scores.settings[:, column]
    unseen = scores.network_on_unseen_site[:, column]

    def gain(truth: np.ndarray, one: np.ndarray, other: np.ndarray, folds: np.ndarray) -> float:
        """A baseline below chance counts as chance."""
        return auc_within(truth, one, folds) - max(auc_within(truth, other, folds), 0.5)

    def measure(metric: Callable[..., float], *columns: np.ndarray) -> Estimate:
        return bootstrap(metric, patients, positive, *columns, draws=draws)

    own, baseline = measure(auc_within, network, scores.folds), measure(auc_within, settings, scores.folds)
    difference = measure(gain, network, settings, scores.folds)
    left_out = _if_possible(lambda: measure(auc_within, unseen, scores.sites))
    figures = {
        "auc_network": own.as_json(),
        "auc_scanner_settings_only": baseline.as_json(),
        "auc_gained_over_settings_or_chance": difference.as_json(),
        "auc_leaving_a_site_out": left_out.as_json() if left_out else None,
    }
    beats = difference.low > 0
    against = f"AUC {_words(own)} against {_words(baseline)}"
    sentences = [
        f"{name}: the network tells them apart better than the scanner's settings alone do ({against})."
        if beats
        else f"{name}: the network does not beat a model that sees only the scanner's settings ({against}; gain over "
        f"that or chance {_words(difference)}). It may have learned the scanner and not the tumour."
    ]
    if left_out is None:
        reason = SINGLE_SITE if len(set(scores.sites)) == 1 else NO_MIXED_SITE
        figures["leaving_a_site_out_not_available"] = reason
        sentences.append(f"{name}: nothing is known of sites that it was not trained on: {reason}.")
    elif left_out.low <= 0.5:
        sentences.append(f"{name}: it falls to chance on sites that it was not trained on (AUC {_words(left_out)}).")
    else:
        sentences.append(f"{name}: on sites that it was not trained on it keeps an AUC of {_words(left_out)}.")
    return figures, sentences


def _log_odds(logits: np.ndarray) -> np.ndarray:
    """(N, 1) log odds of a yes/no head as they are; (N, C) of each class against all others."""
    if logits.shape[1] == 1:
        return logits
    others = [np.delete(logits, n, axis=1) for n in range(logits.shape[1])]
    return np.stack([logits[:, n] - logsumexp(rest, axis=1) for n, rest in enumerate(others)], axis=1)


def _settings_logits(asked: Sequence[Observation], truth: np.ndarray, folds: np.ndarray) -> np.ndarray:
    """Answers, on the same folds, of a model that sees no image."""
    rows = np.array([[one.case.site, *one.case.settings.as_categories()] for one in asked])
    logits = np.zeros((len(truth), 1 if truth.max() == 1 else truth.max() + 1))
    for fold in np.unique(folds):
        train, held = folds != fold, folds == fold
        model = make_pipeline(OneHotEncoder(handle_unknown="ignore"), LogisticRegression(max_iter=2000))
        logits[held] = model.fit(rows[train], truth[train]).decision_function(rows[held]).reshape(held.sum(), -1)
    return logits


def _if_possible(measure: Callable[[], Estimate]) -> Estimate | None:
    try:
        return measure()
    except ValueError:
        return None


def _words(estimate: Estimate) -> str:
    return f"{estimate.value:.2f} ({estimate.low:.2f} to {estimate.high:.2f})"
