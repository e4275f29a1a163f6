"""Findings in words (en-US): the same wording wherever a value is printed. ``-`` stands for not computed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict

from LungNoduleCADLib.domain.comparison import NoduleMatch
from LungNoduleCADLib.domain.findings import EditAction, StudyFindings
from LungNoduleCADLib.domain.lung_rads import LungRadsAssessment, LungRadsCategory
from LungNoduleCADLib.domain.nodule import (
    AxialAxes,
    HistologyEstimate,
    MalignancyEstimate,
    Nodule,
    NoduleType,
    Origin,
    Review,
    Saliency,
)
from LungNoduleCADLib.domain.provenance import Method
from LungNoduleCADLib.domain.risk import RiskEstimate
from LungNoduleCADLib.followup.growth import common_kind, volume_interval_95_mm3
from LungNoduleCADLib.followup.series import series_of, slice_mm
from LungNoduleCADLib.guidelines.by_chance import recommendations
from LungNoduleCADLib.guidelines.incidental import Recommendation
from LungNoduleCADLib.guidelines.risk import LABELS as RISK_LABELS
from LungNoduleCADLib.report.growth_words import growth, growth_rules, over_all_exams
from LungNoduleCADLib.report.values import NONE, NOT_KNOWN, chance, percent, signed

COMPARISON = "Comparison"
NO_HISTOLOGY = "histology is decided by tissue; no trained weights"

_SEXES = {"F": "female", "M": "male", "O": "other"}
_EDITED = {
    EditAction.ADD: "added",
    EditAction.OUTLINE: "outline changed",
    EditAction.TYPE: "type changed",
    EditAction.FACTS: "facts stated",
}

_INPUTS = {
    "age_years": "age {} years",
    "diameter_mm": "longest diameter {} mm",
    "upper_lobe": "upper lobe {}",
}

# ACR Lung-RADS v2022, category descriptors.
DESCRIPTOR = {
    LungRadsCategory.C0: "incomplete",
    LungRadsCategory.C1: "negative",
    LungRadsCategory.C2: "benign appearance or behavior",
    LungRadsCategory.C3: "probably benign",
    LungRadsCategory.C4A: "suspicious",
    LungRadsCategory.C4B: "very suspicious",
    LungRadsCategory.C4X: "very suspicious, additional features",
}


def category(assessment: LungRadsAssessment | None) -> str:
    """``4A``, ``4AS`` with the modifier, ``–`` without an assessment."""
    return f"{assessment.category}{'S' if assessment.modifier_s else ''}" if assessment else NONE


def kind(nodule: Nodule) -> str:
    if nodule.type is None:
        return NONE
    return f"{nodule.type.type}{' (reader)' if nodule.type.method.name == 'reader' else ''}"


def title(nodule: Nodule) -> str:
    """A nodule in one line: ``N1 · Lung-RADS 4A · solid · 8.2 mm · right, upper zone``; what is unknown says so."""
    said = f"Lung-RADS {category(nodule.lung_rads)}" if nodule.lung_rads else "no Lung-RADS category"
    what = kind(nodule) if nodule.type else "type unknown"
    if nodule.measurements is None:
        return " · ".join((nodule.id, said, what, "not measured"))
    return " · ".join((nodule.id, said, what, diameter(nodule.measurements.axes), place(nodule)))


def kind_in_full(nodule: Nodule) -> str:
    if nodule.type is None:
        return "not computed"
    spread = nodule.type.spread_95 or {}
    shares = ", ".join(f"{name} {chance(share, spread.get(name))}" for name, share in nodule.type.probabilities.items())
    return f"{kind(nodule)}{f' (model: {shares})' if shares else ''}"


def place(nodule: Nodule) -> str:
    """Side and lobe, or zone where no lobe is known."""
    measured = nodule.measurements
    if measured is None:
        return NONE
    where = measured.lobe or (f"{measured.zone} zone" if measured.zone else "")
    side = measured.side.value if measured.side else ""
    return ", ".join(part for part in (side, where) if part) or NONE


def diameter(axes: AxialAxes | None) -> str:
    return f"{axes.mean_diameter_mm:.1f} mm" if axes else NONE


def axes_in_full(axes: AxialAxes | None) -> str:
    if axes is None:
        return "not measured"
    return (
        f"{axes.mean_diameter_mm:.1f} mm (long axis {axes.long_axis_mm:.1f} × short axis {axes.short_axis_mm:.1f} mm)"
    )


def solid_part(nodule: Nodule) -> AxialAxes | None:
    """Axes of the solid part, where there is something else beside it."""
    if nodule.measurements is None or (nodule.type and nodule.type.type is NoduleType.SOLID):
        return None
    return nodule.measurements.solid_axes


def volume(nodule: Nodule) -> str:
    return f"{nodule.measurements.volume_mm3:,.0f} mm³" if nodule.measurements else NONE


def volume_in_full(nodule: Nodule, findings: StudyFindings) -> str:
    """With the interval in which 95% of repeated measurements would lie (see ``followup.growth``)."""
    measured = nodule.measurements
    if measured is None or measured.volume_mm3 <= 0:
        return volume(nodule)
    low, high = volume_interval_95_mm3(
        measured.volume_mm3, common_kind(nodule), slice_mm(findings), measured.volume_again_mm3
    )
    return f"{volume(nodule)} (measurement error, 95%: {low:,.0f} to {high:,.0f} mm³)"


def malignancy(estimate: MalignancyEstimate | None) -> str:
    """Probability with its spread, or why there is none."""
    if estimate is None or estimate.probability is None:
        return f"not available: {(estimate.not_available if estimate else None) or 'not computed'}"
    rating = f"; expected reader rating {estimate.rating_1_to_5:.1f} of 5" if estimate.rating_1_to_5 is not None else ""
    missing = f"; not given: {', '.join(estimate.missing_inputs)}" if estimate.missing_inputs else ""
    said = chance(estimate.probability, estimate.spread_95, "networks and views: ")
    return f"{said}{rating}{missing}. Readers' opinion, not pathology."


def no_heat_map(nodule: Nodule) -> str:
    """Why there is no heat map of a nodule; empty where there is one to show."""
    estimate, made = nodule.malignancy, nodule.saliency
    if estimate is not None and Saliency.score_is_low(estimate.probability, estimate.encoder_probability):
        return "No heat map: the malignancy score is low"
    if made is None:
        return f"No heat map: {(estimate.not_available if estimate else None) or 'not computed'}"
    return "" if made.heat.any() else "No heat map: nothing in the image raises the malignancy score"


def heat_map(nodule: Nodule) -> str:
    """What the heat map shows, or why there is none."""
    made = nodule.saliency
    return no_heat_map(nodule) or (
        f"Heat map ({made.technique}): where the malignancy score comes from, on an absolute scale"
    )


def histology(estimate: HistologyEstimate | None) -> str:
    if estimate is None or estimate.probabilities is None:
        return f"not available: {(estimate.not_available if estimate else None) or NO_HISTOLOGY}"
    return ", ".join(f"{name} {percent(share)}" for name, share in estimate.probabilities.items())


def clinical_risk(estimates: Sequence[RiskEstimate]) -> str:
    """What the risk models say, each in a few words: ``Brock 2a 3.1%; Brock 2b 2.6% to 5.4%``."""
    said = [estimate for estimate in estimates if estimate.probability is not None or estimate.probability_range]
    reasons: dict[str, list[str]] = {}
    for estimate in estimates:
        if estimate not in said:
            reasons.setdefault(estimate.not_available or "not computed", []).append(estimate.model)
    parts = ["; ".join(f"{estimate.model} {_chance(estimate)}" for estimate in said)] if said else []
    if unknown := dict.fromkeys(RISK_LABELS.get(name, name) for estimate in said for name in estimate.missing_inputs):
        parts.append(f"A range covers every answer to what nobody stated: {', '.join(unknown)}")
    parts += [f"{', '.join(models)} not available ({reason})" for reason, models in reasons.items()]
    if said:
        parts.append("Combination with the malignancy above: exploratory, not shown")
    return ". ".join(parts or ["not computed"]) + "."


def risk_inputs(estimates: Sequence[RiskEstimate]) -> str:
    """What the models were told, each once: ``age 63 years; longest diameter 12.8 mm; type solid``."""
    told = {name: value for estimate in estimates for name, value in estimate.inputs.items()}
    return "; ".join(
        _INPUTS.get(name, f"{RISK_LABELS.get(name, name)} {{}}").format(_plain(value)) for name, value in told.items()
    )


def _plain(value: float | str | bool) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:g}" if isinstance(value, (int, float)) else value


def _chance(estimate: RiskEstimate) -> str:
    chances = [estimate.probability] if estimate.probability is not None else estimate.probability_range or ()
    return " to ".join(f"{chance:.0%}" if chance >= 0.1 else f"{chance:.1%}" for chance in chances)


def detection(nodule: Nodule) -> str:
    detector = chance(nodule.candidate.probability, nodule.candidate.spread_95)
    if nodule.candidate.origin is Origin.READER:
        return f"marked by the reader; detector {detector}"
    if nodule.candidate.origin is Origin.COUNTERPART:
        return f"looked for where the other CT has a nodule; detector {detector}"
    return detector


def familiarity(nodule: Nodule) -> str:
    """Whether the models know such nodules; beyond their limit a flag says it, too."""
    if nodule.unfamiliarity is None:
        return "not compared with the nodules that the models know"
    return f"looks {'unlike' if nodule.unfamiliarity > 1 else 'like'} the nodules that the models know"


def review(nodule: Nodule) -> str:
    return {
        Review.UNREVIEWED: "not yet reviewed",
        Review.ACCEPTED: "accepted by the reader",
        Review.REJECTED: "rejected by the reader",
    }[nodule.review]


def reader(nodule: Nodule, findings: StudyFindings) -> str:
    """The reader's marks: accepted or not, what was changed, what was stated."""
    mine = [edit.action for edit in findings.edits if edit.nodule_id == nodule.id]
    changed = dict.fromkeys(_EDITED[action] for action in mine if action in _EDITED)
    parts = [review(nodule), *([f"{', '.join(changed)} by the reader"] if changed else [])]
    said = {name: value for name, value in asdict(nodule.stated).items() if value is not None}
    parts += [f"{name.replace('_', ' ')}: {_plain(value)}" for name, value in said.items()]
    return "; ".join(parts)


def card(nodule: Nodule, findings: StudyFindings) -> Iterator[tuple[str, str]]:
    """(label, text) of all that is told of a nodule, but for Lung-RADS and doubts."""
    left, posterior, superior = nodule.centroid_lps_mm
    measured = nodule.measurements
    yield "Mean diameter", axes_in_full(measured.axes if measured else None)
    if measured:
        if solid := solid_part(nodule):
            yield "Solid part", axes_in_full(solid)
        yield "Volume", volume_in_full(nodule, findings)
        yield "Density", f"mean {signed(measured.mean_hu)} HU; mass {measured.mass_mg:,.0f} mg"
        pleura = measured.distance_to_pleura_mm
        yield (
            "Place",
            f"{place(nodule)}{f'; {pleura:.1f} mm from the pleura' if pleura is not None else ''}; center "
            f"{_toward('LR', left)}, {_toward('PA', posterior)}, {_toward('SI', superior)} mm; image slice "
            f"{measured.axes.slice_index + 1} from the feet",
        )
    yield "Type", kind_in_full(nodule)
    yield "Detection", f"{detection(nodule)}; {familiarity(nodule)}"
    yield "Reader", reader(nodule, findings)
    yield "Malignancy", malignancy(nodule.malignancy)
    inputs = risk_inputs(nodule.clinical_risk)
    yield "Clinical risk", clinical_risk(nodule.clinical_risk) + (f" Inputs: {inputs}." if inputs else "")
    yield "Histology", histology(nodule.histology)
    yield "If not screening", by_chance(recommendations(nodule, findings))
    if match := match_of(nodule, findings):
        yield COMPARISON, f"{growth(match)}."
        if match.growth:
            yield "Growth rules", f"{growth_rules(match.growth)}."
    series = series_of(findings, nodule.id)
    if series and series.change:
        yield "All exams", f"{over_all_exams(series)}."


def by_chance(said: Sequence[Recommendation]) -> str:
    """What the guidelines for nodules found by chance say, each with its rule or why it says nothing."""
    return " ".join(
        " ".join((f"{one.guideline}: {one.management} Rule {one.rule_id.replace(' | ', ' or ')}.", *one.ambiguities))
        if one.rule_id
        else f"{one.guideline} not available ({one.not_available})."
        for one in said
    )


def _toward(ends: str, distance_mm: float) -> str:
    """Toward which of two ends and how far: ``R 40.6`` for ``LR`` and -40.6."""
    return f"{ends[distance_mm < 0]} {abs(distance_mm):.1f}"


def match_of(nodule: Nodule, findings: StudyFindings) -> NoduleMatch | None:
    """The nodule's row of the comparison."""
    matches = findings.comparison.matches if findings.comparison else ()
    return next((match for match in matches if match.current_id == nodule.id), None)


def doubts(nodule: Nodule, findings: StudyFindings) -> list[str]:
    """What must be checked of a nodule and of its pair."""
    match = match_of(nodule, findings)
    return [flag.message for flag in (*nodule.flags, *(match.flags if match else ()))]


def method(value: Method) -> str:
    return f"{value.name} {value.version}"


def patient(findings: StudyFindings) -> str:
    """Age and sex: as the clinician said, who saw what the headers say, or else of the headers."""
    series, said = findings.series, findings.clinical
    years = said.age_years if said and said.age_years is not None else series.age_years
    sex = (said.sex if said else None) or series.sex
    parts = [f"{years:.0f} years" if years is not None else "age unknown", _SEXES.get(sex or "", sex or "sex unknown")]
    return ", ".join(parts)


def patient_key(findings: StudyFindings) -> str:
    """Enough of the key to notice another patient."""
    return findings.series.patient_key[:8] or NOT_KNOWN


def reviewed(findings: StudyFindings) -> str:
    """How far a reader went: ``2 of 7 nodules accepted, 1 rejected, 4 not yet reviewed``."""
    if not findings.nodules:
        return "no nodule on the list"
    marks = [nodule.review for nodule in findings.nodules]
    said = [
        (marks.count(Review.ACCEPTED), "accepted"),
        (marks.count(Review.REJECTED), "rejected"),
        (marks.count(Review.UNREVIEWED), "not yet reviewed"),
    ]
    first, *more = [f"{count} {{}}{word}" for count, word in said if count]
    noun = f"of {len(marks)} nodule{'' if len(marks) == 1 else 's'} "
    return ", ".join([first.format(noun), *(part.format("") for part in more)])


def technique(findings: StudyFindings) -> str:
    """The scan in one line, without what is not known."""
    series, geometry = findings.series, findings.geometry
    k, j, i = geometry.spacing_kji_mm
    parts = [
        f"{geometry.shape_kji[0]} slices every {k:.2f} mm",
        f"slice thickness {series.slice_thickness_mm:.2f} mm" if series.slice_thickness_mm else "",
        f"pixels {j:.2f} × {i:.2f} mm",
        f"kernel {series.kernel.strip()}" if series.kernel else "",
        f"{series.kvp:.0f} kVp" if series.kvp else "",
        {True: "with contrast", False: "without contrast", None: ""}[series.contrast],
        series.manufacturer,
    ]
    return "; ".join(part.strip() for part in parts if part.strip())


def counts(findings: StudyFindings) -> str:
    """``1 growing, 1 new, 1 resolved`` of the comparison."""
    matches = findings.comparison.matches if findings.comparison else ()
    rejected = {n.id for n in findings.nodules if n.review is Review.REJECTED}
    changes = [match.change.value for match in matches if match.current_id not in rejected]
    return (
        ", ".join(f"{changes.count(change)} {change}" for change in dict.fromkeys(changes)) or "no nodule in either CT"
    )
