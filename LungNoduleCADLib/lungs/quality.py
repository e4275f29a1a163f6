"""Doubts about a lung mask that the reader of a report must know."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from LungNoduleCADLib.domain.ct import CtVolume
from LungNoduleCADLib.domain.masks import Lung, LungMask
from LungNoduleCADLib.domain.quality import QualityFlag, Severity

PLAUSIBLE_TOTAL_ML = (1000.0, 10000.0)
PLAUSIBLE_RIGHT_SHARE = (0.40, 0.68)  # healthy: 0.50 to 0.58
CUT_AREA_MM2 = 500.0  # lung section on the outermost slice or column: a fingertip of apex is no cut
DENSE_ABOVE_HU = -200
DENSE_SHARE = 0.15  # vessels and nodules make up 0.01 to 0.06
HOLES_ML = 5.0

_FACES = ((0, 0, "bottom"), (0, -1, "top"), (1, 0, "front"), (1, -1, "back"), (2, 0, "right"), (2, -1, "left"))


def lung_quality(lungs: LungMask, ct: CtVolume) -> tuple[QualityFlag, ...]:
    """The mask's own flags; implausible volumes or sides, lungs cut by the scan's edge, little aeration, holes."""
    return (*lungs.flags, *_volume_flags(lungs), *_cut_flags(lungs), *_content_flags(lungs, ct))


def _volume_flags(lungs: LungMask) -> list[QualityFlag]:
    right_ml, left_ml = (lungs.volume_ml(lung) for lung in Lung)
    total_ml = right_ml + left_ml
    if total_ml == 0:
        return [QualityFlag("no_lungs", Severity.SERIOUS, "The lung mask is empty.")]
    flags = []
    low, high = PLAUSIBLE_TOTAL_ML
    if not low <= total_ml <= high:
        flags.append(
            QualityFlag(
                "lung_volume_implausible",
                Severity.SERIOUS,
                f"The lungs measure {total_ml / 1000:.1f} l; plausible are {low / 1000:.0f} to {high / 1000:.0f} l.",
            )
        )
    share = right_ml / total_ml
    if share in (0.0, 1.0):
        found, missing = ("right", "left") if share == 1.0 else ("left", "right")
        flags.append(
            QualityFlag(
                "one_lung_only",
                Severity.WARNING,
                f"Only a {found} lung was found; nothing was analysed on the {missing}.",
            )
        )
    elif not PLAUSIBLE_RIGHT_SHARE[0] <= share <= PLAUSIBLE_RIGHT_SHARE[1]:
        flags.append(
            QualityFlag(
                "lung_sides_unequal",
                Severity.WARNING,
                f"The right lung measures {right_ml:.0f} ml and the left {left_ml:.0f} ml: part of one may be missing.",
            )
        )
    return flags


def _cut_flags(lungs: LungMask) -> list[QualityFlag]:
    flags = []
    spacing = lungs.geometry.spacing_kji_mm
    for axis, index, name in _FACES:
        pixel_mm2 = float(np.prod([s for a, s in enumerate(spacing) if a != axis]))
        area_mm2 = np.count_nonzero(np.take(lungs.labels, index, axis=axis)) * pixel_mm2
        if area_mm2 > CUT_AREA_MM2:
            flags.append(
                QualityFlag(
                    f"lungs_cut_at_{name}",
                    Severity.WARNING,
                    f"The lungs reach the {name} edge of the scan: nodules beyond it cannot be found.",
                )
            )
    return flags


def _content_flags(lungs: LungMask, ct: CtVolume) -> list[QualityFlag]:
    flags = []
    mask = lungs.labels > 0
    if not mask.any():
        return flags
    dense_share = np.count_nonzero(ct.hu[mask] > DENSE_ABOVE_HU) / np.count_nonzero(mask)
    if dense_share > DENSE_SHARE:
        flags.append(
            QualityFlag(
                "lungs_poorly_aerated",
                Severity.WARNING,
                f"{dense_share:.0%} of the lung mask is not aerated: mass, consolidation, or other tissue in the mask.",
            )
        )
    box = ndimage.find_objects(mask.astype(np.uint8))[0]
    inner = mask[box]
    holes_ml = np.count_nonzero(ndimage.binary_fill_holes(inner) & ~inner) * lungs.geometry.voxel_volume_mm3 / 1000
    if holes_ml > HOLES_ML:
        flags.append(
            QualityFlag(
                "lung_mask_has_holes",
                Severity.WARNING,
                f"The lung mask has closed holes of {holes_ml:.0f} ml in all.",
            )
        )
    return flags
