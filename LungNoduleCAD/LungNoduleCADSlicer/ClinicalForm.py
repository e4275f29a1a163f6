"""The clinical facts as a form. Every field may be unknown, and unknown is not "no"."""

from collections.abc import Callable

from slicer.i18n import tr as _

from LungNoduleCADSlicer.Choices import Choices, noYes, setQuietly
from LungNoduleCADSlicer.Signals import connect

MAXIMUM_AGE_YEARS = 130
MAXIMUM = 1000
FACTS = (
    "age_years",
    "sex",
    "smoking_status",
    "pack_years",
    "years_since_quit",
    "family_history_lung_cancer",
    "emphysema",
    "prior_cancer",
    "significant_other_finding",
    "prior_ct_pending",
    "lungs_not_evaluable",
    "inflammatory_findings",
)


class ClinicalForm:
    """Values as Resources/clinical.schema.json has them; ``onChanged`` is called when the reader changed one."""

    def __init__(self, ui, onChanged: Callable[[], None]) -> None:
        self._onChanged = onChanged
        self._others: dict = {}
        self._choices = Choices(
            {
                "sex": (ui.sexBox, [(_("female"), "F"), (_("male"), "M"), (_("other"), "O")]),
                "smoking_status": (
                    ui.smokingBox,
                    [(_("never"), "never"), (_("former"), "former"), (_("current"), "current")],
                ),
                "family_history_lung_cancer": (ui.familyHistoryBox, noYes()),
                "emphysema": (ui.emphysemaBox, noYes()),
                "prior_cancer": (ui.priorCancerBox, noYes()),
                "significant_other_finding": (ui.otherFindingBox, noYes()),
                "prior_ct_pending": (ui.priorPendingBox, noYes()),
                "lungs_not_evaluable": (ui.notEvaluableBox, noYes()),
                "inflammatory_findings": (ui.inflammatoryBox, noYes()),
            },
            self._onEdited,
        )
        self._numbers = {
            "age_years": (ui.ageEdit, MAXIMUM_AGE_YEARS),
            "pack_years": (ui.packYearsEdit, MAXIMUM),
            "years_since_quit": (ui.quitEdit, MAXIMUM),
        }
        for edit, _maximum in self._numbers.values():
            edit.placeholderText = _("unknown")
            connect(edit, "textChanged(QString)", self._onEdited)
        self._enableSmoking()

    @property
    def values(self) -> dict:
        """All facts; None is unknown. A text that is no number within its limits counts as unknown.

        Facts that the form has no field for stay as they were shown.
        """
        found = self._choices.values
        for name, (edit, maximum) in self._numbers.items():
            found[name] = numberOf(edit.text, maximum) if self._applies(name) else None
        return {**{name: found[name] for name in FACTS}, **self._others}

    @property
    def faults(self) -> list[str]:
        """A sentence for each text that cannot be used."""
        return [
            _('"{text}" is not a number from 0 to {maximum}').format(text=edit.text, maximum=maximum)
            for name, (edit, maximum) in self._numbers.items()
            if self._applies(name) and edit.text.strip() and numberOf(edit.text, maximum) is None
        ]

    def show(self, values: dict) -> None:
        """Without telling that it changed."""
        self._others = {name: value for name, value in values.items() if name not in FACTS}
        self._choices.show(values)
        for name, (edit, maximum) in self._numbers.items():
            value = values.get(name)
            if numberOf(edit.text, maximum) != value or value is None:
                setQuietly(edit, "text", "" if value is None else f"{value:g}")
        self._enableSmoking()

    def _onEdited(self, *_value) -> None:
        self._enableSmoking()
        self._onChanged()

    def _enableSmoking(self) -> None:
        for name, (edit, _maximum) in self._numbers.items():
            edit.enabled = self._applies(name)

    def _applies(self, name: str) -> bool:
        """Who never smoked has no pack years, and who still smokes did not quit."""
        status = self._choices.value("smoking_status")
        return status not in {"pack_years": ("never",), "years_since_quit": ("never", "current")}.get(name, ())


def numberOf(text: str, maximum: float) -> float | None:
    """A number from 0 to the maximum, with a point or a comma; None where it is none."""
    try:
        value = float(text.strip().replace(",", "."))
    except ValueError:
        return None
    return value if 0 <= value <= maximum else None
