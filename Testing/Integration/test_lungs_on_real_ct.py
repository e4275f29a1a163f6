"""The lung mask against manual lungs, against the nodules that readers marked, and against the classical method."""

from __future__ import annotations

import csv
import tarfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from LungNoduleCADLib.dicom.load import load_ct, load_image
from LungNoduleCADLib.domain.ct import CtVolume
from LungNoduleCADLib.domain.geometry import Geometry
from LungNoduleCADLib.domain.masks import Lung, LungMask
from LungNoduleCADLib.imaging.sitk_bridge import geometry_of, to_sitk
from LungNoduleCADLib.lungs.classical import classical_lungs
from LungNoduleCADLib.lungs.learned import DENSE_HU
from LungNoduleCADLib.lungs.quality import lung_quality
from LungNoduleCADLib.lungs.segment import segment_lungs
from LungNoduleCADLib.training.evaluate_lungs import MANUAL, SCENE_MM, SCENE_SHAPE, LungCase, manual_case
from LungNoduleCADLib.training.lung_scenes import consolidation, make_scene
from LungNoduleCADLib.training.lung_volumes import volume_of

pytestmark = [pytest.mark.real_data, pytest.mark.slow]

NOISE = 0.003  # Dice; what a tenth of the level at which the outline is drawn changes


def dice(a: np.ndarray, b: np.ndarray) -> float:
    return 2 * np.count_nonzero(a & b) / (np.count_nonzero(a) + np.count_nonzero(b))


def manual(path: Path) -> np.ndarray:
    return sitk.GetArrayFromImage(sitk.ReadImage(str(path)))


@pytest.fixture(scope="module")
def tumour_patient(shared_data: Path) -> tuple[LungCase, LungMask]:
    """A patient with manual lungs and a tumour of the left one, and the lungs as we see them."""
    case = manual_case(shared_data, MANUAL[0])
    return case, segment_lungs(case.ct)


def test_lungs_agree_with_manual_contours(tumour_patient: tuple[LungCase, LungMask]) -> None:
    case, lungs = tumour_patient
    assert all(dice(lungs.labels == lung, case.truth == lung) >= 0.97 for lung in Lung)


def test_a_tumour_of_65_mm_from_chest_wall_to_hilum_is_lung(tumour_patient: tuple[LungCase, LungMask]) -> None:
    case, lungs = tumour_patient
    assert (lungs.labels[case.dense] == Lung.LEFT).mean() > 0.98


def test_no_lung_agrees_less_than_the_classical_one(tumour_patient: tuple[LungCase, LungMask]) -> None:
    case, lungs = tumour_patient
    classical = classical_lungs(case.ct).labels
    for lung in Lung:
        drawn = case.truth == lung
        assert dice(lungs.labels == lung, drawn) > dice(classical == lung, drawn) - NOISE


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
    ct = dicom_series(shared_data, tmp_path, series)
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


def test_other_ways_to_lie_and_to_scan_break_nothing(shared_data: Path, tmp_path: Path) -> None:
    """Right and left exchanged, front and back exchanged (a wrong header), slices of 10 mm: the same lungs."""
    ct = dicom_series(shared_data, tmp_path, "lidc-0350")
    usual = segment_lungs(ct).labels

    mirrored = segment_lungs(replace(ct, hu=np.ascontiguousarray(ct.hu[:, :, ::-1]))).labels[:, :, ::-1]
    assert all(dice(mirrored == 3 - lung, usual == lung) > 0.97 for lung in Lung)

    turned = segment_lungs(replace(ct, hu=np.ascontiguousarray(ct.hu[:, ::-1]))).labels[:, ::-1]
    assert all(dice(turned == lung, usual == lung) > 0.97 for lung in Lung)

    thick = sitk.BinShrink(to_sitk(ct.hu, ct.geometry), [1, 1, 8])
    answer = segment_lungs(replace(ct, hu=sitk.GetArrayFromImage(thick), geometry=geometry_of(thick))).labels
    middle = usual[3 : 8 * len(answer) : 8]  # the slice in the middle of each thick one
    assert all(dice(answer == lung, middle == lung) > 0.96 for lung in Lung)


@pytest.mark.parametrize("body", [4, 6])
def test_consolidation_stays_lung(shared_data: Path, tmp_path: Path, body: int) -> None:
    """Simulated in two bodies made of a scan that the network was not trained on; the classical method loses it."""
    ct = dicom_series(shared_data, tmp_path, "lidc-0350")
    scan = volume_of("lidc-0350", ct, classical_lungs(ct).labels, SCENE_MM)
    scene = make_scene(scan, SCENE_SHAPE, SCENE_MM, np.random.default_rng([20261121, body]), ((1.0, consolidation),))
    hu = np.clip(np.rint(scene.hu), -1024, 3071).astype(np.int16)
    ill = replace(ct, hu=hu, geometry=Geometry(hu.shape, (0.0, 0.0, 0.0), (SCENE_MM,) * 3))
    dense = (scene.lungs > 0.5) & (hu > DENSE_HU)
    lungs = segment_lungs(ill)
    without = (classical_lungs(ill).labels[dense] > 0).mean()
    assert without < 0.1
    assert (lungs.labels[dense] > 0).mean() > without + 0.15
    assert "dense_lung" in {flag.code for flag in lung_quality(lungs, ill)}


COLUMNS = ("l_mm", "p_mm", "s_mm")


def dicom_series(shared_data: Path, folder: Path, series: str) -> CtVolume:
    with tarfile.open(shared_data / "ct" / f"{series}.tar") as archive:
        archive.extractall(folder, filter="data")
    return load_ct(folder)


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
