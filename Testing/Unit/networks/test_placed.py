"""A graphics card that has too little memory, or is lost, played by a network."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from LungNoduleCADLib.networks import placed
from LungNoduleCADLib.networks.placed import Placed

CARD = "cuda:0"
LOST = "CUDA error: unspecified launch failure"


class Doubling(nn.Module):
    """Twice its input; on the card only for so many at once."""

    def __init__(self, most: int, error: Exception | None = None) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(2.0))
        self.most, self.error, self.place = most, error, "cpu"
        self.sizes: list[int] = []

    def forward(self, x: Tensor) -> Tensor:
        self.sizes.append(len(x))
        if self.place == CARD and len(x) > self.most:
            raise self.error or torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return self.weight * x


@pytest.fixture(autouse=True)
def _a_card(monkeypatch: pytest.MonkeyPatch) -> None:
    def moved(thing: Any, device: str) -> Any:
        if isinstance(thing, Doubling):
            thing.place = device
        return thing

    monkeypatch.setattr(placed, "moved", moved)
    monkeypatch.setattr(placed, "_on", moved)


def doubled(networks: Sequence[nn.Module], x: Tensor) -> tuple[Tensor, ...]:
    return tuple(network(x) for network in networks)


def test_a_batch_that_fits_is_computed_at_once_and_nothing_is_said() -> None:
    network = Doubling(most=8)
    on_card = Placed([network], CARD)

    assert torch.equal(on_card(doubled, torch.arange(8.0))[0], 2 * torch.arange(8.0))
    assert (network.sizes, on_card.flags) == ([8], ())


def test_a_batch_that_does_not_fit_is_computed_in_pieces_from_then_on() -> None:
    network = Doubling(most=3)
    on_card = Placed([network], CARD)

    for _ in range(2):
        assert torch.equal(on_card(doubled, torch.arange(7.0))[0], 2 * torch.arange(7.0))
    assert network.sizes == [7, 3, 3, 1, 3, 3, 1]
    assert (on_card.device, [flag.code for flag in on_card.flags]) == (CARD, ["smaller_pieces"])


def test_where_one_at_a_time_is_too_much_the_cpu_goes_on_and_the_report_says_so() -> None:
    network = Doubling(most=0)
    on_card = Placed([network], CARD)

    assert torch.equal(on_card(doubled, torch.arange(4.0))[0], 2 * torch.arange(4.0))
    assert network.sizes == [4, 2, 1, 4]
    assert on_card.device == "cpu"
    assert "had too little memory: the CPU went on" in on_card.flags[-1].message


@pytest.mark.parametrize("error", [RuntimeError(LOST), RuntimeError("cuDNN error: CUDNN_STATUS_EXECUTION_FAILED")])
def test_after_a_lost_card_the_cpu_goes_on_at_once(error: RuntimeError) -> None:
    network = Doubling(most=0, error=error)
    on_card = Placed([network], CARD)

    assert torch.equal(on_card(doubled, torch.ones(2))[0], 2 * torch.ones(2))
    assert network.sizes == [2, 2]
    assert [flag.code for flag in on_card.flags] == ["no_graphics_card"]
    assert "failed" in on_card.flags[0].message


def test_a_card_without_room_for_the_weights_leaves_the_work_to_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(network: nn.Module, device: str) -> nn.Module:
        if device == CARD:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return network

    monkeypatch.setattr(placed, "_on", full)
    on_cpu = Placed([Doubling(most=8)], CARD)

    assert torch.equal(on_cpu(doubled, torch.ones(2))[0], 2 * torch.ones(2))
    assert [flag.code for flag in on_cpu.flags] == ["no_graphics_card"]


def test_the_computers_own_memory_is_spared_too_and_what_does_not_fit_it_is_an_error() -> None:
    def hungry(networks: Sequence[nn.Module], x: Tensor) -> tuple[Tensor, ...]:
        if len(x) > most:
            raise RuntimeError("[enforce fail at alloc_cpu.cpp:117] DefaultCPUAllocator: can't allocate memory")
        return doubled(networks, x)

    on_cpu, most = Placed([Doubling(most=0)], "cpu"), 2
    assert torch.equal(on_cpu(hungry, torch.ones(5))[0], 2 * torch.ones(5))
    most = 0
    with pytest.raises(RuntimeError, match="allocate"):
        on_cpu(hungry, torch.ones(5))


def test_an_error_of_the_network_itself_comes_through() -> None:
    with pytest.raises(RuntimeError, match="size mismatch"):
        Placed([Doubling(0, RuntimeError("size mismatch"))], CARD)(doubled, torch.ones(2))
