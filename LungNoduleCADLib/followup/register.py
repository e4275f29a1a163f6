"""Lay a prior CT onto the current one, lungs first, and say how well that went."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk
from scipy import ndimage

from LungNoduleCADLib.domain.comparison import RegistrationQuality
from LungNoduleCADLib.domain.ct import CtVolume
from LungNoduleCADLib.domain.masks import Lung, LungMask
from LungNoduleCADLib.domain.nodule import Point
from LungNoduleCADLib.domain.provenance import Method
from LungNoduleCADLib.domain.quality import QualityFlag, Severity
from LungNoduleCADLib.errors import InputError
from LungNoduleCADLib.followup.affine import matrix_of, register_affine
from LungNoduleCADLib.followup.deform import displacement, fine_grid, unfold
from LungNoduleCADLib.followup.lung_images import LungImages, OnGrid, correlation, lung_images, on_grid, texture
from LungNoduleCADLib.progress import Progress

MIN_LUNG_ML = 100.0
MIN_DICE = 0.9
MAX_SURFACE_DISTANCE_MM = 3.0
# A displacement that may be rough makes even two people's vessels agree (0.5). Smoothed this much, as breathing is, it
# leaves 0.86 and more for the same person's lungs and 0.15 for two people's (LIDC scans, and the pair of the tests).
SAME_LUNGS_SIGMA_MM = 12.0
MIN_CORRELATION = 0.5
MIN_COVERAGE = 0.95
WORSE = 0.01  # of Dice or correlation, by which the deformable step must not fall behind the affine one

DEFORMABLE = Method("lung-affine-demons", "1.0.0")
AFFINE_ONLY = Method("lung-affine", "1.0.0")


@dataclass(frozen=True)
class Registration:
    """How the prior lies on the current scan.

    Attributes
    ----------
    transform : points of the current scan to points of the prior, LPS mm; what ``sitk.Resample(prior, current, …)``
        takes. ``sitk.WriteTransform`` (.h5) makes a file that 3D Slicer loads.
    affine : its affine part.
    image_correlation : of the lungs' standardised texture under the displacement smoothed to what breathing can do,
        -1..1; low for different people.
    """

    transform: sitk.Transform
    affine: sitk.AffineTransform
    quality: RegistrationQuality
    image_correlation: float
    flags: tuple[QualityFlag, ...] = ()

    @property
    def failed(self) -> bool:
        """Whether positions in the other scan cannot be trusted."""
        return any(flag.severity is Severity.SERIOUS for flag in self.flags)

    def to_prior_lps_mm(self, point: Point) -> Point:
        """Where a point of the current scan lies in the prior."""
        return tuple(self.transform.TransformPoint([float(v) for v in point]))

    def to_current_lps_mm(self, point: Point) -> Point:
        """Where a point of the prior lies in the current scan (the inverse, by fixed-point iteration to 0.01 mm)."""
        inverse = np.linalg.inv(matrix_of(self.affine))
        target = np.asarray(point, float)
        found = np.asarray(self.affine.GetInverse().TransformPoint([float(v) for v in point]))
        for _ in range(50):
            step = inverse @ (target - self.transform.TransformPoint(found.tolist()))
            found = found + step
            if np.linalg.norm(step) < 0.01:
                break
        return tuple(float(v) for v in found)  # type: ignore[return-value]


def register_studies(
    current: CtVolume, current_lungs: LungMask, prior: CtVolume, prior_lungs: LungMask, progress: Progress | None = None
) -> Registration:
    """Register a prior CT to the current one by their lungs.

    An affine transform from the shape of the lungs, then a smooth displacement inside them. Deterministic. What went
    wrong is in ``flags``; if the displacement is worse than the affine or folds, the affine alone is given.

    Raises
    ------
    InputError : the two scans have no lung in common.
    """
    start = time.perf_counter()
    report: Callable[[float], None] = (progress or Progress()).report
    sides, flags = _common_sides(current_lungs, prior_lungs)
    ours, theirs = lung_images(current, current_lungs, sides), lung_images(prior, prior_lungs, sides)
    affine = register_affine(ours, theirs)
    report(0.2)
    grid = fine_grid(ours)
    fixed = on_grid(ours, grid)
    field = displacement(ours, theirs, affine, lambda fraction: report(0.2 + 0.7 * fraction))
    field, folding = unfold(field, fixed.lungs)
    deformable = _composed(affine, field)
    smooth = _composed(affine, sitk.SmoothingRecursiveGaussian(field, SAME_LUNGS_SIGMA_MM))
    pattern = texture(fixed, grid.GetSpacing()[0])
    similarity = _similarity(fixed, pattern, on_grid(theirs, grid, smooth), grid)
    before = _overlap(fixed, on_grid(theirs, grid))
    by_affine = _Fit.of(fixed, pattern, theirs, grid, affine)
    fit = _Fit.of(fixed, pattern, theirs, grid, deformable)
    worse = min(fit.dice - by_affine.dice, fit.correlation - by_affine.correlation) < -WORSE
    use_affine = folding > 0 or worse
    if use_affine:
        fit, folding = by_affine, 0.0
    quality = RegistrationQuality(
        lung_dice_before=before,
        lung_dice_after=fit.dice,
        mean_surface_distance_mm=fit.surface_distance_mm,
        folding_fraction=folding,
        seconds=round(time.perf_counter() - start, 2),
        method=AFFINE_ONLY if use_affine else DEFORMABLE,
    )
    report(1.0)
    return Registration(
        transform=sitk.CompositeTransform([affine]) if use_affine else deformable,
        affine=affine,
        quality=quality,
        image_correlation=similarity,
        flags=(*flags, *_doubts(fit, similarity, use_affine=use_affine)),
    )


def _composed(affine: sitk.AffineTransform, field: sitk.Image) -> sitk.CompositeTransform:
    """The displacement, then the affine (SimpleITK applies the last of the list first)."""
    return sitk.CompositeTransform([affine, sitk.DisplacementFieldTransform(sitk.Cast(field, sitk.sitkVectorFloat64))])


@dataclass(frozen=True)
class _Fit:
    """How well a transform lays the prior onto the current lungs, where both scans have data."""

    dice: float
    surface_distance_mm: float | None
    correlation: float
    coverage: float

    @classmethod
    def of(
        cls, fixed: OnGrid, pattern: np.ndarray, prior: LungImages, grid: sitk.Image, transform: sitk.Transform
    ) -> _Fit:
        moved = on_grid(prior, grid, transform)
        both = fixed.covered & moved.covered
        spacing_mm = grid.GetSpacing()[0]
        return cls(
            dice=_overlap(fixed, moved),
            surface_distance_mm=_surface_distance_mm(fixed.lungs & both, moved.lungs & both, both, spacing_mm),
            correlation=_similarity(fixed, pattern, moved, grid),
            coverage=int(np.count_nonzero(fixed.lungs & both)) / max(1, int(np.count_nonzero(fixed.lungs))),
        )


def _similarity(fixed: OnGrid, pattern: np.ndarray, moved: OnGrid, grid: sitk.Image) -> float:
    """Correlation of the texture (``pattern`` is the fixed one's) inside both lungs, without their edges."""
    inner = ndimage.binary_erosion(fixed.lungs & moved.lungs & fixed.covered & moved.covered, iterations=2)
    return correlation(pattern, texture(moved, grid.GetSpacing()[0]), inner)


def _overlap(a: OnGrid, b: OnGrid) -> float:
    """Dice of the lungs where both scans have data."""
    both = a.covered & b.covered
    x, y = a.lungs & both, b.lungs & both
    total = np.count_nonzero(x) + np.count_nonzero(y)
    return float(2.0 * np.count_nonzero(x & y) / total) if total else 0.0


def _surface_distance_mm(a: np.ndarray, b: np.ndarray, both: np.ndarray, spacing_mm: float) -> float | None:
    """Symmetric mean distance of two lung surfaces (masks on one grid); ``None`` where one is empty."""
    inner = ndimage.binary_erosion(both)
    surfaces = [mask & ~ndimage.binary_erosion(mask, border_value=1) & inner for mask in (a, b)]
    if not all(surface.any() for surface in surfaces):
        return None
    distances = [
        ndimage.distance_transform_edt(~other, sampling=spacing_mm)[surface]
        for surface, other in (surfaces, surfaces[::-1])
    ]
    return float(np.concatenate(distances).mean())


def _common_sides(current: LungMask, prior: LungMask) -> tuple[tuple[Lung, ...], list[QualityFlag]]:
    seen = [{side for side in Lung if lungs.volume_ml(side) >= MIN_LUNG_ML} for lungs in (current, prior)]
    common = tuple(side for side in Lung if side in seen[0] & seen[1])
    if not common:
        raise InputError(
            "The two scans cannot be laid on each other",
            expected=f"a lung of at least {MIN_LUNG_ML:.0f} ml that both show",
            got=" and ".join("/".join(side.name.lower() for side in sorted(sides)) or "none" for sides in seen),
            todo="check that both are chest CT and look at their lung masks",
        )
    if len(common) == 2 or seen[0] == seen[1]:
        return common, []
    name = common[0].name.lower()
    message = f"Only the {name} lung is in both scans; positions on the other side cannot be compared."
    return common, [QualityFlag("registration_one_lung", Severity.WARNING, message)]


def _doubts(fit: _Fit, similarity: float, *, use_affine: bool) -> list[QualityFlag]:
    flags = []
    if use_affine:
        flags.append(
            QualityFlag(
                "registration_affine_only",
                Severity.WARNING,
                "The deformable registration was not better than the affine one or folded, so the affine one "
                "is used; positions may be off by 10 mm or more.",
            )
        )
    if fit.dice < MIN_DICE:
        flags.append(
            QualityFlag(
                "registration_lung_overlap",
                Severity.SERIOUS,
                f"The registered lungs overlap with a Dice of only {fit.dice:.2f} (expected {MIN_DICE} or "
                "more); check every pair of nodules by eye.",
            )
        )
    distance = fit.surface_distance_mm
    if distance is None or distance > MAX_SURFACE_DISTANCE_MM:
        found = "could not be compared" if distance is None else f"lie {distance:.1f} mm apart on average"
        flags.append(
            QualityFlag(
                "registration_surface_distance",
                Severity.SERIOUS,
                f"The registered lung surfaces {found}; check every pair of nodules by eye.",
            )
        )
    if similarity < MIN_CORRELATION:
        flags.append(
            QualityFlag(
                "registration_image_mismatch",
                Severity.SERIOUS,
                "Vessels and texture inside the registered lungs do not agree (correlation "
                f"{similarity:.2f}, expected {MIN_CORRELATION} or more); the scans may be of different people or too "
                "different to compare.",
            )
        )
    if fit.coverage < MIN_COVERAGE:
        flags.append(
            QualityFlag(
                "registration_partial_coverage",
                Severity.WARNING,
                f"The prior scan shows only {100 * fit.coverage:.0f}% of the current lungs; nodules outside "
                "of it cannot be compared.",
            )
        )
    return flags
