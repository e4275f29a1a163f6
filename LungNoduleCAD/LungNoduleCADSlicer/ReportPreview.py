"""The pages of a report in a window of their own."""

from pathlib import Path

import qt
import slicer
from slicer.i18n import tr as _

from LungNoduleCADSlicer.Signals import connect

SIZE = (820, 1000)
MARGIN = 50  # for the frame and the scroll bar


class ReportPreview:
    """Page pictures, as wide as the window, one at a time; ``shown`` counts the reports shown."""

    def __init__(self) -> None:
        self.pages: list[Path] = []
        self.page = 0
        self.shown = 0
        self.report: Path | None = None
        self.window = qt.QDialog(slicer.util.mainWindow())
        self.window.windowTitle = _("Lung nodule report")
        self.window.resize(*SIZE)
        self.previousButton = _button(_("Previous page"), qt.QKeySequence(qt.Qt.Key_PageUp), self.onPrevious)
        self.nextButton = _button(_("Next page"), qt.QKeySequence(qt.Qt.Key_PageDown), self.onNext)
        self.openButton = _button(_("Open PDF"), qt.QKeySequence.Open, self.onOpen)
        self.pageLabel = qt.QLabel()
        self.picture = qt.QLabel()
        self.picture.scaledContents = True  # sharp on a high-DPI screen too
        self.area = qt.QScrollArea()
        self.area.setWidget(self.picture)
        row = qt.QHBoxLayout()
        for widget in (self.previousButton, self.pageLabel, self.nextButton):
            row.addWidget(widget)
        row.addStretch(1)
        row.addWidget(self.openButton)
        column = qt.QVBoxLayout(self.window)
        column.addLayout(row)
        column.addWidget(self.area)

    def show(self, pages: list[Path], report: Path) -> None:
        """New pages; the one that was shown stays, if there still is one of that number."""
        self.pages, self.report, self.shown = pages, report, self.shown + 1
        self.window.show()
        self.window.raise_()
        self.turnTo(self.page)

    def turnTo(self, page: int) -> None:
        self.page = max(0, min(page, len(self.pages) - 1))
        pixmap = qt.QPixmap(str(self.pages[self.page])) if self.pages else qt.QPixmap()
        if not pixmap.isNull():
            width = self.window.width - MARGIN
            self.picture.setFixedSize(width, width * pixmap.height() // pixmap.width())
        self.picture.setPixmap(pixmap)
        self.area.verticalScrollBar().value = 0
        self.pageLabel.text = _("{page} of {count}").format(page=self.page + 1, count=len(self.pages))
        self.previousButton.enabled = self.page > 0
        self.nextButton.enabled = self.page + 1 < len(self.pages)

    def close(self) -> None:
        self.window.close()
        self.window.deleteLater()

    def onPrevious(self, _clicked=False) -> None:
        self.turnTo(self.page - 1)

    def onNext(self, _clicked=False) -> None:
        self.turnTo(self.page + 1)

    def onOpen(self, _clicked=False) -> None:
        openFile(self.report)


def openFile(path: Path) -> None:
    """A file or folder in the program that the computer opens it with."""
    qt.QDesktopServices.openUrl(qt.QUrl.fromLocalFile(str(path)))


def _button(text: str, shortcut, slot):
    button = qt.QPushButton(text)
    button.shortcut = qt.QKeySequence(shortcut)
    button.autoDefault = False
    connect(button, "clicked(bool)", slot)
    return button
