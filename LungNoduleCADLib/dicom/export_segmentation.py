"""Lungs and nodules as a DICOM segmentation (SEG): one binary segment each, on the grid of the source images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from highdicom import AlgorithmIdentificationSequence
from highdicom.color import CIELabColor
from highdicom.seg import SegmentAlgorithmTypeValues, Segmentation, SegmentationTypeValues, SegmentDescription
from highdicom.sr import CodedConcept
from pydicom.config import disable_value_validation

from LungNoduleCADLib.dicom import export_codes as code
from LungNoduleCADLib.dicom.export_identity import NAME, SEGMENTATION_SERIES, new_instance
from LungNoduleCADLib.dicom.export_source import SourceSeries
from LungNoduleCADLib.dicom.headers import quiet_pydicom
from LungNoduleCADLib.domain.geometry import Geometry
from LungNoduleCADLib.domain.masks import Side
from LungNoduleCADLib.domain.provenance import Method
from LungNoduleCADLib.errors import InputError

_LONGEST_LABEL = 64


@dataclass(frozen=True)
class Structure:
    """A lung or nodule to be written as a segment.

    Attributes
    ----------
    name : ``lung_right``, ``lung_left`` or the nodule's id; with ``tracking_uid`` what links it to its measurements.
    voxels : bool (K, J, I) box on ``grid``, any part of the CT's grid.
    color : red, green, blue from 0 to 1.
    method : what outlined it; nothing is said of it where a person drew it (``drawn`` MANUAL).
    drawn : AUTOMATIC, SEMIAUTOMATIC (from a reader's point) or MANUAL.
    """

    name: str
    label: str
    voxels: np.ndarray
    grid: Geometry
    is_nodule: bool
    side: Side | None
    color: tuple[float, float, float]
    method: Method
    tracking_uid: str
    drawn: SegmentAlgorithmTypeValues = SegmentAlgorithmTypeValues.AUTOMATIC


def make_segmentation(source: SourceSeries, structures: Sequence[Structure]) -> Segmentation:
    """A SEG object in the source's study and frame of reference; segment n is ``structures[n - 1]``.

    Raises
    ------
    InputError : nothing to segment, masks off the source's grid, or headers that highdicom refuses.
    """
    if not structures:
        raise InputError("there is nothing to segment", expected="a lung or a nodule", got="empty masks")
    # segments first, so that each one's slices lie together in memory
    masks = np.zeros((len(structures), *source.geometry.shape_kji), bool)
    for mask, structure in zip(masks, structures, strict=True):
        source.lay(structure.voxels, structure.grid, mask)
    planes = source.in_instance_order(np.moveaxis(masks, 0, -1))
    with quiet_pydicom(), disable_value_validation():
        try:
            return Segmentation(
                source_images=source.datasets,
                pixel_array=planes,
                segmentation_type=SegmentationTypeValues.BINARY,
                segment_descriptions=[_description(n, one) for n, one in enumerate(structures, start=1)],
                content_label="LUNG_NODULES",
                content_description="Lungs and lung nodules; research use only",
                content_creator_name=f"{NAME}^Software",
                **new_instance(SEGMENTATION_SERIES),
            )
        except (ValueError, TypeError, AttributeError, KeyError) as error:
            raise InputError(
                "the headers of the series do not allow a DICOM segmentation",
                got=str(error),
                todo="export the series again from the PACS, or export the report without it",
            ) from error


def _description(number: int, structure: Structure) -> SegmentDescription:
    by_hand = structure.drawn is SegmentAlgorithmTypeValues.MANUAL
    description = SegmentDescription(
        segment_number=number,
        segment_label=structure.label[:_LONGEST_LABEL],
        segmented_property_category=code.LESION if structure.is_nodule else code.ANATOMY,
        segmented_property_type=code.NODULE if structure.is_nodule else code.LUNG,
        algorithm_type=structure.drawn,
        algorithm_identification=None if by_hand else _algorithm(structure.method),
        tracking_uid=structure.tracking_uid,
        tracking_id=structure.name,
        anatomic_regions=[code.LUNG] if structure.is_nodule else None,
        display_color=CIELabColor.from_rgb(*(round(255 * channel) for channel in structure.color)),
    )
    if structure.side is not None:
        side = [CodedConcept.from_code(code.SIDES[structure.side])]
        if structure.is_nodule:
            description.AnatomicRegionSequence[0].AnatomicRegionModifierSequence = side
        else:
            description.SegmentedPropertyTypeCodeSequence[0].SegmentedPropertyTypeModifierCodeSequence = side
    return description


def _algorithm(method: Method) -> AlgorithmIdentificationSequence:
    return AlgorithmIdentificationSequence(
        method.name,
        code.LEARNED if method.sha256 else code.CLASSICAL,
        method.version,
        source=NAME,
        parameters={"sha256": method.sha256} if method.sha256 else None,
    )
