"""Stand-in for Slicer's Sample Data module: its registry and its buttons; nothing is ever downloaded."""

import ctk
import qt
import slicer
from slicer.ScriptedLoadableModule import (
    ScriptedLoadableModule,
    ScriptedLoadableModuleLogic,
    ScriptedLoadableModuleWidget,
)


class SampleData(ScriptedLoadableModule):
    def __init__(self, parent):
        ScriptedLoadableModule.__init__(self, parent)
        parent.title = "Sample Data"
        if not hasattr(slicer.modules, "sampleDataSources"):
            slicer.modules.sampleDataSources = {}


class SampleDataSource:
    """One sample; what is given for one file is kept as a list of one, as in Slicer."""

    def __init__(
        self,
        sampleName=None,
        sampleDescription=None,
        uris=None,
        fileNames=None,
        nodeNames=None,
        checksums=None,
        loadFiles=None,
        customDownloader=None,
        thumbnailFileName=None,
        loadFileType=None,
        loadFileProperties=None,
    ):
        several = isinstance(uris, list | tuple)
        count = len(uris) if several else 1

        def aslist(value):
            if several:
                return [None] * count if value is None else list(value)
            return [value]

        self.sampleName, self.sampleDescription = sampleName, sampleDescription or sampleName
        self.uris, self.fileNames, self.nodeNames = aslist(uris), aslist(fileNames), aslist(nodeNames)
        self.checksums, self.loadFiles = aslist(checksums), aslist(loadFiles)
        self.customDownloader, self.thumbnailFileName = customDownloader, thumbnailFileName
        self.loadFileType = loadFileType if isinstance(loadFileType, list) else [loadFileType] * count
        self.loadFileProperties = loadFileProperties or {}
        lengths = {len(value) for value in (self.uris, self.fileNames, self.nodeNames, self.checksums, self.loadFiles)}
        if lengths != {count}:
            raise ValueError("All fields of sample data source must have the same length")


class SampleDataWidget(ScriptedLoadableModuleWidget):
    """A button for each sample."""

    def setup(self):
        ScriptedLoadableModuleWidget.setup(self)
        self.logic = SampleDataLogic()
        for category, sources in sorted(slicer.modules.sampleDataSources.items()):
            frame = ctk.ctkCollapsibleGroupBox()
            frame.title = category
            frame.setLayout(qt.QVBoxLayout())
            self.layout.addWidget(frame)
            for source in sources:
                button = qt.QToolButton()
                button.text = source.sampleDescription
                button.setToolButtonStyle(qt.Qt.ToolButtonTextUnderIcon)
                if source.thumbnailFileName:
                    button.setIcon(qt.QIcon(source.thumbnailFileName))
                    button.setIconSize(qt.QSize(144, 96))
                download = source.customDownloader or self.logic.downloadFromSource
                button.connect("clicked()", lambda download=download, source=source: download(source))
                frame.layout().addWidget(button)
        self.layout.addStretch(1)


class SampleDataLogic(ScriptedLoadableModuleLogic):
    @staticmethod
    def registerCustomSampleDataSource(
        category="Custom",
        sampleName=None,
        uris=None,
        fileNames=None,
        nodeNames=None,
        customDownloader=None,
        thumbnailFileName=None,
        loadFileType=None,
        loadFiles=None,
        loadFileProperties=None,
        checksums=None,
        sampleDescription=None,
    ):
        source = SampleDataSource(
            sampleName,
            sampleDescription,
            uris,
            fileNames,
            nodeNames,
            checksums,
            loadFiles,
            customDownloader,
            thumbnailFileName,
            loadFileType,
            loadFileProperties,
        )
        slicer.modules.sampleDataSources.setdefault(category, []).append(source)

    def sourceForSampleName(self, sampleName):
        sources = (source for group in slicer.modules.sampleDataSources.values() for source in group)
        return next((source for source in sources if source.sampleName == sampleName), None)

    def categoryForSource(self, wanted):
        items = slicer.modules.sampleDataSources.items()
        return next((category for category, sources in items if wanted in sources), None)

    def downloadFromSource(self, source, maximumAttemptsCount=3):
        raise RuntimeError(f"The host downloads nothing: {source.uris}")

    def downloadSamples(self, sampleName):
        source = self.sourceForSampleName(sampleName)
        return self.downloadFromSource(source) if source is not None else []

    def downloadSample(self, sampleName):
        return self.downloadSamples(sampleName)[0]


def downloadSample(sampleName):
    return SampleDataLogic().downloadSample(sampleName)


def downloadSamples(sampleName):
    return SampleDataLogic().downloadSamples(sampleName)
