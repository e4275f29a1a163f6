"""What the host offers of CTK and Slicer, and the header that declares it. Nothing outside of this table is offered.

Python reaches of a C++ class its Qt properties, its slots and what is Q_INVOKABLE, and its signals: so only those may
stand here. A property is written with its default (``READ_ONLY`` where it has no WRITE function).
"""

from __future__ import annotations

from dataclasses import dataclass, field

READ_ONLY = object()


@dataclass(frozen=True)
class Members:
    """One class: where it is declared, and its members besides those of the Qt class it derives from."""

    header: str
    properties: dict[str, object] = field(default_factory=dict)
    methods: tuple[str, ...] = ()
    signals: tuple[str, ...] = ()

    @property
    def names(self) -> set[str]:
        return {*self.properties, *self.methods, *(signal.partition("(")[0] for signal in self.signals)}


_VALUE_SIGNALS = ("valueChanged(double)", "valueIsChanging(double)")

CTK = {
    "ctkCollapsibleButton": Members(
        "CTK Libs/Widgets/ctkCollapsibleButton.h",
        {"collapsed": False, "collapsedHeight": 14, "contentsFrameShape": 0, "contentsFrameShadow": 16,
         "contentsLineWidth": 0, "contentsMidLineWidth": 0, "buttonTextAlignment": 0x81, "indicatorAlignment": 0x81},
        signals=("contentsCollapsed(bool)",),
    ),
    "ctkCollapsibleGroupBox": Members(
        "CTK Libs/Widgets/ctkCollapsibleGroupBox.h", {"collapsed": False, "collapsedHeight": 14}
    ),
    "ctkPathLineEdit": Members(
        "CTK Libs/Widgets/ctkPathLineEdit.h",
        {"label": "", "filters": 0x7, "currentPath": "", "options": 0, "settingKey": "", "showBrowseButton": True,
         "showHistoryButton": True, "sizeAdjustPolicy": 1, "minimumContentsLength": 0, "nameFilters": ()},
        ("setCurrentPath", "browse", "retrieveHistory", "addCurrentPathToHistory"),
        ("currentPathChanged(QString)", "validInputChanged(bool)"),
    ),
    "ctkDoubleSlider": Members(
        "CTK Libs/Widgets/ctkDoubleSlider.h",
        {"value": 0.0, "minimum": 0.0, "maximum": 99.0, "singleStep": 1.0, "pageStep": 10.0, "tracking": True,
         "orientation": 1},
        ("setRange", "setValue", "setOrientation"),
        ("valueChanged(double)", "sliderMoved(double)", "sliderPressed()", "sliderReleased()",
         "rangeChanged(double,double)"),
    ),
    "ctkSliderWidget": Members(
        "CTK Libs/Widgets/ctkSliderWidget.h",
        {"value": 0.0, "minimum": 0.0, "maximum": 99.0, "singleStep": 1.0, "pageStep": 10.0, "decimals": 0,
         "prefix": "", "suffix": "", "tracking": True, "spinBoxVisible": True, "popupSlider": False},
        ("setValue", "setRange", "reset"),
        ("valueChanged(double)", "valueIsChanging(double)", "decimalsChanged(int)"),
    ),
    "ctkRangeWidget": Members(
        "CTK Libs/Widgets/ctkRangeWidget.h",
        {"minimum": 0.0, "maximum": 99.0, "minimumValue": 0.0, "maximumValue": 99.0, "singleStep": 1.0, "decimals": 0,
         "prefix": "", "suffix": "", "tracking": True},
        ("setMinimumValue", "setMaximumValue", "setValues", "setRange"),
        ("valuesChanged(double,double)", "minimumValueChanged(double)", "maximumValueChanged(double)",
         "rangeChanged(double,double)"),
    ),
    "ctkComboBox": Members("CTK Libs/Widgets/ctkComboBox.h", {"defaultText": "", "elideMode": 0}),
    "ctkPushButton": Members("CTK Libs/Widgets/ctkPushButton.h", {"elideMode": 0}),
    "ctkCheckablePushButton": Members(
        "CTK Libs/Widgets/ctkCheckablePushButton.h", {"checkState": 0, "checkBoxControlsButton": True},
        signals=("checkBoxToggled(bool)",),
    ),
    "ctkMenuButton": Members("CTK Libs/Widgets/ctkMenuButton.h"),
    "ctkExpandableWidget": Members("CTK Libs/Widgets/ctkExpandableWidget.h"),
    "ctkMessageBox": Members(
        "CTK Libs/Widgets/ctkMessageBox.h", {"dontShowAgainVisible": False, "dontShowAgain": False}
    ),
}

SLICER = {
    "qMRMLWidget": Members(
        "Slicer Libs/MRML/Widgets/qMRMLWidget.h",
        methods=("mrmlScene", "setMRMLScene"),
        signals=("mrmlSceneChanged(vtkMRMLScene*)",),
    ),
    "qMRMLSliderWidget": Members(
        "Slicer Libs/MRML/Widgets/qMRMLSliderWidget.h",
        {"quantity": "", "unitAwareProperties": 0},
        ("mrmlScene", "setMRMLScene"),
    ),
    "qMRMLNodeComboBox": Members(
        "Slicer Libs/MRML/Widgets/qMRMLNodeComboBox.h",
        {"currentNodeID": "", "currentNodeId": "", "nodeTypes": (), "showHidden": False, "showChildNodeTypes": True,
         "hideChildNodeTypes": (), "baseName": "", "noneEnabled": False, "addEnabled": True, "removeEnabled": True,
         "editEnabled": False, "renameEnabled": False, "interactionNodeSingletonTag": "Singleton",
         "selectNodeUponCreation": True, "noneDisplay": "None", "sizeAdjustPolicy": 2},
        ("mrmlScene", "addAttribute", "removeAttribute", "setNodeTypeLabel", "nodeTypeLabel", "nodeCount",
         "nodeFromIndex", "currentNode", "setMRMLScene", "setCurrentNode", "setCurrentNodeID", "setCurrentNodeIndex",
         "addNode", "removeCurrentNode", "editCurrentNode", "renameCurrentNode"),
        ("currentNodeChanged(vtkMRMLNode*)", "currentNodeChanged(bool)", "currentNodeIDChanged(QString)",
         "nodeActivated(vtkMRMLNode*)", "nodeAdded(vtkMRMLNode*)", "nodeAddedByUser(vtkMRMLNode*)",
         "nodeAddedByUserAction(vtkMRMLNode*)", "nodeAboutToBeRemoved(vtkMRMLNode*)",
         "nodeAboutToBeEdited(vtkMRMLNode*)"),
    ),
}
