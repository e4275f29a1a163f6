"""What the host offers of CTK and Slicer, and the header that declares it. Nothing outside of this table is offered.

Python reaches of a C++ class its Qt properties, its slots and what is Q_INVOKABLE, and its signals: so only those may
stand here, and not what the class inherits from Qt. A property that can be written stands with its default.
"""

# ruff: noqa: C408  dict(...) reads like the declarations in the headers
# fmt: off

from __future__ import annotations

from dataclasses import dataclass, field

READ_ONLY = object()


@dataclass(frozen=True)
class Members:
    """One class: where it is declared, and its members; names are separated by blanks."""

    header: str
    writable: dict[str, object] = field(default_factory=dict)
    readOnly: str = ""
    methods: str = ""
    signals: str = ""

    @property
    def properties(self) -> dict[str, object]:
        """Name and default; READ_ONLY where there is no WRITE function."""
        return self.writable | dict.fromkeys(self.readOnly.split(), READ_ONLY)

    @property
    def names(self) -> set[str]:
        signals = (signal.partition("(")[0] for signal in self.signals.split())
        return {*self.properties, *self.methods.split(), *signals}


CTK = {
    "ctkCollapsibleButton": Members(
        "CTK Libs/Widgets/ctkCollapsibleButton.h",
        dict(collapsed=False, collapsedHeight=14, contentsFrameShape=0, contentsFrameShadow=16, contentsLineWidth=0,
             contentsMidLineWidth=0, buttonTextAlignment=129, indicatorAlignment=129),
        signals="contentsCollapsed(bool)",
    ),
    "ctkCollapsibleGroupBox": Members(
        "CTK Libs/Widgets/ctkCollapsibleGroupBox.h",
        dict(collapsed=False, collapsedHeight=14),
    ),
    "ctkPathLineEdit": Members(
        "CTK Libs/Widgets/ctkPathLineEdit.h",
        dict(label="", filters=7, currentPath="", options=0, settingKey="", showBrowseButton=True,
             showHistoryButton=True, sizeAdjustPolicy=1, minimumContentsLength=0, nameFilters=()),
        methods="setCurrentPath browse retrieveHistory addCurrentPathToHistory",
        signals="currentPathChanged(QString) validInputChanged(bool)",
    ),
    "ctkDoubleSlider": Members(
        "CTK Libs/Widgets/ctkDoubleSlider.h",
        dict(value=0.0, sliderPosition=0.0, minimum=0.0, maximum=99.0, singleStep=1.0, pageStep=10.0,
             tickInterval=0.0, tickPosition=0, tracking=True, orientation=1, handleToolTip="", invertedAppearance=False,
             invertedControls=False),
        methods="setValue setOrientation",
        signals="valueChanged(double) sliderMoved(double) sliderPressed() sliderReleased() rangeChanged(double,double)",
    ),
    "ctkSliderWidget": Members(
        "CTK Libs/Widgets/ctkSliderWidget.h",
        dict(decimals=0, singleStep=1.0, pageStep=10.0, minimum=0.0, maximum=99.0, value=0.0, prefix="", suffix="",
             tickInterval=0.0, tickPosition=0, autoSpinBoxWidth=True, spinBoxAlignment=2, tracking=True,
             spinBoxVisible=True, popupSlider=False),
        methods="reset setValue setSpinBoxVisible",
        signals="valueChanged(double) valueIsChanging(double)",
    ),
    "ctkRangeWidget": Members(
        "CTK Libs/Widgets/ctkRangeWidget.h",
        dict(decimals=0, singleStep=1.0, minimum=0.0, maximum=99.0, minimumValue=0.0, maximumValue=99.0, prefix="",
             suffix="", tickInterval=0.0, autoSpinBoxWidth=True, spinBoxTextAlignment=1, spinBoxAlignment=128,
             tracking=True, symmetricMoves=False),
        methods="reset setMinimumValue setMaximumValue setValues setRange",
        signals="""
        minimumValueChanged(double) minimumValueIsChanging(double) maximumValueChanged(double)
        maximumValueIsChanging(double) valuesChanged(double,double) rangeChanged(double,double)
        """,
    ),
    "ctkComboBox": Members(
        "CTK Libs/Widgets/ctkComboBox.h",
        dict(defaultText="", forceDefault=False, elideMode=3, scrollWheelEffect=1),
    ),
    "ctkDoubleSpinBox": Members(
        "CTK Libs/Widgets/ctkDoubleSpinBox.h",
        dict(invertedControls=False),
    ),
    "ctkFittedTextBrowser": Members(
        "CTK Libs/Widgets/ctkFittedTextBrowser.h",
    ),
    "ctkPushButton": Members(
        "CTK Libs/Widgets/ctkPushButton.h",
        dict(buttonTextAlignment=132, iconAlignment=129),
    ),
    "ctkCheckablePushButton": Members(
        "CTK Libs/Widgets/ctkCheckablePushButton.h",
        dict(buttonTextAlignment=132, indicatorAlignment=129),
    ),
    "ctkMenuButton": Members(
        "CTK Libs/Widgets/ctkMenuButton.h",
    ),
    "ctkExpandableWidget": Members(
        "CTK Libs/Widgets/ctkExpandableWidget.h",
        dict(orientations=3, sizeGripInside=True),
        methods="updateSizeHint",
    ),
    "ctkMessageBox": Members(
        "CTK Libs/Widgets/ctkMessageBox.h",
        dict(dontShowAgain=False, dontShowAgainSettingsKey="", dontShowAgainVisible=False),
        methods="setDontShowAgain",
    ),
    "ctkDICOMDatabase": Members(
        "CTK Libs/DICOM/Core/ctkDICOMDatabase.h",
        readOnly="isOpen isInMemory lastError databaseFilename databaseDirectory",
        methods="""
        openDatabase closeDatabase initializeDatabase patients studiesForPatient seriesForStudy
        instancesForSeries studyForSeries patientForStudy filesForSeries descriptionForSeries
        descriptionForStudy nameForPatient displayedNameForPatient fieldForPatient fieldForStudy fieldForSeries
        fileForInstance seriesForFile instanceForFile patientsCount studiesCount seriesCount imagesCount
        allFiles removeSeries removeStudy removePatient instanceValue fileValue instanceValueExists
        fileValueExists
        """,
        signals="opened() closed() databaseChanged()",
    ),
}

SLICER = {
    "qMRMLWidget": Members(
        "Slicer Libs/MRML/Widgets/qMRMLWidget.h",
        methods="mrmlScene setMRMLScene",
        signals="mrmlSceneChanged(vtkMRMLScene*)",
    ),
    "qMRMLNodeComboBox": Members(
        "Slicer Libs/MRML/Widgets/qMRMLNodeComboBox.h",
        dict(currentNodeID="", currentNodeId="", nodeTypes=(), showHidden=False, showChildNodeTypes=True,
             hideChildNodeTypes=(), baseName="", noneEnabled=False, addEnabled=True, removeEnabled=True,
             editEnabled=False, renameEnabled=False, interactionNodeSingletonTag="Singleton",
             selectNodeUponCreation=True, noneDisplay="None", sizeAdjustPolicy=2),
        methods="""
        mrmlScene addAttribute removeAttribute setNodeTypeLabel nodeTypeLabel nodeCount nodeFromIndex
        currentNode setMRMLScene setCurrentNode setCurrentNodeID setCurrentNodeIndex addNode removeCurrentNode
        editCurrentNode renameCurrentNode
        """,
        signals="""
        currentNodeChanged(vtkMRMLNode*) currentNodeChanged(bool) currentNodeIDChanged(QString)
        nodeActivated(vtkMRMLNode*) nodeAdded(vtkMRMLNode*) nodeAddedByUser(vtkMRMLNode*)
        nodeAddedByUserAction(vtkMRMLNode*) nodeAboutToBeRemoved(vtkMRMLNode*)
        nodeAboutToBeEdited(vtkMRMLNode*)
        """,
    ),
    "qMRMLColorTableComboBox": Members(
        "Slicer Libs/MRML/Widgets/qMRMLColorTableComboBox.h",
    ),
    "qMRMLSliderWidget": Members(
        "Slicer Libs/MRML/Widgets/qMRMLSliderWidget.h",
        dict(quantity="", unitAwareProperties=39),
        methods="mrmlScene setMRMLScene setQuantity",
    ),
    "qMRMLSpinBox": Members(
        "Slicer Libs/MRML/Widgets/qMRMLSpinBox.h",
        dict(quantity="", unitAwareProperties=63),
        methods="mrmlScene setMRMLScene setQuantity",
    ),
    "qMRMLSegmentsTableView": Members(
        "Slicer Modules/Loadable/Segmentations/Widgets/qMRMLSegmentsTableView.h",
        dict(selectionMode=3, headerVisible=True, visibilityColumnVisible=True, colorColumnVisible=True,
             opacityColumnVisible=True, statusColumnVisible=False, readOnly=False, filterBarVisible=False,
             textFilter=""),
        readOnly="segmentCount",
        methods="""
        segmentationNode setSegmentationNode selectedSegmentIDs setSelectedSegmentIDs clearSelection
        setHideSegments hideSegments displayedSegmentIDs rowForSegmentID segmentIDForRow setSelectionMode
        setHeaderVisible setVisibilityColumnVisible setColorColumnVisible setOpacityColumnVisible
        setStatusColumnVisible setReadOnly setFilterBarVisible setTextFilter
        """,
        signals="selectionChanged(QItemSelection,QItemSelection) segmentAboutToBeModified(QString)",
    ),
    "qMRMLSegmentEditorWidget": Members(
        "Slicer Modules/Loadable/Segmentations/Widgets/qMRMLSegmentEditorWidget.h",
        dict(segmentationNodeSelectorVisible=True, sourceVolumeNodeSelectorVisible=True,
             autoShowSourceVolumeNode=True, switchToSegmentationsButtonVisible=True, undoEnabled=True,
             maximumNumberOfUndoStates=5, readOnly=False, effectButtonStyle=2, effectColumnCount=2,
             unorderedEffectsVisible=True, jumpToSelectedSegmentEnabled=False),
        methods="""
        mrmlSegmentEditorNode segmentationNode segmentationNodeID sourceVolumeNode sourceVolumeNodeID
        currentSegmentID activeEffect setActiveEffect effectByName availableEffectNames setEffectNameOrder
        effectNameOrder setupViewObservations removeViewObservations setMRMLSegmentEditorNode
        updateWidgetFromMRML setSegmentationNode setSegmentationNodeID setSourceVolumeNode
        setSourceVolumeNodeID setCurrentSegmentID setActiveEffectByName saveStateForUndo
        setSegmentationNodeSelectorVisible setSourceVolumeNodeSelectorVisible setAutoShowSourceVolumeNode
        setSwitchToSegmentationsButtonVisible setUndoEnabled setMaximumNumberOfUndoStates setReadOnly undo redo
        installKeyboardShortcuts uninstallKeyboardShortcuts
        """,
    ),
    "qSlicerApplication": Members(
        "Slicer Base/QTCore/qSlicerCoreApplication.h, Base/QTGUI/qSlicerApplication.h",
        dict(defaultScenePath="", launcherExecutableFilePath="", revision="0", repositoryRevision="0",
             documentationBaseUrl="", isInstalled=False),
        readOnly="""
        slicerHome temporaryPath cachePath startupWorkingPath extensionsInstallPath majorVersion minorVersion
        mainApplicationName os
        """,
        methods="""
        mrmlScene applicationLogic moduleLogic moduleManager coreIOManager ioManager layoutManager
        commandOptions testingEnabled userSettings revisionUserSettings settings dicomDatabase setRenderPaused
        pauseRender resumeRender
        """,
        signals="startupCompleted()",
    ),
    "qSlicerCoreIOManager": Members(
        "Slicer Base/QTCore/qSlicerCoreIOManager.h",
        methods="""
        fileType loadNodes loadScene saveNodes exportNodes fileWriterFileType fileWriterExtensions
        extractKnownExtension
        """,
    ),
    "qSlicerModuleManager": Members(
        "Slicer Base/QTCore/qSlicerModuleManager.h",
        methods="factoryManager module",
        signals="moduleLoaded(QString) moduleAboutToBeUnloaded(QString)",
    ),
    "qSlicerLoadableModule": Members(
        "Slicer Base/QTCore/qSlicerAbstractCoreModule.h",
        readOnly="name title",
        methods="logic",
    ),
    "qSlicerScriptedLoadableModule": Members(
        "Slicer Base/QTCore/qSlicerAbstractCoreModule.h, Base/QTGUI/qSlicerScriptedLoadableModule.h",
        dict(title="", categories=(), dependencies=(), contributors=(), helpText="", acknowledgementText="",
             icon=None, hidden=False, index=-1, widgetRepresentationCreationEnabled=True, associatedNodeTypes=()),
        readOnly="name path",
        methods="widgetRepresentation createNewWidgetRepresentation",
    ),
    "qSlicerScriptedLoadableModuleWidget": Members(
        "Slicer Base/QTGUI/qSlicerAbstractModuleWidget.h, Base/QTGUI/qSlicerScriptedLoadableModuleWidget.h",
        readOnly="isEntered",
        methods="self reload enter exit",
    ),
    "qSlicerMainWindow": Members(
        "Slicer Base/QTApp/qSlicerMainWindow.h",
        methods="moduleSelector",
    ),
    "qSlicerModuleSelectorToolBar": Members(
        "Slicer Base/QTGUI/qSlicerModuleSelectorToolBar.h",
        readOnly="selectedModule",
        methods="selectModule",
        signals="moduleSelected(QString)",
    ),
    "qSlicerLayoutManager": Members(
        "Slicer Libs/MRML/Widgets/qMRMLLayoutManager.h",
        dict(layout=0),
        readOnly="enabled threeDViewCount tableViewCount plotViewCount",
        methods="""
        mrmlScene setMRMLScene viewWidget sliceWidget sliceViewNames threeDWidget tableWidget plotWidget
        mrmlSliceLogics mrmlViewLogics layoutLogic activeMRMLThreeDViewNode activeMRMLTableViewNode
        activeMRMLPlotViewNode setLayout resetThreeDViews resetSliceViews viewport
        """,
        signals="layoutChanged(int)",
    ),
    "qMRMLSliceWidget": Members(
        "Slicer Libs/MRML/Widgets/qMRMLSliceWidget.h",
        dict(sliceOrientation=""),
        methods="""
        sliceController mrmlSliceNode sliceLogic mrmlSliceCompositeNode sliceView setSliceOrientation
        fitSliceToBackground
        """,
    ),
    "qMRMLSliceView": Members(
        "Slicer Libs/MRML/Widgets/qMRMLSliceView.h",
        methods="mrmlSliceNode forceRender scheduleRender",
    ),
    "qMRMLSliceControllerWidget": Members(
        "Slicer Libs/MRML/Widgets/qMRMLSliceControllerWidget.h",
        methods="""
        fitSliceToBackground setSliceOffsetValue setSliceVisible setSliceLink setHotLinked setSliceOrientation
        """,
    ),
    "qMRMLThreeDWidget": Members(
        "Slicer Libs/MRML/Widgets/qMRMLThreeDWidget.h",
        methods="mrmlViewNode viewLogic threeDView threeDController",
    ),
    "qMRMLThreeDView": Members(
        "Slicer Libs/MRML/Widgets/qMRMLThreeDView.h",
        methods="mrmlViewNode cameraNode resetCamera resetFocalPoint forceRender scheduleRender",
    ),
    "qMRMLPlotWidget": Members(
        "Slicer Libs/MRML/Widgets/qMRMLPlotWidget.h",
        methods="mrmlPlotViewNode plotView plotController",
    ),
    "qMRMLPlotView": Members(
        "Slicer Libs/MRML/Widgets/qMRMLPlotView.h",
        methods="fitToContent",
    ),
    "qMRMLTableWidget": Members(
        "Slicer Libs/MRML/Widgets/qMRMLTableWidget.h",
        methods="tableView tableController",
    ),
    "qMRMLTableView": Members(
        "Slicer Libs/MRML/Widgets/qMRMLTableView.h",
        methods="mrmlTableViewNode mrmlTableNode",
    ),
}
