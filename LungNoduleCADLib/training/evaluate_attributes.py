"""How well the encoder answers each of its questions, and how well it finds nodules in whole scans."""

from __future__ import annotations

import numpy as np

from LungNoduleCADLib.classification.encoder import EncoderRunner, mirror_images
from LungNoduleCADLib.evaluation import calibration, discrimination
from LungNoduleCADLib.evaluation.froc import ScanDetections, froc
from LungNoduleCADLib.imaging.patch import network_patch, patch_geometry
from LungNoduleCADLib.networks.nodule_encoder import DESCRIPTORS
from LungNoduleCADLib.nodules.candidates import find_candidates
from LungNoduleCADLib.nodules.detect import rate_candidates
from LungNoduleCADLib.training.cases import POINT
from LungNoduleCADLib.training.curves import draw_froc
from LungNoduleCADLib.training.data import PackNodule
from LungNoduleCADLib.training.evaluate import CLEAR_READERS, Examination, Figures, estimate
from LungNoduleCADLib.training.evaluate_pictures import draw_malignancy
from LungNoduleCADLib.training.labels import TYPES, reference_type

RECALL = 0.979


def attributes_figures(examination: Examination) -> Figures:
    """Malignancy, type, descriptors; and, where whole scans are given, nodule or not and detection."""
    bundle, nodules = examination.bundle, examination.nodules
    runner = EncoderRunner.from_bundle(bundle, examination.device, unseen_fold=examination.fold)
    calibrated = bundle.inference["calibration"]
    grid = patch_geometry(POINT, runner.size, runner.spacing_mm)
    rows = [runner.answer(mirror_images(network_patch(case.ct, grid))) for case in examination.cases]

    def head(name: str) -> np.ndarray:
        return np.stack([row.heads[name].mean(axis=0) for row in rows])

    everyone = np.ones(len(nodules), bool)
    figures = malignancy_figures(
        nodules, calibration.apply(head("malignancy")[:, 0], calibrated["malignancy"]), head("malignancy_rating")[:, 0]
    )
    if examination.pictures:
        probability = calibration.apply(head("malignancy")[:, 0], calibrated["malignancy"])
        draw_malignancy(examination.pictures, examination.cases, probability)
    kinds = np.array([reference_type(n) for n in nodules])
    types = np.stack([row.probability("nodule_type", calibrated["nodule_type"]).mean(axis=0) for row in rows])
    exact = np.array([n.hu_source == "exact" for n in nodules])
    for name, part in (("type", everyone), ("type_where_hu_is_exact", exact)):
        figures[name] = {
            "subsolid_auc": estimate(discrimination.auc, nodules, part, kinds > 0, 1 - types[:, 0]),
            "balanced_accuracy": estimate(discrimination.balanced_accuracy, nodules, part, kinds, types.argmax(1)),
            "recalls": _recalls(kinds[part], types.argmax(1)[part]),
        }
    figures["descriptors_mae"] = {
        name: estimate(
            discrimination.mean_absolute_error,
            nodules,
            everyone,
            np.array([n.mean(name) for n in nodules]),
            head(name)[:, 0],
        )
        for name in DESCRIPTORS
    }
    figures["by_hu_source"] = {
        name: malignancy_figures(
            [n for n, inside in zip(nodules, part, strict=True) if inside],
            calibration.apply(head("malignancy")[part, 0], calibrated["malignancy"]),
            head("malignancy_rating")[part, 0],
        )
        for name, part in (("exact", exact), ("estimated", ~exact))
        if part.any()
    }
    return figures | _whole_scans(examination, calibration.apply(head("nodule")[:, 0], calibrated["nodule"]))


def malignancy_figures(nodules: list[PackNodule], probability: np.ndarray, rating: np.ndarray | None = None) -> Figures:
    """Against the readers' opinion: AUC for median above and below 3, for mean from 3, Brier, calibration, rating."""
    median = np.array([n.median("malignancy") for n in nodules])
    mean = np.array([n.mean("malignancy") for n in nodules])
    everyone, decided = np.ones(len(nodules), bool), median != 3
    figures = {
        "malignancy_auc_median_above_3": estimate(discrimination.auc, nodules, decided, median > 3, probability),
        "malignancy_auc_mean_from_3": estimate(discrimination.auc, nodules, everyone, mean >= 3, probability),
        "malignancy_brier": estimate(calibration.brier, nodules, decided, median > 3, probability),
        "malignancy_ece": estimate(calibration.expected_calibration_error, nodules, decided, median > 3, probability),
    }
    if rating is not None:
        figures["rating_mae"] = estimate(discrimination.mean_absolute_error, nodules, everyone, mean, rating)
        figures["rating_pearson"] = estimate(discrimination.pearson, nodules, everyone, mean, rating)
    return figures


def _recalls(truth: np.ndarray, chosen: np.ndarray) -> Figures:
    return {
        str(kind): {"recall": round(float((chosen[truth == n] == n).mean()), 4), "nodules": int((truth == n).sum())}
        for n, kind in enumerate(TYPES)
        if (truth == n).any()
    }


def _whole_scans(examination: Examination, of_nodules: np.ndarray) -> Figures:
    """Nodules against real background, and detection, every scan by the networks that never saw its fold."""
    calibrated = examination.bundle.inference["calibration"]["nodule"]
    threshold = examination.bundle.inference["operating_threshold"]
    background, found, per_scan = [], [], {}
    for fold, scan in examination.scans():
        encoder = EncoderRunner.from_bundle(examination.bundle, examination.device, unseen_fold=fold)

        def probability(patches: list[np.ndarray], encoder: EncoderRunner = encoder) -> np.ndarray:
            return calibration.apply(encoder.answer(patches).heads["nodule"][:, 0], calibrated)

        rated = rate_candidates(
            scan.ct, find_candidates(scan.ct, scan.lungs), probability, encoder.size, encoder.spacing_mm
        )
        points = np.array([c.centre_lps_mm for c in rated])
        scores = np.array([c.probability for c in rated])
        marks = np.array([[*m.centre_lps_mm, m.eq_diameter_mm] for m in scan.marks]).reshape(-1, 4)
        clear = np.array([m.n_readers >= CLEAR_READERS for m in scan.marks], bool)
        detections = ScanDetections(points, scores, marks[clear], marks[~clear])
        found.append(detections)
        far = [not len(marks) or np.all(np.linalg.norm(marks[:, :3] - p, axis=1) > marks[:, 3] / 2 + 8) for p in points]
        background.extend(scores[np.asarray(far)])
        sensitivity, false_positives = froc([detections]).at(threshold)
        per_scan[scan.name] = {
            "targets": int(clear.sum()),
            "candidates": len(points),
            "sensitivity_at_operating_point": float(sensitivity) if clear.any() else None,
            "false_positive_candidates_at_operating_point": float(false_positives),
        }
        examination.report(f"{scan.name}: {per_scan[scan.name]}")
    if not found:
        return {}
    if examination.pictures:
        draw_froc(examination.pictures / "froc-candidates", "Rated candidates of whole scans", {"model": found})
    curve = froc(found)
    positive = np.concatenate([np.ones(len(of_nodules)), np.zeros(len(background))])
    scores = np.concatenate([of_nodules, background])
    even = np.random.default_rng(0).choice(len(background), min(len(of_nodules), len(background)), replace=False)
    return {
        "nodule_auc_on_real_background": round(discrimination.auc(positive, scores), 4),
        f"nodule_precision_at_recall_{RECALL}_with_as_many_non_nodules": round(
            discrimination.precision_at_recall(
                np.concatenate([np.ones(len(of_nodules)), np.zeros(len(even))]),
                np.concatenate([of_nodules, np.array(background)[even]]),
                RECALL,
            ),
            4,
        ),
        "background_candidates": len(background),
        "detection": {
            "per_scan": per_scan,
            "operating_threshold": threshold,
            "sensitivity_at": {str(rate): round(curve.sensitivity_at(rate), 4) for rate in (1.0, 2.0, 4.0, 8.0)},
        },
    }
