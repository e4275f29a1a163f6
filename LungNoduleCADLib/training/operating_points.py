"""What each threshold on the nodule probability gives on whole scans, counted on the list that a reader sees."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from LungNoduleCADLib.bundles.spec import Bundle
from LungNoduleCADLib.dicom.load import load_ct
from LungNoduleCADLib.evaluation.froc import ScanDetections, froc
from LungNoduleCADLib.lungs.segment import segment_lungs
from LungNoduleCADLib.nodule_list import LEAST_PROBABILITY, Looks, Models, with_candidates
from LungNoduleCADLib.nodules.candidates import find_candidates
from LungNoduleCADLib.training.card import EVALUATION
from LungNoduleCADLib.training.export import write_json
from LungNoduleCADLib.training.nodule_pack import NodulePack
from LungNoduleCADLib.training.scans import Mark, scan_folders, scan_folds

CLEAR_READERS = 3
THRESHOLDS = tuple(round(0.05 * step, 2) for step in range(1, 20))
Report = Callable[[str], None]


def measure_operating_points(
    bundle: Bundle, pack: NodulePack, scans: Path, device: str, report: Report
) -> dict[str, Any]:
    """``source`` (a sentence) and ``points`` over the scans of patients that the bundle was not trained on.

    A nodule of at least 3 readers is found if the middle of a listed nodule lies within its radius; marks of fewer
    readers count neither way; what else is listed is a false positive.
    """
    models = Models.load(device)
    detections, used = [], {}
    for name, kind, folder, marks in _unseen_scans(bundle, pack, scans):
        found = _listed(folder, models)
        near = np.array([[*m.centre_lps_mm, m.eq_diameter_mm] for m in marks]).reshape(-1, 4)
        clear = np.array([m.n_readers >= CLEAR_READERS for m in marks], bool)
        detections.append(ScanDetections(found[:, :3], found[:, 3], near[clear], near[~clear]))
        used.setdefault(kind, []).append(name)
        report(f"{name} ({kind}): {len(found)} listed at {LEAST_PROBABILITY}, {clear.sum()} nodules to find")
    curve, targets = froc(detections), sum(len(scan.targets) for scan in detections)
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
    return {"source": _source(used, targets), "points": points}


def keep_operating_points(bundle: Bundle, measured: dict[str, Any]) -> None:
    """Put them where results take them from, and beside the bundle's other figures."""
    write_json(bundle.path / "configs/inference.json", {**bundle.inference, "operating_points": measured})
    evaluation = json.loads((bundle.path / EVALUATION).read_text(encoding="utf-8"))
    write_json(bundle.path / EVALUATION, {**evaluation, "operating_points": measured})


def _unseen_scans(bundle: Bundle, pack: NodulePack, scans: Path) -> Iterator[tuple[str, str, Path, tuple[Mark, ...]]]:
    """(name, "test" or "validation", folder, marks) of every scan whose patient was not trained on."""
    folds = bundle.train["folds"]
    for name, fold in scan_folds(pack, scans).items():
        if fold in folds["train"]:
            continue
        folder, marks = scan_folders(scans)[name]
        yield name, "validation" if fold in folds["validation"] else "test", folder, marks


def _listed(folder: Path, models: Models) -> np.ndarray:
    """(N, 4): middle (LPS mm) and probability of each nodule that the list has at the lowest threshold.

    At a higher threshold the list is the part of it that is as probable.
    """
    ct = load_ct(folder)
    lungs = segment_lungs(ct)
    looks = Looks(ct, lungs, lambda: models)
    rated = [c for c in looks.rated(find_candidates(ct, lungs)) if (c.probability or 0.0) >= LEAST_PROBABILITY]
    nodules = with_candidates((), rated, looks)
    return np.array([[*n.centroid_lps_mm, n.candidate.probability] for n in nodules]).reshape(-1, 4)


def _source(used: dict[str, list[str]], targets: int) -> str:
    count = sum(len(names) for names in used.values())
    named = ", ".join(f"{kind}: {' and '.join(sorted(names))}" for kind, names in sorted(used.items()))
    return (
        f"Measured on only {count} LIDC-IDRI scans that the model was not trained on ({named}) with {targets} nodules "
        f"of at least {CLEAR_READERS} readers, counted per listed nodule; marks of fewer readers count neither way."
    )
