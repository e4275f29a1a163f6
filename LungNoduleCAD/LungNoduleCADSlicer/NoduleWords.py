"""A nodule of the findings in words: what the table, its tooltips and the line below it say."""

from html import escape

from slicer.i18n import tr as _

from LungNoduleCADSlicer import GrowthWords

NONE = "–"
OPINION = "LIDC readers' opinion, not pathology"


def location(nodule: dict) -> str:
    """Short: ``R upper``."""
    side = {"right": _("R"), "left": _("L")}.get(nodule["side"], "")
    return " ".join(part for part in (side, nodule["lobe"] or nodule["zone"]) if part) or NONE


def locationInFull(nodule: dict) -> str:
    where = nodule["lobe"] or (_("{zone} third of the lung").format(zone=nodule["zone"]) if nodule["zone"] else "")
    return ", ".join(part for part in (nodule["side"], where) if part) or _("Not computed")


def typeShort(name: str | None) -> str:
    return {"solid": _("solid"), "part-solid": _("part-sol."), "ground-glass": _("GGN")}.get(name, NONE)


def typeInFull(nodule: dict) -> str:
    if nodule["type"] is None:
        return _("Type not computed")
    shares = nodule["type_probabilities"] or {}
    spread = nodule.get("type_spread_95") or {}
    model = ", ".join(f"{name} {chance(share, spread.get(name))}" for name, share in shares.items())
    estimate = nodule["type_estimate"]
    reader = _(" (by the reader)") if estimate and estimate["type"] != nodule["type"] else ""
    return f"{nodule['type']}{reader}" + (_("; model: {shares}").format(shares=model) if model else "")


def chance(probability: float, spread: list | None) -> str:
    """A probability, and where 95 % of the answers of its networks to mirrored views lie: ``62% (45% to 77%)``."""
    low, high = (percent(end) for end in spread) if spread else ("", "")
    if {low, high} <= {"", percent(probability)}:
        return percent(probability)
    return _("{share} ({low} to {high})").format(share=percent(probability), low=low, high=high)


def percent(probability: float) -> str:
    """Whole percents, as in the report: never 0% or 100%, for no model is certain."""
    return "<1%" if probability <= 0.005 else ">99%" if probability >= 0.995 else f"{probability:.0%}"


def doublingDays(match: dict | None) -> str:
    """Only where the nodule grew by more than the measurement error, as in the report."""
    if match is None or match["vdt_days"] is None or match["vdt_days"] < 0:
        return NONE
    return NONE if None in (match["vdt_interval_95_days"] or ()) else f"{match['vdt_days']:,.0f}"


def change(match: dict | None) -> str:
    """What became of the nodule since the prior CT, or why that is not known."""
    if match is None:
        return _("Not computed: not compared with a prior CT")
    text = GrowthWords.growth(match)
    return text[:1].upper() + text[1:]


def category(nodule: dict) -> str:
    assessment = nodule["lung_rads_assessment"]
    if nodule["review"] == "rejected":
        return _("Not counted: rejected by the reader")
    if assessment is None:
        return _("Lung-RADS was not assessed")
    if nodule["lung_rads"] not in (None, assessment["category"]):
        return _("Lung-RADS {category} by the reader").format(category=nodule["lung_rads"])
    return _("{reason} (rule {rule_id})").format(**assessment)


def malignancy(nodule: dict) -> str:
    """Probability with its spread and rating, or why there is none."""
    estimate = nodule["malignancy"]
    if estimate["probability"] is None:
        return _("Malignancy not available: {reason}").format(reason=estimate["not_available"] or _("not computed"))
    text = _("Malignancy {share}").format(share=percent(estimate["probability"]))
    if spread := estimate.get("spread_95"):
        low, high = (percent(end) for end in spread)
        text += _(" (networks and views: {low} to {high})").format(low=low, high=high)
    if estimate["rating_1_to_5"] is not None:
        text += _(", rating {rating:.1f} of 1 to 5").format(rating=estimate["rating_1_to_5"])
    if estimate["missing_inputs"]:
        text += _("; not given: {inputs}").format(inputs=", ".join(estimate["missing_inputs"]))
    return text + ". " + _(OPINION)


def clinicalRisk(nodule: dict) -> str:
    """Of the published models those that say something: ``Brock 2a 3.1%; Brock 2b 2.6% to 5.4%``; else empty."""
    said = []
    for estimate in nodule.get("clinical_risk", []):
        probability = estimate["probability"]
        chances = [probability] if probability is not None else estimate["probability_range"]  # of all open answers
        if chances:
            texts = (f"{chance:.0%}" if chance >= 0.1 else f"{chance:.1%}" for chance in chances)
            said.append(f"{estimate['model']} {_(' to ').join(texts)}")
    return _("Clinical risk: {risks}").format(risks="; ".join(said)) if said else ""


def histology(nodule: dict) -> str:
    estimate = nodule["histology"]
    if estimate["probabilities"] is None:
        return _("Histology not available: {reason}").format(reason=estimate["not_available"] or _("not computed"))
    shares = ", ".join(f"{name} {percent(share)}" for name, share in estimate["probabilities"].items())
    return _("Histology: {shares}").format(shares=shares)


def review(nodule: dict) -> str:
    return {
        "unreviewed": _("Not reviewed yet"),
        "accepted": _("Accepted by the reader"),
        "rejected": _("Rejected by the reader: does not count for Lung-RADS"),
    }[nodule["review"]]


def detection(nodule: dict) -> str:
    """Who found it, and how sure the detector was."""
    found = {
        "detector": _("Found by the detector"),
        "reader": _("Marked by the reader"),
        "counterpart": _("Looked for where the other CT has a nodule"),
    }[nodule["candidate"]["origin"]]
    probability = nodule["detection_probability"]
    if probability is None:
        return found
    share = chance(probability, nodule.get("detection_spread_95"))
    return _("{found}, {share}").format(found=found, share=share)


def familiarity(nodule: dict) -> str:
    """Whether the models know such nodules; empty where that was not assessed."""
    distance = nodule.get("unfamiliarity")
    if distance is None:
        return ""
    return _("looks unlike the nodules that the models know") if distance > 1 else _("looks like those the models know")


def flags(nodule: dict) -> str:
    return GrowthWords.flags(nodule["flags"])


def detail(nodule: dict | None, match: dict | None) -> str:
    """The lines below the table, as HTML; empty without a nodule."""
    if nodule is None:
        return ""
    heading = _("{id}, Lung-RADS {category}").format(id=nodule["id"], category=nodule["lung_rads"] or NONE)
    lines = [
        f"<b>{escape(heading)}</b>: {escape(category(nodule))}",
        escape(malignancy(nodule)),
        escape(clinicalRisk(nodule)),
        escape(histology(nodule)),
        escape(change(match)) if match is not None else "",
        escape("; ".join(filter(None, (detection(nodule), familiarity(nodule))))),
        *(f"<b>{escape(flag['severity'].capitalize())}</b>: {escape(flag['message'])}" for flag in nodule["flags"]),
    ]
    return "<br>".join(line for line in lines if line)
