"""DICOM in: the series of a folder, their headers without the patient, and checked CT volumes."""
