"""Pictures of the panel, of a view, and of a window like Slicer's. Only in the host: Slicer has no such functions.

from host import screenshot
screenshot.grabPanel("panel.png", width=420, dark=True, ratio=2)
screenshot.grabWindow("window.png", width=1600, height=1000)
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import slicer
from PySide6 import QtCore, QtGui, QtWidgets

from host import palettes

BAR = 24  # height of the bar above a view, pixels
MARGIN = 6
PANEL_WIDTH = 500
SLICE_COLORS = {"Red": "#f34a33", "Green": "#6eb04b", "Yellow": "#edd54c"}
OTHER_COLOR = "#8c8cb4"


def grabPanel(path, width: int = PANEL_WIDTH, dark: bool = False, ratio: float = 1, height: int | None = None) -> Path:
    """The selected module's whole panel; ``height`` (pixels) None: as high as it wants to be at this width."""
    palettes.apply(dark)
    widget = slicer.app.moduleManager().module(slicer.util.selectedModule()).widgetRepresentation()
    image = _grab(widget, width, height, ratio)
    image.save(str(path))
    return Path(path)


def grabView(path, name: str, width: int = 600, height: int = 500) -> Path:
    """One view of the current layout by its layout name ("Red", "1", ...), without its bar."""
    manager = slicer.app.layoutManager()
    widget = next(view for node, view in manager._hWidgets.items() if node.GetLayoutName() == name)
    _image(_pictureOf(widget, width, height)).save(str(path))
    return Path(path)


def grabWindow(
    path, width: int = 1500, height: int = 900, dark: bool = False, ratio: float = 1, panelWidth: int = PANEL_WIDTH
) -> Path:
    """The panel at the left as in a window of this height, the views of the layout rendered at its right."""
    palettes.apply(dark)
    canvas = QtGui.QImage(round(width * ratio), round(height * ratio), QtGui.QImage.Format_RGB32)
    canvas.setDevicePixelRatio(ratio)
    colors = palettes.palette(dark)
    canvas.fill(colors.color(QtGui.QPalette.Window))
    painter = QtGui.QPainter(canvas)
    _paintHead(painter, width, colors)
    painter.drawImage(0, BAR + MARGIN, _panelInWindow(panelWidth, height - BAR - MARGIN, ratio))
    left = panelWidth + MARGIN
    for place, node, widget in _places(width - left, height - BAR - MARGIN):
        _paintView(painter, place, node, widget, left, BAR + MARGIN, ratio)
    painter.end()
    canvas.save(str(path))
    return Path(path)


def _grab(widget: QtWidgets.QWidget, width: int, height: int | None, ratio: float) -> QtGui.QImage:
    """Laid out at this width on a page of its own, then put back where it was."""
    parent = widget.parentWidget()
    scroll = parent.parentWidget() if parent is not None else None
    inScroll = isinstance(scroll, QtWidgets.QScrollArea)
    if inScroll:
        scroll.takeWidget()
    page = QtWidgets.QWidget()
    column = QtWidgets.QVBoxLayout(page)
    column.setContentsMargins(0, 0, 0, 0)
    column.addWidget(widget)
    widget.show()
    page.setFixedWidth(width)
    page.show()
    slicer.app.processEvents()
    wanted = page.layout().heightForWidth(width) if page.layout().hasHeightForWidth() else page.sizeHint.height()
    page.setFixedHeight(height or max(wanted, page.minimumSizeHint.height()))
    for _pass in range(3):
        slicer.app.processEvents()
    image = QtGui.QImage(round(width * ratio), round(page.height * ratio), QtGui.QImage.Format_RGB32)
    image.setDevicePixelRatio(ratio)
    image.fill(page.palette.color(QtGui.QPalette.Window))
    page.render(image)
    if inScroll:
        scroll.setWidget(widget)
        widget.show()
    page.hide()
    page.deleteLater()
    return image


def _panelInWindow(width: int, height: int, ratio: float) -> QtGui.QImage:
    """The scroll area of the window's dock, as high as the window."""
    scroll = slicer.util.mainWindow()._hScroll
    before = scroll.size
    scroll.setFixedSize(width, height)
    for _pass in range(3):
        slicer.app.processEvents()
    image = QtGui.QImage(round(width * ratio), round(height * ratio), QtGui.QImage.Format_RGB32)
    image.setDevicePixelRatio(ratio)
    image.fill(scroll.palette.color(QtGui.QPalette.Window))
    scroll.render(image)
    scroll.setMinimumSize(0, 0)
    scroll.setMaximumSize(16777215, 16777215)
    scroll.resize(before)
    return image


def _places(width: int, height: int):
    manager = slicer.app.layoutManager()
    nodes = {(node.GetClassName(), node.GetSingletonTag()): node for node in manager._hWidgets}
    for place in manager._hPlaces(width, height):
        node = nodes.get((place.viewClass, place.tag))
        if node is not None:
            yield place, node, manager._hWidgets[node]


def _pictureOf(widget, width: int, height: int) -> np.ndarray | None:
    return widget._hPicture(max(width, 8), max(height, 8))


def _image(pixels: np.ndarray) -> QtGui.QImage:
    height, width, _channels = pixels.shape
    return QtGui.QImage(pixels.tobytes(), width, height, 3 * width, QtGui.QImage.Format_RGB888).copy()


def _paintHead(painter: QtGui.QPainter, width: int, colors: QtGui.QPalette) -> None:
    painter.setPen(colors.color(QtGui.QPalette.WindowText))
    module = slicer.app.moduleManager().module(slicer.util.selectedModule())
    painter.drawText(QtCore.QRect(8, 0, width - 16, BAR), QtCore.Qt.AlignVCenter, f"Modules:  {module.title}")


def _paintView(painter, place, node, widget, left: int, top: int, ratio: float) -> None:
    frame = QtCore.QRect(left + place.x, top + place.y, place.width, place.height)
    painter.fillRect(frame.x(), frame.y(), frame.width(), BAR, QtGui.QColor(_colorOf(node)))
    painter.setPen(QtCore.Qt.black)
    label = f"{node.GetLayoutLabel() or ''}   {_offsetText(node)}"
    painter.drawText(QtCore.QRect(frame.x() + 8, frame.y(), frame.width() - 16, BAR), QtCore.Qt.AlignVCenter, label)
    inner = QtCore.QRect(frame.x(), frame.y() + BAR, frame.width(), frame.height() - BAR)
    if node.IsA("vtkMRMLTableViewNode"):
        painter.drawImage(inner, _tableImage(node, inner.width(), inner.height()))
        return
    pixels = _pictureOf(widget, round(inner.width() * ratio), round(inner.height() * ratio))
    painter.drawImage(inner, _image(pixels))


def _colorOf(node) -> str:
    if node.IsA("vtkMRMLSliceNode") and node.GetLayoutName() not in SLICE_COLORS:
        return QtGui.QColor.fromRgbF(*node.GetLayoutColor()).name()
    return SLICE_COLORS.get(node.GetLayoutName(), OTHER_COLOR)


def _offsetText(node) -> str:
    if not node.IsA("vtkMRMLSliceNode"):
        return ""
    axis = {"Axial": "S", "Sagittal": "R", "Coronal": "A"}.get(node.GetOrientation())
    return f"{axis}: {node.GetSliceOffset():.1f} mm" if axis else f"{node.GetSliceOffset():.1f} mm"


def _tableImage(node, width: int, height: int) -> QtGui.QImage:
    table = QtWidgets.QTableWidget()
    content = node.GetTableNode()
    if content is not None:
        table.setColumnCount(content.GetNumberOfColumns())
        table.setRowCount(content.GetNumberOfRows())
        table.setHorizontalHeaderLabels([content.GetColumnName(index) for index in range(content.GetNumberOfColumns())])
        for row in range(content.GetNumberOfRows()):
            for column in range(content.GetNumberOfColumns()):
                table.setItem(row, column, QtWidgets.QTableWidgetItem(content.GetCellText(row, column)))
    table.resize(width, height)
    image = QtGui.QImage(width, height, QtGui.QImage.Format_RGB32)
    table.render(image)
    return image
