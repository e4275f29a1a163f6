"""A nodule's key images as a DICOM picture (Secondary Capture), for viewers that show nothing else."""

from __future__ import annotations

import numpy as np
from highdicom.sc import SCImage
from pydicom.config import disable_value_validation
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes
from pydicom.uid import RLELossless

from LungNoduleCADLib.dicom.export_codes import sequence_item
from LungNoduleCADLib.dicom.export_identity import PICTURES_SERIES, new_instance
from LungNoduleCADLib.dicom.export_source import SourceSeries
from LungNoduleCADLib.dicom.headers import quiet_pydicom
from LungNoduleCADLib.domain.nodule import Point


def make_picture(
    source: SourceSeries, pixels: np.ndarray, series_uid: str, number: int, comment: str, centre_lps_mm: Point
) -> SCImage:
    """A Secondary Capture image in the source's study, derived from the slice through a point.

    Parameters
    ----------
    pixels : uint8 (rows, columns, 3), red, green, blue; no name, number or date of a patient in it.
    series_uid, number : all pictures of an export are one series, numbered from 1.
    comment : what it shows, in words.
    """
    first = source.datasets[0]
    named = {**new_instance(PICTURES_SERIES), "series_instance_uid": series_uid, "instance_number": number}
    with quiet_pydicom(), disable_value_validation():
        picture = SCImage(
            pixel_array=pixels,
            photometric_interpretation="RGB",
            bits_allocated=8,
            coordinate_system="PATIENT",
            patient_orientation=("L", "P"),
            study_instance_uid=first.StudyInstanceUID,
            patient_id=first.PatientID,
            patient_name=first.PatientName,
            patient_birth_date=first.PatientBirthDate,
            patient_sex=first.PatientSex,
            accession_number=first.AccessionNumber,
            study_id=first.StudyID,
            study_date=first.StudyDate,
            study_time=first.StudyTime,
            referring_physician_name=first.ReferringPhysicianName,
            transfer_syntax_uid=RLELossless,
            **named,
        )
        picture.copy_patient_and_study_information(first)
        picture.PatientOrientation = ""  # several planes side by side, each with its letters
        picture.ImageType = ["DERIVED", "SECONDARY"]
        picture.ConversionType = "WSD"
        picture.BodyPartExamined = "CHEST"
        picture.BurnedInAnnotation = "NO"
        picture.ImageComments = comment
        picture.DerivationDescription = comment[:1024]
        picture.SourceImageSequence = [_slice_through(source, centre_lps_mm)]
    return picture


def _slice_through(source: SourceSeries, point_lps_mm: Point) -> Dataset:
    """A reference to the slice nearest to a point."""
    nearest = int(np.rint(source.geometry.to_kji(point_lps_mm)[0]))
    k = min(max(nearest, 0), source.geometry.shape_kji[0] - 1)
    instance = source.datasets[0 if source.frames else k]
    reference = Dataset()
    reference.ReferencedSOPClassUID = instance.SOPClassUID
    reference.ReferencedSOPInstanceUID = instance.SOPInstanceUID
    if source.frames:
        reference.ReferencedFrameNumber = source.frames[k] + 1
    reference.PurposeOfReferenceCodeSequence = [sequence_item(codes.DCM.SourceImageForImageProcessingOperation)]
    return reference
