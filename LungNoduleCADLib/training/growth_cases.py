"""Two scans of a nodule of which the true change is known: real nodules in real lung, grown by resampling.

The later scan is the earlier one under a known smooth deformation of the lung, inside which the nodule is scaled about
its centre, so that its volume changes by the factor and nothing else. Each scan is sampled on a grid of its own, with
its own slice thickness and noise.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from LungNoduleCADLib.domain.ct import CtVolume
from LungNoduleCADLib.domain.geometry import Geometry
from LungNoduleCADLib.domain.masks import LungMask
from LungNoduleCADLib.domain.nodule import NoduleType
from LungNoduleCADLib.domain.provenance import Method
from LungNoduleCADLib.domain.study import SeriesDescription
from LungNoduleCADLib.imaging.patch import extract_patch, patch_geometry
from LungNoduleCADLib.phantom.nodules import SOLID_HU, Shape, filled_share, share_of_voxels
from LungNoduleCADLib.training.cases import NoduleCase
from LungNoduleCADLib.training.data import MarkedScan, PackNodule
from LungNoduleCADLib.training.lung_background import Donor

SUB_SLICE_MM = 0.625
FINE_MM, FINE_SIZE = 0.6, 96
POINT_SPREAD_MM = 0.45
FADE_MM = 10.0
BEYOND_NODULE_MM = 2.0
NOISE_GRAIN_PIXELS = 0.6
APART_MM = 15.0
LEAST_REACH_MM = 27.0  # what the segmentation looks at


@dataclass(frozen=True)
class Breath:
    """A known smooth map of points of the current scan to points of the prior: another breath, another place on the
    table. Its Jacobian is positive everywhere."""

    centre_lps_mm: np.ndarray
    shift_lps_mm: np.ndarray
    stretch_lps: np.ndarray
    wave_mm: float
    wavelength_mm: float

    @classmethod
    def drawn(cls, rng: np.random.Generator, centre_lps_mm: np.ndarray) -> Breath:
        """Up to 8 % more or less height, some less in the other directions, waves of up to 5 mm, a shift of 2 cm."""
        inspiration = float(rng.uniform(-1, 1))
        stretch = 1 + inspiration * np.array([0.02, 0.04, 0.08])
        shift = rng.normal(0, 12, 3)
        return cls(centre_lps_mm, shift, stretch, float(rng.uniform(2, 5)), float(rng.uniform(220, 320)))

    def to_prior(self, lps_mm: np.ndarray) -> np.ndarray:
        """(..., 3) LPS mm."""
        x = np.asarray(lps_mm, float) - self.centre_lps_mm
        turn = 2 * np.pi * x / self.wavelength_mm
        wave = self.wave_mm * np.stack([np.sin(turn[..., 1]), np.sin(turn[..., 2]), np.cos(turn[..., 0])], axis=-1)
        return self.centre_lps_mm + self.shift_lps_mm + self.stretch_lps * x + wave

    def to_current(self, lps_mm: np.ndarray) -> np.ndarray:
        """The inverse, by fixed-point iteration."""
        found = np.asarray(lps_mm, float) - self.shift_lps_mm
        for _ in range(60):
            found = found + (lps_mm - self.to_prior(found)) / self.stretch_lps
        return found


@dataclass(frozen=True)
class Source:
    """A nodule as it truly is: HU around it on a fine enough grid, its centre at (0, 0, 0)."""

    name: str
    patient_id: str
    type: NoduleType
    diameter_mm: float
    hu: np.ndarray
    geometry: Geometry
    reach_mm: float
    synthetic: bool = False


@dataclass(frozen=True)
class Acquisition:
    """How a scan was made."""

    slice_mm: float
    pixel_mm: float
    noise_hu: float

    @classmethod
    def drawn(cls, rng: np.random.Generator, native_slice_mm: float) -> Acquisition:
        """Slices not thinner than those of the nodule's own scan: what was not recorded cannot be shown."""
        thickness = [mm for mm in (1.0, 1.25, 2.0, 2.5, 3.0) if mm >= 0.95 * min(native_slice_mm, 3.0)]
        slice_mm = float(rng.choice(thickness[:3]))
        return cls(slice_mm, float(rng.uniform(0.6, 0.8)), float(rng.uniform(12, 30) * np.sqrt(1.25 / slice_mm)))


def real_source(case: NoduleCase) -> Source:
    """A pack nodule in the lung that was set around it."""
    nodule, where = case.nodule, np.argwhere(case.reference)
    reach = np.linalg.norm(case.ct.geometry.to_lps_mm(where), axis=1).max()
    return Source(
        nodule.nodule_id, nodule.patient_id, nodule.type, nodule.eq_diameter_mm, case.ct.hu, case.ct.geometry, reach
    )


def phantom_source(name: str, donor: Donor, place_lps_mm: np.ndarray, rng: np.random.Generator) -> Source:
    """A lobulated solid nodule of exactly known volume at a place of a donor's lung."""
    diameter = float(np.exp(rng.uniform(np.log(5.0), np.log(15.0))))
    shape = Shape.of_volume(rng, diameter, float(rng.uniform(0.02, 0.14)))
    grid = patch_geometry(tuple(place_lps_mm), FINE_SIZE, FINE_MM)
    hu = extract_patch(donor.ct.hu, donor.ct.geometry, grid)
    box, inside, _ = filled_share(shape, np.full(3, FINE_SIZE // 2), hu.shape, grid.spacing_kji_mm)
    share = np.zeros_like(hu)
    share[box] = share_of_voxels(inside)
    share = ndimage.gaussian_filter(share, POINT_SPREAD_MM / FINE_MM)
    centred = patch_geometry((0.0, 0.0, 0.0), FINE_SIZE, FINE_MM)
    return Source(
        name,
        name,
        NoduleType.SOLID,
        diameter,
        (hu * (1 - share) + SOLID_HU * share).astype(np.float32),
        centred,
        shape.reach_mm,
        synthetic=True,
    )


def native_slice_mm(nodule: PackNodule | None) -> float:
    return nodule.spacing_kji_mm[0] if nodule else 1.0


def scanned(
    source: Source,
    acquisition: Acquisition,
    rng: np.random.Generator,
    factor: float = 1.0,
    breath: Breath | None = None,
    place_lps_mm: np.ndarray | None = None,
) -> CtVolume:
    """A scan of the nodule, its centre at (0, 0, 0) of a grid with a random offset.

    Parameters
    ----------
    factor : of its volume.
    breath, place_lps_mm : the deformation, and where in the current scan of it the nodule lies; none if not given.
    """
    reach = min(max(LEAST_REACH_MM, 2.0 * source.diameter_mm), source.geometry.extent_kji_mm[1] / 2 - 2.0)
    parts = max(1, round(acquisition.slice_mm / SUB_SLICE_MM))
    spacing = np.array([acquisition.slice_mm / parts, acquisition.pixel_mm, acquisition.pixel_mm])
    counts = np.maximum(1, (2 * reach / (spacing * [parts, 1, 1])).astype(int)) * [parts, 1, 1]
    low = -spacing * (counts - 1) / 2 + rng.uniform(-0.5, 0.5, 3) * spacing * [parts, 1, 1]
    fine = Geometry(tuple(int(n) for n in counts), tuple(low[::-1]), tuple(spacing))  # type: ignore[arg-type]
    lps = fine.to_lps_mm(np.moveaxis(np.indices(fine.shape_kji, dtype=np.float32), 0, -1))
    at = _grown(lps, source.reach_mm, factor ** (1 / 3), breath, place_lps_mm)
    kji = np.moveaxis(source.geometry.to_kji(at), -1, 0)
    hu = ndimage.map_coordinates(source.hu.astype(np.float32), kji, order=1, mode="nearest")
    hu = hu.reshape(-1, parts, *hu.shape[1:]).mean(axis=1)
    hu += noise(hu.shape, acquisition.noise_hu, rng)
    first = fine.to_lps_mm(np.array([(parts - 1) / 2, 0, 0]))
    geometry = Geometry(
        hu.shape, tuple(float(v) for v in first), (acquisition.slice_mm, acquisition.pixel_mm, acquisition.pixel_mm)
    )  # type: ignore[arg-type]
    return CtVolume(np.clip(np.rint(hu), -1024, 3071).astype(np.int16), geometry, SeriesDescription(source.name))


def noise(shape: tuple[int, ...], sd_hu: float, rng: np.random.Generator) -> np.ndarray:
    """Noise with the grain of a reconstruction, (K, J, I) float32."""
    white = rng.standard_normal(shape, dtype=np.float32)
    grained = ndimage.gaussian_filter(white, (0, NOISE_GRAIN_PIXELS, NOISE_GRAIN_PIXELS))
    return grained * np.float32(sd_hu / grained.std())


def _grown(
    lps_mm: np.ndarray, reach_mm: float, scale: float, breath: Breath | None, place_lps_mm: np.ndarray | None
) -> np.ndarray:
    """Where each point of a scan comes from: pure scaling on the nodule, the breath alone from ``FADE_MM`` beyond."""
    around = lps_mm
    if breath is not None and place_lps_mm is not None:
        around = breath.to_prior(place_lps_mm + lps_mm) - breath.to_prior(place_lps_mm)
    distance = np.linalg.norm(lps_mm, axis=-1, keepdims=True)
    past = np.clip((distance - scale * (reach_mm + BEYOND_NODULE_MM)) / FADE_MM, 0.0, 1.0)
    weight = 1.0 - past * past * (3.0 - 2.0 * past)
    return weight * lps_mm / scale + (1.0 - weight) * around


def places_in(
    geometry: Geometry,
    lungs: LungMask,
    rng: np.random.Generator,
    avoid_lps_mm: np.ndarray,
    depth_mm: float = 4.0,
) -> Iterator[np.ndarray]:
    """Points (LPS mm) in the lungs in random order, ``APART_MM`` from each other and from what was marked there."""
    steps = np.maximum(1, np.round(3.0 / np.asarray(geometry.spacing_kji_mm)).astype(int))
    coarse = lungs.labels[:: steps[0], :: steps[1], :: steps[2]] > 0
    deep = ndimage.distance_transform_edt(coarse, sampling=steps * geometry.spacing_kji_mm) > depth_mm
    taken = [*avoid_lps_mm[:, :3]]
    for kji in rng.permutation(np.argwhere(deep)):
        point = geometry.to_lps_mm(kji * steps)
        if all(np.linalg.norm(point - other) >= APART_MM for other in taken):
            taken.append(point)
            yield point


def breathed(scan: MarkedScan, breath: Breath, rng: np.random.Generator) -> tuple[CtVolume, LungMask]:
    """A scan and its lungs under a breath, on a grid of its own (2 mm slices, 1.2 mm pixels) with its own noise."""
    geometry = scan.ct.geometry
    inside = np.argwhere(scan.lungs.labels > 0)
    ends = geometry.to_lps_mm(inside.min(axis=0)), geometry.to_lps_mm(inside.max(axis=0))
    low, high = (breath.to_current(np.asarray(end)) for end in (np.minimum(*ends) - 25, np.maximum(*ends) + 25))
    spacing = np.array([2.0, 1.2, 1.2])
    shape = tuple(int(n) for n in np.ceil((high - low)[::-1] / spacing))
    grid = Geometry(shape, tuple(float(v) for v in low), tuple(spacing))  # type: ignore[arg-type]
    hu, labels = np.empty(shape, np.float32), np.empty(shape, np.uint8)
    plane = np.moveaxis(np.indices((1, *shape[1:])), 0, -1)
    for k in range(shape[0]):
        kji = np.moveaxis(geometry.to_kji(breath.to_prior(grid.to_lps_mm(plane + np.array([k, 0, 0])))), -1, 0)
        hu[k] = ndimage.map_coordinates(scan.ct.hu, kji, np.float32, order=1, mode="constant", cval=-1024)[0]
        labels[k] = ndimage.map_coordinates(scan.lungs.labels, kji, order=0, mode="constant")[0]
    hu += noise(shape, 20.0, rng)
    ct = CtVolume(np.clip(np.rint(hu), -1024, 3071).astype(np.int16), grid, SeriesDescription(f"{scan.name} again"))
    return ct, LungMask(labels, grid, Method("known lungs, deformed", "1"))
