"""Slicer's two looks: light and dark palettes over Qt's Fusion style, as Slicer sets them."""

from __future__ import annotations

from PySide6 import QtGui, QtWidgets

_ROLES = QtGui.QPalette
LIGHT = {
    _ROLES.Window: "#efefef",
    _ROLES.WindowText: "#000000",
    _ROLES.Base: "#ffffff",
    _ROLES.AlternateBase: "#f3f3f3",
    _ROLES.Text: "#000000",
    _ROLES.Button: "#e6e6e6",
    _ROLES.ButtonText: "#000000",
    _ROLES.BrightText: "#ff0000",
    _ROLES.Highlight: "#308cc6",
    _ROLES.HighlightedText: "#ffffff",
    _ROLES.ToolTipBase: "#ffffdc",
    _ROLES.ToolTipText: "#000000",
    _ROLES.Link: "#0000ff",
    _ROLES.PlaceholderText: "#808080",
}
DARK = {
    _ROLES.Window: "#353535",
    _ROLES.WindowText: "#ffffff",
    _ROLES.Base: "#232323",
    _ROLES.AlternateBase: "#2d2d2d",
    _ROLES.Text: "#ffffff",
    _ROLES.Button: "#353535",
    _ROLES.ButtonText: "#ffffff",
    _ROLES.BrightText: "#ff0000",
    _ROLES.Highlight: "#2a82da",
    _ROLES.HighlightedText: "#ffffff",
    _ROLES.ToolTipBase: "#232323",
    _ROLES.ToolTipText: "#ffffff",
    _ROLES.Link: "#2a82da",
    _ROLES.PlaceholderText: "#8c8c8c",
}
DISABLED = {"light": "#9a9a9a", "dark": "#7f7f7f"}


def palette(dark: bool) -> QtGui.QPalette:
    made = QtGui.QPalette()
    for role, color in (DARK if dark else LIGHT).items():
        made.setColor(role, QtGui.QColor(color))
    for role in (_ROLES.WindowText, _ROLES.Text, _ROLES.ButtonText):
        made.setColor(_ROLES.Disabled, role, QtGui.QColor(DISABLED["dark" if dark else "light"]))
    return made


def apply(dark: bool) -> None:
    """On the whole application."""
    QtWidgets.QApplication.setStyle("Fusion")
    QtWidgets.QApplication.setPalette(palette(dark))
    for widget in QtWidgets.QApplication.allWidgets():
        if widget.styleSheet:  # Qt keeps the colors of the palette that a style sheet was first applied with
            text = widget.styleSheet
            widget.setStyleSheet("")
            widget.setStyleSheet(text)
