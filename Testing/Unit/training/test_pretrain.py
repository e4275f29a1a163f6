from __future__ import annotations

import csv
from copy import deepcopy
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from LungNoduleCADLib.errors import InputError, UsageError
from LungNoduleCADLib.networks.nodule_encoder import NoduleEncoder
from LungNoduleCADLib.training import pretrain, train_encoder
from LungNoduleCADLib.training.pretrain import LatentPrediction, hide_blocks, pretrain_backbone, seen_rows
from LungNoduleCADLib.training.samples import Sample, SampleStore

SIZE = 20
ARGUMENTS = {"widths": (4, 6, 8, 10), "stem_stride": 1, "stem_kernel": 3}
RECIPE: dict[str, Any] = {
    "seed": 1,
    "folds": {"test": [4]},
    "network": "NoduleEncoder",
    "arguments": ARGUMENTS,
    "patch": {"size": 16, "spacing_mm": 0.8},
    "augmentation": {"most_shift_voxels": 1.0, "zoom": 0.05},
    "workers": 0,
    "pretraining": {
        "samples_per_epoch": 32,
        "batch": 8,
        "hidden_share": 0.5,
        "teacher_decay": 0.95,
        "loop": {"epochs": 2, "learning_rate": 2e-3, "ema_decay": 0.5},
    },
}
SEEN = Sample("A_n00", "A", 0, 1, real_context=False)
HIDDEN = [
    Sample("B_n00", "B", 3, 1, real_context=False),
    Sample("A_n00", "A", 0, 3, real_context=False),
    Sample("C_n00", "C", 4, 1, real_context=False),
    Sample("A_n00", "A", 0, 4, real_context=False),
]


def bars(rng: np.random.Generator) -> np.ndarray:
    """A cube with soft bars along one axis: what is hidden follows from what is seen."""
    axis = int(rng.integers(3))
    wave = np.sin(np.arange(SIZE) * rng.uniform(0.3, 0.9) + rng.uniform(0, 6))
    shape = [1, 1, 1]
    shape[axis] = SIZE
    return np.broadcast_to(wave.reshape(shape) * 400 - 400, (SIZE,) * 3).astype(np.float32)


@pytest.fixture
def store(tmp_path: Path) -> SampleStore:
    rng = np.random.default_rng(0)
    samples = [SEEN] * 32 + HIDDEN
    cubes = ((bars(rng), np.zeros((SIZE,) * 3), sample) for sample in samples)
    return SampleStore.write(tmp_path / "store", SIZE, cubes)


def pupil() -> LatentPrediction:
    torch.manual_seed(2)
    return LatentPrediction(NoduleEncoder(**ARGUMENTS), 0.5, 0.95)


def batch(seed: int = 0, count: int = 16) -> Tensor:
    rng = np.random.default_rng(seed)
    return torch.from_numpy(np.stack([bars(rng)[:16, :16, :16] for _ in range(count)]))[:, None] / 400 + 1


def rows_of(folder: Path) -> list[dict[str, str]]:
    with (folder / "log.csv").open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def test_blocks_are_hidden_until_their_share_is_and_something_stays_visible() -> None:
    torch.manual_seed(0)
    hidden = hide_blocks(50, 4, 0.5)

    shares = hidden.mean((1, 2, 3, 4))
    assert hidden.shape == (50, 1, 4, 4, 4)
    assert set(hidden.unique().tolist()) == {0.0, 1.0}
    assert shares.min() >= 0.5
    assert shares.max() <= 0.5 + 8 / 64
    assert len({tuple(cube.flatten().tolist()) for cube in hidden}) > 40


def test_the_student_never_sees_what_it_has_to_predict(monkeypatch: pytest.MonkeyPatch) -> None:
    net, cubes = pupil().eval(), batch()
    half = torch.zeros((16, 1, 4, 4, 4))
    half[..., :2] = 1.0
    monkeypatch.setattr(pretrain, "hide_blocks", lambda *_: half)
    changed = cubes.clone()
    changed[..., :8] += 0.7

    with torch.no_grad():
        before, wanted_before, *_ = net._predict(cubes)
        after, wanted_after, *_ = net._predict(changed)

    assert torch.equal(before, after)
    assert not torch.allclose(wanted_before, wanted_after)


def test_hidden_features_of_structured_cubes_are_learned_and_stay_various() -> None:
    net, other = pupil(), batch(seed=9, count=32)
    optimizer = torch.optim.AdamW([p for p in net.parameters() if p.requires_grad], 3e-3)
    before, losses = net.eval().watch(other), []
    for step in range(60):
        loss = net.train().step(batch(seed=100 + step))["prediction"]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())

    seen = net.eval().watch(other)
    assert np.mean(losses[-10:]) < 0.6 * np.mean(losses[:3])
    assert seen["explained"] > max(before["explained"], 0.0) + 0.1
    assert seen["feature_variance"] > 0.1


def test_features_that_are_the_same_for_every_cube_are_recognised_and_cost_something() -> None:
    net = pupil().eval()
    various = net.step(batch())["variance"]
    for backbone in (net.student, net.teacher):
        torch.nn.init.zeros_(backbone.conv1.weight)

    assert net.watch(batch())["feature_variance"] < pretrain.COLLAPSED_VARIANCE
    assert net.step(batch())["variance"] > various + 0.05


def test_the_teacher_follows_the_student_slowly_and_takes_no_gradient() -> None:
    net = pupil()
    before = deepcopy(net.teacher.conv1.weight)
    with torch.no_grad():
        net.student.conv1.weight += 1.0

    net.step(batch())["total"].backward()

    assert torch.allclose(net.teacher.conv1.weight - before, torch.tensor(0.05), atol=1e-5)
    assert all(parameter.grad is None for parameter in net.teacher.parameters())
    assert net.student.conv1.weight.grad.abs().sum() > 0


def test_cubes_of_a_hidden_fold_or_in_its_lung_are_never_drawn(store: SampleStore) -> None:
    assert seen_rows([store], {3, 4}) == [(0, row) for row in range(32)]
    with pytest.raises(InputError, match="nothing to learn from"):
        seen_rows([store], {0, 1, 3})


def test_pretraining_draws_only_what_may_be_seen(
    store: SampleStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn = []
    dataset = pretrain.CubeDataset

    def record(stores: list[SampleStore], rows: list[tuple[int, int]], *others: Any, **more: Any) -> Any:
        drawn.extend(rows)
        return dataset(stores, rows, *others, **more)

    monkeypatch.setattr(pretrain, "CubeDataset", record)
    pretrain_backbone([store], RECIPE, 3, tmp_path / "run", "cpu", str)

    assert len(drawn) == 64
    assert {store.samples[row] for _, row in drawn} == {SEEN}


def test_an_interrupted_pretraining_goes_on_to_the_same_weights(store: SampleStore, tmp_path: Path) -> None:
    whole = pretrain_backbone([store], RECIPE, 3, tmp_path / "whole", "cpu", str)

    def stop(_: str) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        pretrain_backbone([store], RECIPE, 3, tmp_path / "halves", "cpu", stop)
    resumed = pretrain_backbone([store], RECIPE, 3, tmp_path / "halves", "cpu", str)

    assert all(torch.equal(resumed[name], tensor) for name, tensor in whole.items())
    assert [row["epoch"] for row in rows_of(tmp_path / "halves")] == ["0", "1"]
    assert {"explained", "feature_variance", "loss_prediction"} <= set(rows_of(tmp_path / "whole")[0])


def test_the_weights_fit_the_recipes_encoder_and_are_not_those_it_began_with(
    store: SampleStore, tmp_path: Path
) -> None:
    weights = pretrain_backbone([store], RECIPE, 3, tmp_path / "run", "cpu", str)
    torch.manual_seed(RECIPE["seed"] + 3)
    encoder = NoduleEncoder(**ARGUMENTS)
    began = deepcopy(encoder.backbone.state_dict())

    encoder.backbone.load_state_dict(weights)

    assert not torch.equal(began["layer4.0.conv1.weight"], encoder.backbone.layer4[0].conv1.weight)
    assert not torch.equal(began["conv1.weight"], encoder.backbone.conv1.weight)


def test_a_collapsed_pretraining_ends_with_an_error(
    store: SampleStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(LatentPrediction, "watch", lambda *_: {"explained": 1.0, "feature_variance": 0.001})

    with pytest.raises(InputError, match="the same features for every cube"):
        pretrain_backbone([store], RECIPE, 3, tmp_path / "run", "cpu", str)


def test_the_encoder_begins_where_pretraining_ended_and_a_kill_in_between_changes_nothing(
    store: SampleStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is handed to the training loop, with the loop itself left out."""
    begun: list[dict[str, Tensor]] = []

    def keep(network: NoduleEncoder, *_: Any) -> NoduleEncoder:
        begun.append(deepcopy(network.state_dict()))
        return network

    monkeypatch.setattr(train_encoder, "fit", keep)
    monkeypatch.setattr(train_encoder, "groups_by_kind", lambda *_: {})
    recipe = RECIPE | {"validation_non_nodules": 1, "loop": {"epochs": 1}}
    data = SimpleNamespace(nodules=[])

    def begin(recipe: dict[str, Any], run: str) -> dict[str, Tensor]:
        train_encoder.train_encoder(data, [store], recipe, 3, tmp_path / run, "cpu", str)
        return begun[-1]

    learned = begin(recipe, "run")
    again = begin(recipe, "run")
    drawn = begin({key: value for key, value in recipe.items() if key != "pretraining"}, "plain")

    assert all(torch.equal(learned[name], again[name]) for name in learned)
    assert not torch.equal(learned["backbone.conv1.weight"], drawn["backbone.conv1.weight"])
    heads = [name for name in learned if not name.startswith("backbone.")]
    assert heads
    assert all(torch.equal(learned[name], drawn[name]) for name in heads)
    assert len(rows_of(tmp_path / "run" / "pretraining")) == 2
    assert not (tmp_path / "plain" / "pretraining").exists()
    with pytest.raises(UsageError, match="one start only"):
        begin(recipe | {"encoder_weights": "their.pth"}, "both")
