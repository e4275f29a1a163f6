"""How large, how dense and where: everything that is derived from a nodule's outline."""

from __future__ import annotations

import numpy as np

from LungNoduleCADLib.domain.ct import CtVolume
from LungNoduleCADLib.domain.masks import LungMask, NoduleMask
from LungNoduleCADLib.domain.nodule import Measurements
from LungNoduleCADLib.errors import InputError
from LungNoduleCADLib.nodules.axes import axial_axes
from LungNoduleCADLib.nodules.location import SIDES, distance_to_pleura_mm, nearest_lung, zone
from LungNoduleCADLib.nodules.solid import solid_part


def measure_nodule(ct: CtVolume, lungs: LungMask, mask: NoduleMask) -> Measurements:
    """Sizes (ACR axes, volume), density and place of a nodule.

    Parameters
    ----------
    ct, lungs : on the grid that ``mask`` is a box of.
    mask : its ``occupancy`` is used for volume and axes where it is given.

    Raises
    ------
    InputError : the outline is empty.
    """
    axes = axial_axes(_filling(mask), mask.box_geometry, mask.start_kji[0])
    if axes is None or not mask.voxels.any():
        raise InputError(
            "The nodule's outline is empty", expected="at least one voxel", got="none", todo="draw it again"
        )
    volume_mm3 = nodule_volume_mm3(mask)
    mean_hu = float(ct.hu[mask.box][mask.voxels].mean())
    lung = nearest_lung(lungs, mask)
    solid = solid_part(ct.hu, mask)
    return Measurements(
        volume_mm3=volume_mm3,
        axes=axes,
        mean_hu=mean_hu,
        mass_mg=volume_mm3 * max(mean_hu + 1000.0, 0.0) / 1000.0,
        side=SIDES[lung] if lung else None,
        zone=zone(lungs, lung, mask.centroid_lps_mm()) if lung else None,
        distance_to_pleura_mm=distance_to_pleura_mm(lungs, lung, mask) if lung else None,
        solid_volume_mm3=solid.volume_mm3 if solid else None,
        solid_axes=solid.axes if solid else None,
    )


def nodule_volume_mm3(mask: NoduleMask) -> float:
    """Sum of the voxels' filling times the voxel volume.

    With ``occupancy`` that is partial-volume aware. Without, it counts voxels: unbiased when a voxel belongs to the
    nodule if its centre does, which smoothing the mask would spoil.
    """
    filling = mask.voxels if mask.occupancy is None else mask.occupancy
    return float(filling.sum(dtype=float)) * mask.geometry.voxel_volume_mm3


def _filling(mask: NoduleMask) -> np.ndarray:
    """What the outline is drawn through: occupancy where a voxel is at least half full somewhere, else the mask."""
    if mask.occupancy is not None and mask.occupancy.max(initial=0.0) >= 0.5:
        return mask.occupancy
    return mask.voxels
