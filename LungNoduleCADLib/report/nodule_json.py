"""A nodule as a flat JSON record and back, marking what a person edited by hand as the reader's."""

from __future__ import annotations

from typing import Any

from cattrs import Converter

from LungNoduleCADLib.domain.lung_rads import LungRadsAssessment, LungRadsCategory
from LungNoduleCADLib.domain.masks import Side
from LungNoduleCADLib.domain.nodule import (
    AxialAxes,
    HistologyEstimate,
    MalignancyEstimate,
    Measurements,
    Nodule,
    NoduleCandidate,
    NoduleType,
    Origin,
    Point,
    Review,
    StatedFacts,
    TypeEstimate,
)
from LungNoduleCADLib.domain.provenance import Method
from LungNoduleCADLib.domain.quality import QualityFlag
from LungNoduleCADLib.domain.risk import RiskEstimate
from LungNoduleCADLib.errors import InputError
from LungNoduleCADLib.guidelines.lung_rads_2022 import READER, reader_decision

NOT_COMPUTED = "not computed"
EDITED = Method(READER, "edited in findings.json")


def saliency_name(nodule_id: str) -> str:
    """Where a nodule's saliency map lies in the results folder."""
    return f"saliency/{nodule_id}.nrrd"


def nodule_to_json(nodule: Nodule, converter: Converter) -> dict[str, Any]:
    """Flat record; every key is there, ``null`` where nothing was computed."""
    estimate = nodule.type
    malignancy = nodule.malignancy or MalignancyEstimate(None, not_available=NOT_COMPUTED)
    histology = nodule.histology or HistologyEstimate(None, NOT_COMPUTED)
    return {
        "id": nodule.id,
        "review": nodule.review.value,
        "lung_rads": nodule.lung_rads.category.value if nodule.lung_rads else None,
        "type": estimate.type.value if estimate else None,
        "centroid_lps_mm": nodule.centroid_lps_mm,
        **_measurements_to_json(nodule.measurements, converter),
        "detection_probability": nodule.candidate.probability,
        "detection_spread_95": nodule.candidate.spread_95,
        "malignancy": converter.unstructure(malignancy),
        "type_probabilities": converter.unstructure(estimate.probabilities) if estimate else None,
        "type_spread_95": converter.unstructure(estimate.spread_95) if estimate else None,
        "type_estimate": {"type": estimate.type.value, "method": converter.unstructure(estimate.method)}
        if estimate
        else None,
        "histology": converter.unstructure(histology),
        "stated": converter.unstructure(nodule.stated),
        "clinical_risk": converter.unstructure(nodule.clinical_risk),
        "lung_rads_assessment": converter.unstructure(nodule.lung_rads),
        "saliency": saliency_name(nodule.id) if nodule.saliency else None,
        "radiomics": nodule.radiomics,
        "unfamiliarity": nodule.unfamiliarity,
        "candidate": {
            "centre_lps_mm": nodule.candidate.centre_lps_mm,
            "diameter_mm": nodule.candidate.diameter_mm,
            "origin": nodule.candidate.origin.value,
        },
        "flags": converter.unstructure(nodule.flags),
    }


def nodule_from_json(record: dict[str, Any], converter: Converter) -> Nodule:
    """A nodule without mask and saliency. A changed ``type`` or ``lung_rads`` becomes the reader's decision."""
    candidate = record["candidate"]
    malignancy = converter.structure(record["malignancy"], MalignancyEstimate)
    histology = converter.structure(record["histology"], HistologyEstimate)
    return Nodule(
        id=record["id"],
        candidate=NoduleCandidate(
            tuple(candidate["centre_lps_mm"]),
            candidate["diameter_mm"],
            record["detection_probability"],
            Origin(candidate["origin"]),
            converter.structure(record["detection_spread_95"], tuple[float, float] | None),
        ),
        centroid_lps_mm=tuple(record["centroid_lps_mm"]),
        measurements=_measurements_from_json(record, converter),
        type=_type_from_json(record, converter),
        malignancy=None if malignancy.not_available == NOT_COMPUTED else malignancy,
        histology=None if histology.not_available == NOT_COMPUTED else histology,
        radiomics=record["radiomics"],
        unfamiliarity=record["unfamiliarity"],
        lung_rads=_lung_rads_from_json(record, converter),
        review=Review(record["review"]),
        flags=converter.structure(record["flags"], tuple[QualityFlag, ...]),
        stated=converter.structure(record["stated"], StatedFacts),
        clinical_risk=converter.structure(record["clinical_risk"], tuple[RiskEstimate, ...]),
    )


_MEASURED = (
    "volume_mm3",
    "mean_hu",
    "mass_mg",
    "zone",
    "lobe",
    "distance_to_pleura_mm",
    "solid_volume_mm3",
    "volume_again_mm3",
)


def _measurements_to_json(measured: Measurements | None, converter: Converter) -> dict[str, Any]:
    axes, solid = (measured.axes, measured.solid_axes) if measured else (None, None)
    return {
        **{key: getattr(measured, key, None) for key in _MEASURED},
        **_axes_to_json("", axes, converter),
        **_axes_to_json("solid_", solid, converter),
        "side": measured.side.value if measured and measured.side else None,
    }


def _axes_to_json(prefix: str, axes: AxialAxes | None, converter: Converter) -> dict[str, Any]:
    lines = None
    if axes:
        lines = {
            "slice_index": axes.slice_index,
            "long_axis_lps_mm": converter.unstructure(axes.long_axis_lps_mm),
            "short_axis_lps_mm": converter.unstructure(axes.short_axis_lps_mm),
        }
    return {
        f"{prefix}long_axis_mm": axes.long_axis_mm if axes else None,
        f"{prefix}short_axis_mm": axes.short_axis_mm if axes else None,
        f"{prefix}mean_diameter_mm": axes.mean_diameter_mm if axes else None,
        f"{prefix}axes": lines,
    }


def _measurements_from_json(record: dict[str, Any], converter: Converter) -> Measurements | None:
    axes = _axes_from_json(record, "", converter)
    if axes is None or record["volume_mm3"] is None:
        return None
    return Measurements(
        **{key: record[key] for key in _MEASURED},
        axes=axes,
        solid_axes=_axes_from_json(record, "solid_", converter),
        side=Side(record["side"]) if record["side"] else None,
    )


def _axes_from_json(record: dict[str, Any], prefix: str, converter: Converter) -> AxialAxes | None:
    lines = record[f"{prefix}axes"]
    if lines is None or record[f"{prefix}long_axis_mm"] is None or record[f"{prefix}short_axis_mm"] is None:
        return None
    axes = AxialAxes(
        record[f"{prefix}long_axis_mm"],
        record[f"{prefix}short_axis_mm"],
        lines["slice_index"],
        *converter.structure([lines["long_axis_lps_mm"], lines["short_axis_lps_mm"]], tuple[tuple[Point, Point], ...]),
    )
    key = f"{prefix}mean_diameter_mm"
    if record[key] is None or abs(record[key] - axes.mean_diameter_mm) > 0.05:
        raise InputError(
            f"findings.json is not valid at {key} of nodule {record['id']}",
            expected=f"{axes.mean_diameter_mm}, the mean of its long and short axis",
            got=str(record[key]),
            todo="correct the axes and their mean together",
        )
    return axes


def _type_from_json(record: dict[str, Any], converter: Converter) -> TypeEstimate | None:
    if record["type"] is None:
        return None
    estimated, kind = record["type_estimate"], NoduleType(record["type"])
    as_estimated = estimated is not None and estimated["type"] == kind
    method = converter.structure(estimated["method"], Method) if as_estimated else EDITED
    return TypeEstimate(
        kind,
        converter.structure(record["type_probabilities"] or {}, dict[NoduleType, float]),
        method,
        converter.structure(record["type_spread_95"], dict[NoduleType, tuple[float, float]] | None),
    )


def _lung_rads_from_json(record: dict[str, Any], converter: Converter) -> LungRadsAssessment | None:
    assessed = converter.structure(record["lung_rads_assessment"], LungRadsAssessment | None)  # type: ignore[arg-type]
    if record["lung_rads"] is None or (assessed and assessed.category == record["lung_rads"]):
        return assessed if record["lung_rads"] else None
    return reader_decision(LungRadsCategory(record["lung_rads"]), assessed)
