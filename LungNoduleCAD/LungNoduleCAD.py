"""LungNoduleCAD in 3D Slicer: the entry. The panel is in LungNoduleCADSlicer/, the algorithms in LungNoduleCADLib."""

import sys
import tempfile
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
        parent.dependencies = []
        parent.contributors = ["The LungNoduleCAD contributors"]
        parent.helpText = _(
            "Finds, measures, characterizes and follows lung nodules in chest CT and assesses them by Lung-RADS v2022. "
            "Choose a CT, press Analyze, read the table. Research use only; not a medical device."
        )
        parent.acknowledgementText = _("Models were trained on LIDC-IDRI (Armato et al., 2011; CC BY 3.0).")


class LungNoduleCADWidget(ScriptedLoadableModuleWidget, VTKObservationMixin):
    """Puts the panel together and keeps it with the scene."""

    def __init__(self, parent=None):
        ScriptedLoadableModuleWidget.__init__(self, parent)
        VTKObservationMixin.__init__(self)
        self.panel = None

    def setup(self):
        from LungNoduleCADSlicer.AnalysisRunner import AnalysisRunner
        from LungNoduleCADSlicer.DependencyInstaller import DependencyInstaller
        from LungNoduleCADSlicer.ModuleWidget import ModuleWidget
        from LungNoduleCADSlicer.NoduleTable import NoduleTable
        from LungNoduleCADSlicer.SceneBridge import SceneBridge

        ScriptedLoadableModuleWidget.setup(self)
        self.logic = LungNoduleCADLogic()
        uiWidget = slicer.util.loadUI(self.resourcePath("UI/LungNoduleCAD.ui"))
        self.layout.addWidget(uiWidget)
        ui = slicer.util.childWidgetVariables(uiWidget)
        uiWidget.setMRMLScene(slicer.mrmlScene)
        self.panel = ModuleWidget(
            ui,
            runner=AnalysisRunner(),
            scene=SceneBridge(),
            table=NoduleTable(ui.noduleTable),
            installer=DependencyInstaller(),
        )
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.StartCloseEvent, self.onSceneStartClose)
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.EndCloseEvent, self.onSceneEndClose)
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
        self.panel.setParameters(None)

    def onSceneEndClose(self, caller, event):
        self.panel.clearResults()
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
    """Loads made-up results into the scene, as after an analysis. Needs no weights, no network and no data."""

    def setUp(self):
        slicer.mrmlScene.Clear()

    def runTest(self):
        for name in sorted(name for name in dir(self) if name.startswith("test_")):
            self.setUp()
            getattr(self, name)()

    def test_results_come_into_the_scene_and_a_row_leads_to_its_nodule(self):
        from LungNoduleCADSlicer.SelfTest import checkResultsInScene

        slicer.util.selectModule("LungNoduleCAD")
        with tempfile.TemporaryDirectory() as folder:
            checkResultsInScene(self, slicer.modules.LungNoduleCADWidget.panel, Path(folder))

    def test_what_the_worker_writes_becomes_progress_result_and_error(self):
        from LungNoduleCADSlicer.SelfTest import checkWorkerMessages

        checkWorkerMessages(self)

    def test_analysis_is_offered_only_when_a_scan_is_chosen(self):
        from LungNoduleCADSlicer.SelfTest import checkReadiness

        slicer.util.selectModule("LungNoduleCAD")
        checkReadiness(self, slicer.modules.LungNoduleCADWidget.panel)
