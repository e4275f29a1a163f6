"""Combo boxes for facts that may be unknown, and unknown is not "no"."""

from collections.abc import Callable, Mapping, Sequence

from slicer.i18n import tr as _

from LungNoduleCADSlicer.Signals import connect

UNKNOWN = "unknown"


def noYes() -> list[tuple[str, bool]]:
    return [(_("no"), False), (_("yes"), True)]


class Choices:
    """``boxes``: {fact: (combo box, [(text, value)])}; ``onEdited`` is called when the reader chose something."""

    def __init__(self, boxes: Mapping[str, tuple], onEdited: Callable[[], None]) -> None:
        self._boxes: dict[str, tuple[object, Sequence[tuple]]] = dict(boxes)
        for box, choices in self._boxes.values():
            box.addItem(_("unknown"), UNKNOWN)
            for text, value in choices:
                box.addItem(text, value)
            connect(box, "currentIndexChanged(int)", lambda *_index: onEdited())

    @property
    def values(self) -> dict:
        """{fact: value}; None is unknown."""
        return {name: self.value(name) for name in self._boxes}

    def value(self, name: str):
        box = self._boxes[name][0]
        return None if box.currentData == UNKNOWN else box.currentData

    def show(self, values: Mapping) -> None:
        """Without telling that it changed."""
        for name, (box, choices) in self._boxes.items():
            index = next((row for row, (_text, value) in enumerate(choices, 1) if value == values.get(name)), 0)
            setQuietly(box, "currentIndex", index)


def setQuietly(widget, name: str, value) -> None:
    wasBlocked = widget.blockSignals(True)
    setattr(widget, name, value)
    widget.blockSignals(wasBlocked)
