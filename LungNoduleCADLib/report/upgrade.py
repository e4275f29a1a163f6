"""Results of earlier versions, read as if written today; what was not known then is empty, not guessed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from LungNoduleCADLib.domain.findings import SCHEMA_VERSION

Document = dict[str, Any]


def upgraded(document: Document) -> Document:
    """The document in the present schema version; itself where it is in it already, or in one that is not known."""
    while (step := _STEPS.get(document.get("schema_version"))) is not None:
        document = step(document)
    return document


def readable_versions() -> str:
    return ", ".join(repr(version) for version in (*_STEPS, SCHEMA_VERSION))


def _from_1_0(document: Document) -> Document:
    """1.1 added the list of changes and the detector's candidates, and named the spread for what it is."""
    added = {"operating_points": [], "operating_points_source": "", "candidates": [], "edits": []}
    return _stepped({**added, **document}, "1.1", _nodule_from_1_0)


def _nodule_from_1_0(nodule: Document) -> Document:
    malignancy = dict(nodule["malignancy"])
    malignancy["mirrored_views_95"] = malignancy.pop("interval_95", None)
    return {**nodule, "malignancy": malignancy}


def _from_1_1(document: Document) -> Document:
    """1.2 added what a reader states of a nodule, what risk models say of it, and a spread to every probability."""
    return _stepped(document, "1.2", _nodule_from_1_1)


def _nodule_from_1_1(nodule: Document) -> Document:
    malignancy = dict(nodule["malignancy"])
    malignancy["spread_95"] = malignancy.pop("mirrored_views_95", None)
    unknown = {"stated": {"spiculated": None, "upper_lobe": None}, "clinical_risk": []}
    unknown |= dict.fromkeys(("detection_spread_95", "type_spread_95", "unfamiliarity"))
    return {**unknown, **nodule, "malignancy": malignancy}


def _from_1_2(document: Document) -> Document:
    """1.3 named changes as they go on (growing, not grown), added mass, bands of doubling times, and series."""
    document = _stepped(document, "1.3", lambda nodule: {**nodule, "volume_again_mm3": None})
    comparison = document.get("comparison")
    if not comparison:
        return document
    matches = [_match_from_1_2(match) for match in comparison["matches"]]
    return {**document, "comparison": {**comparison, "matches": matches, "earlier": [], "series": []}}


def _match_from_1_2(match: Document) -> Document:
    names = {"grown": "growing", "shrunk": "shrinking", "gone": "resolved"}
    measured = match["volume_change_percent"] is not None
    return {
        **match,
        "change": names.get(match["change"], match["change"]),
        "vdt_bands": [] if measured else None,
        **dict.fromkeys(("mass_change_percent", "mass_change_interval_95_percent", "mdt_days", "mdt_interval_95_days")),
    }


def _stepped(document: Document, version: str, nodule: Callable[[Document], Document]) -> Document:
    prior = document.get("prior")
    return {
        **document,
        "schema_version": version,
        "nodules": [nodule(record) for record in document["nodules"]],
        "prior": upgraded(prior) if prior else None,
    }


_STEPS: dict[Any, Callable[[Document], Document]] = {"1.0": _from_1_0, "1.1": _from_1_1, "1.2": _from_1_2}
