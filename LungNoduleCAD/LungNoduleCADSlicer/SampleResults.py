"""Made-up results of an analysis for the self-test: what the library leaves in its folder, small. No Slicer in here."""

import json
from pathlib import Path

import numpy as np
import SimpleITK as sitk

SHAPE_KJI = (20, 40, 60)
ORIGIN_LPS = (-30.0, -20.0, 100.0)
SEGMENTS = {"lung_right": "right lung", "lung_left": "left lung", "N1": "N1", "N2": "N2"}
CENTROIDS_LPS = {"N1": (-15.0, 2.0, 108.0), "N2": (14.0, -3.0, 112.0)}
_METHOD = {"name": "self-test", "version": "0", "sha256": None}


def writeSampleResults(folder: Path) -> dict:
    """Writes findings.json, segmentation.seg.nrrd and saliency/N1.nrrd; answers the findings."""
    (folder / "saliency").mkdir(parents=True)
    findings = sampleFindings()
    (folder / "findings.json").write_text(json.dumps(findings), encoding="utf-8")
    _writeSegmentation(folder / "segmentation.seg.nrrd")
    heat = np.zeros((8, 8, 8), np.float32)
    heat[2:6, 2:6, 2:6] = 1.5
    _write(heat, tuple(value - 4 for value in CENTROIDS_LPS["N1"]), folder / "saliency" / "N1.nrrd")
    (folder / "report.pdf").write_bytes(b"%PDF-1.4\n")
    return findings


def sampleScan() -> tuple[np.ndarray, tuple[float, float, float]]:
    """HU and origin (LPS) of a scan with the sample's geometry: lung everywhere, soft tissue in the nodules."""
    labels = _labels()
    return np.where(labels > 2, 30, -850).astype(np.int16), ORIGIN_LPS


def sampleFindings() -> dict:
    exam = _assessment("4A", "N1")
    return {
        "schema_version": "1.0",
        "research_use_only": "Made up by the self-test.",
        "lung_rads": exam,
        "series": {
            "series_uid": "1.2.3",
            "study_uid": "1.2",
            "patient_key": "0" * 16,
            "study_date": "2020-01-31",
            "description": "Self-test",
            "age_years": None,
            "sex": None,
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
        "clinical": None,
        "operating_threshold": 0.5,
        "nodules": [
            _nodule("N1", "right", "solid", 9.2, 407.7, "4A", 0.61, "saliency/N1.nrrd"),
            _nodule("N2", "left", "ground-glass", 5.0, None, "2", None, None),
        ],
        "comparison": None,
        "prior": None,
        "quality_flags": [{"code": "self_test", "severity": "info", "message": "These results are made up."}],
        "provenance": {
            "software_version": "0",
            "created": "2020-01-31T00:00:00",
            "device": "cpu",
            "command": "self-test",
            "methods": [],
            "packages": {},
            "stages": [],
        },
    }


def _nodule(identifier, side, type_, diameter, volume, category, malignancy, saliency) -> dict:
    return {
        "id": identifier,
        "review": "unreviewed",
        "lung_rads": category,
        "type": type_,
        "centroid_lps_mm": list(CENTROIDS_LPS[identifier]),
        "volume_mm3": volume,
        "mean_hu": 30.0,
        "mass_mg": None,
        "zone": "upper",
        "lobe": None,
        "distance_to_pleura_mm": None,
        "solid_volume_mm3": None,
        "long_axis_mm": diameter,
        "short_axis_mm": diameter,
        "mean_diameter_mm": diameter,
        "axes": None,
        "solid_long_axis_mm": None,
        "solid_short_axis_mm": None,
        "solid_mean_diameter_mm": None,
        "solid_axes": None,
        "side": side,
        "detection_probability": 0.9,
        "malignancy": {
            "probability": malignancy,
            "rating_1_to_5": None,
            "interval_95": None,
            "encoder_probability": None,
            "method": None,
            "missing_inputs": [],
            "not_available": None if malignancy else "not in the self-test",
        },
        "type_probabilities": None,
        "type_estimate": None,
        "histology": {"probabilities": None, "not_available": "not in the self-test", "method": None},
        "lung_rads_assessment": _assessment(category, None),
        "saliency": saliency,
        "radiomics": None,
        "candidate": {"centre_lps_mm": list(CENTROIDS_LPS[identifier]), "diameter_mm": None, "origin": "detector"},
        "flags": [],
    }


def _assessment(category, decidedBy) -> dict:
    return {
        "category": category,
        "rule_id": "self-test",
        "reason": f"made up as {category}",
        "management": "",
        "source": "self-test",
        "notes": [],
        "modifier_s": False,
        "decided_by": decidedBy,
    }


def _labels() -> np.ndarray:
    labels = np.ones(SHAPE_KJI, np.uint8)
    labels[:, :, SHAPE_KJI[2] // 2 :] = 2
    grid = np.indices(SHAPE_KJI)[::-1] + np.asarray(ORIGIN_LPS)[:, None, None, None]
    for label, centre in enumerate(CENTROIDS_LPS.values(), start=3):
        distance = np.linalg.norm(grid - np.asarray(centre)[:, None, None, None], axis=0)
        labels[distance <= 4] = label
    return labels


def _writeSegmentation(file: Path) -> None:
    image = _image(_labels(), ORIGIN_LPS)
    last = [n - 1 for n in SHAPE_KJI[::-1]]
    for index, (identifier, name) in enumerate(SEGMENTS.items()):
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


def _write(array: np.ndarray, origin, file: Path) -> None:
    sitk.WriteImage(_image(array, origin), str(file), useCompression=True)


def _image(array: np.ndarray, origin) -> sitk.Image:
    image = sitk.GetImageFromArray(array)
    image.SetOrigin(origin)
    return image
