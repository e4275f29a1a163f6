"""What ``lung_ct_segmentation`` is worth: the classical method, the network, and both together, side by side.

While the network is untrained, the classical method, which the product then uses, is judged alone.

Four groups of cases, none of them trained on: series with manual lungs, whole scans of the test fold (their reference
is the classical mask of the scan as it is), phantoms with exact lungs, and simulated disease on the test fold's scans.
The first three also come with thick slices, and sharp and noisy.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk
from scipy import ndimage

from LungNoduleCADLib.bundles.spec import Bundle
from LungNoduleCADLib.dicom.load import load_ct, load_image
from LungNoduleCADLib.domain.ct import CtVolume
from LungNoduleCADLib.domain.geometry import Geometry
from LungNoduleCADLib.domain.masks import Lung, LungMask
from LungNoduleCADLib.domain.study import SeriesDescription
from LungNoduleCADLib.errors import InputError
from LungNoduleCADLib.evaluation.bootstrap import bootstrap
from LungNoduleCADLib.evaluation.overlap import dice
from LungNoduleCADLib.imaging.sitk_bridge import geometry_of, to_sitk
from LungNoduleCADLib.lungs.classical import METHOD, classical_lungs
from LungNoduleCADLib.lungs.learned import DENSE_HU, LungNetwork
from LungNoduleCADLib.lungs.segment import with_dense_lung
from LungNoduleCADLib.phantom.thorax import make_phantom
from LungNoduleCADLib.training.data import TrainingData
from LungNoduleCADLib.training.lung_scenes import consolidation, fluid, make_scene, masses
from LungNoduleCADLib.training.lung_volumes import phantom_lungs, volume_of
from LungNoduleCADLib.training.scans import scan_folders, scan_folds

THICK_MM = (5.0, 10.0)
MISSING_SHARE = 0.05  # of both neighbours' areas: such a slice was not drawn
SHARP_NOISE_HU = 120.0
PHANTOM_SEEDS = (2000, 2001)
SCENE_MM, SCENE_SHAPE, SCENES_EACH = 2.0, (144, 144, 192), 8
DISEASES = {"masses": masses, "consolidation": consolidation, "fluid": fluid}
CLASSICAL, NETWORK, USED = "classical", "network", "used"
MANUAL_LUNGS, TEST_SCAN, PHANTOM, SIMULATED = "manual lungs", "test scan", "phantom", "simulated disease"
AS_IT_IS = "as it is"
SETTING = (
    "Manual lungs: lung1-001 (both lungs, a tumour of 140 ml; one slice lacks the left contour: there what both "
    "neighbours have stands in) and a registration pair (right lung, two time points); "
    "test scan: against the classical mask of the scan as it is; phantom: exact lungs; degraded: slices of about 5 and "
    "10 mm, edges enhanced with noise of 120 HU; simulated disease: masses, consolidation or fluid in other bodies "
    "made of the test scan, drawn as in training. Used: the classical lungs with the dense lung that the network adds, "
    "the classical method while the network is untrained"
)

Report = Callable[[str], None]
Figures = dict[str, Any]


@dataclass(frozen=True)
class ManualSeries:
    """An image and its label map, as paths below a folder; the values that are lung, and that are tumour in it."""

    name: str
    patient: str
    image: str
    labels: str
    lungs: dict[Lung, tuple[int, ...]]
    tumour: int | None = None


MANUAL = (
    ManualSeries(
        "lung1-001",
        "lung1-001",
        "ct/lung1-001_ct.nii.gz",
        "ct/lung1-001_labels.nii.gz",
        {Lung.RIGHT: (1,), Lung.LEFT: (2, 3)},
        3,
    ),
    *(
        ManualSeries(
            f"right lung, {time}",
            "registration pair",
            f"registration/{time}.mha",
            f"registration/{time}_mask.mha",
            {Lung.RIGHT: (1,)},
        )
        for time in ("baseline", "followup")
    ),
)


@dataclass(frozen=True)
class LungCase:
    """A CT with reference labels (uint8 on its grid); ``dense``: lung that holds little air, where that was asked."""

    group: str
    name: str
    variant: str
    patient: str
    ct: CtVolume
    truth: np.ndarray
    dense: np.ndarray | None = None


def evaluate_lungs(
    bundle: Bundle, pack: TrainingData, scans: Path, manual: Path | None, device: str, report: Report
) -> Figures:
    """``figures``: per group, Dice of each method with its interval; ``cases``: every lung of every case.

    Parameters
    ----------
    scans : folder of whole marked scans, of which those in the recipe's test folds are taken.
    manual : the folder below which ``MANUAL`` lies; ``None``, or where a file is not there: without that series.
    """
    network = LungNetwork.from_bundle(bundle, device) if bundle.trained else None
    rows = []
    for case in lung_cases(pack, scans, tuple(bundle.train["folds"]["test"]), manual, bundle.train["seed"]):
        for row in case_rows(case, network):
            rows.append(row)
            report(" ".join(str(value) for value in row.values()))
    return {
        "bundle": bundle.name,
        "version": bundle.metadata["version"],
        "weights_sha256": bundle.weight_files,
        "data": bundle.train["data"],
        "fold": bundle.train["folds"]["test"][0],
        "trained_on_folds": bundle.train["folds"]["train"] if bundle.trained else [],
        "split_sha256": pack.split_sha256(),
        "seed": bundle.train["seed"],
        "scans": list(dict.fromkeys(row["case"] for row in rows if row["group"] == TEST_SCAN)),
        "setting": SETTING,
        "interval": "95 %, 1000 bootstrap draws of patients (simulated: of bodies)",
        "cases_are": "lungs",
        "figures": summary(rows),
        "cases": rows,
    }


def lung_cases(
    pack: TrainingData, scans: Path, folds: tuple[int, ...], manual: Path | None, seed: int
) -> Iterator[LungCase]:
    """Every case, one in memory at a time."""
    for series in MANUAL if manual else ():
        if (manual / series.image).is_file():
            yield from _variants(manual_case(manual, series), seed)
    fold_of = scan_folds(pack, scans)
    for name, (path, _) in scan_folders(scans).items():
        if fold_of[name] in folds:
            ct = load_ct(path)
            labels = classical_lungs(ct).labels
            yield from _variants(LungCase(TEST_SCAN, name, AS_IT_IS, name, ct, labels), seed)
            yield from _diseased(name, ct, labels, seed)
    for number in PHANTOM_SEEDS:
        ct = make_phantom(number).ct
        name = f"phantom-{number}"
        yield from _variants(LungCase(PHANTOM, name, AS_IT_IS, name, ct, phantom_lungs(ct.geometry)), seed)


def case_rows(case: LungCase, network: LungNetwork | None) -> list[Figures]:
    """One row a lung of the reference: Dice of each method, and the share of dense lung that it takes in."""
    masks = masks_of(case.ct, network)
    rows = []
    for lung in Lung:
        truth = case.truth == lung
        if not truth.any():
            continue
        row = {"group": case.group, "case": case.name, "variant": case.variant, "patient": case.patient}
        row["lung"] = lung.name.lower()
        found = {method: mask.labels == lung for method, mask in masks.items()}
        row |= {f"dice_{method}": round(dice(mask, truth), 4) for method, mask in found.items()}
        if case.dense is not None and (dense := case.dense & truth).any():
            row |= {f"dense_{method}": round(float(mask[dense].mean()), 4) for method, mask in found.items()}
        rows.append(row)
    return rows


def masks_of(ct: CtVolume, network: LungNetwork | None) -> dict[str, LungMask]:
    """The mask of each method; empty where one finds no lungs. Without a network only the classical one."""
    if network is None:
        return {CLASSICAL: classical_lungs(ct)}
    learned = network(ct)
    try:
        classical = classical_lungs(ct)
    except InputError:
        empty = LungMask(np.zeros_like(learned.labels), ct.geometry, METHOD)
        return {CLASSICAL: empty, NETWORK: learned, USED: learned}
    return {CLASSICAL: classical, NETWORK: learned, USED: with_dense_lung(classical, learned, ct)}


def summary(rows: list[Figures]) -> Figures:
    """Per group: mean Dice and share of dense lung of each method, and what is gained, with intervals by patient."""
    groups: dict[str, list[Figures]] = {}
    for row in rows:
        variant = "" if row["group"] == SIMULATED or row["variant"] == AS_IT_IS else ", degraded"
        groups.setdefault(f"{row['group']}{variant}", []).append(row)
    result: Figures = {}
    for group, chosen in groups.items():
        result[group] = {}
        for what, key in (("Dice", "dice"), ("share of dense lung found", "dense")):
            those = [row for row in chosen if f"{key}_{CLASSICAL}" in row]
            if those:
                patients = [row["patient"] for row in those]
                methods = [method for method in (CLASSICAL, NETWORK, USED) if f"{key}_{method}" in those[0]]
                values = {method: np.array([row[f"{key}_{method}"] for row in those]) for method in methods}
                if USED in values:
                    values["used minus classical"] = values[USED] - values[CLASSICAL]
                result[group][what] = {name: bootstrap(np.mean, patients, v).as_json() for name, v in values.items()}
    return result


def manual_case(folder: Path, series: ManualSeries) -> LungCase:
    """A series with manual lungs; where a slice lacks a contour that both neighbours have, what both have stands in.

    Raises
    ------
    InputError : the labels are not on the image's grid.
    """
    ct = load_image(folder / series.image, None)
    image = sitk.DICOMOrient(sitk.ReadImage(str(folder / series.labels)), "LPS")
    drawn = sitk.GetArrayFromImage(image)
    if drawn.shape != ct.hu.shape:
        raise InputError(f"{series.labels} is of another grid", expected=ct.hu.shape, got=drawn.shape)
    truth = np.zeros(drawn.shape, np.uint8)
    for lung, values in series.lungs.items():
        truth[_without_gaps(np.isin(drawn, values))] = lung
    tumour = drawn == series.tumour if series.tumour else None
    return LungCase(MANUAL_LUNGS, series.name, AS_IT_IS, series.patient, ct, truth, tumour)


def _without_gaps(mask: np.ndarray) -> np.ndarray:
    areas = mask.sum(axis=(1, 2))
    gaps = 1 + np.flatnonzero(areas[1:-1] < MISSING_SHARE * np.minimum(areas[:-2], areas[2:]))
    mask[gaps] = mask[gaps - 1] & mask[gaps + 1]
    return mask


def _variants(case: LungCase, seed: int) -> Iterator[LungCase]:
    yield case
    for thick_mm in THICK_MM:
        if thick_mm >= 1.5 * case.ct.geometry.spacing_kji_mm[0]:
            yield thicker(case, thick_mm)
    yield sharper(case, np.random.default_rng(seed))


def thicker(case: LungCase, thick_mm: float) -> LungCase:
    """Slices averaged to about ``thick_mm``; a voxel belongs to the lung that has most of it."""
    factor = round(thick_mm / case.ct.geometry.spacing_kji_mm[0])

    def shrunk(array: np.ndarray) -> sitk.Image:
        return sitk.BinShrink(to_sitk(array, case.ct.geometry), [1, 1, factor])

    hu = shrunk(case.ct.hu)
    ct = CtVolume(sitk.GetArrayFromImage(hu), geometry_of(hu), case.ct.series)
    truth = np.zeros(ct.hu.shape, np.uint8)
    for lung in Lung:
        truth[sitk.GetArrayFromImage(shrunk((case.truth == lung).astype(np.float32))) > 0.5] = lung
    dense = None
    if case.dense is not None:
        dense = sitk.GetArrayFromImage(shrunk(case.dense.astype(np.float32))) > 0.5
    return replace(case, variant=f"{ct.geometry.spacing_kji_mm[0]:.0f} mm slices", ct=ct, truth=truth, dense=dense)


def sharper(case: LungCase, rng: np.random.Generator) -> LungCase:
    """Edges enhanced as a lung or bone kernel does, with the noise of a low dose (120 HU)."""
    hu = case.ct.hu.astype(np.float32)
    hu += hu - ndimage.gaussian_filter(hu, (0, 0.8, 0.8))
    hu += SHARP_NOISE_HU * rng.standard_normal(hu.shape, np.float32)
    ct = replace(case.ct, hu=np.clip(np.rint(hu), -1024, 3071).astype(np.int16))
    return replace(case, variant="sharp and noisy", ct=ct)


def _diseased(name: str, ct: CtVolume, labels: np.ndarray, seed: int) -> Iterator[LungCase]:
    """Other bodies made of a scan, each with one disease and nothing else; on cubes of 2 mm."""
    volume = volume_of(name, ct, labels, SCENE_MM)
    for disease, change in DISEASES.items():
        for n in range(SCENES_EACH):
            rng = np.random.default_rng([seed, n])
            scene = make_scene(volume, SCENE_SHAPE, SCENE_MM, rng, ((1.0, change),))
            hu = np.clip(np.rint(scene.hu), -1024, 3071).astype(np.int16)
            geometry = Geometry(hu.shape, (0.0, 0.0, 0.0), (SCENE_MM,) * 3)  # type: ignore[arg-type]
            truth = np.zeros(hu.shape, np.uint8)
            for lung in Lung:
                truth[scene.shares[lung - 1] > 0.5] = lung
            case = f"{name}, {disease} {n}"
            dense = (truth > 0) & (hu > DENSE_HU)
            diseased = CtVolume(hu, geometry, SeriesDescription(series_uid=f"{seed}.{n}"))
            yield LungCase(SIMULATED, case, disease, case, diseased, truth, dense)
