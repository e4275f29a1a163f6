"""Networks at work on a device: in smaller pieces where memory is short, and on the CPU where a graphics card fails."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import deepcopy
from typing import Any

import torch
from torch import Tensor, nn

from LungNoduleCADLib.domain.quality import QualityFlag, Severity
from LungNoduleCADLib.errors import is_lack_of_memory
from LungNoduleCADLib.networks.build import autocast

CPU = "cpu"
_OF_THE_CARD = ("cuda", "cudnn", "cublas", "cufft", "hip error", "accelerator", "device lost")

Compute = Callable[[tuple[nn.Module, ...], Tensor], tuple[Tensor, ...]]


class Placed:
    """An ensemble on a device.

    In a smaller piece of a batch everything gets the same answer. The weights stay in the computer's own memory, too,
    where they outlast a graphics card that is lost.

    Parameters
    ----------
    networks : in evaluation mode; those that lie elsewhere are copied to ``device``.
    """

    def __init__(self, networks: Sequence[nn.Module], device: str) -> None:
        self.device, self._at_rest = device, tuple(networks)
        self._most: int | None = None
        self._flags: dict[str, QualityFlag] = {}
        try:
            self.networks = self._copies()
        except RuntimeError as error:
            self._make_do(error, 1)

    @property
    def flags(self) -> tuple[QualityFlag, ...]:
        """What the reader must know of how it went."""
        return tuple(self._flags.values())

    def __call__(self, compute: Compute, batch: Tensor) -> tuple[Tensor, ...]:
        """``compute(networks, piece)`` of a batch (B, …), piece after piece: tensors (B, …) in the computer's memory.

        Raises
        ------
        RuntimeError : what is wrong has nothing to do with memory or with a graphics card, or cannot be helped.
        """
        while True:
            try:
                return self._in_pieces(compute, batch)
            except RuntimeError as error:
                self._make_do(error, len(batch))

    def _in_pieces(self, compute: Compute, batch: Tensor) -> tuple[Tensor, ...]:
        size = self._most or len(batch)
        pieces = (moved(batch[start : start + size], self.device) for start in range(0, len(batch), size))
        done = [[answer.cpu() for answer in compute(self.networks, piece)] for piece in pieces]
        return tuple(torch.cat(parts) for parts in zip(*done, strict=True))

    def _make_do(self, error: RuntimeError, batch: int) -> None:
        """Smaller pieces from now on, or the CPU; raises the error where neither helps."""
        short, size = is_lack_of_memory(error), min(self._most or batch, batch)
        if short and size > 1:
            self._most = size // 2
            self._say("smaller_pieces", "Memory was short: the networks worked in smaller pieces", self.device)
        elif self.device != CPU and (short or any(name in str(error).lower() for name in _OF_THE_CARD)):
            wrong = "had too little memory" if short else "failed"
            self._say("no_graphics_card", f"The graphics card {wrong}: the CPU went on in its place", self.device)
            self.device, self._most = CPU, None
            self.networks = self._copies()
        else:
            raise error
        if torch.cuda.is_initialized() and self.device != CPU:
            torch.cuda.empty_cache()

    def _say(self, code: str, what: str, device: str) -> None:
        message = f"{what} ({device}); results differ by rounding at most."
        self._flags[code] = QualityFlag(code, Severity.INFO, message)

    def _copies(self) -> tuple[nn.Module, ...]:
        with torch.inference_mode(False):  # heat maps need gradients later
            return tuple(_on(network, self.device) for network in self._at_rest)


def mean_logits(networks: Sequence[nn.Module], x: Tensor) -> tuple[Tensor]:
    """The mean (float32) of what each network says of a batch."""
    with autocast(x.device.type):
        return (torch.stack([network(x).float() for network in networks]).mean(0),)


def moved(thing: Any, device: str) -> Any:
    """A tensor or a network on a device."""
    return thing.to(device)


def _on(network: nn.Module, device: str) -> nn.Module:
    there = {tensor.device for tensor in (*network.parameters(), *network.buffers())}
    return network if there <= {torch.device(device)} else moved(deepcopy(network), device)
