"""From a nodule pack and whole scans to the sample stores that the recipes read."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from LungNoduleCADLib.training.lung_background import Donor, LungBackground
from LungNoduleCADLib.training.nodule_pack import NodulePack, PackNodule
from LungNoduleCADLib.training.phantoms import phantom_cubes
from LungNoduleCADLib.training.samples import (
    SIZE,
    SampleStore,
    beside_nodule_cubes,
    nodule_cubes,
    scan_background_cubes,
    scan_nodule_cubes,
)
from LungNoduleCADLib.training.scans import MarkedScan, marked_scans

KINDS = ("fine", "coarse", "phantom")
FINE_MM = 0.8
COARSE_MM = 1.6
COARSE_FROM_DIAMETER_MM = 14.0


def prepare(
    pack: NodulePack, scans_folder: Path | None, folder: Path, recipe: dict[str, Any], report: Callable[[str], None]
) -> dict[str, dict[str, SampleStore]]:
    """Stores ``{split: {kind: store}}`` under ``folder``; those that are there already are only opened.

    Kinds: ``fine`` (0.8 mm), ``coarse`` (1.6 mm, large nodules only), ``phantom`` (0.8 mm, synthetic).

    ``recipe["folds"]`` names the folds of each split, ``recipe["samples"]`` says which splits get how many cubes. A
    scan belongs to the split of its patient's fold; a scan of a patient unknown to the pack is never trained on.
    """
    splits = {name: tuple(recipe["folds"][name]) for name in recipe["samples"]}
    if not all((folder / split / kind / "samples.json").is_file() for split in splits for kind in ("fine", "coarse")):
        scans = scans_by_split(pack, scans_folder, splits, report)
        for number, (split, folds) in enumerate(splits.items()):
            _prepare_split(
                pack, split, folds, scans, folder / split, recipe, np.random.default_rng(recipe["seed"] + number)
            )
            report(f"samples for {split} are ready")
    for number, split in enumerate(splits):
        if not (folder / split / "phantom" / "samples.json").is_file():
            settings = recipe["samples"][split]["phantoms"]
            rng = np.random.default_rng([recipe["seed"], number])
            SampleStore.write(folder / split / "phantom", phantom_cubes(**settings, spacing_mm=FINE_MM, rng=rng))
            report(f"phantoms for {split} are ready")
    return {split: {kind: SampleStore(folder / split / kind) for kind in KINDS} for split in splits}


def scans_by_split(
    pack: NodulePack, scans_folder: Path | None, splits: dict[str, tuple[int, ...]], report: Callable[[str], None]
) -> dict[str, list[MarkedScan]]:
    """The marked scans of each split; scans of other patients are left alone."""
    found = {split: list(marked_scans(pack, scans_folder, folds)) for split, folds in splits.items()}
    for split, scans in found.items():
        report(f"{split}: {', '.join(scan.name for scan in scans) or 'no whole scan'}")
    return found


def _prepare_split(
    pack: NodulePack,
    split: str,
    folds: tuple[int, ...],
    scans: dict[str, list[MarkedScan]],
    folder: Path,
    recipe: dict[str, Any],
    rng: np.random.Generator,
) -> None:
    own = scans[split] or next(iter(scans.values()))
    donors = [Donor(scan.ct, scan.lungs, scan.keep_away_lps_mm) for scan in own]
    settings = recipe["samples"][split]
    nodules = pack.of_folds(folds)
    rare = [n for n in nodules if n.type != "solid"]
    for kind, spacing_mm in (("fine", FINE_MM), ("coarse", COARSE_MM)):
        background = LungBackground(donors, SIZE, spacing_mm, 4000, rng)
        if kind == "coarse":
            large: list[PackNodule] = [n for n in nodules if n.eq_diameter_mm >= COARSE_FROM_DIAMETER_MM]
            cubes: Iterator = nodule_cubes(pack, large, background, settings["variants"], spacing_mm, rng)
        else:
            cubes = chain(
                nodule_cubes(pack, nodules, background, settings["variants"], spacing_mm, rng),
                nodule_cubes(pack, rare, background, settings["extra_subsolid_variants"], spacing_mm, rng),
                beside_nodule_cubes(pack, nodules, background, settings["beside_each_nodule"], spacing_mm, rng),
                *(scan_nodule_cubes(pack, scan, settings["scan_nodule_copies"], spacing_mm) for scan in scans[split]),
                *(scan_background_cubes(scan, background, spacing_mm, rng) for scan in scans[split]),
            )
        SampleStore.write(folder / kind, cubes)
