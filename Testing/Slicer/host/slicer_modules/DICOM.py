"""Stand-in for Slicer's DICOM module: its name; the database is ``slicer.dicomDatabase``."""

from slicer.ScriptedLoadableModule import ScriptedLoadableModule, ScriptedLoadableModuleWidget


class DICOM(ScriptedLoadableModule):
    def __init__(self, parent):
        ScriptedLoadableModule.__init__(self, parent)
        parent.title = "DICOM"


class DICOMWidget(ScriptedLoadableModuleWidget):
    """Without a browser."""
