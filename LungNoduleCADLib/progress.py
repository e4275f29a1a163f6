"""How far a run is, and what each stage cost."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psutil

from LungNoduleCADLib.domain.provenance import StageCost

Listener = Callable[[str, float, str], None]


class Progress:
    """Passed down the pipeline: stages report to it.

    Parameters
    ----------
    stages : (name, share of the run) in order, a stage that runs twice named twice; shares need not add up to one.
    listener : called as ``listener(stage, fraction of the whole run 0..1, message)``.
    """

    def __init__(self, stages: list[tuple[str, float]] | None = None, listener: Listener | None = None) -> None:
        self._shares = dict(stages or [])
        self._total = sum(share for _, share in stages or []) or 1.0
        self._listener = listener
        self._done = 0.0
        self._stage = ""
        self.costs: list[StageCost] = []

    def report(self, fraction_of_stage: float, message: str = "") -> None:
        """Say how far the running stage is (0..1)."""
        share = self._shares.get(self._stage, 0.0)
        fraction = (self._done + min(max(fraction_of_stage, 0.0), 1.0) * share) / self._total
        if self._listener:
            self._listener(self._stage, fraction, message)

    @contextmanager
    def stage(self, name: str, message: str = "") -> Iterator[None]:
        """Time a stage and sample the process's peak memory while it runs."""
        self._stage = name
        self.report(0.0, message)
        start = time.perf_counter()
        with _PeakMemory() as peak:
            yield
        self.costs.append(StageCost(name, round(time.perf_counter() - start, 3), round(peak.megabytes, 1)))
        self.report(1.0)
        self._done += self._shares.get(name, 0.0)


class _PeakMemory:
    """Highest resident memory of this process inside the block, sampled every 50 ms."""

    def __enter__(self) -> _PeakMemory:
        self._process = psutil.Process()
        self._stop = threading.Event()
        self.megabytes = self._now()
        self._thread = threading.Thread(target=self._sample, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        self.megabytes = max(self.megabytes, self._now())

    def _now(self) -> float:
        return self._process.memory_info().rss / 2**20

    def _sample(self) -> None:
        while not self._stop.wait(0.05):
            self.megabytes = max(self.megabytes, self._now())
