"""Registration against a known deformation of a small chest."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from scipy import ndimage

from LungNoduleCADLib.domain.ct import CtVolume
from LungNoduleCADLib.domain.geometry import Geometry
from LungNoduleCADLib.domain.masks import Lung, LungMask
from LungNoduleCADLib.domain.provenance import Method
from LungNoduleCADLib.domain.quality import Severity
from LungNoduleCADLib.domain.study import SeriesDescription
from LungNoduleCADLib.errors import Cancelled, InputError
from LungNoduleCADLib.followup.deform import fine_grid, folding_fraction, unfold
from LungNoduleCADLib.followup.lung_images import LungImages
from LungNoduleCADLib.followup.register import Registration, register_studies
from LungNoduleCADLib.progress import Progress

METHOD = Method("by hand", "1")
GEOMETRY = Geometry((46, 44, 60), (-88.5, -64.5, -67.5), (3.0, 3.0, 3.0))
CENTRES_LPS_MM = {1: (-42.0, 0.0, 0.0), 2: (42.0, 0.0, 0.0)}
RADII_LPS_MM = (32.0, 42.0, 52.0)


@dataclass(frozen=True)
class Scan:
    """A CT with its lungs."""

    ct: CtVolume
    lungs: LungMask

    def cut(self, start_kji: tuple[int, int, int], stop_kji: tuple[int, int, int]) -> Scan:
        """What a smaller field of view would have shown."""
        box = tuple(slice(a, b) for a, b in zip(start_kji, stop_kji, strict=True))
        hu, labels = np.ascontiguousarray(self.ct.hu[box]), np.ascontiguousarray(self.lungs.labels[box])
        geometry = self.ct.geometry.crop(start_kji, hu.shape)
        return Scan(CtVolume(hu, geometry, self.ct.series), LungMask(labels, geometry, METHOD))

    def only(self, label: int) -> Scan:
        """The same CT with a mask of one lung."""
        labels = np.where(self.lungs.labels == label, self.lungs.labels, 0).astype(np.uint8)
        return Scan(self.ct, LungMask(labels, self.lungs.geometry, METHOD))


def chest(seed: int = 0) -> Scan:
    """Two ellipsoid lungs with vessel-like structure in soft tissue."""
    rng = np.random.default_rng(seed)
    lps = GEOMETRY.to_lps_mm(np.moveaxis(np.indices(GEOMETRY.shape_kji), 0, -1))
    labels = np.zeros(GEOMETRY.shape_kji, np.uint8)
    for label, centre in CENTRES_LPS_MM.items():
        labels[(((lps - centre) / RADII_LPS_MM) ** 2).sum(axis=-1) < 1] = label
    structure = ndimage.gaussian_filter(rng.normal(size=labels.shape), 1.2)
    vessels = structure > 1.5 * structure.std()
    hu = np.where(labels > 0, np.where(vessels, -300.0, -850.0), 40.0)
    hu = ndimage.gaussian_filter(hu, 0.6) + rng.normal(0.0, 15.0, labels.shape)
    return Scan(
        CtVolume(np.rint(hu).astype(np.int16), GEOMETRY, SeriesDescription("1")), LungMask(labels, GEOMETRY, METHOD)
    )


def breathe(point_lps_mm: np.ndarray) -> np.ndarray:
    """A known smooth map of current points (…, 3) to prior points: another table position and another breath."""
    x, y, z = np.moveaxis(np.asarray(point_lps_mm, float), -1, 0)
    return np.stack(
        [x - 4 + 3 * np.sin(y / 40), y - 10 + 4 * np.sin(z / 45), 1.06 * z + 34 + 5 * np.cos(x / 50)], axis=-1
    )


def moved(prior: Scan) -> Scan:
    """The current scan that ``breathe`` maps to this prior: its grid is the prior's less the table's shift."""
    g = prior.ct.geometry
    origin = tuple(float(v) for v in np.asarray(g.origin_lps_mm) - (-4.0, -10.0, 34.0))
    current = Geometry(g.shape_kji, origin, g.spacing_kji_mm)  # type: ignore[arg-type]
    lps = current.to_lps_mm(np.moveaxis(np.indices(current.shape_kji), 0, -1))
    kji = np.moveaxis(g.to_kji(breathe(lps)), -1, 0)
    hu = ndimage.map_coordinates(prior.ct.hu.astype(float), kji, order=1, mode="nearest")
    labels = ndimage.map_coordinates(prior.lungs.labels, kji, order=0, mode="constant")
    return Scan(CtVolume(np.rint(hu).astype(np.int16), current, prior.ct.series), LungMask(labels, current, METHOD))


def lung_points(scan: Scan, n: int = 200) -> np.ndarray:
    """Points well inside the lungs, LPS mm."""
    inside = np.argwhere(ndimage.binary_erosion(scan.lungs.labels > 0, iterations=2))
    return scan.ct.geometry.to_lps_mm(inside[np.random.default_rng(1).choice(len(inside), n)])


def register(current: Scan, prior: Scan, progress: Progress | None = None) -> Registration:
    return register_studies(current.ct, current.lungs, prior.ct, prior.lungs, progress)


def errors_mm(registration: Registration, points: np.ndarray) -> np.ndarray:
    found = np.array([registration.to_prior_lps_mm(tuple(point)) for point in points])
    return np.linalg.norm(found - breathe(points), axis=1)


def codes(registration: Registration) -> set[str]:
    return {flag.code for flag in registration.flags}


@pytest.fixture(scope="module")
def prior() -> Scan:
    return chest()


@pytest.fixture(scope="module")
def current(prior: Scan) -> Scan:
    return moved(prior)


@pytest.fixture(scope="module")
def registration(current: Scan, prior: Scan) -> Registration:
    return register(current, prior)


def test_a_known_deformation_is_recovered(registration: Registration, current: Scan) -> None:
    points = lung_points(current)
    error = errors_mm(registration, points)

    assert np.linalg.norm(breathe(points) - points, axis=1).mean() > 34
    assert error.mean() < 1.5
    assert np.percentile(error, 95) < 3.0


def test_a_good_registration_says_so_and_raises_no_doubt(registration: Registration) -> None:
    quality = registration.quality

    assert quality.lung_dice_after > 0.97 > quality.lung_dice_before
    assert quality.mean_surface_distance_mm < 1.5
    assert quality.folding_fraction == 0
    assert quality.method.name == "lung-affine-demons"
    assert registration.flags == ()
    assert not registration.failed


def test_the_way_back_undoes_the_way_there(registration: Registration, current: Scan) -> None:
    for point in lung_points(current, 20):
        there = registration.to_prior_lps_mm(tuple(point))
        assert registration.to_current_lps_mm(there) == pytest.approx(tuple(point), abs=0.05)


def test_resampling_the_prior_onto_the_current_scan_brings_the_lungs_together(
    registration: Registration, current: Scan, prior: Scan
) -> None:
    from LungNoduleCADLib.imaging.sitk_bridge import resample

    labels = resample(
        prior.lungs.labels,
        prior.ct.geometry,
        current.ct.geometry,
        transform=registration.transform,
        interpolator=sitk.sitkNearestNeighbor,
    )

    for lung in Lung:
        a, b = labels == lung, current.lungs.labels == lung
        assert 2 * np.count_nonzero(a & b) / (a.sum() + b.sum()) > 0.95


def test_the_same_scans_give_the_same_transform_again(registration: Registration, current: Scan, prior: Scan) -> None:
    again = register(current, prior)

    for point in lung_points(current, 20):
        assert again.to_prior_lps_mm(tuple(point)) == registration.to_prior_lps_mm(tuple(point))


def test_the_transform_survives_its_file(registration: Registration, current: Scan, tmp_path: Path) -> None:
    sitk.WriteTransform(registration.transform, str(tmp_path / "prior.h5"))
    read = sitk.ReadTransform(str(tmp_path / "prior.h5"))

    point = lung_points(current, 1)[0].tolist()
    assert read.TransformPoint(point) == pytest.approx(registration.transform.TransformPoint(point), abs=1e-3)


def test_a_scan_lies_on_itself_without_displacement(prior: Scan) -> None:
    itself = register(prior, prior)

    points = lung_points(prior, 50)
    found = np.array([itself.to_prior_lps_mm(tuple(point)) for point in points])
    assert np.abs(found - points).max() < 0.1


def test_a_prior_that_lacks_the_lung_bases_is_registered_where_it_can_be(current: Scan, prior: Scan) -> None:
    upper = prior.cut((16, 0, 0), prior.lungs.labels.shape)
    found = register(current, upper)

    points = np.array([p for p in lung_points(current) if upper.ct.geometry.to_kji(breathe(p))[0] > 4])
    assert np.percentile(errors_mm(found, points), 95) < 3.0
    assert "registration_partial_coverage" in codes(found)


def test_one_lung_in_the_prior_is_enough_and_is_said(current: Scan, prior: Scan) -> None:
    found = register(current, prior.only(Lung.RIGHT))

    points = np.array([p for p in lung_points(current) if p[0] < -5])
    assert errors_mm(found, points).mean() < 1.5
    assert "registration_one_lung" in codes(found)


def test_scans_without_a_common_lung_are_refused(current: Scan, prior: Scan) -> None:
    with pytest.raises(InputError, match="right and left"):
        register(current.only(Lung.RIGHT), prior.only(Lung.LEFT))


def test_lungs_of_another_person_do_not_pass_silently(current: Scan) -> None:
    found = register(current, chest(seed=7))

    assert "registration_image_mismatch" in codes(found)
    assert found.failed
    assert all(flag.message for flag in found.flags if flag.severity is Severity.SERIOUS)


def test_progress_can_stop_a_registration(current: Scan, prior: Scan) -> None:
    def stop(stage: str, fraction: float, message: str) -> None:  # noqa: ARG001
        if fraction > 0.3:
            raise Cancelled

    progress = Progress([("register", 1.0)], stop)
    with pytest.raises(Cancelled), progress.stage("register"):
        register(current, prior, progress)


def folded_field() -> sitk.Image:
    """A displacement whose middle turns inside out: u = -1.5 (x - 20) near x = 20."""
    x = np.arange(40.0)
    u = -1.5 * (x - 20) * np.exp(-(((x - 20) / 3) ** 2))
    vectors = np.zeros((40, 40, 40, 3))
    vectors[..., 0] = u
    return sitk.GetImageFromArray(vectors, isVector=True)


def test_folding_is_counted_inside_the_lungs_only() -> None:
    inside, outside = np.zeros((2, 40, 40, 40), bool)
    inside[:, :, 20], outside[:, :, 5] = True, True

    assert folding_fraction(folded_field(), inside) == 1.0
    assert folding_fraction(folded_field(), outside) == 0.0


def test_a_folded_field_is_smoothed_until_it_folds_no_more() -> None:
    lungs = np.ones((40, 40, 40), bool)
    field, folding = unfold(folded_field(), lungs)

    assert folding == 0.0
    assert folding_fraction(field, lungs) == 0.0


def test_a_deformation_that_stays_folded_is_replaced_by_the_affine(
    monkeypatch: pytest.MonkeyPatch, current: Scan, prior: Scan
) -> None:
    def folds(current: LungImages, *_: object) -> sitk.Image:
        grid = fine_grid(current)
        x = np.arange(grid.GetSize()[0]) * grid.GetSpacing()[0]
        vectors = np.zeros((*grid.GetSize()[::-1], 3))
        vectors[..., 0] = -2 * x
        field = sitk.GetImageFromArray(vectors, isVector=True)
        field.CopyInformation(grid)
        return field

    monkeypatch.setattr("LungNoduleCADLib.followup.register.displacement", folds)
    found = register(current, prior)

    assert "registration_affine_only" in codes(found)
    assert found.quality.method.name == "lung-affine"
    assert found.quality.folding_fraction == 0.0
    assert np.median(errors_mm(found, lung_points(current))) < 8.0
