"""The library's command line as a process that talks in JSON lines: Slicer stays free, no crash takes it along."""

import json
import sys
from collections.abc import Callable
from pathlib import Path

import qt

from LungNoduleCADSlicer.Signals import connect

GRACE_MILLISECONDS = 900


class JsonLines:
    """Puts the pieces that a pipe gives together to JSON objects; a library's own chatter is dropped."""

    def __init__(self, onMessage: Callable[[dict], None]) -> None:
        self._onMessage = onMessage
        self._rest = b""

    def feed(self, data: bytes) -> None:
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            try:
                message = json.loads(line)
            except ValueError:
                continue
            if isinstance(message, dict):
                self._onMessage(message)


class JsonProcess:
    """One process, started at once.

    ``onMessage`` is called with each JSON object of its stdout; ``onEnded`` once, with the exit code (None where it
    could not be started or crashed) and the text of its stderr.
    """

    def __init__(
        self, arguments: list[str], onMessage: Callable[[dict], None], onEnded: Callable[[int | None, str], None]
    ) -> None:
        import LungNoduleCADLib

        self._onEnded = onEnded
        self._lines = JsonLines(onMessage)
        self._errors = b""
        self._process = qt.QProcess()
        # python -m finds the library there
        self._process.setWorkingDirectory(str(Path(LungNoduleCADLib.__file__).resolve().parents[1]))
        connect(self._process, "readyReadStandardOutput()", self._onOutput)
        connect(self._process, "readyReadStandardError()", self._onErrors)
        connect(self._process, "finished(int,QProcess::ExitStatus)", self._onFinished)
        connect(self._process, "errorOccurred(QProcess::ProcessError)", self._onProcessError)
        self.running = True
        self._process.start(sys.executable, ["-m", "LungNoduleCADLib", *arguments])

    def write(self, message: dict) -> None:
        self._process.write(json.dumps(message).encode() + b"\n")

    def close(self) -> None:
        """The worker stops by itself when its stdin closes; whatever is left a moment later is killed."""
        if self.running:
            self._process.closeWriteChannel()
            qt.QTimer.singleShot(GRACE_MILLISECONDS, self._kill)

    def _kill(self) -> None:
        if not self.running:
            return
        # sys.executable is a launcher in Slicer: killing it alone would leave the worker
        try:
            import psutil

            for child in psutil.Process(self._process.processId()).children(recursive=True):
                child.kill()
        except ImportError:
            pass
        except psutil.Error:
            pass  # already gone
        self._process.kill()

    def _onOutput(self) -> None:
        self._lines.feed(self._process.readAllStandardOutput().data())

    def _onErrors(self) -> None:
        self._errors += self._process.readAllStandardError().data()

    def _onProcessError(self, error) -> None:
        if error == qt.QProcess.FailedToStart:
            self._end(None)

    def _onFinished(self, exitCode, exitStatus) -> None:
        self._onOutput()
        self._onErrors()
        self._lines.feed(b"\n")
        self._end(exitCode if exitStatus == qt.QProcess.NormalExit else None)

    def _end(self, exitCode) -> None:
        if self.running:
            self.running = False
            self._onEnded(exitCode, self._errors.decode(errors="replace").strip())
