"""LungNoduleCAD in 3D Slicer: the entry. The panel is in LungNoduleCADSlicer/, the algorithms in LungNoduleCADLib."""

import sys
from importlib import import_module
from pathlib import Path

import slicer
from slicer.i18n import tr as _
from slicer.i18n import translate
from slicer.ScriptedLoadableModule import (
    ScriptedLoadableModule,
    ScriptedLoadableModuleLogic,
    ScriptedLoadableModuleTest,
    ScriptedLoadableModuleWidget,
)
from slicer.util import VTKObservationMixin

# From a source tree Slicer knows only this folder; the library lies beside it (installed: in this very folder).
if (Path(__file__).resolve().parents[1] / "LungNoduleCADLib").is_dir():
    sys.path.append(str(Path(__file__).resolve().parents[1]))


class LungNoduleCAD(ScriptedLoadableModule):
    """What Slicer's module list says of the module."""

    def __init__(self, parent):
        ScriptedLoadableModule.__init__(self, parent)
        parent.title = _("Lung Nodule CAD")
        parent.categories = [translate("qSlicerAbstractCoreModule", "Quantification")]
        parent.contributors = ["The LungNoduleCAD contributors"]
        parent.helpText = _(
            "Finds, measures, characterizes and follows lung nodules in chest CT and assesses them by Lung-RADS v2022. "
            "Choose a CT, press Analyze, read the table. Research use only; not a medical device."
        )
        parent.acknowledgementText = _("Models were trained on LIDC-IDRI (Armato et al., 2011; CC BY 3.0).")
        slicer.app.connect("startupCompleted()", self.onStartupCompleted)

    def onStartupCompleted(self):
        from LungNoduleCADSlicer import Layouts, Samples

        Layouts.register()
        Samples.register(Path(__file__).parent / "Resources" / "Icons")


class LungNoduleCADWidget(ScriptedLoadableModuleWidget, VTKObservationMixin):
    """Puts the panel together and keeps it with the scene."""

    def __init__(self, parent=None):
        ScriptedLoadableModuleWidget.__init__(self, parent)
        VTKObservationMixin.__init__(self)
        self.panel = None

    def setup(self):
        from LungNoduleCADSlicer.ModuleWidget import Collaborators

        ScriptedLoadableModuleWidget.setup(self)
        self.logic = LungNoduleCADLogic()
        self.build(Collaborators.genuine())
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.StartCloseEvent, self.onSceneStartClose)
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.EndCloseEvent, self.onSceneEnd)
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.EndImportEvent, self.onSceneEnd)

    def build(self, collaborators):
        """The panel anew; the self-test gives its own collaborators in place of the processes."""
        from LungNoduleCADSlicer.ModuleWidget import ModuleWidget

        if self.panel is not None:
            self.panel.remove()
        self.panel = ModuleWidget(lambda name: slicer.util.loadUI(self.resourcePath(f"UI/{name}.ui")), collaborators)
        self.layout.addWidget(self.panel.widget)
        self.panel.setParameters(self.logic.getParameters())

    def cleanup(self):
        self.removeObservers()
        if self.panel:
            self.panel.close()

    def enter(self):
        self.panel.setParameters(self.logic.getParameters())

    def exit(self):
        self.panel.setParameters(None)

    def onSceneStartClose(self, caller, event):
        self.panel.reading.open(None)
        self.panel.setParameters(None)

    def onSceneEnd(self, caller, event):
        if self.parent.isEntered:
            self.panel.setParameters(self.logic.getParameters())

    def onReload(self):
        for name in [name for name in sys.modules if name.split(".")[0] in ("LungNoduleCADLib", "LungNoduleCADSlicer")]:
            del sys.modules[name]
        ScriptedLoadableModuleWidget.onReload(self)


class LungNoduleCADLogic(ScriptedLoadableModuleLogic):
    """Gives the scene's parameters; the analysis itself is the library's."""

    def getParameters(self):
        from LungNoduleCADSlicer.Parameters import Parameters

        return Parameters(ScriptedLoadableModuleLogic.getParameterNode(self))


class LungNoduleCADTest(ScriptedLoadableModuleTest):
    """Every action of the panel, on made-up results. Needs no weights, no network, no data and no Python package."""

    def setUp(self):
        slicer.mrmlScene.Clear()
        slicer.util.selectModule("LungNoduleCAD")

    def runTest(self):
        for name in sorted(name for name in dir(self) if name.startswith("test_")):
            self.setUp()
            getattr(self, name)()

    def check(self, topic, name):
        getattr(import_module(f"LungNoduleCADSlicer.SelfTest.{topic}"), name)(self)

    def test_a_scan_and_its_prior_are_opened(self):
        self.check("Open", "everySentence")

    def test_one_button_analyzes_them(self):
        self.check("Analyze", "everySentence")

    def test_nodules_are_read(self):
        self.check("Read", "everySentence")

    def test_findings_are_corrected(self):
        self.check("Correct", "everySentence")

    def test_what_only_a_reader_sees_is_stated(self):
        self.check("Facts", "everySentence")

    def test_two_scans_are_compared(self):
        self.check("Compare", "everySentence")

    def test_a_report_is_made_and_exported(self):
        self.check("Report", "everySentence")

    def test_the_scene_brings_everything_back(self):
        self.check("Scene", "everySentence")
