"""What the reader of a report must know about how far a result can be trusted."""

from __future__ import annotations

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
