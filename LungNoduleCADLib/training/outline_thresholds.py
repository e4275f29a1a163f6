"""At which probability outlines are drawn: chosen on nodules that the networks never saw."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
from torch import nn

from LungNoduleCADLib.domain.ct import CtVolume
from LungNoduleCADLib.domain.masks import NoduleMask
from LungNoduleCADLib.domain.nodule import Point
from LungNoduleCADLib.domain.provenance import Method
from LungNoduleCADLib.evaluation.overlap import dice
from LungNoduleCADLib.nodules.measure import nodule_volume_mm3
from LungNoduleCADLib.nodules.segment import Look, NoduleSegmenter, outline
from LungNoduleCADLib.phantom.thorax import make_phantom
from LungNoduleCADLib.training.cases import POINT, NoduleCase, nodule_cases
from LungNoduleCADLib.training.data import PackNodule, TrainingData
from LungNoduleCADLib.training.phantoms import mixed_plans
from LungNoduleCADLib.training.prepare import few_donors

THRESHOLDS = (0.3, 0.325, 0.35, 0.375, 0.4, 0.425, 0.45, 0.475, 0.5, 0.525, 0.55)
PHANTOM_SEEDS = (1200, 1201, 1202)
SCALE_THRESHOLD = 0.45
DICE_TOLERANCE = 0.005
LARGE_MM = 14.0
FEWEST_NODULES = 10
Report = Callable[[str], None]


def choose_thresholds(
    networks: dict[int, nn.Module], data: TrainingData, recipe: dict[str, Any], device: str, report: Report
) -> dict[str, Any]:
    """For each scale the probability at which outlines have the readers' volume, in folds that the networks never saw,
    and that of synthetic nodules, whose volume is known.

    Of the thresholds whose mean Dice is within 0.005 of the scale's best, that at which the geometric means of both
    volume ratios are nearest to 1 (least sum of squared logarithms). Judged on the scans' own voxels from the middle of
    the consensus: nodules of >= 3 readers, all of the large ones and every third of the others, each at the scale at
    which it is outlined at 0.45. A scale with fewer than 10 nodules takes the threshold of the finer one; one with
    fewer than 10 synthetic nodules goes by the readers'.

    Parameters
    ----------
    networks : {fold that it never saw: network}.

    Returns
    -------
    ``thresholds`` by scale, and ``threshold_choice``: what was measured at each.
    """
    spacings_mm = recipe["patch"]["spacings_mm"]
    measured: dict[float, list[np.ndarray]] = {spacing_mm: [] for spacing_mm in spacings_mm}
    known: dict[float, list[np.ndarray]] = {spacing_mm: [] for spacing_mm in spacings_mm}

    def segmenter_of(members: tuple[nn.Module, ...]) -> NoduleSegmenter:
        return NoduleSegmenter(members, **recipe["patch"], device=device, method=Method("training", "1"))

    for held_out, network in networks.items():
        around = few_donors(data, (held_out,), 1, report)
        for case in nodule_cases(data, _judged(data, held_out), around, recipe["seed"]):
            drawn = _outlines(segmenter_of((network,)), case.ct, POINT)
            if drawn is not None:
                measured[drawn[0]].append(_dice_and_ratio(drawn[1], case))
    for seed in PHANTOM_SEEDS:
        phantom = make_phantom(seed, nodules=mixed_plans(np.random.default_rng(seed)))
        for truth in phantom.truth:
            drawn = _outlines(segmenter_of(tuple(networks.values())), phantom.ct, truth.centre_lps_mm)
            if drawn is not None:
                known[drawn[0]].append(np.array([_volume_mm3(mask) / truth.volume_mm3 for mask in drawn[1]]))
    thresholds: dict[str, float] = {}
    choice = {}
    for spacing_mm, rows in measured.items():
        scale, finer = f"{spacing_mm:g}", next(reversed(thresholds.values()), SCALE_THRESHOLD)
        if rows:
            choice[scale] = _choice(np.array(rows), np.array(known[spacing_mm]))
            report(f"{scale} mm: {choice[scale]}")
        thresholds[scale] = choice[scale]["best"] if len(rows) >= FEWEST_NODULES else finer
    return {"thresholds": thresholds, "threshold_choice": choice}


def _judged(data: TrainingData, fold: int) -> list[PackNodule]:
    clear = data.of_folds((fold,), lambda n: n.n_readers >= 3)
    small = [n for n in clear if n.eq_diameter_mm < LARGE_MM]
    return small[::3] + [n for n in clear if n.eq_diameter_mm >= LARGE_MM]


def _outlines(
    segmenter: NoduleSegmenter, ct: CtVolume, point_lps_mm: Point
) -> tuple[float, list[NoduleMask | None]] | None:
    """The scale at which a nodule is outlined, and its outline at each of ``THRESHOLDS``.

    The networks are asked once a scale. ``None`` where they see no nodule.
    """
    probability = cache(lambda spacing_mm: segmenter.probability_around(ct, point_lps_mm, spacing_mm))

    def look(spacing_mm: float, threshold: float = SCALE_THRESHOLD) -> Look | None:
        return segmenter.look(probability(spacing_mm), point_lps_mm, spacing_mm, threshold)

    chosen = segmenter.choose(look)
    if chosen is None:
        return None
    looks = [look(chosen.spacing_mm, threshold) for threshold in THRESHOLDS]
    return chosen.spacing_mm, [seen and outline(seen.probability, seen.grid, ct, segmenter.method) for seen in looks]


def _dice_and_ratio(outlines: list[NoduleMask | None], case: NoduleCase) -> np.ndarray:
    """Dice and volume ratio of each outline, (T, 2)."""
    rows = []
    for mask in outlines:
        mine = np.zeros_like(case.reference)
        if mask is not None:
            mine[mask.box] = mask.voxels
        rows.append((dice(mine, case.reference), _volume_mm3(mask) / case.reference_volume_mm3()))
    return np.array(rows)


def _volume_mm3(mask: NoduleMask | None) -> float:
    return 0.0 if mask is None else nodule_volume_mm3(mask)


def _choice(measured: np.ndarray, known: np.ndarray) -> dict[str, Any]:
    """The best of ``THRESHOLDS`` by Dice and volume ratio of readers' nodules, (N, T, 2), and ratio of synthetic ones,
    (M, T)."""

    def mean_ratio(ratios: np.ndarray) -> np.ndarray:
        return np.exp(np.log(np.clip(ratios, 0.05, 20)).mean(axis=0))

    overlap, ratio = measured[..., 0].mean(axis=0), mean_ratio(measured[..., 1])
    ratios = {"volume_ratio": ratio}
    if len(known) >= FEWEST_NODULES:
        ratios["synthetic_volume_ratio"] = mean_ratio(known)
    good = np.flatnonzero(overlap >= overlap.max() - DICE_TOLERANCE)
    off = np.sum([np.log(values) ** 2 for values in ratios.values()], axis=0)
    best = int(good[np.argmin(off[good])])

    def table(values: np.ndarray) -> dict[str, float]:
        return {str(threshold): round(float(v), 4) for threshold, v in zip(THRESHOLDS, values, strict=True)}

    return {
        "best": THRESHOLDS[best],
        "nodules": len(measured),
        "synthetic_nodules": len(known),
        "dice": table(overlap),
        **{name: table(values) for name, values in ratios.items()},
    }
