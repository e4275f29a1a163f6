"""Made-up results of a comparison for the self-test, as the library leaves them, small. No Slicer in here."""

import json
import math
from copy import deepcopy
from pathlib import Path

import numpy as np
import SimpleITK as sitk

SHAPE_KJI = (24, 48, 64)
ORIGIN_LPS = (-32.0, -24.0, 100.0)
# a point of the current scan plus this is the same place in the prior scan
TO_PRIOR_MM = (4.0, -2.0, 3.0)
RADIUS_MM = {"N1": 5.0, "N2": 3.0}
PRIOR_RADIUS_MM = {"N1": 4.0, "N2": 3.0, "N3": 3.0}
CENTROIDS_LPS = {"N1": (-15.0, 2.0, 110.0), "N2": (14.0, -3.0, 114.0), "N3": (20.0, 9.0, 108.0)}
LUNGS = {"lung_right": "right lung", "lung_left": "left lung"}
DATES = {"prior": "2019-07-31", "current": "2020-01-31"}
INTERVAL_DAYS = 184
OPERATING_POINTS = [
    {"threshold": 0.2, "sensitivity": 1.0, "false_positives_per_scan": 6.0},
    {"threshold": 0.5, "sensitivity": 0.9, "false_positives_per_scan": 2.0},
    {"threshold": 0.8, "sensitivity": 0.7, "false_positives_per_scan": 0.5},
]
_METHOD = {"name": "self-test", "version": "0", "sha256": None}
_RISK = {
    "model": "Brock 2a",
    "version": "2013",
    "source": "self-test",
    "inputs": {"age_years": 63.0},
    "missing_inputs": ["upper_lobe"],
    "probability": None,
    "probability_range": [0.031, 0.12],
    "not_available": "not stated: lobe",
}
_STATED = (
    "spiculated",
    "upper_lobe",
    "benign_calcification",
    "fat",
    "juxtapleural_smooth",
    "airway",
    "cyst",
    "cyst_change",
    "slow_growth",
    "proven_benign",
    "suspicious_features",
)
_UNKNOWN = {
    "age_years": None,
    "sex": None,
    "smoking_status": None,
    "pack_years": None,
    "years_since_quit": None,
    "family_history_lung_cancer": None,
    "emphysema": None,
    "prior_cancer": None,
    "significant_other_finding": None,
    "prior_ct_pending": None,
    "lungs_not_evaluable": None,
    "inflammatory_findings": None,
}


def writeSampleResults(folder: Path, compared: bool = True) -> dict:
    """A results folder as the library leaves it, with a prior scan in it where ``compared``; answers the findings."""
    findings = sampleFindings(compared)
    _writeScan(folder, findings, RADIUS_MM, (0.0, 0.0, 0.0))
    if compared:
        _writeScan(folder / "prior", findings["prior"], PRIOR_RADIUS_MM, TO_PRIOR_MM)
        sitk.WriteTransform(sitk.TranslationTransform(3, TO_PRIOR_MM), str(folder / "current_to_prior.h5"))
    return findings


def sampleScan(prior: bool = False) -> sitk.Image:
    """The CT: lung everywhere, soft tissue in the nodules."""
    radii, shift = (PRIOR_RADIUS_MM, TO_PRIOR_MM) if prior else (RADIUS_MM, (0.0, 0.0, 0.0))
    return _image(np.where(_labels(radii, shift) > 2, 30, -850).astype(np.int16))


def sampleFindings(compared: bool = True) -> dict:
    findings = _study("current", [noduleRecord(name, RADIUS_MM[name], CENTROIDS_LPS[name]) for name in RADIUS_MM])
    if compared:
        places = {
            name: tuple(a + b for a, b in zip(CENTROIDS_LPS[name], TO_PRIOR_MM, strict=True)) for name in CENTROIDS_LPS
        }
        findings["prior"] = _study(
            "prior", [noduleRecord(name, PRIOR_RADIUS_MM[name], places[name]) for name in PRIOR_RADIUS_MM]
        )
        findings["comparison"] = {
            "interval_days": INTERVAL_DAYS,
            "matches": [_match("N1", "N1", "growing"), _match("N2", "N2", "stable"), _match("N3", None, "resolved")],
            "registration": {
                "lung_dice_before": 0.9,
                "lung_dice_after": 0.99,
                "mean_surface_distance_mm": 0.3,
                "folding_fraction": 0.0,
                "seconds": 1.0,
                "method": _METHOD,
            },
            "flags": [],
            "earlier": [],
            "series": [],
        }
    return findings


def noduleRecord(name: str, radiusMm: float, centroidLps, origin: str = "detector") -> dict:
    """N1 is solid and 4A, every other one ground-glass and 2."""
    solid = name == "N1"
    category = "4A" if solid else "2"
    diameter = round(2 * radiusMm, 1)
    return {
        "id": name,
        "review": "unreviewed",
        "lung_rads": category,
        "type": "solid" if solid else "ground-glass",
        "centroid_lps_mm": list(centroidLps),
        "volume_mm3": round(4 / 3 * math.pi * radiusMm**3, 1),
        "volume_again_mm3": None,
        "mean_hu": 30.0,
        "mass_mg": None,
        "zone": "upper",
        "lobe": None,
        "distance_to_pleura_mm": None,
        "solid_volume_mm3": None,
        "long_axis_mm": diameter,
        "short_axis_mm": diameter,
        "mean_diameter_mm": diameter,
        "axes": _axes(centroidLps, radiusMm),
        "solid_long_axis_mm": None,
        "solid_short_axis_mm": None,
        "solid_mean_diameter_mm": None,
        "solid_axes": None,
        "side": "right" if centroidLps[0] < 0 else "left",
        "detection_probability": 0.9 if solid else 0.6,
        "detection_spread_95": [0.8, 0.95] if solid else None,
        "malignancy": {
            "probability": 0.61 if solid else None,
            "rating_1_to_5": 3.4 if solid else None,
            "spread_95": [0.5, 0.7] if solid else None,
            "encoder_probability": 0.6 if solid else None,
            "method": _METHOD if solid else None,
            "missing_inputs": [],
            "not_available": None if solid else "not in the self-test",
        },
        "type_probabilities": None,
        "type_spread_95": None,
        "type_estimate": None,
        "histology": {"probabilities": None, "not_available": "not in the self-test", "method": None},
        "stated": dict.fromkeys(_STATED),
        "clinical_risk": [_RISK] if solid else [],
        "lung_rads_assessment": _assessment(category, None),
        "saliency": f"saliency/{name}.nrrd" if solid else None,
        "radiomics": None,
        "unfamiliarity": 0.6 if solid else None,
        "candidate": {"centre_lps_mm": list(centroidLps), "diameter_mm": None, "origin": origin},
        "flags": [],
    }


def ball(centroidLps, radiusMm: float) -> sitk.Image:
    """A labelmap (uint8, 1 inside) on the scan's grid."""
    return _image((_distance(centroidLps) <= radiusMm).astype(np.uint8))


def _study(name: str, nodules: list[dict]) -> dict:
    return {
        "schema_version": "1.3",
        "research_use_only": "Made up by the self-test.",
        "lung_rads": _assessment("4A", "N1"),
        "series": {
            "series_uid": f"1.2.3.{len(name)}",
            "study_uid": f"1.2.{len(name)}",
            "patient_key": "0" * 16,
            "study_date": DATES[name],
            "description": "Self-test",
            "age_years": 63.0,
            "sex": "female",
            "slice_thickness_mm": 1.0,
            "kernel": "",
            "manufacturer": "",
            "kvp": None,
            "contrast": None,
        },
        "geometry": {
            "shape_kji": list(SHAPE_KJI),
            "origin_lps_mm": list(ORIGIN_LPS),
            "spacing_kji_mm": [1.0, 1.0, 1.0],
            "direction": [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0],
        },
        "lungs": {"right_volume_ml": 20.0, "left_volume_ml": 20.0, "method": _METHOD},
        "clinical": deepcopy(_UNKNOWN),
        "operating_threshold": 0.5,
        "operating_points": deepcopy(OPERATING_POINTS),
        "operating_points_source": "Made up by the self-test.",
        "candidates": [
            {"centre_lps_mm": nodule["centroid_lps_mm"], "probability": nodule["detection_probability"]}
            for nodule in nodules
        ],
        "edits": [],
        "nodules": nodules,
        "comparison": None,
        "prior": None,
        "quality_flags": [{"code": "self_test", "severity": "info", "message": "These results are made up."}],
        "provenance": {
            "software_version": "0",
            "created": "2020-01-31T00:00:00+00:00",
            "device": "cpu",
            "command": "self-test",
            "methods": [],
            "packages": {},
            "stages": [],
        },
    }


def _match(prior: str | None, current: str | None, change: str) -> dict:
    ratio = (RADIUS_MM[current] / PRIOR_RADIUS_MM[prior]) ** 3 if prior and current else None
    return {
        "prior_id": prior,
        "current_id": current,
        "change": change,
        "distance_mm": 0.1 if ratio else None,
        "flags": [],
        "interval_days": INTERVAL_DAYS if ratio else None,
        "volume_change_percent": 100 * (ratio - 1) if ratio else None,
        "volume_change_interval_95_percent": [100 * (ratio * 0.8 - 1), 100 * (ratio * 1.2 - 1)] if ratio else None,
        "mean_diameter_change_mm": 2 * (RADIUS_MM[current] - PRIOR_RADIUS_MM[prior]) if ratio else None,
        "vdt_days": INTERVAL_DAYS * math.log(2) / math.log(ratio) if ratio and ratio != 1 else None,
        "vdt_interval_95_days": [
            INTERVAL_DAYS * math.log(2) / math.log(1.2 * ratio),
            INTERVAL_DAYS * math.log(2) / math.log(0.8 * ratio),
        ]
        if ratio and ratio > 1.25
        else None,
        "vdt_bands": ["below 400 days"] if ratio and ratio > 1.25 else [] if ratio else None,
        "mass_change_percent": None,
        "mass_change_interval_95_percent": None,
        "mdt_days": None,
        "mdt_interval_95_days": None,
    }


def _assessment(category: str, decidedBy: str | None) -> dict:
    return {
        "category": category,
        "rule_id": "self-test",
        "reason": f"made up as {category}",
        "management": "none: made up",
        "source": "self-test",
        "notes": [],
        "modifier_s": False,
        "decided_by": decidedBy,
    }


def _axes(centroidLps, radiusMm: float) -> dict:
    x, y, z = centroidLps
    return {
        "slice_index": round(z - ORIGIN_LPS[2]),
        "long_axis_lps_mm": [[x - radiusMm, y, z], [x + radiusMm, y, z]],
        "short_axis_lps_mm": [[x, y - radiusMm, z], [x, y + radiusMm, z]],
    }


def _writeScan(folder: Path, findings: dict, radii: dict, shift) -> None:
    (folder / "saliency").mkdir(parents=True)
    (folder / "findings.json").write_text(json.dumps(findings), encoding="utf-8")
    (folder / "run.json").write_text("{}", encoding="utf-8")
    (folder / "report.pdf").write_bytes(b"%PDF-1.4\n")
    sitk.WriteImage(sampleScan(prior=shift != (0.0, 0.0, 0.0)), str(folder / "ct.nrrd"))
    _writeSegmentation(radii, shift, folder / "segmentation.seg.nrrd")
    heat = np.zeros((10, 10, 10), np.float32)
    heat[3:7, 3:7, 3:7] = 1.5
    image = sitk.GetImageFromArray(heat)
    image.SetOrigin([c + s - 4.5 for c, s in zip(CENTROIDS_LPS["N1"], shift, strict=True)])
    sitk.WriteImage(image, str(folder / "saliency" / "N1.nrrd"))


def _writeSegmentation(radii: dict, shift, file: Path) -> None:
    image = _image(_labels(radii, shift))
    last = [n - 1 for n in SHAPE_KJI[::-1]]
    for index, (identifier, name) in enumerate({**LUNGS, **{name: name for name in radii}}.items()):
        for key, value in (
            ("ID", identifier),
            ("Name", name),
            ("LabelValue", str(index + 1)),
            ("Layer", "0"),
            ("Color", f"{0.2 * (index + 1)} 0.8 0.4"),
            ("Extent", f"0 {last[0]} 0 {last[1]} 0 {last[2]}"),
        ):
            image.SetMetaData(f"Segment{index}_{key}", value)
    sitk.WriteImage(image, str(file), useCompression=True)


def _labels(radii: dict, shift) -> np.ndarray:
    """1 right lung, 2 left lung, then the nodules in the order of ``radii``."""
    labels = np.ones(SHAPE_KJI, np.uint8)
    labels[:, :, SHAPE_KJI[2] // 2 :] = 2
    for label, (name, radiusMm) in enumerate(radii.items(), start=3):
        labels[_distance([c + s for c, s in zip(CENTROIDS_LPS[name], shift, strict=True)]) <= radiusMm] = label
    return labels


def _distance(pointLps) -> np.ndarray:
    """Distance of each voxel (K, J, I) from a point, in mm."""
    grid = np.indices(SHAPE_KJI)[::-1] + np.asarray(ORIGIN_LPS)[:, None, None, None]
    return np.linalg.norm(grid - np.asarray(pointLps)[:, None, None, None], axis=0)


def _image(array: np.ndarray) -> sitk.Image:
    image = sitk.GetImageFromArray(array)
    image.SetOrigin(ORIGIN_LPS)
    return image
