"""Properties that Qt 6 has and Qt 5.15, Slicer's default, has not: there they are methods, or nothing at all."""

SINCE_QT_6 = {
    ("QAbstractItemView", "keyboardSearchFlags"),
    ("QAbstractItemView", "updateThreshold"),
    ("QComboBox", "labelDrawingMode"),
    ("QDateTimeEdit", "timeZone"),
    ("QHeaderView", "sortIndicatorClearable"),
    ("QLayout", "contentsMargins"),
    ("QLayout", "horizontalSizeConstraint"),
    ("QLayout", "verticalSizeConstraint"),
    ("QTableWidget", "supportedDragActions"),
    ("QListWidget", "supportedDragActions"),
    ("QTreeWidget", "supportedDragActions"),
    ("QWidget", "accessibleIdentifier"),
}
