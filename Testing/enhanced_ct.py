"""Single slices as frames of one enhanced CT."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from pathlib import Path

from pydicom.dataset import Dataset

ENHANCED_CT = "1.2.840.10008.5.1.4.1.1.2.1"
PER_FRAME = {
    "PixelMeasuresSequence": ("PixelSpacing", "SliceThickness"),
    "PlanePositionSequence": ("ImagePositionPatient",),
    "PlaneOrientationSequence": ("ImageOrientationPatient",),
    "PixelValueTransformationSequence": ("RescaleSlope", "RescaleIntercept"),
}


def write_enhanced(slices: Sequence[Dataset], path: Path) -> Path:
    """Write uncompressed slices, in this order, as frames of one file with the attributes of the first."""
    whole = deepcopy(slices[0])
    for keyword in sum(PER_FRAME.values(), ()):
        delattr(whole, keyword)
    whole.PerFrameFunctionalGroupsSequence = [_groups(one) for one in slices]
    whole.NumberOfFrames = len(slices)
    whole.PixelData = b"".join(one.PixelData for one in slices)
    whole.SOPClassUID = whole.file_meta.MediaStorageSOPClassUID = ENHANCED_CT
    path.parent.mkdir(exist_ok=True)
    whole.save_as(path, enforce_file_format=True)
    return path


def _groups(one: Dataset) -> Dataset:
    frame = Dataset()
    for sequence, keywords in PER_FRAME.items():
        item = Dataset()
        for keyword in keywords:
            setattr(item, keyword, one[keyword].value)
        setattr(frame, sequence, [item])
    return frame
