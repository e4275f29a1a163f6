"""A study of the scene: a text node that holds the findings and refers to every node made of them.

The node is saved with the scene, so a study comes back whole with it. Several studies may be in one scene.
"""

import json
from pathlib import Path

import slicer

MARK = "LungNoduleCAD.Study"
FOLDER = "LungNoduleCAD.Folder"
NODULE = "LungNoduleCAD.Nodule"

SCAN = "scan"
SEGMENTATION = "segmentation"
PRIOR_SCAN = "priorScan"
PRIOR_SEGMENTATION = "priorSegmentation"
REGISTRATION = "registration"
SALIENCY = "saliency"
GROWTH_CHART = "growthChart"
ROLES = (SCAN, SEGMENTATION, PRIOR_SCAN, PRIOR_SEGMENTATION, REGISTRATION)

CATEGORIES = ("0", "1", "2", "3", "4A", "4B", "4X")


class Study:
    """``findings`` is the document of findings.json; positions in it are LPS mm."""

    def __init__(self, node) -> None:
        self.node = node
        self._findings = None

    @classmethod
    def create(cls, findings: dict, folder: Path) -> "Study":
        node = slicer.vtkMRMLTextNode()
        day = findings["series"]["study_date"] or ""
        node.SetName(slicer.mrmlScene.GenerateUniqueName(f"Lung nodules {day}".strip()))
        node.SetAttribute(MARK, "1")  # before it is added, for selectors look at it then
        node.SetAttribute(FOLDER, str(folder))
        slicer.mrmlScene.AddNode(node)
        study = cls(node)
        study.setFindings(findings)
        return study

    @classmethod
    def inScene(cls) -> list["Study"]:
        return [cls(node) for node in slicer.util.getNodesByClass("vtkMRMLTextNode") if node.GetAttribute(MARK)]

    def __eq__(self, other) -> bool:
        return isinstance(other, Study) and other.node is self.node

    def __hash__(self) -> int:
        return hash(self.node.GetID())

    @property
    def findings(self) -> dict:
        if self._findings is None:
            self._findings = json.loads(self.node.GetText())
        return self._findings

    def setFindings(self, findings: dict) -> None:
        self._findings = findings
        self.node.SetText(json.dumps(findings))

    @property
    def folder(self) -> Path:
        """The results folder; it may be gone, for instance when the scene was saved on another machine."""
        return Path(self.node.GetAttribute(FOLDER) or "")

    def setFolder(self, folder: Path) -> None:
        self.node.SetAttribute(FOLDER, str(folder))

    # ---- what the findings say

    @property
    def nodules(self) -> list[dict]:
        return self.findings["nodules"]

    def bySuspicion(self) -> list[dict]:
        """The nodules, the highest Lung-RADS category first, in a category the most malignant-looking one."""
        return sorted(self.nodules, key=_suspicion, reverse=True)

    def nodule(self, noduleId: str) -> dict | None:
        return next((nodule for nodule in self.nodules if nodule["id"] == noduleId), None)

    def priorNodule(self, noduleId: str | None) -> dict | None:
        prior = self.findings["prior"]
        return next((nodule for nodule in prior["nodules"] if nodule["id"] == noduleId), None) if prior else None

    @property
    def matches(self) -> list[dict]:
        comparison = self.findings["comparison"]
        return comparison["matches"] if comparison else []

    def matchOf(self, noduleId: str) -> dict | None:
        """The comparison's row of a nodule of the current scan."""
        return next((match for match in self.matches if match["current_id"] == noduleId), None)

    # ---- the nodes made of them

    def get(self, role: str):
        """The node in one of ROLES, or None."""
        return self.node.GetNodeReference(role)

    def set(self, role: str, node) -> None:
        self.node.SetNodeReferenceID(role, node.GetID() if node is not None else None)

    def saliency(self, noduleId: str):
        """The heat map of a nodule as a volume, or None."""
        return self._saliencies().get(noduleId)

    def setSaliency(self, noduleId: str, node) -> None:
        old = self.saliency(noduleId)
        if old is not None and old is not node:
            slicer.mrmlScene.RemoveNode(old)
        if node is not None:
            node.SetAttribute(NODULE, noduleId)
            self.node.AddNodeReferenceID(SALIENCY, node.GetID())

    def _saliencies(self) -> dict:
        nodes = [
            self.node.GetNthNodeReference(SALIENCY, n) for n in range(self.node.GetNumberOfNodeReferences(SALIENCY))
        ]
        return {node.GetAttribute(NODULE): node for node in nodes if node is not None}

    def remove(self) -> None:
        """Take the study and the nodes made for it out of the scene; the scans stay."""
        made = [self.get(role) for role in (SEGMENTATION, PRIOR_SEGMENTATION, REGISTRATION)]
        for node in [*made, *self._saliencies().values(), *self._growthNodes(), self.node]:
            if node is not None:
                slicer.mrmlScene.RemoveNode(node)

    def _growthNodes(self) -> list:
        """The growth plot's chart, its series and their table."""
        chart = self.get(GROWTH_CHART)
        if chart is None:
            return []
        series = [chart.GetNthPlotSeriesNode(n) for n in range(chart.GetNumberOfPlotSeriesNodes())]
        return [*dict.fromkeys(one.GetTableNode() for one in series), *series, chart]


def _suspicion(nodule: dict) -> tuple[int, float]:
    category, malignancy = nodule["lung_rads"], nodule["malignancy"]["probability"]
    return CATEGORIES.index(category) if category else -1, -1.0 if malignancy is None else malignancy
