"""``evaluate``: what a bundle is worth on nodules and scans it has not seen, as numbers with intervals."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from LungNoduleCADLib.bundles.registry import find_bundle
from LungNoduleCADLib.bundles.spec import Bundle
from LungNoduleCADLib.errors import InputError, UsageError
from LungNoduleCADLib.evaluation.bootstrap import bootstrap
from LungNoduleCADLib.training.cases import NoduleCase, nodule_cases
from LungNoduleCADLib.training.data import NO_FOLD, MarkedScan, PackNodule, TrainingData, open_training_data
from LungNoduleCADLib.training.prepare import few_donors

CLEAR_READERS = 3
MOST_DONORS = 4
SIZE_BINS_MM = ((3.0, 6.0), (6.0, 10.0), (10.0, 20.0), (20.0, 99.0))
Report = Callable[[str], None]
Figures = dict[str, Any]


@dataclass(frozen=True)
class Examination:
    """What a bundle is examined on.

    ``fold``: of the pack that the cases are from (``None``: a pack of other patients); networks that saw that fold in
    training do not answer. Whole scans are each answered by networks that never saw their fold.
    """

    bundle: Bundle
    data: TrainingData
    fold: int | None
    cases: list[NoduleCase]
    device: str
    report: Report
    pictures: Path | None = None
    scans_seen: set[str] = field(default_factory=set)

    @property
    def nodules(self) -> list[PackNodule]:
        return [case.nodule for case in self.cases]

    def patient_of(self, scan: MarkedScan) -> str:
        """Whose scan it is, for intervals."""
        patients = {n.nodule_id: n.patient_id for n in self.data.nodules}
        return next((patients[m.nodule_id] for m in scan.marks if m.nodule_id in patients), scan.name)

    def scans(self) -> Iterator[tuple[int, MarkedScan]]:
        """Every whole scan with its fold, one in memory at a time."""
        elsewhere = self.bundle.train["folds"]["unknown_patients"]
        for scan in self.data.marked_scans({NO_FOLD, *self.data.patient_folds().values()}):
            self.scans_seen.add(scan.name)
            yield (elsewhere if scan.fold == NO_FOLD else scan.fold), scan


def evaluate_bundle(
    name: str,
    folder: Path,
    scans: Path | None,
    fold: int | None,
    device: str,
    report: Report,
    pictures: Path | None = None,
) -> Figures:
    """Figures of a bundle on nodules marked by at least 3 readers, set into lung, and on whole scans.

    Parameters
    ----------
    folder : a nodule pack, LIDC-IDRI or LUNA16 (see ``training.data``).
    scans : folder of whole marked scans beside a nodule pack.
    fold : of the pack to report on; by default the recipe's test fold, or all of a pack that the bundle was not
        trained on.
    pictures : folder for curves and for the examples on which the model is most wrong.
    """
    from LungNoduleCADLib.training.evaluate_attributes import attributes_figures
    from LungNoduleCADLib.training.evaluate_detection import detection_figures
    from LungNoduleCADLib.training.evaluate_fusion import fusion_figures
    from LungNoduleCADLib.training.evaluate_segmentation import segmentation_figures

    examiners = {
        "nodule_ct_segmentation": segmentation_figures,
        "nodule_ct_attributes": attributes_figures,
        "nodule_ct_detection": detection_figures,
        "nodule_fusion": fusion_figures,
    }
    if name not in examiners:
        raise UsageError("That model cannot be evaluated", expected=" or ".join(examiners), got=name)
    data = open_training_data(folder, scans, report)
    for note in data.notes:
        report(note)
    data.require(name, outlines=True, ratings=name in ("nodule_ct_attributes", "nodule_fusion"))
    examination = _examination(find_bundle(name), data, fold, device, report, pictures)
    bundle, nodules = examination.bundle, examination.nodules
    return {
        "bundle": name,
        "version": bundle.metadata["version"],
        "weights_sha256": bundle.weight_files,
        "data": bundle.train["data"],
        "fold": examination.fold,
        "trained_on_folds": bundle.train["folds"]["cross_fitted"],
        "split_sha256": data.split_sha256(),
        "seed": bundle.train["seed"],
        "nodules": len(nodules),
        "patients": len({n.patient_id for n in nodules}),
        "setting": (
            "nodules of >= 3 readers on the voxels of their scans, lung of other scans around the pack's blocks, one "
            "point: the centroid of the consensus; whole scans by networks that were trained without the scan's fold"
        ),
        "interval": "95 %, 1000 bootstrap draws of patients",
        "figures": examiners[name](examination),
        "scans": sorted(examination.scans_seen),
    }


def _examination(
    bundle: Bundle, data: TrainingData, fold: int | None, device: str, report: Report, pictures: Path | None
) -> Examination:
    known = bundle.train.get("split_sha256") == data.split_sha256()
    if fold is None and known:
        (fold,) = bundle.train["folds"]["test"]
    folds = (fold,) if fold is not None else tuple(set(data.patient_folds().values()))
    nodules = data.of_folds(folds, lambda n: n.n_readers >= CLEAR_READERS)
    if not nodules:
        raise InputError(
            "There is nothing to evaluate on", expected="nodules of at least 3 readers", got=f"none in fold {fold}"
        )
    donors = few_donors(data, folds, MOST_DONORS, report)
    cases = list(nodule_cases(data, nodules, donors, bundle.train["seed"]))
    report(f"{len(cases)} nodules, {f'fold {fold}' if fold is not None else 'all folds'}")
    return Examination(bundle, data, fold if known else None, cases, device, report, pictures)


def estimate(
    metric: Callable[..., Any], nodules: Sequence[PackNodule | str], rows: np.ndarray, *columns: np.ndarray
) -> Figures | None:
    """A figure over the chosen rows with its interval; ``None`` where it cannot be computed (one class only).

    ``nodules``: the cases, or the patients that they are of.
    """
    owners = [n if isinstance(n, str) else n.patient_id for n in nodules]
    patients = [owner for owner, row in zip(owners, rows, strict=True) if row]
    try:
        return bootstrap(lambda *c: float(metric(*c)), patients, *(column[rows] for column in columns)).as_json()
    except ValueError:
        return None


def groups_of(nodules: list[PackNodule]) -> dict[str, np.ndarray]:
    """Rows by size, type, and where the HU come from; empty groups are left out."""
    groups = {"all": np.ones(len(nodules), bool)}
    groups |= {
        f"{low:g}-{high:g} mm": np.array([low <= n.eq_diameter_mm < high for n in nodules])
        for low, high in SIZE_BINS_MM
    }
    groups |= {str(kind): np.array([n.type is kind for n in nodules]) for kind in {n.type for n in nodules}}
    groups |= {f"HU {source}": np.array([n.hu_source == source for n in nodules]) for source in ("exact", "estimated")}
    groups["HU estimated"] = ~groups["HU exact"]
    return {name: rows for name, rows in sorted(groups.items()) if rows.any()}
