"""The PDF report as a DICOM object (Encapsulated PDF), so that it files with the study."""

from __future__ import annotations

from datetime import date

from highdicom import SOPClass
from highdicom.sr import CodedConcept
from pydicom.config import disable_value_validation
from pydicom.dataset import Dataset
from pydicom.uid import EncapsulatedPDFStorage, ExplicitVRLittleEndian

from LungNoduleCADLib.dicom import export_codes as code
from LungNoduleCADLib.dicom.export_identity import REPORT_SERIES, new_instance
from LungNoduleCADLib.dicom.export_source import SourceSeries
from LungNoduleCADLib.dicom.headers import quiet_pydicom, text

TITLE = "Lung nodule report (research use only)"


def make_document(source: SourceSeries, pdf: bytes) -> SOPClass:
    """An Encapsulated PDF object in the source's study."""
    first = source.datasets[0]
    with quiet_pydicom(), disable_value_validation():
        document = SOPClass(
            study_instance_uid=first.StudyInstanceUID,
            sop_class_uid=EncapsulatedPDFStorage,
            modality="DOC",
            transfer_syntax_uid=ExplicitVRLittleEndian,
            patient_id=first.PatientID,
            patient_name=first.PatientName,
            patient_birth_date=first.PatientBirthDate,
            patient_sex=first.PatientSex,
            accession_number=first.AccessionNumber,
            study_id=first.StudyID,
            study_date=first.StudyDate,
            study_time=first.StudyTime,
            referring_physician_name=first.ReferringPhysicianName,
            **new_instance(REPORT_SERIES),
        )
        document.copy_patient_and_study_information(first)
        document.ConversionType = "WSD"
        document.BurnedInAnnotation = "YES"  # the date of the scan and a key made of the patient ID are printed
        document.AcquisitionDateTime = _acquired(first)
        document.DocumentTitle = TITLE
        document.ConceptNameCodeSequence = [CodedConcept.from_code(code.CHEST_CT_REPORT)]
        document.VerificationFlag = "UNVERIFIED"
        document.MIMETypeOfEncapsulatedDocument = "application/pdf"
        document.EncapsulatedDocumentLength = len(pdf)
        document.EncapsulatedDocument = pdf + b"\0" * (len(pdf) % 2)
        document.SourceInstanceSequence = [_reference(one) for one in source.datasets]
    return document


def _reference(instance: Dataset) -> Dataset:
    reference = Dataset()
    reference.ReferencedSOPClassUID = instance.SOPClassUID
    reference.ReferencedSOPInstanceUID = instance.SOPInstanceUID
    return reference


def _acquired(first: Dataset) -> str:
    """Date and time of the acquisition; empty where the header does not say."""
    day = text(first, "AcquisitionDateTime") or text(first, "AcquisitionDate") + text(first, "AcquisitionTime")
    try:
        date.fromisoformat(day[:8])
    except ValueError:
        return ""
    return day
