"""What only a reader can say of the chosen nodule; its category, the rule and the management follow at once."""

import slicer
from slicer.i18n import tr as _

from LungNoduleCADSlicer import NoduleWords
from LungNoduleCADSlicer.Choices import Choices, noYes
from LungNoduleCADSlicer.Reading import Change


class FactsPanel:
    """``ui`` holds the widgets of FactsPanel.ui; what is stated goes through ``corrections``, which queues it."""

    def __init__(self, ui, reading, corrections) -> None:
        self.ui, self.reading, self.corrections = ui, reading, corrections
        self.choices = Choices(
            {
                "benign_calcification": (ui.calcificationBox, noYes()),
                "fat": (ui.fatBox, noYes()),
                "spiculated": (ui.spiculatedBox, noYes()),
                "suspicious_features": (ui.suspiciousBox, noYes()),
                "juxtapleural_smooth": (ui.juxtapleuralBox, noYes()),
                "airway": (
                    ui.airwayBox,
                    [
                        (_("no"), "none"),
                        (_("subsegmental"), "subsegmental"),
                        (_("segmental or more proximal"), "segmental"),
                        (_("the same, air and no soft tissue"), "secretions"),
                    ],
                ),
                "cyst": (
                    ui.cystBox,
                    [
                        (_("no"), "none"),
                        (_("thin-walled"), "thin-walled"),
                        (_("thick-walled"), "thick-walled"),
                        (_("multilocular"), "multilocular"),
                    ],
                ),
                "cyst_change": (
                    ui.cystChangeBox,
                    [
                        (_("no"), "none"),
                        (_("growing cyst"), "growing cyst"),
                        (_("growing wall or nodularity"), "growing wall or nodularity"),
                        (_("became multilocular"), "became multilocular"),
                        (_("more loculation"), "more loculation"),
                        (_("new or increased opacity"), "new or increased opacity"),
                    ],
                ),
                "slow_growth": (ui.slowGrowthBox, noYes()),
                "proven_benign": (ui.provenBenignBox, noYes()),
                "upper_lobe": (ui.upperLobeBox, noYes()),
            },
            self.onStated,
        )
        reading.observe(self.onReadingChanged)
        self.update()

    def setParameters(self, parameters) -> None:
        """Nothing of this panel is kept in the parameters: the facts are the nodule's."""

    def close(self) -> None:
        """Nothing is open."""

    def onStated(self) -> None:
        """All facts of the nodule together, for the library takes them anew."""
        nodule = self.reading.selected
        if nodule is None or self.corrections.whyNotPossible():
            return
        facts = {**nodule["stated"], **self.choices.values}
        if facts["cyst"] in (None, "none"):
            facts["cyst_change"] = None
        with slicer.util.tryWithErrorDisplay(_("The correction could not be made.")):
            self.corrections.send("facts", nodule=nodule["id"], facts=facts)

    def onReadingChanged(self, change: Change) -> None:
        # what was chosen while an earlier choice is being worked on is not taken back
        self.update(keepChoices=change is Change.FINDINGS and self.corrections.busy)

    def update(self, keepChoices: bool = False) -> None:
        nodule, reason = self.reading.selected, self.corrections.whyNotPossible()
        obstacle = reason or ("" if nodule is not None else _("Choose a nodule first"))
        self.ui.factsFrame.enabled = not obstacle
        self.ui.factsFrame.toolTip = obstacle
        if not keepChoices:
            self.choices.show(nodule["stated"] if nodule is not None else {})
        self.ui.cystChangeBox.enabled = self.choices.value("cyst") not in (None, "none")
        self.ui.factsLabel.text = consequence(nodule)


def consequence(nodule: dict | None) -> str:
    """``N1, Lung-RADS 4A: solid nodule … (rule solid-baseline-4A)``, the management and what is open."""
    if nodule is None:
        return _("Choose a nodule first")
    heading = _("{id}, Lung-RADS {category}").format(id=nodule["id"], category=nodule["lung_rads"] or NoduleWords.NONE)
    lines = [f"{heading}: {NoduleWords.category(nodule)}"]
    assessment = nodule["lung_rads_assessment"]
    if assessment is not None and nodule["review"] != "rejected":
        lines += [assessment["management"], *(f"• {note}" for note in assessment["notes"])]
    return "\n".join(lines)
