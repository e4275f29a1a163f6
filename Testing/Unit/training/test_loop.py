from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from LungNoduleCADLib.training.loop import LoopSettings, fit, learning_rate_at

SETTINGS = LoopSettings(epochs=3, learning_rate=0.05, warm_up_epochs=1.0, ema_decay=0.5, patience=3)


def batches(epoch: int) -> Iterator[tuple[Tensor, Tensor]]:
    generator = torch.Generator().manual_seed(epoch)
    for _ in range(4):
        x = torch.randn(16, 2, generator=generator)
        yield x, x @ torch.tensor([[2.0], [-1.0]]) + 0.5


def loss_of(network: nn.Module, batch: tuple[Tensor, Tensor]) -> dict[str, Tensor]:
    loss = ((network(batch[0]).float() - batch[1]) ** 2).mean()
    return {"square": loss, "total": loss}


def validate(network: nn.Module) -> dict[str, float]:
    with torch.no_grad():
        return {"score": -float(loss_of(network, next(batches(99)))["total"])}


def line() -> nn.Linear:
    torch.manual_seed(5)
    return nn.Linear(2, 1)


def run(
    folder: Path, network: nn.Module, check: Callable = validate, settings: LoopSettings = SETTINGS, say: Callable = str
) -> nn.Module:
    return fit(network, batches, loss_of, check, settings, folder, "cpu", say)


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "log.csv").open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


class Stopped(Exception):
    pass


@pytest.mark.parametrize("where", ["validate", "report"])
def test_an_interrupted_run_goes_on_to_the_same_result(tmp_path: Path, where: str) -> None:
    whole = run(tmp_path / "whole", line())
    calls = []

    def stop_in_epoch_two(*_: object) -> dict[str, float]:
        calls.append(1)
        if len(calls) == 2:
            raise Stopped
        return validate(_[0]) if where == "validate" else {}

    options = {"check": stop_in_epoch_two} if where == "validate" else {"say": stop_in_epoch_two}
    with pytest.raises(Stopped):
        run(tmp_path / "halves", line(), **options)
    torch.manual_seed(77)
    resumed = run(tmp_path / "halves", nn.Linear(2, 1))

    for name, wanted in whole.state_dict().items():
        assert torch.equal(resumed.state_dict()[name], wanted), name
    assert [r["epoch"] for r in rows(tmp_path / "halves")] == ["0", "1", "2"]
    assert [r["score"] for r in rows(tmp_path / "halves")] == [r["score"] for r in rows(tmp_path / "whole")]


def test_training_brings_the_loss_down(tmp_path: Path) -> None:
    before = validate(line())["score"]
    after = validate(run(tmp_path, line(), settings=LoopSettings(20, 0.1, ema_decay=0.5)))["score"]

    assert after > before / 10


def test_a_score_that_stops_rising_stops_the_run_and_the_best_weights_come_back(tmp_path: Path) -> None:
    scores = iter([0.5, 0.9, 0.9, 0.1, 1.0, 1.0])
    seen: list[dict[str, Tensor]] = []

    def scripted(network: nn.Module) -> dict[str, float]:
        seen.append({name: value.clone() for name, value in network.state_dict().items()})
        return {"score": next(scores)}

    best = run(tmp_path, line(), scripted, LoopSettings(epochs=10, patience=2))

    assert len(rows(tmp_path)) == 4
    assert all(torch.equal(best.state_dict()[name], value) for name, value in seen[1].items())
    assert not best.training


def test_a_finished_run_is_not_trained_again(tmp_path: Path) -> None:
    first = run(tmp_path, line())

    second = run(tmp_path, nn.Linear(2, 1), check=lambda _: pytest.fail("trained again"))

    assert all(torch.equal(second.state_dict()[name], value) for name, value in first.state_dict().items())


def test_what_is_validated_are_the_averaged_weights(tmp_path: Path) -> None:
    network, seen = line(), []

    def look(averaged: nn.Module) -> dict[str, float]:
        seen.append((averaged.weight.clone(), network.weight.detach().clone(), averaged.training))
        return {"score": 0.0}

    run(tmp_path, network, look)

    averaged, last, training = seen[0]
    assert not training
    assert not torch.equal(averaged, last)


def test_the_learning_rate_starts_again_lower_and_ends_low_with_the_last_epoch() -> None:
    settings = LoopSettings(14, 0.01, warm_up_epochs=1.0, cycle_epochs=9, cycle_decay=0.5)
    rates = [learning_rate_at(settings, epoch / 10) for epoch in range(140)]
    assert rates[10] == pytest.approx(0.01)
    assert rates[89] < 0.0002
    assert rates[100] == pytest.approx(0.005)
    assert rates[139] < 0.0001
    assert max(rates[90:]) == rates[100]
