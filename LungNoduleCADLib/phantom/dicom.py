"""A CtVolume written as a CT image series: one uncompressed file per slice."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

from LungNoduleCADLib.domain.ct import CtVolume

_INTERCEPT = -1024


def write_dicom_series(
    ct: CtVolume, folder: Path, *, patient_id: str = "PHANTOM", patient_name: str = "Phantom^Thorax"
) -> list[Path]:
    """Write a synthetic CT as DICOM; the same volume always gives the same files.

    Parameters
    ----------
    patient_id : the same for scans of one person.

    Returns
    -------
    The files, from feet to head.
    """
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for k in range(ct.geometry.shape_kji[0]):
        path = folder / f"{k + 1:04d}.dcm"
        dataset = _common(ct, patient_id, patient_name)
        _add_slice(dataset, ct, k)
        dataset.save_as(path, enforce_file_format=True)
        paths.append(path)
    return paths


def _common(ct: CtVolume, patient_id: str, patient_name: str) -> Dataset:
    """What all slices say alike: patient, study, series, equipment."""
    series = ct.series
    day = series.study_date.strftime("%Y%m%d") if series.study_date else ""
    study_uid = series.study_uid or generate_uid(entropy_srcs=["study", series.series_uid])
    dataset = Dataset()
    dataset.SpecificCharacterSet = "ISO_IR 192"
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    dataset.SOPClassUID = CTImageStorage
    dataset.StudyDate = dataset.SeriesDate = dataset.AcquisitionDate = dataset.ContentDate = day
    dataset.StudyTime = dataset.ContentTime = "120000"
    dataset.AccessionNumber = dataset.ReferringPhysicianName = dataset.StudyID = ""
    dataset.Modality = "CT"
    dataset.Manufacturer = series.manufacturer or "LungNoduleCAD"
    dataset.StudyDescription, dataset.SeriesDescription = "CT chest, synthetic", series.description
    dataset.PatientName, dataset.PatientID = patient_name, patient_id
    dataset.PatientBirthDate, dataset.PatientSex = "", series.sex or ""
    if series.age_years is not None:
        dataset.PatientAge = f"{int(series.age_years):03d}Y"
    dataset.BodyPartExamined = "CHEST"
    dataset.KVP = series.kvp
    dataset.ConvolutionKernel = series.kernel
    dataset.PatientPosition = "HFS"
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = study_uid, series.series_uid
    dataset.SeriesNumber, dataset.AcquisitionNumber = 1, 1
    dataset.FrameOfReferenceUID = generate_uid(entropy_srcs=["frame of reference", series.series_uid])
    dataset.PositionReferenceIndicator = ""
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 16, 12, 11, 0
    dataset.RescaleIntercept, dataset.RescaleSlope, dataset.RescaleType = _INTERCEPT, 1, "HU"
    dataset.WindowCenter, dataset.WindowWidth = -600, 1500
    return dataset


def _add_slice(dataset: Dataset, ct: CtVolume, k: int) -> None:
    spacing_k, spacing_j, spacing_i = ct.geometry.spacing_kji_mm
    columns = np.asarray(ct.geometry.direction).reshape(3, 3)
    position = ct.geometry.to_lps_mm((k, 0, 0))
    uid = generate_uid(entropy_srcs=["image", ct.series.series_uid, str(k)])
    dataset.SOPInstanceUID = uid
    dataset.InstanceNumber = k + 1
    dataset.SliceThickness = _decimal(ct.series.slice_thickness_mm or spacing_k)
    dataset.PixelSpacing = [_decimal(spacing_j), _decimal(spacing_i)]
    dataset.ImagePositionPatient = [_decimal(v) for v in position]
    dataset.ImageOrientationPatient = [_decimal(v) for v in (*columns[:, 0], *columns[:, 1])]
    dataset.SliceLocation = _decimal(position[2])
    dataset.Rows, dataset.Columns = ct.hu.shape[1:]
    stored = np.clip(ct.hu[k].astype(np.int32) - _INTERCEPT, 0, 4095).astype("<u2")
    dataset.PixelData = stored.tobytes()
    dataset["PixelData"].VR = "OW"
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.MediaStorageSOPClassUID = CTImageStorage
    dataset.file_meta.MediaStorageSOPInstanceUID = uid
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian


def _decimal(value: float) -> str:
    """A DICOM decimal string (16 characters at most)."""
    return f"{float(value):.6f}".rstrip("0").rstrip(".") or "0"
