"""The module ``ctk``: the widgets of CTK that Slicer panels use."""

from __future__ import annotations

from PySide6 import QtCore, QtGui, QtWidgets

from host.members import CTK
from host.offering import offered

HEAD = 24  # height of a collapsible button's head, pixels


@offered(CTK)
class ctkCollapsibleButton(QtWidgets.QAbstractButton):
    def __init__(self, *args) -> None:
        texts = [value for value in args if isinstance(value, str)]
        super().__init__(next((value for value in args if isinstance(value, QtWidgets.QWidget)), None))
        self._hHidden: set[int] = set()
        self.setCheckable(True)
        self.setChecked(True)
        self.setSizePolicy(QtWidgets.QSizePolicy.Preferred, QtWidgets.QSizePolicy.Preferred)
        self.setContentsMargins(0, HEAD, 0, 0)
        if texts:
            self.setText(texts[0])
        self.toggled.connect(self._hToggled)

    def _hCollapsedChanged(self, collapsed: bool) -> None:
        self.setChecked(not collapsed)
        for child in self.children():
            if isinstance(child, QtWidgets.QWidget):
                self._hShowChild(child, not collapsed)
        self.setMaximumHeight(HEAD if collapsed else 16777215)
        self.updateGeometry()
        self.contentsCollapsed.emit(collapsed)

    def _hShowChild(self, child: QtWidgets.QWidget, shown: bool) -> None:
        if shown and id(child) in self._hHidden:
            self._hHidden.discard(id(child))
            child.setVisible(True)
        elif not shown and not child.isHidden():
            self._hHidden.add(id(child))
            child.setVisible(False)

    def _hToggled(self, checked: bool) -> None:
        self.collapsed = not checked

    def hitButton(self, position: QtCore.QPoint) -> bool:
        return position.y() < HEAD

    def paintEvent(self, event: QtGui.QPaintEvent) -> None:
        option = QtWidgets.QStyleOptionButton()
        option.initFrom(self)
        option.rect = QtCore.QRect(0, 0, self.width, HEAD)
        painter = QtWidgets.QStylePainter(self)
        painter.drawControl(QtWidgets.QStyle.CE_PushButtonBevel, option)
        arrow = QtWidgets.QStyleOption()
        arrow.initFrom(self)
        arrow.rect = QtCore.QRect(6, HEAD // 2 - 5, 10, 10)
        style = QtWidgets.QStyle
        painter.drawPrimitive(style.PE_IndicatorArrowRight if self.collapsed else style.PE_IndicatorArrowDown, arrow)
        painter.setPen(self.palette.color(QtGui.QPalette.ButtonText))
        painter.drawText(QtCore.QRect(22, 0, self.width - 24, HEAD), QtCore.Qt.AlignVCenter, self.text)
        painter.end()


@offered(CTK)
class ctkCollapsibleGroupBox(QtWidgets.QGroupBox):
    def __init__(self, *args) -> None:
        super().__init__(*args)
        self.setCheckable(True)
        self.toggled.connect(lambda checked: setattr(self, "collapsed", not checked))

    def _hCollapsedChanged(self, collapsed: bool) -> None:
        self.setChecked(not collapsed)
        for child in self.children():
            if isinstance(child, QtWidgets.QWidget):
                child.setVisible(not collapsed)


@offered(CTK)
class ctkPathLineEdit(QtWidgets.QWidget):
    Dirs, Files, Drives, NoSymLinks, AllEntries = 0x001, 0x002, 0x004, 0x008, 0x007
    Readable, Writable, Executable, Hidden = 0x010, 0x020, 0x040, 0x100
    NoDotAndDotDot, NoDot, NoDotDot, NoFilter = 0x1000, 0x2000, 0x4000, -1

    def __init__(self, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        row = QtWidgets.QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        self._hEdit = QtWidgets.QComboBox(self)
        self._hEdit.setEditable(True)
        self._hEdit.setSizePolicy(QtWidgets.QSizePolicy.Expanding, QtWidgets.QSizePolicy.Fixed)
        self._hEdit.setMinimumContentsLength(8)
        self._hBrowse = QtWidgets.QToolButton(self)
        self._hBrowse.setText("...")
        row.addWidget(self._hEdit)
        row.addWidget(self._hBrowse)
        self._hEdit.editTextChanged.connect(lambda text: setattr(self, "currentPath", text))
        self._hBrowse.clicked.connect(self.browse)

    def _hCurrentPathChanged(self, path: str) -> None:
        self._hEdit.setEditText(path)
        self.currentPathChanged.emit(path)

    def _hShowBrowseButtonChanged(self, shown: bool) -> None:
        self._hBrowse.setVisible(shown)

    def browse(self) -> None:
        dialog = QtWidgets.QFileDialog
        if not self.filters & self.Files:
            chosen = dialog.getExistingDirectory(self, self.label, self.currentPath)
        elif self.filters & self.Writable:
            chosen = dialog.getSaveFileName(self, self.label, self.currentPath, ";;".join(self.nameFilters))
        else:
            chosen = dialog.getOpenFileName(self, self.label, self.currentPath, ";;".join(self.nameFilters))
        if chosen:
            self.currentPath = chosen

    def retrieveHistory(self) -> None:
        """The host remembers no paths."""

    def addCurrentPathToHistory(self) -> None:
        """The host remembers no paths."""


@offered(CTK)
class ctkComboBox(QtWidgets.QComboBox):
    """A QComboBox with a text for when nothing is chosen."""

    def _hDefaultTextChanged(self, text: str) -> None:
        self.setPlaceholderText(text)


@offered(CTK)
class ctkPushButton(QtWidgets.QPushButton):
    """A QPushButton whose text can be aligned and elided."""


@offered(CTK)
class ctkCheckablePushButton(QtWidgets.QPushButton):
    """A push button with a check box in it."""


@offered(CTK)
class ctkMenuButton(QtWidgets.QPushButton):
    """A push button with an arrow that opens its menu."""


@offered(CTK)
class ctkExpandableWidget(QtWidgets.QFrame):
    """A frame that the reader can enlarge by a grip at its foot."""

    def updateSizeHint(self) -> None:
        self.updateGeometry()


@offered(CTK)
class ctkMessageBox(QtWidgets.QMessageBox):
    """A QMessageBox that can be told not to come again."""


@offered(CTK)
class ctkDoubleSpinBox(QtWidgets.QDoubleSpinBox):
    """A QDoubleSpinBox whose arrows can be inverted."""


@offered(CTK)
class ctkFittedTextBrowser(QtWidgets.QTextBrowser):
    """A QTextBrowser as high as its text."""
