"""The classical lung mask against manual lungs and against the nodules that readers marked, on real CT."""

from __future__ import annotations

import csv
import tarfile
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from LungNoduleCADLib.dicom.load import load_ct, load_image
from LungNoduleCADLib.domain.masks import Lung
from LungNoduleCADLib.lungs.quality import lung_quality
from LungNoduleCADLib.lungs.segment import segment_lungs

pytestmark = [pytest.mark.real_data, pytest.mark.slow]


def dice(a: np.ndarray, b: np.ndarray) -> float:
    return 2 * np.count_nonzero(a & b) / (np.count_nonzero(a) + np.count_nonzero(b))


def manual(path: Path) -> np.ndarray:
    return sitk.GetArrayFromImage(sitk.ReadImage(str(path)))


def test_lungs_agree_with_manual_contours_and_hold_a_tumour_of_65_mm(shared_data: Path) -> None:
    """Manual: 1 right, 2 left (missing on one slice), 3 tumour of the left lung, from chest wall to hilum."""
    labels = segment_lungs(load_image(shared_data / "ct" / "lung1-001_ct.nii.gz", None)).labels
    truth = manual(shared_data / "ct" / "lung1-001_labels.nii.gz")
    assert dice(labels == Lung.RIGHT, truth == 1) > 0.965
    assert dice(labels == Lung.LEFT, truth >= 2) > 0.95
    assert (labels[truth == 3] == Lung.LEFT).mean() > 0.95


@pytest.mark.parametrize("name", ["baseline", "followup"])
def test_a_crop_around_the_right_lung_agrees_with_its_manual_mask(shared_data: Path, name: str) -> None:
    ct = load_image(shared_data / "registration" / f"{name}.mha", None)
    lungs = segment_lungs(ct)
    truth = manual(shared_data / "registration" / f"{name}_mask.mha") > 0
    assert dice(lungs.labels == Lung.RIGHT, truth) > 0.98
    assert not (lungs.labels == Lung.LEFT).any()
    assert "one_lung_only" in {flag.code for flag in lung_quality(lungs, ct)}


@pytest.mark.parametrize("series", ["lidc-0181", "lidc-0350", "lidc-1011"])
def test_every_marked_nodule_lies_in_the_lungs(shared_data: Path, tmp_path: Path, series: str) -> None:
    """0181: nodules on the pleura; 0350: low dose, sharp kernel; 1011: large, cavitary and part-solid nodules."""
    with tarfile.open(shared_data / "ct" / f"{series}.tar") as archive:
        archive.extractall(tmp_path, filter="data")
    ct = load_ct(tmp_path)
    lungs = segment_lungs(ct)
    with (shared_data / "ct" / "nodules.csv").open(encoding="utf-8") as file:
        nodules = [row for row in csv.DictReader(file) if row["series"] == series]
    assert nodules
    covered = {
        row["nodule_id"]: _share_inside(
            lungs.labels > 0,
            ct.geometry.to_kji([float(row[c]) for c in COLUMNS]),
            float(row["eq_diameter_mm"]) / 2,
            ct.geometry.spacing_kji_mm,
        )
        for row in nodules
    }
    assert {name: share for name, share in covered.items() if share < 0.8} == {}
    assert {flag.code for flag in lung_quality(lungs, ct)} == set()
    assert 0.45 < lungs.volume_ml(Lung.RIGHT) / (lungs.volume_ml(Lung.RIGHT) + lungs.volume_ml(Lung.LEFT)) < 0.6


COLUMNS = ("l_mm", "p_mm", "s_mm")


def _share_inside(mask: np.ndarray, centre_kji: np.ndarray, radius_mm: float, spacing: tuple[float, ...]) -> float:
    """Share of a ball that lies in a mask; 0 where its centre does not."""
    middle = np.round(centre_kji).astype(int)
    if not mask[tuple(middle)]:
        return 0.0
    reach = np.ceil(radius_mm / np.asarray(spacing)).astype(int) + 1
    offsets = np.stack(np.meshgrid(*[np.arange(-r, r + 1) for r in reach], indexing="ij"), -1).reshape(-1, 3)
    ball = middle + offsets
    ball = ball[(((ball - centre_kji) * spacing) ** 2).sum(axis=1) <= radius_mm**2]
    return float(mask[tuple(ball.T)].mean())
