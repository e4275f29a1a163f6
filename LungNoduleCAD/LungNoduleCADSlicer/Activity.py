"""The one process that may be under way, as the panel shows it: stage, fraction, time and cancel; how it failed."""

import time
from collections.abc import Callable
from pathlib import Path

import qt
from slicer.i18n import tr as _

from LungNoduleCADSlicer.AnalysisRunner import Runner
from LungNoduleCADSlicer.Signals import connect


class Activity:
    """``ui`` holds the widgets of StudyPanel.ui; ``onChanged`` is called when something starts or ends.

    It is the runner's listener; what is no run of it (a look through a folder) calls ``begin``, ``end`` and ``fail``.
    """

    def __init__(self, ui, runner: Runner, onChanged: Callable[[], None]) -> None:
        self.ui, self.busy = ui, False
        self.runner, self._onChanged = runner, onChanged
        self._cancel: Callable[[], None] = lambda: None
        self._onResult: Callable[[Path], None] = lambda _folder: None
        self._onOver: Callable[[], None] = lambda: None
        self._started = 0.0
        self._clock = qt.QTimer()
        self._clock.setInterval(1000)
        connect(self._clock, "timeout()", self._showElapsed)
        connect(ui.cancelButton, "clicked(bool)", self.onCancel)
        runner.listener = self
        ui.progressFrame.visible = ui.failureFrame.visible = False

    def run(
        self,
        arguments: list[str],
        text: str,
        onResult: Callable[[Path], None],
        onOver: Callable[[], None] = lambda: None,
    ) -> None:
        """A verb of the command line.

        However it ends, ``onOver`` is called; then ``onResult`` with the folder that it answers with, if it does.
        """
        self._onResult, self._onOver = onResult, onOver
        self.begin(text, self.runner.cancel)
        self.runner.start(arguments)

    def begin(self, text: str, cancel: Callable[[], None]) -> None:
        """Something starts; ``cancel`` is what the button does."""
        self._cancel, self._started, self.busy = cancel, time.monotonic(), True
        self.ui.stageLabel.text = text
        self.ui.progressBar.setRange(0, 0)  # busy, fraction unknown
        self.ui.cancelButton.enabled = True
        self.ui.failureFrame.visible = False
        self._showElapsed()
        self._clock.start()
        self._changed()

    def end(self) -> None:
        self.busy = False
        self._clock.stop()
        self._changed()

    def fail(self, message: str, details: str = "") -> None:
        """It came to nothing: why, in a sentence, and what the process said."""
        self.end()
        self.ui.failureLabel.text = message
        self.ui.detailsText.setPlainText(details)
        self.ui.detailsButton.visible = bool(details)
        self.ui.detailsButton.collapsed = True
        self.ui.failureFrame.visible = True

    def clearFailure(self) -> None:
        self.ui.failureFrame.visible = False

    def close(self) -> None:
        if self.busy:
            self._cancel()
        self._clock.stop()

    def onCancel(self, _clicked=False) -> None:
        self.ui.cancelButton.enabled = False
        self.ui.stageLabel.text = _("Stopping …")
        self._cancel()

    # ---- what the runner says

    def onProgress(self, stage: str, fraction: float, message: str) -> None:
        self.ui.progressBar.setRange(0, 100)
        self.ui.progressBar.setValue(round(100 * fraction))
        if self.ui.cancelButton.enabled:
            self.ui.stageLabel.text = message or stage

    def onResult(self, folder: Path) -> None:
        self._onOver()
        self.end()
        self._onResult(folder)

    def onError(self, message: str, details: str) -> None:
        self._onOver()
        self.fail(message, details)

    def onCancelled(self) -> None:
        self._onOver()
        self.end()

    def _showElapsed(self) -> None:
        minutes, seconds = divmod(int(time.monotonic() - self._started), 60)
        self.ui.elapsedLabel.text = f"{minutes}:{seconds:02d}"

    def _changed(self) -> None:
        self.ui.progressFrame.visible = self.busy
        self._onChanged()
