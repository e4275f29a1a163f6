"""The panel: its header, and the panels for opening, reading, comparing and reporting, each a tab."""

from collections.abc import Callable
from dataclasses import dataclass

import slicer
from slicer.i18n import tr as _

from LungNoduleCADSlicer.AnalysisRunner import AnalysisRunner, Runner
from LungNoduleCADSlicer.ComparisonPanel import ComparisonPanel
from LungNoduleCADSlicer.CorrectionPanel import CorrectionPanel
from LungNoduleCADSlicer.Corrections import Corrections, startReview
from LungNoduleCADSlicer.DependencyInstaller import DependencyInstaller
from LungNoduleCADSlicer.FactsPanel import FactsPanel
from LungNoduleCADSlicer.Reading import Change, Reading
from LungNoduleCADSlicer.ReadingPanel import ReadingPanel
from LungNoduleCADSlicer.ReportPanel import ReportPanel
from LungNoduleCADSlicer.ScanSources import ScanSources
from LungNoduleCADSlicer.Signals import connect
from LungNoduleCADSlicer.Study import MARK, Study
from LungNoduleCADSlicer.StudyLoader import StudyLoader
from LungNoduleCADSlicer.StudyPanel import StudyPanel
from LungNoduleCADSlicer.Views import Views

RESEARCH_USE_ONLY = "Research use only. Not a medical device; not for diagnosis or treatment decisions."


@dataclass
class Collaborators:
    """What the panel works with; a test puts its own in place of the processes and the installer."""

    runner: Runner
    installer: DependencyInstaller
    startReview: Callable
    sources: ScanSources
    loader: StudyLoader
    views: Views

    @classmethod
    def genuine(cls) -> "Collaborators":
        return cls(AnalysisRunner(), DependencyInstaller(), startReview, ScanSources(), StudyLoader(), Views())


class ModuleWidget:
    """Puts the tabs together. ``loadUi(name)`` answers the widget made of Resources/UI/<name>.ui."""

    def __init__(self, loadUi: Callable, collaborators: Collaborators) -> None:
        self.widget = loadUi("LungNoduleCAD")
        self.ui = slicer.util.childWidgetVariables(self.widget)
        self.widget.setMRMLScene(slicer.mrmlScene)
        self.parameters = None
        self.reading = Reading()
        self.views, self.loader = collaborators.views, collaborators.loader
        self.corrections = Corrections(self.reading, collaborators.loader.applyAnswer, collaborators.startReview)
        self.study = StudyPanel(self._tab("StudyPanel", self.ui.studyTab, loadUi), self.reading, collaborators)
        self.nodules = ReadingPanel(
            self._tab("ReadingPanel", self.ui.readingTab, loadUi), self.reading, self.corrections, self.views
        )
        self.correction = CorrectionPanel(
            self._tab("CorrectionPanel", self.ui.readingTab, loadUi), self.reading, self.corrections, self.views
        )
        self.facts = FactsPanel(self._tab("FactsPanel", self.ui.readingTab, loadUi), self.reading, self.corrections)
        self.comparison = ComparisonPanel(
            self._tab("ComparisonPanel", self.ui.comparisonTab, loadUi), self.reading, self.views
        )
        self.report = ReportPanel(
            self._tab("ReportPanel", self.ui.reportTab, loadUi), self.reading, self.corrections, collaborators.sources
        )
        self.panels = (self.study, self.nodules, self.correction, self.facts, self.comparison, self.report)
        self.ui.researchLabel.text = _(RESEARCH_USE_ONLY)
        self.ui.studySelector.addAttribute("vtkMRMLTextNode", MARK, "1")
        connect(self.ui.studySelector, "currentNodeChanged(vtkMRMLNode*)", self.onStudyChosen)
        self.corrections.onBusy = self.onCorrecting
        self.corrections.onError = self.onCorrectionFailed
        self.reading.observe(self.onReadingChanged)
        self.onReadingChanged(Change.STUDY)

    def _tab(self, name: str, tab, loadUi: Callable):
        widget = loadUi(name)
        tab.layout().addWidget(widget)
        widget.setMRMLScene(slicer.mrmlScene)
        return slicer.util.childWidgetVariables(widget)

    def setParameters(self, parameters) -> None:
        """Show the scene's parameters; None lets go of them."""
        if self.parameters is not None:
            for panel in self.panels:
                panel.setParameters(None)
        self.parameters = parameters
        if parameters is not None:
            for panel in self.panels:
                panel.setParameters(parameters)
            study = Study(parameters.study) if parameters.study is not None else None
            if study != self.reading.study:
                self.reading.open(study)

    def close(self) -> None:
        self.setParameters(None)
        self.corrections.close()
        for panel in self.panels:
            panel.close()

    def remove(self) -> None:
        """Close and take the widgets away, for their node selectors would go on following the scene."""
        self.close()
        self.widget.setParent(None)
        self.widget.deleteLater()

    def onStudyChosen(self, node) -> None:
        if self.parameters is not None and node is not (self.reading.study.node if self.reading.study else None):
            self.reading.open(Study(node) if node is not None else None)

    def onReadingChanged(self, change: Change) -> None:
        study = self.reading.study
        if change is Change.STUDY:
            self.ui.studySelector.setCurrentNode(study.node if study is not None else None)
            if self.parameters is not None:
                self.parameters.study = study.node if study is not None else None
            self.ui.tabs.setTabEnabled(self.ui.tabs.indexOf(self.ui.readingTab), study is not None)
            self.ui.tabs.setTabEnabled(self.ui.tabs.indexOf(self.ui.reportTab), study is not None)
            self.ui.tabs.setCurrentWidget(self.ui.readingTab if study is not None else self.ui.studyTab)
            self.ui.statusLabel.text = ""
        self.ui.tabs.setTabEnabled(self.ui.tabs.indexOf(self.ui.comparisonTab), bool(study and study.matches))
        self.ui.categoryLabel.text = examText(study.findings if study is not None else None)

    def onCorrecting(self, busy: bool) -> None:
        self.ui.statusLabel.text = _("Correcting …") if busy else ""

    def onCorrectionFailed(self, message: str) -> None:
        if self.reading.study is not None:
            self.reading.update(self.reading.study.findings)  # widgets show what holds, not what was wished
        self.ui.statusLabel.text = message
        slicer.util.errorDisplay(message, windowTitle=_("Lung Nodule CAD"))


def examText(findings: dict | None) -> str:
    """The exam's category and the rule that decided it, in one line."""
    if findings is None:
        return _("No results yet")
    exam = findings["lung_rads"]
    if exam is None:
        return _("Lung-RADS was not assessed")
    category = exam["category"] + ("S" if exam["modifier_s"] else "")
    return _("Lung-RADS {category}: {reason}").format(category=category, reason=exam["reason"])
