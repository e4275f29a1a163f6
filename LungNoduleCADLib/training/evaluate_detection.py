"""What is proposed and what is listed with the network, with the classical finder, and with both."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from LungNoduleCADLib.domain.ct import CtVolume
from LungNoduleCADLib.domain.masks import LungMask
from LungNoduleCADLib.domain.nodule import NoduleCandidate, NoduleType
from LungNoduleCADLib.evaluation.bootstrap import bootstrap
from LungNoduleCADLib.evaluation.froc import ScanDetections, at_threshold, froc, sensitivity_estimates
from LungNoduleCADLib.lungs.segment import segment_lungs
from LungNoduleCADLib.nodule_list import Looks, Models
from LungNoduleCADLib.nodules.candidates import find_candidates
from LungNoduleCADLib.nodules.detector import NoduleDetector, merged
from LungNoduleCADLib.phantom.thorax import make_phantom
from LungNoduleCADLib.training.cases import POINT
from LungNoduleCADLib.training.curves import draw_froc
from LungNoduleCADLib.training.evaluate import Examination, Figures, groups_of
from LungNoduleCADLib.training.operating_points import detections, listed
from LungNoduleCADLib.training.phantoms import mixed_plans

PHANTOM_SEEDS = (1901, 1902, 1903, 1904)
SYNTHETIC_FROM_MM = 3.5
SMALL_MM = 6.0
RATES = (0.5, 1.0, 2.0, 4.0, 8.0)
BOTH = "network and classical"


@dataclass(frozen=True)
class Proposals:
    """Places that each of the finders proposes in one scan, and how sure the network is of its own."""

    places: dict[str, list[NoduleCandidate]]
    scores: np.ndarray

    @classmethod
    def of(cls, detector: NoduleDetector, ct: CtVolume, lungs: LungMask) -> Proposals:
        scored = [one for one in detector.scored(ct, lungs) if one[1] >= detector.least_score][: detector.most]
        network = [place for place, _ in scored]
        classical = find_candidates(ct, lungs)
        both = merged(network, classical[: detector.most_classical])
        return cls({"classical": classical, "network": network, BOTH: both}, np.array([score for _, score in scored]))

    def hits(self, centre_lps_mm: Sequence[float], diameter_mm: float) -> dict[str, bool]:
        """Which finders have a place within a nodule's radius (at least 2 mm) of its centre."""
        reach_mm = max(diameter_mm / 2, 2.0)
        return {
            name: any(np.linalg.norm(np.subtract(p.centre_lps_mm, centre_lps_mm)) < reach_mm for p in places)
            for name, places in self.places.items()
        }


def detection_figures(examination: Examination) -> Figures:
    """Nodules set into lung, synthetic ones, and whole scans: proposed, and listed once the encoder has sorted."""
    detector = NoduleDetector.from_bundle(examination.bundle, examination.device, unseen_fold=examination.fold)
    figures = {"set_into_lung": _cases(examination, detector), "synthetic": _synthetic(examination, detector)}
    return figures | _whole_scans(examination)


def _cases(examination: Examination, detector: NoduleDetector) -> Figures:
    """Share of the nodules that have a place, by size and type, in the part of a lung that is around each of them."""
    proposals = [Proposals.of(detector, case.ct, case.lungs) for case in examination.cases]
    hits = [p.hits(POINT, n.eq_diameter_mm) for p, n in zip(proposals, examination.nodules, strict=True)]
    found = {name: np.array([hit[name] for hit in hits]) for name in proposals[0].places}
    patients = np.array([n.patient_id for n in examination.nodules])
    figures: Figures = {}
    for group, rows in groups_of(examination.nodules).items():
        if not group.startswith("HU"):
            figures[group] = {name: _share(hit[rows], patients[rows]) for name, hit in found.items()}
    litres = sum(case.ct.hu.size * case.ct.geometry.voxel_volume_mm3 for case in examination.cases) / 1e6
    figures["places_per_litre"] = {
        name: round(sum(len(p.places[name]) for p in proposals) / litres, 2) for name in proposals[0].places
    }
    examination.report(f"set into lung: {figures['all']}")
    return figures


def _synthetic(examination: Examination, detector: NoduleDetector) -> Figures:
    """Share of the nodules of phantoms that have a place; no network was trained on these phantoms."""
    hits, kinds, phantoms = [], [], []
    for seed in PHANTOM_SEEDS:
        plans = mixed_plans(np.random.default_rng(seed), SYNTHETIC_FROM_MM, SYNTHETIC_FROM_MM)
        phantom = make_phantom(seed, nodules=plans)
        proposals = Proposals.of(detector, phantom.ct, segment_lungs(phantom.ct))
        for truth in phantom.truth:
            hits.append(proposals.hits(truth.centre_lps_mm, truth.diameter_mm))
            kinds.append((truth.type, truth.diameter_mm))
            phantoms.append(str(seed))
    if not hits:
        return {}
    groups = {
        "all": np.ones(len(hits), bool),
        "solid": np.array([kind is NoduleType.SOLID for kind, _ in kinds]),
        "subsolid": np.array([kind is not NoduleType.SOLID for kind, _ in kinds]),
        "below 6 mm": np.array([diameter < SMALL_MM for _, diameter in kinds]),
        "subsolid below 6 mm": np.array([k is not NoduleType.SOLID and d < SMALL_MM for k, d in kinds]),
    }
    figures = {
        group: {name: _share(np.array([h[name] for h in hits])[rows], np.array(phantoms)[rows]) for name in hits[0]}
        for group, rows in groups.items()
        if rows.any()
    }
    examination.report(f"synthetic: {figures['all']}")
    return figures


def _whole_scans(examination: Examination) -> Figures:
    """Each scan by the networks that never saw its patient."""
    proposed: list[dict[str, bool]] = []
    patients, per_scan = [], {}
    lists: dict[str, list[ScanDetections]] = {"classical": [], BOTH: []}
    raw: list[ScanDetections] = []
    threshold = None
    for fold, scan in examination.scans():
        detector = NoduleDetector.from_bundle(examination.bundle, examination.device, unseen_fold=fold)
        proposals = Proposals.of(detector, scan.ct, scan.lungs)
        models = replace(Models.load(examination.device, unseen_fold=fold), finder=detector)
        threshold, looks = models.threshold, Looks(scan.ct, scan.lungs, lambda models=models: models)
        for name, of_scans in lists.items():
            of_scans.append(detections(scan, listed(looks, proposals.places[name])))
        centres = np.array([place.centre_lps_mm for place in proposals.places["network"]]).reshape(-1, 3)
        raw.append(detections(scan, np.column_stack([centres, proposals.scores])))
        for target in raw[-1].targets:
            proposed.append(proposals.hits(target[:3], target[3]))
            patients.append(examination.patient_of(scan))
        per_scan[scan.name] = _of_scan(proposals, len(raw[-1].targets), proposed, lists, threshold)
        examination.report(f"{scan.name}: {per_scan[scan.name]}")
    if not proposed:
        return {}
    if examination.pictures:
        draw_froc(examination.pictures / "froc-list", "What is listed of whole scans", lists)
    names = proposed[0]
    return {
        "whole_scans": {
            "proposed": {name: _share(np.array([p[name] for p in proposed]), np.array(patients)) for name in names},
            "places_per_scan": {
                name: round(float(np.mean([scan["places"][name] for scan in per_scan.values()])), 1) for name in names
            },
            "network_alone": _sensitivities(raw),
            "listed": {name: _sensitivities(found) for name, found in lists.items()},
            "operating_threshold": threshold,
            "listed_at_operating_threshold": {name: _at(found, threshold) for name, found in lists.items()},
            "each": per_scan,
        }
    }


def _of_scan(
    proposals: Proposals,
    targets: int,
    proposed: list[dict[str, bool]],
    lists: dict[str, list[ScanDetections]],
    threshold: float,
) -> Figures:
    own = proposed[len(proposed) - targets :]
    return {
        "nodules": targets,
        "proposed": {name: sum(hit[name] for hit in own) for name in proposals.places},
        "places": {name: len(places) for name, places in proposals.places.items()},
        "listed_at_operating_threshold": {name: _counts(found[-1], threshold) for name, found in lists.items()},
    }


def _counts(found: ScanDetections, threshold: float) -> Figures:
    """Nodules found and false positives of one scan."""
    sensitivity, false_positives = froc([found]).at(threshold)
    return {
        "found": round(sensitivity * len(found.targets)) if len(found.targets) else 0,
        "false": round(false_positives),
    }


def _at(found: list[ScanDetections], threshold: float) -> Figures:
    sensitivity, false_positives = at_threshold(found, threshold)
    return {
        "sensitivity": sensitivity and sensitivity.as_json(),
        "false_positives_per_scan": false_positives.as_json(),
    }


def _sensitivities(found: list[ScanDetections]) -> Figures:
    """At no more than so many false positives a scan."""
    estimates = sensitivity_estimates(found, RATES)
    return {f"sensitivity_at_{rate:g}": one.as_json() for rate, one in zip(RATES, estimates, strict=True)}


def _share(found: np.ndarray, patients: np.ndarray) -> Figures:
    return bootstrap(lambda hit: float(np.mean(hit)), list(patients), found).as_json()
