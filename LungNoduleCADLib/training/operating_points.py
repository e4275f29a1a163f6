"""What each threshold on the nodule probability gives on whole scans, counted on the list that a reader sees."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from LungNoduleCADLib.bundles.spec import Bundle
from LungNoduleCADLib.domain.nodule import NoduleCandidate
from LungNoduleCADLib.evaluation.froc import ScanDetections, froc
from LungNoduleCADLib.nodule_list import LEAST_PROBABILITY, Looks, Models, with_candidates
from LungNoduleCADLib.training.card import EVALUATION
from LungNoduleCADLib.training.data import NO_FOLD, MarkedScan, TrainingData
from LungNoduleCADLib.training.export import write_json

CLEAR_READERS = 3
THRESHOLDS = (*(round(0.05 * step, 2) for step in range(1, 20)), 0.97, 0.98, 0.99)
Report = Callable[[str], None]


def measure_operating_points(bundle: Bundle, data: TrainingData, device: str, report: Report) -> dict[str, Any]:
    """``source`` (a sentence) and ``points`` over whole scans, each read by the networks that never saw its patient.

    A nodule of at least 3 readers is found if the middle of a listed nodule lies within its radius; marks of fewer
    readers count neither way; what else is listed is a false positive.
    """
    seen: list[ScanDetections] = []
    for scan in data.marked_scans({NO_FOLD, *data.patient_folds().values()}):
        unseen = bundle.train["folds"]["unknown_patients"] if scan.fold == NO_FOLD else scan.fold
        found = _listed(scan, Models.load(device, unseen_fold=unseen))
        seen.append(detections(scan, found))
        to_find = len(seen[-1].targets)
        report(f"{scan.name} (fold {unseen}): {len(found)} listed at {LEAST_PROBABILITY}, {to_find} to find")
    curve, targets = froc(seen), sum(len(scan.targets) for scan in seen)
    points = []
    for threshold in THRESHOLDS:
        sensitivity, false_positives = curve.at(threshold)
        points.append(
            {
                "threshold": threshold,
                "sensitivity": round(sensitivity, 4) if targets else None,
                "false_positives_per_scan": round(false_positives, 2),
            }
        )
    return {"source": _source(len(seen), targets), "points": points}


def keep_operating_points(bundle: Bundle, measured: dict[str, Any]) -> None:
    """Put them where results take them from, and beside the bundle's other figures."""
    write_json(bundle.path / "configs/inference.json", {**bundle.inference, "operating_points": measured})
    evaluation = json.loads((bundle.path / EVALUATION).read_text(encoding="utf-8"))
    write_json(bundle.path / EVALUATION, {**evaluation, "operating_points": measured})


def _listed(scan: MarkedScan, models: Models) -> np.ndarray:
    return listed(Looks(scan.ct, scan.lungs, lambda: models), models.find(scan.ct, scan.lungs))


def listed(looks: Looks, candidates: Sequence[NoduleCandidate]) -> np.ndarray:
    """(N, 4): middle (LPS mm) and probability of each nodule that the list has at the lowest threshold.

    At a higher threshold the list is the part of it that is as probable.
    """
    rated = [c for c in looks.rated(candidates) if (c.probability or 0.0) >= LEAST_PROBABILITY]
    nodules = with_candidates((), rated, looks)
    return np.array([[*n.centroid_lps_mm, n.candidate.probability] for n in nodules]).reshape(-1, 4)


def detections(scan: MarkedScan, found: np.ndarray) -> ScanDetections:
    """What was listed of a scan beside what at least 3 readers marked in it."""
    near = np.array([[*m.centre_lps_mm, m.eq_diameter_mm] for m in scan.marks]).reshape(-1, 4)
    clear = np.array([m.n_readers >= CLEAR_READERS for m in scan.marks], bool)
    return ScanDetections(found[:, :3], found[:, 3], near[clear], near[~clear], scan.name)


def _source(count: int, targets: int) -> str:
    return (
        f"Measured on only {count} LIDC-IDRI scans, each read by networks that were trained without it, with {targets} "
        f"nodules of at least {CLEAR_READERS} readers, counted per listed nodule; marks of fewer readers count neither "
        "way."
    )
