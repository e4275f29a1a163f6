"""Who or what made a value, and what a run cost."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Method:
    """An algorithm or a trained model, by name and version; ``sha256`` of the weights where there are any."""

    name: str
    version: str
    sha256: str | None = None


@dataclass(frozen=True)
class StageCost:
    """What one stage of a run took."""

    stage: str
    seconds: float
    peak_memory_mb: float


@dataclass(frozen=True)
class Provenance:
    """Everything needed to say how a result came about."""

    software_version: str
    created: str
    device: str
    command: str
    methods: tuple[Method, ...] = ()
    packages: dict[str, str] = field(default_factory=dict)
    stages: tuple[StageCost, ...] = ()
