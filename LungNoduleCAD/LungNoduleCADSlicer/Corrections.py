"""Corrections of the study being read: sent to the library's ``review`` process, its answers brought into the scene."""

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from slicer.i18n import tr as _

from LungNoduleCADSlicer.JsonProcess import JsonProcess
from LungNoduleCADSlicer.Reading import Change, Reading
from LungNoduleCADSlicer.ResultsRestorer import ResultsRestorer


class CorrectionProcess(Protocol):
    """The process behind corrections; see ``review`` of the command line for requests and answers."""

    running: bool

    def write(self, message: dict) -> None: ...

    def close(self) -> None: ...


def startReview(folder: Path, onMessage, onEnded) -> CorrectionProcess:
    """The genuine process, on a results folder."""
    return JsonProcess(["review", str(folder), "--progress", "jsonl"], onMessage, onEnded)


class Corrections:
    """Sends one study's corrections, in order, and tells ``onBusy`` and ``onError`` how it goes.

    ``start`` makes the process (``startReview``, or a test's own); ``applyAnswer(study, answer)`` brings new outlines
    and heat maps into the scene. The process starts when a study is opened, so that its models are loaded by the first
    correction, and ends when another is read.
    """

    def __init__(self, reading: Reading, applyAnswer, start=startReview) -> None:
        self.onBusy: Callable[[bool], None] = lambda _busy: None
        self.onError: Callable[[str], None] = lambda _message: None
        self._reading, self._applyAnswer, self._start = reading, applyAnswer, start
        self._restorer = ResultsRestorer()
        self._process: CorrectionProcess | None = None
        self._study = None
        self._waiting: dict[int, Callable[[dict], None] | None] = {}
        self._number = 0
        reading.observe(self._onChange)

    @property
    def busy(self) -> bool:
        return bool(self._waiting)

    def whyNotPossible(self) -> str:
        """Why the study cannot be corrected now; empty where it can."""
        study = self._reading.study
        if study is None:
            return _("Analyze a scan first")
        if not (study.folder / "findings.json").is_file():
            return self._restorer.whyNotPossible(study)
        return ""

    def prepare(self) -> None:
        """Start the process, unless it runs or the results folder is not what the scene shows."""
        study = self._reading.study
        if self._process is None and study is not None and not self._restorer.isNeeded(study):
            self._begin(study)

    def _begin(self, study) -> None:
        self._study = study
        self._process = self._start(
            study.folder,
            lambda message: self._onMessage(study, message),
            lambda code, details: self._onEnded(study, code, details),
        )

    def send(self, do: str, onAnswer: Callable[[dict], None] | None = None, **arguments) -> None:
        """One request; ``onAnswer`` is called with the answer when the scene shows it.

        A results folder that is gone, or that holds other corrections than the scene, is written again first.
        Raises RuntimeError where the study cannot be corrected.
        """
        reason = self.whyNotPossible()
        if reason:
            raise RuntimeError(reason)
        if self._process is None:
            if self._restorer.isNeeded(self._reading.study):
                self._restorer.restore(self._reading.study)
            self._begin(self._reading.study)
        self._number += 1
        self._waiting[self._number] = onAnswer
        self.onBusy(True)
        self._process.write({"id": self._number, "do": do, **arguments})

    def close(self) -> None:
        process, self._process, self._study = self._process, None, None
        self._waiting.clear()
        self.onBusy(False)
        if process is not None:
            process.close()

    def _onChange(self, change: Change) -> None:
        if change is Change.STUDY and self._reading.study != self._study:
            self.close()
            self.prepare()

    def _onMessage(self, study, message: dict) -> None:
        if study != self._study or "answer" not in message:
            return
        onAnswer = self._waiting.pop(message["answer"], None)
        self.onBusy(self.busy)
        if "error" in message:
            self.onError(message["error"])
            return
        self._applyAnswer(study, message)
        self._reading.update(message["findings"])
        if onAnswer is not None:
            onAnswer(message)

    def _onEnded(self, study, code, details: str) -> None:
        if study == self._study:
            lost = bool(self._waiting)
            self.close()
            if lost:
                self.onError(
                    _("The correction was lost: its process ended ({code}). {details}").format(
                        code=code, details=details
                    )
                )
