"""What the reader of a report must know about how far a result can be trusted."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class Severity(StrEnum):
    INFO = "info"
    WARNING = "warning"
    SERIOUS = "serious"


@dataclass(frozen=True)
class QualityFlag:
    """A doubt, in words for the reader. ``code`` is stable (``thick_slices``), ``message`` is one sentence."""

    code: str
    severity: Severity
    message: str


MODEL_DOUBTS = ("unfamiliar", "not_a_nodule", "networks_disagree", "heat_beside")
"""Codes of what the models say against their own answers to a nodule; another outline gets its own."""


def model_doubts(flags: Iterable[QualityFlag]) -> tuple[QualityFlag, ...]:
    return tuple(flag for flag in flags if flag.code in MODEL_DOUBTS)


def less_model_doubts(flags: Iterable[QualityFlag]) -> tuple[QualityFlag, ...]:
    return tuple(flag for flag in flags if flag.code not in MODEL_DOUBTS)
