"""What a published risk model says of a nodule."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class RiskEstimate:
    """Probability of cancer by a published model, or why there is none.

    ``probability`` is there only where every input was stated. ``probability_range``: where all that is missing are
    questions with few answers, the lowest and the highest probability over all of their answers. ``inputs`` and
    ``missing_inputs`` name the model's inputs; ``not_available`` says in words why there is no probability.
    """

    model: str
    version: str
    source: str
    inputs: dict[str, float | str | bool]
    missing_inputs: tuple[str, ...] = ()
    probability: float | None = None
    probability_range: tuple[float, float] | None = None
    not_available: str | None = None
