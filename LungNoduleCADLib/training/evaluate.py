"""``evaluate``: what a bundle is worth on nodules and scans it has not seen, as numbers with intervals."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from LungNoduleCADLib.bundles.registry import find_bundle
from LungNoduleCADLib.classification.characterise import Characteriser
from LungNoduleCADLib.classification.encoder import EncoderRunner, mirror_images
from LungNoduleCADLib.classification.fusion import MetaClassifier, fusion_inputs
from LungNoduleCADLib.errors import UsageError
from LungNoduleCADLib.evaluation import calibration, discrimination
from LungNoduleCADLib.evaluation.bootstrap import bootstrap
from LungNoduleCADLib.evaluation.froc import ScanDetections, froc
from LungNoduleCADLib.evaluation.overlap import dice
from LungNoduleCADLib.imaging.patch import network_patch, patch_geometry
from LungNoduleCADLib.nodules.candidates import find_candidates
from LungNoduleCADLib.nodules.detect import rate_candidates
from LungNoduleCADLib.nodules.segment import NoduleSegmenter
from LungNoduleCADLib.training.cases import POINT, NoduleCase, nodule_cases
from LungNoduleCADLib.training.labels import reference_type
from LungNoduleCADLib.training.lung_background import Donor
from LungNoduleCADLib.training.nodule_pack import NodulePack, PackNodule
from LungNoduleCADLib.training.operating_points import CLEAR_READERS, measure_operating_points
from LungNoduleCADLib.training.scans import MarkedScan, marked_scans
from LungNoduleCADLib.training.train_fusion import observe

SIZE_BINS_MM = ((3.0, 6.0), (6.0, 10.0), (10.0, 20.0), (20.0, 99.0))
Report = Callable[[str], None]
Figures = dict[str, Any]


def evaluate_bundle(
    name: str, data: Path, scans_folder: Path | None, fold: int, device: str, report: Report
) -> Figures:
    """Figures of a bundle on one fold of a nodule pack (nodules marked by at least 3 readers), set into real lung.

    ``scans_folder`` gives the lung (of patients in that fold, or in no fold) and the scans to detect in.
    """
    evaluators = {
        "nodule_ct_segmentation": _segmentation,
        "nodule_ct_attributes": _attributes,
        "nodule_fusion": _fusion,
    }
    if name not in evaluators:
        raise UsageError("That model cannot be evaluated", expected=" or ".join(evaluators), got=name)
    bundle = find_bundle(name)
    pack = NodulePack(data)
    scans = list(marked_scans(pack, scans_folder, (fold, None)))
    report(f"scans: {', '.join(scan.name for scan in scans) or 'none'}")
    nodules = pack.of_folds((fold,), lambda n: n.n_readers >= CLEAR_READERS)
    cases = nodule_cases(pack, nodules, [Donor(s.ct, s.lungs, s.keep_away_lps_mm) for s in scans], bundle.train["seed"])
    figures = evaluators[name](list(cases), scans, device, report)
    if name == "nodule_ct_attributes" and scans_folder:
        more = {"operating_points": measure_operating_points(bundle, pack, scans_folder, device, report)}
    else:
        more = {}
    return {
        "bundle": name,
        "version": bundle.metadata["version"],
        "weights_sha256": bundle.weight_files,
        "data": bundle.train["data"],
        "fold": fold,
        "trained_on_folds": bundle.train["folds"]["train"],
        "split_sha256": pack.split_sha256(),
        "seed": bundle.train["seed"],
        "nodules": len(nodules),
        "patients": len({n.patient_id for n in nodules}),
        "scans": [s.name for s in scans],
        "setting": "nodules of >= 3 readers, set into real lung at 0.8 mm, one point: the centroid of the consensus",
        "interval": "95 %, 1000 bootstrap draws of patients",
        "figures": figures,
        **more,
    }


def _segmentation(cases: list[NoduleCase], _: list[MarkedScan], device: str, report: Report) -> Figures:
    segmenter = NoduleSegmenter.from_bundle(find_bundle("nodule_ct_segmentation"), device)
    overlaps, ratios = [], []
    for case in cases:
        mask = segmenter.segment(case.ct, POINT)
        mine = np.zeros_like(case.reference)
        if mask is not None:
            mine[mask.box] = mask.voxels
        overlaps.append(dice(mine, case.reference))
        ratios.append(np.count_nonzero(mine) / max(np.count_nonzero(case.reference), 1))
    overlap, ratio = np.asarray(overlaps), np.asarray(ratios)
    nodules = [case.nodule for case in cases]
    groups = {"all": np.ones(len(nodules), bool)}
    groups |= {
        f"{low:g}-{high:g} mm": np.array([low <= n.eq_diameter_mm < high for n in nodules])
        for low, high in SIZE_BINS_MM
    }
    groups |= {str(kind): np.array([n.type is kind for n in nodules]) for kind in {n.type for n in nodules}}
    report(f"mean Dice {overlap.mean():.3f}")
    return {
        name: {
            "dice": _estimate(np.mean, nodules, rows, overlap),
            "median_dice": float(np.median(overlap[rows])),
            "volume_ratio_geometric_mean": float(np.exp(np.log(np.clip(ratio[rows], 0.05, 20)).mean())),
        }
        for name, rows in sorted(groups.items())
        if rows.any()
    }


def _attributes(cases: list[NoduleCase], scans: list[MarkedScan], device: str, report: Report) -> Figures:
    bundle = find_bundle("nodule_ct_attributes")
    runner = EncoderRunner.from_bundle(bundle, device)
    calibrated = bundle.inference["calibration"]
    nodules = [case.nodule for case in cases]
    grid = patch_geometry(POINT, runner.size, runner.spacing_mm)
    rows = [runner.answer(mirror_images(network_patch(case.ct, grid))) for case in cases]

    def head(name: str) -> np.ndarray:
        return np.stack([row.heads[name].mean(axis=0) for row in rows])

    kinds = np.array([reference_type(n) for n in nodules])
    types = np.stack([row.probability("nodule_type", calibrated["nodule_type"]).mean(axis=0) for row in rows])
    everyone = np.ones(len(nodules), bool)
    figures = _malignancy(nodules, head("malignancy")[:, 0], calibrated["malignancy"])
    rating = np.array([n.mean("malignancy") for n in nodules])
    figures["rating_mae"] = _estimate(
        discrimination.mean_absolute_error, nodules, everyone, rating, head("malignancy_rating")[:, 0]
    )
    figures["rating_pearson"] = _estimate(
        discrimination.pearson, nodules, everyone, rating, head("malignancy_rating")[:, 0]
    )
    figures["type_subsolid_auc"] = _estimate(discrimination.auc, nodules, everyone, kinds > 0, 1 - types[:, 0])
    figures["type_balanced_accuracy"] = _estimate(
        discrimination.balanced_accuracy, nodules, everyone, kinds, types.argmax(1)
    )
    figures["type_recalls"] = {
        name: float((types.argmax(1)[kinds == n] == n).mean())
        for n, name in enumerate(("solid", "part-solid", "ground-glass"))
    }
    figures["by_hu_source"] = {
        source: _malignancy(
            [n for n in nodules if n.hu_source == source],
            head("malignancy")[[n.hu_source == source for n in nodules], 0],
            calibrated["malignancy"],
        )
        for source in ("exact", "estimated_global")
    }
    if scans:
        figures |= _detection(scans, head("nodule")[:, 0], Characteriser.load(device), report)
    return figures


def _malignancy(nodules: list[PackNodule], logit: np.ndarray, fit: dict[str, float]) -> Figures:
    median = np.array([n.median("malignancy") for n in nodules])
    mean = np.array([n.mean("malignancy") for n in nodules])
    decided = median != 3
    probability = calibration.apply_platt(logit, fit)
    return {
        "malignancy_auc_median_above_3": _estimate(discrimination.auc, nodules, decided, median > 3, logit),
        "malignancy_auc_mean_from_3": _estimate(
            discrimination.auc, nodules, np.ones(len(nodules), bool), mean >= 3, logit
        ),
        "malignancy_brier": _estimate(calibration.brier, nodules, decided, median > 3, probability),
        "malignancy_ece": _estimate(calibration.expected_calibration_error, nodules, decided, median > 3, probability),
    }


def _detection(scans: list[MarkedScan], nodule_logits: np.ndarray, model: Characteriser, report: Report) -> Figures:
    """Nodules against real background, and detection in whole scans."""
    encoder = model.encoder
    background, found, per_scan = [], [], {}
    threshold = model.encoder_bundle.inference["operating_threshold"]
    for scan in scans:
        rated = rate_candidates(
            scan.ct, find_candidates(scan.ct, scan.lungs), model.nodule_probability, encoder.size, encoder.spacing_mm
        )
        points = np.array([c.centre_lps_mm for c in rated])
        scores = np.array([c.probability for c in rated])
        marks = np.array([[*m.centre_lps_mm, m.eq_diameter_mm] for m in scan.marks]).reshape(-1, 4)
        clear = np.array([m.n_readers >= CLEAR_READERS for m in scan.marks], bool)
        detections = ScanDetections(points, scores, marks[clear], marks[~clear])
        found.append(detections)
        far = [not len(marks) or np.all(np.linalg.norm(marks[:, :3] - p, axis=1) > marks[:, 3] / 2 + 8) for p in points]
        background.extend(scores[np.asarray(far)])
        curve = froc([detections])
        at = np.flatnonzero(curve.thresholds >= threshold)
        last = at[-1] if len(at) else 0
        per_scan[scan.name] = {
            "targets": int(clear.sum()),
            "candidates": len(points),
            "sensitivity_at_operating_point": float(curve.sensitivity[last]) if clear.any() else None,
            "false_positives_at_operating_point": float(curve.false_positives_per_scan[last]),
        }
        report(f"{scan.name}: {per_scan[scan.name]}")
    positive = np.concatenate([np.ones(len(nodule_logits)), np.zeros(len(background))])
    scores = np.concatenate(
        [calibration.apply_platt(nodule_logits, model.encoder_bundle.inference["calibration"]["nodule"]), background]
    )
    curve = froc(found)
    return {
        "nodule_auc_on_real_background": discrimination.auc(positive, scores),
        "background_candidates": len(background),
        "detection": {
            "per_scan": per_scan,
            "operating_threshold": threshold,
            "sensitivity_at": {str(rate): curve.sensitivity_at(rate) for rate in (1.0, 2.0, 4.0, 8.0)},
        },
    }


def _fusion(cases: list[NoduleCase], _: list[MarkedScan], device: str, report: Report) -> Figures:
    meta = MetaClassifier.from_bundle(find_bundle("nodule_fusion"))
    encoder_bundle = find_bundle("nodule_ct_attributes")
    encoder = EncoderRunner.from_bundle(encoder_bundle, device)
    segmenter = NoduleSegmenter.from_bundle(find_bundle("nodule_ct_segmentation"), device)
    seen = list(observe(iter(cases), encoder, segmenter))
    inputs = [fusion_inputs(o.answers, o.measurements, o.radiomics, meta.principal_axes) for o in seen]
    nodules = [o.nodule for o in seen]
    fused = np.array([meta.probability(row) for row in inputs])
    identity = {"slope": 1.0, "offset": 0.0}
    figures = {
        "fusion": _malignancy(nodules, np.log(fused / (1 - fused)), identity),
        "encoder_alone": _malignancy(
            nodules,
            np.array([o.answers.heads["malignancy"].mean() for o in seen]),
            encoder_bundle.inference["calibration"]["malignancy"],
        ),
        "volume_alone_auc": discrimination.auc(*_volume_and_label(nodules, inputs)),
        "not_outlined": len(cases) - len(seen),
    }
    report(f"fusion AUC {figures['fusion']['malignancy_auc_median_above_3']['value']:.3f}")
    return figures


def _volume_and_label(nodules: list[PackNodule], inputs: list[dict[str, float]]) -> tuple[np.ndarray, np.ndarray]:
    decided = [n for n, nodule in enumerate(nodules) if nodule.median("malignancy") != 3]
    return (
        np.array([nodules[n].median("malignancy") > 3 for n in decided]),
        np.array([inputs[n]["size.log_volume"] for n in decided]),
    )


def _estimate(metric: Callable[..., Any], nodules: list[PackNodule], rows: np.ndarray, *columns: np.ndarray) -> Figures:
    """A figure over the chosen rows with its interval, rounded to four digits."""
    patients = [n.patient_id for n, row in zip(nodules, rows, strict=True) if row]
    estimate = bootstrap(lambda *c: float(metric(*c)), patients, *(column[rows] for column in columns))
    return {name: round(v, 4) if isinstance(v, float) else v for name, v in asdict(estimate).items()}
