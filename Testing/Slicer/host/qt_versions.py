"""Properties that Qt 6 has and Qt 5.15, Slicer's default, has not: there they are methods, or nothing at all."""

SINCE_QT_6 = {
    ("QAbstractItemView", "keyboardSearchFlags"),
    ("QAbstractItemView", "updateThreshold"),
    ("QComboBox", "labelDrawingMode"),
    ("QLayout", "contentsMargins"),
    ("QLayout", "horizontalSizeConstraint"),
    ("QLayout", "verticalSizeConstraint"),
    ("QProgressDialog", "autoClose_"),
    ("QTableWidget", "supportedDragActions"),
    ("QListWidget", "supportedDragActions"),
    ("QTreeWidget", "supportedDragActions"),
    ("QTextBrowser", "sourceType"),
    ("QWidget", "accessibleIdentifier"),
}
