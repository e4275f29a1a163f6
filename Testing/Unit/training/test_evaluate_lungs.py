from __future__ import annotations

from pathlib import Path

import numpy as np
import SimpleITK as sitk

from LungNoduleCADLib.domain.masks import Lung
from LungNoduleCADLib.lungs.classical import classical_lungs
from LungNoduleCADLib.phantom.thorax import make_phantom
from LungNoduleCADLib.training.evaluate_lungs import (
    LungCase,
    ManualSeries,
    case_rows,
    manual_case,
    summary,
)

BOTH = ManualSeries("drawn", "drawn", "ct.nii.gz", "labels.nii.gz", {Lung.RIGHT: (1,), Lung.LEFT: (2,)})


def write_series(folder: Path, labels: np.ndarray) -> None:
    hu = np.where(labels > 0, -800, 40).astype(np.int16)
    sitk.WriteImage(sitk.GetImageFromArray(hu), str(folder / BOTH.image))
    sitk.WriteImage(sitk.GetImageFromArray(labels), str(folder / BOTH.labels))


def test_a_slice_whose_contour_is_missing_takes_what_both_neighbours_have(tmp_path: Path) -> None:
    labels = np.zeros((40, 20, 20), np.uint8)
    labels[10:30, 5:15, 2:9] = 1
    labels[10:30, 5:15, 11:18] = 2
    labels[20][labels[20] == 2] = 0
    labels[20, 5, 11] = 2  # a stroke, no contour
    labels[21, 14, 11:18] = 0
    write_series(tmp_path, labels)
    truth = manual_case(tmp_path, BOTH).truth
    expected = (labels[19] == 2) & (labels[21] == 2)
    assert np.array_equal(truth[20] == Lung.LEFT, expected)
    assert np.array_equal(truth == Lung.RIGHT, labels == 1)
    assert not truth[[9, 30]].any()


def test_without_a_network_the_classical_method_is_judged_alone() -> None:
    ct = make_phantom(3, nodules=(), shape_kji=(50, 80, 80), spacing_kji_mm=(4.4, 4.0, 4.0)).ct
    labels = classical_lungs(ct).labels
    rows = case_rows(LungCase("phantom", "phantom-3", "as it is", "phantom-3", ct, labels), None)
    assert [row["dice_classical"] for row in rows] == [1.0, 1.0]
    assert list(summary(rows)["phantom"]["Dice"]) == ["classical"]
