"""The devices to compute on, by the names that the library gives them."""

import qt
from slicer.i18n import tr as _

from LungNoduleCADSlicer.Signals import connect

AUTO, CPU = "auto", "cpu"
DELAY_MILLISECONDS = 1000  # the question loads torch: the panel comes first


class DeviceChooser:
    """Fills a QComboBox. The library is asked once, by a process in the background; until then only ids are shown.

    ``start`` starts a process as ``JsonProcess`` does; ``onChosen(id)`` is called when the reader takes another device.
    """

    def __init__(self, box, start, onChosen) -> None:
        self._box, self._start, self._onChosen = box, start, onChosen
        self._process = None
        self._wanted = AUTO
        self._delay = qt.QTimer()
        self._delay.setSingleShot(True)
        self._delay.setInterval(DELAY_MILLISECONDS)
        connect(self._delay, "timeout()", self.askNow)
        self._fill([(AUTO, AUTO), (_("CPU"), CPU)])
        connect(box, "currentIndexChanged(int)", self._onIndex)

    @property
    def chosen(self) -> str:
        return self._box.currentData

    def choose(self, device: str) -> None:
        """A device that is not here falls back to auto."""
        self._wanted = device
        self._select()

    def ask(self) -> None:
        """Ask when the panel has settled, the first time that this is called."""
        if self._process is None:
            self._delay.start()

    def askNow(self) -> None:
        if self._process is None:
            self._process = self._start(["info", "--json", "--torch"], self._onInfo, lambda _code, _details: None)

    def close(self) -> None:
        self._delay.stop()
        if self._process is not None:
            self._process.close()

    def _onInfo(self, info: dict) -> None:
        names = {device["id"]: device["name"] for device in info["devices"]}
        automatic = _("auto: {name}").format(name=names.get(info["auto"], info["auto"]))
        known = [(f"{'CPU' if device == CPU else device}: {name}", device) for device, name in names.items()]
        self._fill([(automatic, AUTO), *known])

    def _fill(self, items: list[tuple[str, str]]) -> None:
        self._box.blockSignals(True)
        self._box.clear()
        for text, device in items:
            self._box.addItem(text, device)
        self._select()

    def _select(self) -> None:
        """The wanted device where it is here, without telling anybody: the reader's choice stays what it was."""
        self._box.blockSignals(True)
        self._box.setCurrentIndex(max(self._box.findData(self._wanted), 0))
        self._box.blockSignals(False)

    def _onIndex(self, _index: int) -> None:
        self._wanted = self.chosen
        self._onChosen(self._wanted)
