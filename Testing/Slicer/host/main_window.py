"""The window: module selector, module panel and status bar; the views at the right are painted by ``screenshot``."""

from __future__ import annotations

import slicer
from PySide6 import QtCore, QtWidgets

from host.members import SLICER
from host.offering import offered

PANEL_WIDTH = 380  # Slicer's at first start, pixels


@offered(SLICER)
class qSlicerModuleSelectorToolBar(QtWidgets.QToolBar):
    def __init__(self, window) -> None:
        super().__init__(window)
        self._hWindow, self._hSelected = window, ""

    selectedModule = property(lambda self: self._hSelected)

    def selectModule(self, name: str) -> None:
        module = slicer.app.moduleManager().module(name)
        if module is None or name == self._hSelected:
            return
        before = slicer.app.moduleManager().module(self._hSelected)
        if before is not None and hasattr(before, "widgetRepresentation"):
            before.widgetRepresentation().exit()
        self._hSelected = name
        if hasattr(module, "widgetRepresentation"):
            widget = module.widgetRepresentation()
            self._hWindow._hShowModule(widget)
            widget.enter()
        self.moduleSelected.emit(name)


@offered(SLICER)
class qSlicerMainWindow(QtWidgets.QMainWindow):
    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("qSlicerMainWindow")
        self.setWindowTitle("3D Slicer (stand-in)")
        self._hSelector = qSlicerModuleSelectorToolBar(self)
        self.addToolBar(self._hSelector)
        dock = QtWidgets.QDockWidget(self)
        dock.setObjectName("PanelDockWidget")
        self._hScroll = QtWidgets.QScrollArea(dock)
        self._hScroll.setObjectName("ModulePanel")
        self._hScroll.setWidgetResizable(True)
        self._hScroll.setMinimumWidth(PANEL_WIDTH)
        dock.setWidget(self._hScroll)
        self.addDockWidget(QtCore.Qt.LeftDockWidgetArea, dock)
        self._hViewport = QtWidgets.QWidget(self)
        self.setCentralWidget(self._hViewport)
        self.statusBar()
        self.resize(1280, 800)

    def moduleSelector(self) -> qSlicerModuleSelectorToolBar:
        return self._hSelector

    def _hShowModule(self, widget: QtWidgets.QWidget) -> None:
        before = self._hScroll.takeWidget()
        if before is not None:
            before.hide()
            before.setParent(None)
        self._hScroll.setWidget(widget)
        widget.show()
