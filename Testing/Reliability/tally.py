"""How often something was tried, went right, was refused in a clear sentence, or failed."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

from LungNoduleCADLib.errors import LungNoduleCADError

LONGEST_SENTENCE = 600
FAILURES_KEPT = 20


@dataclass
class Tally:
    """One row of the table. ``failures``: what failed and how, the first of them; ``measured``: figures with units."""

    what: str
    tried: int = 0
    passed: int = 0
    refused: int = 0
    failed: int = 0
    failures: list[str] = field(default_factory=list)
    measured: dict[str, float] = field(default_factory=dict)

    def attempt(
        self, name: str, action: Callable[[], Any], expected: Callable[[Any], str] | None, *, may_refuse: bool = False
    ) -> None:
        """Count one case.

        Parameters
        ----------
        expected : says what is wrong with the result, or nothing; ``None``: the action has to be refused.
        """
        self.tried += 1
        try:
            result = action()
        except LungNoduleCADError as error:
            self.refuse(name, str(error), allowed=may_refuse or expected is None)
        except Exception:  # whatever else comes out is what this suite looks for
            self.fail(name, traceback.format_exc(limit=-3))
        else:
            wrong = "was taken, and should have been refused" if expected is None else expected(result)
            self.fail(name, wrong) if wrong else self.passes()

    def passes(self) -> None:
        self.passed += 1

    def refuse(self, name: str, sentence: str, *, allowed: bool = True) -> None:
        """A refusal counts where it is allowed and says in one sentence what is wrong."""
        if allowed and is_clear(sentence):
            self.refused += 1
        else:
            self.fail(name, f"refused: {sentence}")

    def fail(self, name: str, how: str) -> None:
        self.failed += 1
        if len(self.failures) < FAILURES_KEPT:
            self.failures.append(f"{name}: {how}")

    def add(self, other: Tally) -> None:
        """Take in the counts of another process."""
        for name in ("tried", "passed", "refused", "failed"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.failures += other.failures[: FAILURES_KEPT - len(self.failures)]

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def is_clear(sentence: str) -> bool:
    """One line that a reader can act on: no traceback, no object's address."""
    return 0 < len(sentence) < LONGEST_SENTENCE and "\n" not in sentence and " object at 0x" not in sentence
