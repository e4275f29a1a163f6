"""Runs the library's command line as a process, so that Slicer stays free and a crash cannot take it along."""

import json
import sys
from pathlib import Path
from typing import Protocol

import qt

from LungNoduleCADSlicer.Signals import connect

GRACE_MILLISECONDS = 800


class RunListener(Protocol):
    """Who is told how a run goes. After ``onProgress`` calls exactly one of the other three follows."""

    def onProgress(self, stage: str, fraction: float, message: str) -> None: ...

    def onResult(self, folder: Path) -> None: ...

    def onError(self, message: str, details: str) -> None: ...

    def onCancelled(self) -> None: ...


def analysisArguments(scan, results, prior="", device="auto", date="") -> list[str]:
    """The command line after ``python``; ``scan`` is a folder, or an image file with the study's date (YYYY-MM-DD)."""
    arguments = ["-m", "LungNoduleCADLib", "analyse", str(scan), "-o", str(results)]
    if prior:
        arguments += ["--prior", str(prior)]
    if date:
        arguments += ["--date", date]
    return [*arguments, "--device", device, "--progress", "jsonl"]


class WorkerOutput:
    """Reads the worker's JSON lines as they arrive in pieces."""

    def __init__(self, listener: RunListener) -> None:
        self.result: Path | None = None
        self.error = ""
        self._listener = listener
        self._rest = b""

    def feed(self, data: bytes) -> None:
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            self._read(line)

    def _read(self, line: bytes) -> None:
        try:
            message = json.loads(line)
        except ValueError:
            return  # a library's own chatter
        if not isinstance(message, dict):
            return
        if "result" in message:
            self.result = Path(message["result"])
        elif "error" in message:
            self.error = str(message["error"])
        elif "fraction" in message:
            self._listener.onProgress(
                str(message.get("stage", "")), float(message["fraction"]), str(message.get("message", ""))
            )


class AnalysisRunner:
    """One run at a time. ``listener`` is set by whoever owns the runner."""

    def __init__(self) -> None:
        import LungNoduleCADLib

        self.listener: RunListener | None = None
        self._workingFolder = str(Path(LungNoduleCADLib.__file__).resolve().parents[1])
        self._process = None
        self._spent = None
        self._cancelled = False

    @property
    def running(self) -> bool:
        return self._process is not None

    def start(self, arguments: list[str]) -> None:
        if self.running:
            raise RuntimeError("An analysis is running already")
        self._cancelled = False
        self._output = WorkerOutput(self.listener)
        self._errors = b""
        process = qt.QProcess()
        process.setWorkingDirectory(self._workingFolder)  # python -m finds the library there
        connect(process, "readyReadStandardOutput()", self._onOutput)
        connect(process, "readyReadStandardError()", self._onErrors)
        connect(process, "finished(int,QProcess::ExitStatus)", self._onFinished)
        connect(process, "errorOccurred(QProcess::ProcessError)", self._onProcessError)
        self._process = process
        process.start(sys.executable, arguments)

    def cancel(self) -> None:
        """The worker stops by itself when its stdin closes; whatever is left a moment later is killed."""
        if self.running and not self._cancelled:
            self._cancelled = True
            process = self._process
            process.closeWriteChannel()
            qt.QTimer.singleShot(GRACE_MILLISECONDS, lambda: self._kill(process))

    def _kill(self, process) -> None:
        if process is not self._process:
            return
        # sys.executable is a launcher in Slicer: killing it alone would leave the worker
        try:
            import psutil

            for child in psutil.Process(process.processId()).children(recursive=True):
                child.kill()
        except ImportError:
            pass
        except psutil.Error:
            pass  # already gone
        process.kill()

    def _release(self) -> None:
        """Called from the process's own signals: it must outlive them, so it is kept until the next run."""
        self._spent, self._process = self._process, None

    def _onOutput(self) -> None:
        self._output.feed(self._process.readAllStandardOutput().data())

    def _onErrors(self) -> None:
        self._errors += self._process.readAllStandardError().data()

    def _onProcessError(self, error) -> None:
        if self.running and error == qt.QProcess.FailedToStart:
            self._release()
            self.listener.onError("Python could not be started", sys.executable)

    def _onFinished(self, exitCode, exitStatus) -> None:
        if not self.running:
            return
        self._onOutput()
        self._onErrors()
        self._output.feed(b"\n")
        self._release()
        if self._cancelled:
            self.listener.onCancelled()
        elif exitCode == 0 and exitStatus == qt.QProcess.NormalExit and self._output.result is not None:
            self.listener.onResult(self._output.result)
        else:
            details = self._errors.decode(errors="replace").strip()
            self.listener.onError(self._output.error or f"The analysis stopped with exit code {exitCode}", details)
