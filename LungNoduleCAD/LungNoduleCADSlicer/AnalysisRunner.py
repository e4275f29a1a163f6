"""One run of the library at a time: progress, result, error or cancelled, told to a listener."""

from pathlib import Path
from typing import Protocol

from slicer.i18n import tr as _

from LungNoduleCADSlicer.JsonProcess import JsonProcess


class RunListener(Protocol):
    """Who is told how a run goes. After ``onProgress`` calls exactly one of the other three follows."""

    def onProgress(self, stage: str, fraction: float, message: str) -> None: ...

    def onResult(self, folder: Path) -> None: ...

    def onError(self, message: str, details: str) -> None: ...

    def onCancelled(self) -> None: ...


class Runner(Protocol):
    """What the panel asks of a runner; ``listener`` is set by whoever starts a run."""

    listener: RunListener

    @property
    def running(self) -> bool: ...

    def start(self, arguments: list[str]) -> None: ...

    def cancel(self) -> None: ...


def analysisArguments(scan, results, prior="", device="auto", date="", priorDate="") -> list[str]:
    """What follows ``LungNoduleCADLib``; a scan is a folder, or an image file with its date (YYYY-MM-DD)."""
    arguments = ["analyse", str(scan), "-o", str(results)]
    if prior:
        arguments += ["--prior", str(prior)]
    if date:
        arguments += ["--date", date]
    if priorDate:
        arguments += ["--prior-date", priorDate]
    return [*arguments, "--device", device, "--progress", "jsonl"]


class AnalysisRunner:
    """Runs a verb of the command line that ends with ``{"result": folder}``."""

    def __init__(self) -> None:
        self.listener: RunListener | None = None
        self._process: JsonProcess | None = None
        self._result: Path | None = None
        self._error = ""
        self._cancelled = False

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.running

    def start(self, arguments: list[str]) -> None:
        if self.running:
            raise RuntimeError("A run is under way already")
        self._result, self._error, self._cancelled = None, "", False
        self._process = JsonProcess(arguments, self.onMessage, self._onEnded)

    def cancel(self) -> None:
        if self.running:
            self._cancelled = True
            self._process.close()

    def onMessage(self, message: dict) -> None:
        if "result" in message:
            self._result = Path(message["result"])
        elif "error" in message:
            self._error = str(message["error"])
        elif "fraction" in message:
            self.listener.onProgress(
                str(message.get("stage", "")), float(message["fraction"]), str(message.get("message", ""))
            )

    def _onEnded(self, exitCode, details: str) -> None:
        if self._cancelled:
            self.listener.onCancelled()
        elif exitCode == 0 and self._result is not None:
            self.listener.onResult(self._result)
        elif exitCode is None:
            self.listener.onError(self._error or _("The analysis could not be started, or crashed"), details)
        else:
            self.listener.onError(
                self._error or _("The analysis stopped with exit code {code}").format(code=exitCode), details
            )
