"""What the panels share: the study being read and the nodule chosen in it. Panels observe it, never one another."""

from collections.abc import Callable
from enum import Enum

from LungNoduleCADSlicer.Study import Study


class Change(Enum):
    """What observers are told."""

    STUDY = "another study is read, or none"
    FINDINGS = "its findings were corrected"
    SELECTION = "another nodule was chosen, or none"


class Reading:
    """``study`` is None and ``selectedId`` empty where there is none."""

    def __init__(self) -> None:
        self.study: Study | None = None
        self.selectedId = ""
        self._observers: list[Callable[[Change], None]] = []

    @property
    def selected(self) -> dict | None:
        """The chosen nodule's record."""
        return self.study.nodule(self.selectedId) if self.study is not None else None

    def observe(self, callback: Callable[[Change], None]) -> None:
        """Called in the order in which they were added, until the panel is closed."""
        self._observers.append(callback)

    def open(self, study: Study | None) -> None:
        """Read a study; its most suspicious nodule is chosen."""
        self.study = study
        self.selectedId = study.bySuspicion()[0]["id"] if study is not None and study.nodules else ""
        self._tell(Change.STUDY)
        self._tell(Change.SELECTION)

    def select(self, noduleId: str) -> None:
        if noduleId != self.selectedId:
            self.selectedId = noduleId
            self._tell(Change.SELECTION)

    def update(self, findings: dict) -> None:
        """Corrected findings of the study; where the chosen nodule is gone, its successor in the list is chosen."""
        before = [nodule["id"] for nodule in self.study.nodules]
        self.study.setFindings(findings)
        self._tell(Change.FINDINGS)
        after = [nodule["id"] for nodule in findings["nodules"]]
        if self.selectedId not in after:
            position = before.index(self.selectedId) if self.selectedId in before else 0
            self.select(after[min(position, len(after) - 1)] if after else "")

    def _tell(self, change: Change) -> None:
        for callback in list(self._observers):
            callback(change)
