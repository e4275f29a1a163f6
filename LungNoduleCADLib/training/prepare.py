"""From a nodule pack and whole scans to the sample stores that the recipes read."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from LungNoduleCADLib.training.data import NO_FOLD, MarkedScan, PackNodule, TrainingData
from LungNoduleCADLib.training.detection_samples import detection_cubes
from LungNoduleCADLib.training.lung_background import Donor, LungBackground
from LungNoduleCADLib.training.phantoms import phantom_cubes, phantom_donor
from LungNoduleCADLib.training.samples import (
    SYNTHETIC_FOLD,
    Cube,
    SampleStore,
    beside_nodule_cubes,
    nodule_cubes,
    scan_background_cubes,
    scan_nodule_cubes,
)

PLACES_EACH = 2500
MOST_SCANS_A_FOLD = 8
DONOR_PHANTOM_SEED = 1100
Report = Callable[[str], None]
Scans = list[tuple[int, MarkedScan]]
"""Marked scans with their folds."""


def prepare(data: TrainingData, folder: Path, recipe: dict[str, Any], report: Report) -> list[SampleStore]:
    """One store a scale of the recipe, under ``folder``; those that are there already are only opened.

    Every nodule of the recipe's folds is set into the lung of each fold that has scans, and into synthetic lung, so
    that a network can be kept from seeing anything of a fold and still sees every other nodule.
    """
    settings = recipe["samples"]
    scans: Scans | None = None
    stores = []
    for number, scale in enumerate(settings["scales"]):
        target = folder / f"{scale['spacing_mm']:g}mm"
        if (target / "samples.json").is_file():
            stores.append(SampleStore(target))
            continue
        scans = load_scans(data, recipe, report) if scans is None else scans
        rng = np.random.default_rng([recipe["seed"], number])
        stores.append(SampleStore.write(target, settings["size"], _cubes(data, scans, recipe, scale, rng)))
        report(f"{target}: {len(stores[-1])} samples")
    return stores


def load_scans(data: TrainingData, recipe: dict[str, Any], report: Report) -> Scans:
    """Marked scans of the recipe's folds, ``MOST_SCANS_A_FOLD`` of each.

    Those of patients that no fold knows go to the fold that the recipe names for them.
    """
    folds = recipe["folds"]
    found: Scans = []
    for scan in data.marked_scans((*folds["cross_fitted"], NO_FOLD)):
        fold = folds["unknown_patients"] if scan.fold == NO_FOLD else scan.fold
        if sum(fold == other for other, _ in found) < MOST_SCANS_A_FOLD:
            found.append((fold, scan))
            report(f"{scan.name}: fold {fold}, {len(scan.marks)} marked nodules")
    if not found:
        report("no whole scans: background is synthetic")
    return found


def few_donors(data: TrainingData, folds: Collection[int], most: int, report: Report) -> list[Donor]:
    """Lung of at most so many whole scans of some folds; synthetic lung where there is none."""
    scans = islice(data.marked_scans(folds), most)
    donors = [Donor(scan.ct, scan.lungs, scan.keep_away_lps_mm) for scan in scans]
    if not donors:
        report(f"lung around the nodules: synthetic, for there is no whole scan of fold {', '.join(map(str, folds))}")
        donors = [phantom_donor(DONOR_PHANTOM_SEED)]
    return donors


def donors_of(scans: Scans, clear_mm: float = 0.0) -> dict[int, list[Donor]]:
    """{fold: donors of lung}, synthetic lung under ``SYNTHETIC_FOLD``; ``clear_mm``: more distance from marks."""
    donors: dict[int, list[Donor]] = defaultdict(list)
    for fold, scan in scans:
        donors[fold].append(Donor(scan.ct, scan.lungs, np.add(scan.keep_away_lps_mm, (0.0, 0.0, 0.0, clear_mm))))
    donors[SYNTHETIC_FOLD].append(phantom_donor(DONOR_PHANTOM_SEED))
    return dict(donors)


def _cubes(
    data: TrainingData, scans: Scans, recipe: dict[str, Any], scale: dict[str, float], rng: np.random.Generator
) -> Iterator[Cube]:
    settings, spacing_mm = recipe["samples"], scale["spacing_mm"]
    size = settings["size"]
    if settings.get("every_mark"):
        donors = donors_of(scans, clear_mm=size * spacing_mm / 2)
        yield from detection_cubes(data, scans, donors, recipe, spacing_mm, rng)
        return
    everyone = data.of_folds(tuple(recipe["folds"]["cross_fitted"]))
    nodules = [n for n in everyone if scale["from_mm"] <= n.eq_diameter_mm < scale["to_mm"]]
    backgrounds = [
        LungBackground(donors, size, spacing_mm, PLACES_EACH, rng, fold) for fold, donors in donors_of(scans).items()
    ]
    for background in backgrounds:
        yield from nodule_cubes(data, nodules, background, rng)
    for background, patients in zip(backgrounds, _shares(everyone, len(backgrounds)), strict=True):
        yield from beside_nodule_cubes(data, patients, background, settings["beside_each_nodule"], rng)
    for fold, scan in scans:
        yield from scan_nodule_cubes(data, nodules, scan, fold, size, spacing_mm)
        if settings["candidates"]:
            others = [b for b in backgrounds if b.fold != fold]
            yield from scan_background_cubes(scan, fold, others[int(rng.integers(len(others)))], size, spacing_mm, rng)
    yield from phantom_cubes(**settings["phantoms"], size=size, spacing_mm=spacing_mm, rng=rng)


def _shares(nodules: list[PackNodule], count: int) -> list[list[PackNodule]]:
    """Nodules dealt out by patient."""
    number = {patient: n for n, patient in enumerate(sorted({n.patient_id for n in nodules}))}
    return [[n for n in nodules if number[n.patient_id] % count == share] for share in range(count)]
