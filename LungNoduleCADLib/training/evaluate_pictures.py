"""Pictures to an evaluation: curves, and the examples on which the model is most wrong."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from LungNoduleCADLib.training.cases import NoduleCase
from LungNoduleCADLib.training.curves import Scored, draw_reliability, draw_roc
from LungNoduleCADLib.training.data import PackNodule
from LungNoduleCADLib.training.hard_examples import HardExample, write_hard_examples

HALF_VOXELS = 24


def draw_outlines(folder: Path, cases: list[NoduleCase], outlines: list[np.ndarray], overlap: np.ndarray) -> None:
    """The worst outlines, as ``hard-examples`` in ``folder``."""
    examples = [
        _example(case, 1 - float(value), f"Dice {value:.2f}", outline)
        for case, outline, value in zip(cases, outlines, overlap, strict=True)
    ]
    write_hard_examples(folder / "hard-examples", "outlines from one point", {"outlines": examples})


def draw_malignancy(folder: Path, cases: list[NoduleCase], probability: np.ndarray) -> None:
    """ROC and reliability of the probability that readers suspect malignancy, and the most confident mistakes."""
    nodules = [case.nodule for case in cases]
    median = np.array([n.median("malignancy") for n in nodules])
    decided = np.flatnonzero(median != 3)
    patients = [nodules[n].patient_id for n in decided]
    scored = {"model": Scored(median[decided] > 3, probability[decided], patients)}
    title = "Malignancy as radiologists rate it (median above 3)"
    draw_roc(folder / "roc-malignancy", title, scored)
    draw_reliability(folder / "reliability-malignancy", title, scored)
    examples = [
        _example(cases[n], float(abs((median[n] > 3) - probability[n])), f"probability {probability[n]:.2f}")
        for n in decided
    ]
    write_hard_examples(folder / "hard-examples", "malignancy", {"malignancy": examples})


def _example(case: NoduleCase, error: float, said: str, outline: np.ndarray | None = None) -> HardExample:
    middle = np.array(case.ct.hu.shape) // 2
    box = tuple(slice(max(m - HALF_VOXELS, 0), m + HALF_VOXELS) for m in middle)
    return HardExample(
        case.nodule.nodule_id,
        error,
        said,
        _facts(case.nodule),
        case.ct.hu[box],
        case.ct.geometry.spacing_kji_mm,
        case.reference[box],
        None if outline is None else outline[box],
    )


def _facts(nodule: PackNodule) -> str:
    rated = f", malignancy {nodule.median('malignancy'):g}" if nodule.ratings else ""
    return f"{nodule.type}, {nodule.eq_diameter_mm:.1f} mm, {nodule.n_readers} readers{rated}"
