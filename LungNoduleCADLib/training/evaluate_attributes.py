"""How well the encoder answers each of its questions, and how well it finds nodules in whole scans."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from scipy import special

from LungNoduleCADLib.bundles.registry import models_folder
from LungNoduleCADLib.classification.encoder import EncoderRunner, mirror_images
from LungNoduleCADLib.classification.familiarity import Familiarity
from LungNoduleCADLib.domain.nodule import NoduleCandidate
from LungNoduleCADLib.evaluation import calibration, discrimination
from LungNoduleCADLib.evaluation.froc import ScanDetections, at_threshold, froc, sensitivity_estimates
from LungNoduleCADLib.imaging.patch import network_patch, patch_geometry
from LungNoduleCADLib.networks.nodule_encoder import DESCRIPTORS
from LungNoduleCADLib.nodules.candidates import find_candidates
from LungNoduleCADLib.nodules.detect import rate_candidates
from LungNoduleCADLib.nodules.detector import bundled_detector
from LungNoduleCADLib.training.cases import POINT
from LungNoduleCADLib.training.curves import draw_froc
from LungNoduleCADLib.training.data import MarkedScan, PackNodule
from LungNoduleCADLib.training.evaluate import CLEAR_READERS, Examination, Figures, estimate
from LungNoduleCADLib.training.evaluate_pictures import draw_malignancy
from LungNoduleCADLib.training.labels import TYPES, reference_type

RECALL = 0.979
FALSE_POSITIVE_RATES = (1.0, 2.0, 4.0, 8.0)


def attributes_figures(examination: Examination) -> Figures:
    """Malignancy, type, descriptors; and, where whole scans are given, nodule or not and detection."""
    bundle, nodules = examination.bundle, examination.nodules
    runner = EncoderRunner.from_bundle(bundle, examination.device, unseen_fold=examination.fold)
    calibrated = bundle.inference["calibration"]
    grid = patch_geometry(POINT, runner.size, runner.spacing_mm)
    patches = [network_patch(case.ct, grid) for case in examination.cases]
    rows = [runner.answer(mirror_images(patch)) for patch in patches]

    def head(name: str) -> np.ndarray:
        return np.stack([row.heads[name].mean(axis=0) for row in rows])

    everyone = np.ones(len(nodules), bool)
    malignancy, rating = head("malignancy")[:, 0], head("malignancy_rating")[:, 0]
    figures = malignancy_figures(nodules, malignancy, calibrated["malignancy"], rating)
    if examination.pictures:
        draw_malignancy(
            examination.pictures, examination.cases, calibration.apply(malignancy, calibrated["malignancy"])
        )
    types = np.stack([row.probability("nodule_type", calibrated["nodule_type"]).mean(axis=0) for row in rows])
    exact = np.array([n.hu_source == "exact" for n in nodules])
    figures |= type_figures(nodules, types)
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
            malignancy[part],
            calibrated["malignancy"],
            rating[part],
        )
        for name, part in (("exact", exact), ("estimated", ~exact))
        if part.any()
    }
    if known := Familiarity.from_bundle(bundle, examination.fold):
        strange = known.unfamiliarity(patches, runner.answers_of_members(patches)) > 1
        figures["flagged_as_unfamiliar"] = estimate(np.mean, nodules, everyone, strange.astype(float))
    return figures | _whole_scans(examination, head("nodule")[:, 0])


def type_figures(nodules: list[PackNodule], probabilities: np.ndarray) -> Figures:
    """Figures of probabilities (N, 3) of solid, part-solid and ground-glass: of all nodules, and where HU are exact."""
    kinds, told = np.array([reference_type(n) for n in nodules]), probabilities.argmax(axis=1)
    exact = np.array([n.hu_source == "exact" for n in nodules])
    return {
        name: {
            "subsolid_auc": estimate(discrimination.auc, nodules, part, kinds > 0, 1 - probabilities[:, 0]),
            "balanced_accuracy": estimate(discrimination.balanced_accuracy, nodules, part, kinds, told),
            "recalls": _recalls(kinds[part], told[part]),
        }
        for name, part in (("type", np.ones(len(nodules), bool)), ("type_where_hu_is_exact", exact))
    }


def malignancy_figures(
    nodules: list[PackNodule], logit: np.ndarray, fit: calibration.Fit, rating: np.ndarray | None = None
) -> Figures:
    """Against the readers' opinion: AUC for median above and below 3, for mean from 3, Brier, calibration, rating.

    AUC of the logits: equal probabilities, which a calibration may make of different ones, would count as half right.
    """
    probability = calibration.apply(logit, fit)
    median = np.array([n.median("malignancy") for n in nodules])
    mean = np.array([n.mean("malignancy") for n in nodules])
    everyone, decided = np.ones(len(nodules), bool), median != 3
    figures = {
        "malignancy_auc_median_above_3": estimate(discrimination.auc, nodules, decided, median > 3, logit),
        "malignancy_auc_mean_from_3": estimate(discrimination.auc, nodules, everyone, mean >= 3, logit),
        "malignancy_brier": estimate(calibration.brier, nodules, decided, median > 3, probability),
        "malignancy_ece": _calibration_error(nodules, decided, median > 3, probability, 15, equal_mass=True),
        "malignancy_ece_equal_width": _calibration_error(
            nodules, decided, median > 3, probability, 10, equal_mass=False
        ),
    }
    if rating is not None:
        figures["rating_mae"] = estimate(discrimination.mean_absolute_error, nodules, everyone, mean, rating)
        figures["rating_pearson"] = estimate(discrimination.pearson, nodules, everyone, mean, rating)
    return figures


def _calibration_error(
    nodules: list[PackNodule], rows: np.ndarray, positive: np.ndarray, probability: np.ndarray, bins: int, **kind: bool
) -> Figures | None:
    """ECE, what exactly right probabilities would show on as many cases, and the bins."""
    figure = estimate(
        lambda *columns: calibration.expected_calibration_error(*columns, bins, **kind),
        nodules,
        rows,
        positive,
        probability,
    )
    if figure is None:
        return None
    chance = calibration.calibration_error_by_chance(probability[rows], bins, **kind)
    return figure | {
        "by_chance": round(chance, 4),
        "bins": f"{bins} bins of equal {'mass' if kind['equal_mass'] else 'width'}",
    }


def _recalls(truth: np.ndarray, chosen: np.ndarray) -> Figures:
    shares = discrimination.recalls(truth, chosen, len(TYPES))
    return {
        str(kind): {"recall": round(float(shares[n]), 4), "nodules": int((truth == n).sum())}
        for n, kind in enumerate(TYPES)
        if (truth == n).any()
    }


def _whole_scans(examination: Examination, of_nodules: np.ndarray) -> Figures:
    """Nodules against real background, and detection, every scan by the networks that never saw its fold.

    ``of_nodules``: logits of the examined nodules.
    """
    calibrated = examination.bundle.inference["calibration"]["nodule"]
    threshold = examination.bundle.inference["operating_threshold"]
    background, owners, found, per_scan = [], [], [], {}
    for fold, scan in examination.scans():
        patient = examination.patient_of(scan)
        find = bundled_detector(str(models_folder()), examination.device, fold) or find_candidates
        encoder = EncoderRunner.from_bundle(examination.bundle, examination.device, unseen_fold=fold)
        points, logits = _rated(scan, find(scan.ct, scan.lungs), encoder)
        marks = np.array([[*m.centre_lps_mm, m.eq_diameter_mm] for m in scan.marks]).reshape(-1, 4)
        clear = np.array([m.n_readers >= CLEAR_READERS for m in scan.marks], bool)
        scores = calibration.apply(logits, calibrated)
        detections = ScanDetections(points, scores, marks[clear], marks[~clear], patient)
        found.append(detections)
        far = [not len(marks) or np.all(np.linalg.norm(marks[:, :3] - p, axis=1) > marks[:, 3] / 2 + 8) for p in points]
        background.extend(logits[np.asarray(far, bool)])
        owners += [patient] * int(np.count_nonzero(far))
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
    return _against_background(examination.nodules, of_nodules, np.array(background), owners) | {
        "detection": {"per_scan": per_scan, **_detection(found, threshold)}
    }


def _rated(
    scan: MarkedScan, candidates: Sequence[NoduleCandidate], encoder: EncoderRunner
) -> tuple[np.ndarray, np.ndarray]:
    """Places (N, 3), LPS mm, and logits of the candidates, most suspicious first."""

    def uncalibrated(patches: Sequence[np.ndarray]) -> np.ndarray:
        return encoder.answer(patches).probability("nodule")

    rated = rate_candidates(scan.ct, candidates, uncalibrated, encoder.size, encoder.spacing_mm)
    points = np.array([c.centre_lps_mm for c in rated]).reshape(-1, 3)
    return points, special.logit(np.array([c.probability for c in rated], float))


def _against_background(
    nodules: list[PackNodule], of_nodules: np.ndarray, background: np.ndarray, owners: list[str]
) -> Figures:
    """Nodules against what the finder proposes far from every mark, by their logits."""
    even = np.random.default_rng(0).choice(len(background), min(len(of_nodules), len(background)), replace=False)

    def figure(metric: Callable[..., float], rows: np.ndarray) -> Figures | None:
        patients = [n.patient_id for n in nodules] + [owners[row] for row in rows]
        positive = np.repeat([1.0, 0.0], [len(of_nodules), len(rows)])
        scores = np.concatenate([of_nodules, background[rows]])
        return estimate(metric, patients, np.ones(len(scores), bool), positive, scores)

    return {
        "nodule_auc_on_real_background": figure(discrimination.auc, np.arange(len(background))),
        f"nodule_precision_at_recall_{RECALL}_with_as_many_non_nodules": figure(
            lambda *columns: discrimination.precision_at_recall(*columns, RECALL), even
        ),
        "background_candidates": len(background),
    }


def _detection(found: list[ScanDetections], threshold: float) -> Figures:
    """Sensitivity and false positives of rated candidates, with intervals over patients."""
    sensitivity, false_positives = at_threshold(found, threshold)
    at_rates = sensitivity_estimates(found, FALSE_POSITIVE_RATES)
    return {
        "operating_threshold": threshold,
        "sensitivity_at_operating_point": sensitivity.as_json() if sensitivity else None,
        "false_positives_per_scan_at_operating_point": false_positives.as_json() | {"cases_are": "scans"},
        "sensitivity_at": {str(rate): one.as_json() for rate, one in zip(FALSE_POSITIVE_RATES, at_rates, strict=True)},
    }
