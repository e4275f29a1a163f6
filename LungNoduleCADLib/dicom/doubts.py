"""What a reader must know of a series before anything is computed from it."""

from __future__ import annotations

from collections.abc import Sequence

from LungNoduleCADLib.dicom.describe import describe, is_sharp_kernel
from LungNoduleCADLib.dicom.headers import CT_CLASSES, SliceHeader, number, text
from LungNoduleCADLib.domain.geometry import Geometry
from LungNoduleCADLib.domain.quality import QualityFlag, Severity

MIN_SLICES = 10
MIN_HEIGHT_MM = 120.0
MIN_FIELD_OF_VIEW_MM = 200.0
THICK_MM, VERY_THICK_MM, UNUSABLE_MM = 2.5, 3.0, 6.0

NOT_PREFERRED = {"short_coverage", "small_field_of_view", "other_body_part", "gaps_between_slices"}

_OTHER_BODY_PARTS = ("HEAD", "BRAIN", "SKULL", "NECK", "ABDOMEN", "PELVIS", "LEG", "ARM", "KNEE", "FOOT", "HAND", "HIP")
_LOSSY_SYNTAXES = ("1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.51", "1.2.840.10008.1.2.4.81")

Doubt = tuple[QualityFlag, bool]
"""A flag, and whether it makes the series unusable."""


def other_body_part(body_part: str) -> bool:
    """Whether a header's BodyPartExamined says that the chest is not shown; most say nothing."""
    return bool(_part_named(body_part))


def _part_named(body_part: str) -> str:
    """The part of the body that is not the chest, or nothing."""
    said = body_part.upper()
    named = next((part for part in _OTHER_BODY_PARTS if part in said), "")
    return "" if "CHEST" in said or "THORAX" in said else named


def series_doubts(slices: Sequence[SliceHeader], geometry: Geometry | None) -> list[Doubt]:
    """Everything but the regularity of the stack (that is ``stack.check_slices``)."""
    doubts = _wrong_kind(slices)
    if not doubts:
        doubts = [(flag, False) for flag in _header_flags(slices)]
        if geometry:
            doubts += grid_doubts(geometry, slices[0].thickness_mm)
    return doubts


def grid_doubts(geometry: Geometry, thickness_mm: float | None) -> list[Doubt]:
    """What the size and spacing of a CT grid say, whatever file it came from."""
    spacing = geometry.spacing_kji_mm[0]
    height, *fields = geometry.extent_kji_mm
    doubts = []
    wider = max(spacing, thickness_mm or 0.0)
    if wider > UNUSABLE_MM:
        doubts.append((_serious("thick_slices", f"Slices of {wider:.1f} mm are too thick for nodules."), True))
    elif wider > THICK_MM + 0.01:
        severity = Severity.WARNING if wider > VERY_THICK_MM + 0.01 else Severity.INFO
        doubts.append(
            (
                QualityFlag(
                    "thick_slices",
                    severity,
                    f"Slices are {wider:.1f} mm thick; small nodules can be "
                    "missed and their volumes are uncertain (1.5 mm or less is advised).",
                ),
                False,
            )
        )
    if thickness_mm and spacing > 1.5 * thickness_mm:
        doubts.append(
            (
                _warning(
                    "gaps_between_slices",
                    f"Slices of {thickness_mm:.1f} mm lie {spacing:.1f} mm apart: what is between them was not imaged.",
                ),
                False,
            )
        )
    if geometry.shape_kji[0] < MIN_SLICES:
        doubts.append((_serious("few_slices", f"Only {geometry.shape_kji[0]} slices, no volume to analyse."), True))
    elif height < MIN_HEIGHT_MM:
        doubts.append(
            (_warning("short_coverage", f"The scan is only {height:.0f} mm high and does not cover the lungs."), False)
        )
    if min(fields) < MIN_FIELD_OF_VIEW_MM:
        doubts.append(
            (
                _warning(
                    "small_field_of_view",
                    f"The field of view is only {min(fields):.0f} mm wide: part of the lungs is outside.",
                ),
                False,
            )
        )
    return doubts


def _wrong_kind(slices: Sequence[SliceHeader]) -> list[Doubt]:
    first = slices[0]
    kind = set(first.image_type)
    if first.modality != "CT":
        return [(_serious("not_ct", f"Modality {first.modality}, not CT."), True)]
    if first.sop_class not in CT_CLASSES or number(first.dataset, "SamplesPerPixel") not in (1.0, None):
        return [(_serious("secondary_capture", "A picture of a screen or a report, not a CT image."), True)]
    if kind & {"LOCALIZER", "SCOUT", "TOPOGRAM"}:
        return [(_serious("localizer", "A localizer (scout), not a volume."), True)]
    if any("MIP" in part or part == "PROJECTION IMAGE" for part in kind):
        return [(_serious("projection", "A projection through slices (MIP or MinIP), not the scan itself."), True)]
    return []


def _header_flags(slices: Sequence[SliceHeader]) -> list[QualityFlag]:
    first = slices[0]
    header, facts = first.dataset, describe(first)
    flags = []
    if first.image_type[:1] == ("DERIVED",) or "SECONDARY" in first.image_type:
        flags.append(_info("derived", "A derived or secondary series, not the scanner's first reconstruction."))
    lossy = text(header, "LossyImageCompression") == "01"
    if lossy or getattr(getattr(header, "file_meta", None), "TransferSyntaxUID", "") in _LOSSY_SYNTAXES:
        flags.append(_warning("lossy_compression", "The images were compressed with loss; densities are altered."))
    if is_sharp_kernel(facts.kernel):
        flags.append(
            _info(
                "sharp_kernel",
                f"Sharp kernel ({facts.kernel}): noise and edge overshoot disturb densities and volumes.",
            )
        )
    if facts.contrast:
        flags.append(_info("contrast", "Contrast medium was given; densities of enhancing tissue are raised."))
    if body_part := _part_named(text(header, "BodyPartExamined")):
        flags.append(_warning("other_body_part", f"The header says {body_part}, not chest."))
    if facts.study_date is None:
        flags.append(_warning("no_study_date", "No study date: growth rates cannot be computed."))
    if len({s.acquisition for s in slices}) > 1:
        flags.append(_info("several_acquisitions", "The slices come from more than one acquisition."))
    if text(header, "PatientPosition").upper() in ("HFP", "FFP"):
        flags.append(_info("prone", "The patient lay prone."))
    return flags


def _info(code: str, message: str) -> QualityFlag:
    return QualityFlag(code, Severity.INFO, message)


def _warning(code: str, message: str) -> QualityFlag:
    return QualityFlag(code, Severity.WARNING, message)


def _serious(code: str, message: str) -> QualityFlag:
    return QualityFlag(code, Severity.SERIOUS, message)
