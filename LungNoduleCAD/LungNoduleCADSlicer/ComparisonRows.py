"""The rows of the comparison: what a reader wants to see of each nodule in the two CTs."""

from dataclasses import dataclass

from slicer.i18n import tr as _

from LungNoduleCADSlicer import GrowthWords, NoduleWords
from LungNoduleCADSlicer.GrowthWords import NONE


@dataclass(frozen=True)
class ComparisonRow:
    """A pair, or a nodule of one CT only (the other record is None); ``remark`` is shown as tooltip."""

    match: dict
    current: dict | None
    prior: dict | None
    texts: tuple[str, ...]
    remark: str


def headers() -> list[str]:
    return [_("Nodule"), _("Change"), _("Ø mm"), _("Volume"), _("VDT days")]


def rowsOf(study) -> list[ComparisonRow]:
    """In the order of the findings: current nodules by suspicion, then those that are gone."""
    return [
        _rowOf(match, study.nodule(match["current_id"]), study.priorNodule(match["prior_id"]))
        for match in study.matches
    ]


def _rowOf(match: dict, current: dict | None, prior: dict | None) -> ComparisonRow:
    change = match["change"]
    if current is not None and current["review"] == "rejected":
        change = _("{change}, rejected").format(change=change)
    texts = (
        f"{match['prior_id'] or NONE} → {match['current_id'] or NONE}",
        change,
        f"{_diameter(prior)} → {_diameter(current)}",
        _volumeChange(match),
        _doublingTime(match),
    )
    said = GrowthWords.growth(match) if current is not None or prior is None else _priorOnly(match, prior)
    remark = "\n".join(filter(None, [said, GrowthWords.flags(match["flags"])]))
    return ComparisonRow(match, current, prior, texts, remark)


def _priorOnly(match: dict, nodule: dict) -> str:
    """Where a nodule was that the current CT does not have."""
    size = nodule["mean_diameter_mm"]
    facts = (
        NoduleWords.locationInFull(nodule),
        nodule["type"],
        _("{size:.1f} mm").format(size=size) if size is not None else None,
    )
    return _("Prior {id} ({facts}): {change}.").format(
        id=nodule["id"], facts=", ".join(filter(None, facts)), change=match["change"]
    )


def _diameter(nodule: dict | None) -> str:
    value = nodule["mean_diameter_mm"] if nodule else None
    return NONE if value is None else f"{value:.1f}"


def _volumeChange(match: dict) -> str:
    if match["volume_change_percent"] is None:
        return NONE
    low, high = match["volume_change_interval_95_percent"]
    change = GrowthWords.signed(match["volume_change_percent"])
    return _("{change}%\n{low} to {high}%").format(
        change=change, low=GrowthWords.signed(low), high=GrowthWords.signed(high)
    )


def _doublingTime(match: dict) -> str:
    """Only where it is determined and the nodule grew, as in the report."""
    days, interval = match["vdt_days"], match["vdt_interval_95_days"]
    if days is None or days < 0 or (interval is not None and None in interval):
        return NONE
    if interval is None:
        return f"{days:,.0f}"
    return _("{days:,.0f}\n{low:,.0f} to {high:,.0f}").format(days=days, low=interval[0], high=interval[1])
