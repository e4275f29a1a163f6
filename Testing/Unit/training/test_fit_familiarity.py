from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from scipy import ndimage

from LungNoduleCADLib.classification.encoder import EncoderRunner
from LungNoduleCADLib.classification.familiarity import FAMILIAR_SHARE, KINDS, Familiarity, Space
from LungNoduleCADLib.networks.nodule_encoder import NoduleEncoder
from LungNoduleCADLib.training.fit_familiarity import fit_familiarity, fit_space, known_rows, relative_limit
from LungNoduleCADLib.training.samples import SYNTHETIC_FOLD, Cube, Sample, SampleStore

SIZE, EACH = 16, 40


def cubes() -> Iterator[Cube]:
    """Balls of different size and density in noisy lung: nodules of folds 0 and 1, each in the lung of both."""
    rng = np.random.default_rng(0)
    distance = np.linalg.norm(np.indices((SIZE,) * 3) - SIZE / 2, axis=0)
    for fold in (0, 1, SYNTHETIC_FOLD):
        for number in range(EACH):
            ball = ndimage.gaussian_filter((distance < rng.uniform(2, 5)).astype(np.float32), 0.7)
            for background in (0, 1) if fold != SYNTHETIC_FOLD else (SYNTHETIC_FOLD,):
                hu = -850 + ball * rng.uniform(500, 900) + rng.normal(0, 20, ball.shape)
                yield hu, ball, Sample(f"{fold}n{number}", f"{fold}p{number}", fold, background, False)
        yield np.full((SIZE,) * 3, -850.0), np.zeros((SIZE,) * 3), Sample("", "x", fold, fold, True)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> SampleStore:
    return SampleStore.write(tmp_path_factory.mktemp("store") / "1mm", SIZE, cubes())


@pytest.fixture(scope="module")
def runners() -> dict[int, EncoderRunner]:
    torch.manual_seed(0)
    return {fold: EncoderRunner((NoduleEncoder((4, 4, 8, 8)).eval(),), SIZE, 1.0, "cpu") for fold in (0, 1)}


def test_known_are_real_nodules_that_the_network_saw_each_once(store: SampleStore) -> None:
    samples = [store.samples[row] for row in known_rows(store, 0, seed=3)]
    assert sorted(s.nodule_id for s in samples) == sorted(f"1n{n}" for n in range(EACH))
    assert {s.background_fold for s in samples} == {1}


def test_the_same_seed_chooses_the_same_rows(store: SampleStore) -> None:
    assert known_rows(store, 3, seed=5) == known_rows(store, 3, seed=5) != known_rows(store, 3, seed=6)


def test_unseen_nodules_are_familiar_and_what_never_occurred_is_not(
    store: SampleStore, runners: dict[int, EncoderRunner]
) -> None:
    tensors = fit_familiarity(runners, store, seed=1)
    members = {
        fold: {
            kind: Space(*(tensors[f"held_out_{fold}.{kind}.{part}"].numpy() for part in ("mean", "whitening")))
            for kind in KINDS
        }
        for fold in runners
    }

    def unfamiliarity(fold: int, patches: list[np.ndarray]) -> np.ndarray:
        return Familiarity([members[fold]]).unfamiliarity(patches, [runners[fold].answer(patches)])

    distances = []
    for fold in runners:
        own = [r for r, s in enumerate(store.samples) if s.fold == s.background_fold == fold and s.nodule_id]
        distances.append(unfamiliarity(fold, [store.hu[row] for row in own]))
    assert (np.concatenate(distances) <= 1.0001).mean() >= FAMILIAR_SHARE
    strange = [-700 - np.asarray(store.hu[0], np.float32), np.random.default_rng(0).normal(-500, 300, (SIZE,) * 3)]
    assert (unfamiliarity(0, strange) > 1).all()
    assert all(tensor.dtype == torch.float32 for tensor in tensors.values())


def test_a_channel_that_was_silent_in_training_does_not_decide_alone() -> None:
    known = np.random.default_rng(0).normal(0, 1, (200, 4))
    known[:, 3] = 0
    space = fit_space(known)
    assert np.isfinite(space.distance(known)).all()
    assert space.distance(np.array([[0, 0, 0, 0.01]]))[0] < 2


def test_distances_of_independent_vectors_are_about_the_root_of_their_length() -> None:
    known = np.random.default_rng(0).normal(5, [1, 10, 100], (2000, 3))
    assert np.sqrt(np.mean(fit_space(known).distance(known) ** 2)) == pytest.approx(np.sqrt(3), rel=0.02)


def test_the_limit_holds_for_folds_of_different_scale() -> None:
    rng = np.random.default_rng(0)
    distances = {0: rng.gamma(9, 1, 4000), 2: rng.gamma(9, 10, 4000)}
    limit = relative_limit(distances)
    beyond = [np.mean(of_fold > limit * np.median(of_fold)) for of_fold in distances.values()]
    assert beyond == pytest.approx([0.005, 0.005], abs=0.003)
